#!/usr/bin/python3
"""What the daemon does when the host fails it, on the null backend: a full
disk, no more descriptors, a database that cannot be written."""
import json
import os
import resource
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import (BIN, Host, RpcError, alive, guarded,          # noqa: E402
                   report, wait_for)
from bootable import make_image                                 # noqa: E402
from network import BRIDGE, interfaces, own_network             # noqa: E402

check, equal, match = report.check, report.equal, report.match


NETWORK = own_network()


def config(name, **more):
    return dict({"name": name, "hypervisor": "null", "memory": "128M"}, **more)


def refused(what, code, call, method, **params):
    try:
        call(method, **params)
        check(what, False, "it was accepted")
    except RpcError as e:
        check(what, e.code == code, f"{e.code}: {e}")


class SmallHost(Host):
    """State on a file system of 2 MiB, in a mount namespace of the daemon's
    own: reached through /proc/PID/root."""

    def start(self, *options, wait=True):
        os.makedirs(self.state, exist_ok=True)
        with open(self.log, "a", encoding="utf-8") as log:
            self.proc = subprocess.Popen(
                ["unshare", "-m", "--propagation", "private", "sh", "-c",
                 'mount -t tmpfs -o size=2m tmpfs "$1" && shift && exec "$@"',
                 "sh", self.state, BIN + "/armvmd", "--state-dir", self.state,
                 "--runtime-dir", self.runtime, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            wait_for("armvmd answers", self.answers, 30)
        return self

    def inside(self):
        return f"/proc/{self.proc.pid}/root{self.state}"


def fill_disk(path):
    size = 1 << 20
    with open(path, "wb", buffering=0) as f:
        while size:
            try:
                f.write(b"x" * size)
            except OSError:
                size //= 2


def test_full_disk():
    if os.geteuid() != 0:
        report.skip("full disk", "needs root for a file system of its own")
        return
    host = SmallHost("armvm-full-").start()
    host.call("vm.define", config=config("before"))
    host.call("vm.start", name="before")
    rpc = host.rpc()
    ballast = host.inside() + "/ballast"
    fill_disk(ballast)
    good, failed = [], 0
    for i in range(200):
        try:
            rpc.call("vm.define", config=config(f"f{i}", description="d" * 900))
            good.append(f"f{i}")
        except RpcError as e:
            failed += 1
            if e.code != "no-space":
                check("a full disk is told as such", False, f"{e.code}: {e}")
    check("a full disk is told as such", failed > 0, failed)

    def names():
        return sorted(v["name"] for v in rpc.call("vm.list",
                                                  limit=1000)["vms"])
    equal("what was acknowledged is there, and nothing else", names(),
          sorted(good + ["before"]))
    equal("what runs goes on", rpc.call("vm.get", name="before")["state"],
          "running")
    pid = rpc.call("vm.get", name="before")["pid"]
    os.kill(pid, 9)
    wait_for("the crash is noticed", lambda: rpc.call(
        "vm.get", name="before")["state"] == "crashed", 5)
    os.unlink(ballast)
    rpc.call("vm.define", config=config("after"))
    check("service returns by itself", "after" in names())

    def events():
        return [e for e in rpc.call("event.subscribe", since=0)["events"]
                if e.get("state") == "crashed"]
    wait_for("the crash is written down", events, 60)
    equal("once", len(events()), 1)
    rpc.close()
    host.stop()


def test_descriptors():
    host = Host("armvm-fds-")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))
    host.start()
    host.call("vm.define", config=config("v"))
    # Of the running daemon: what it has open, and very few more. Connections
    # that were closed on this side go when it has looked.
    rpc = host.rpc()

    def opened():
        rpc.call("host.info")
        return sorted(int(fd) for fd in
                      os.listdir(f"/proc/{host.proc.pid}/fd"))
    before = opened()
    while before != (now := opened()):
        before = now
    have = max(before)
    resource.prlimit(host.proc.pid, resource.RLIMIT_NOFILE,
                     (have + 3, soft))
    refused("no descriptors: typed", "no-resource", rpc.call, "vm.start",
            name="v")
    equal("and nothing is half started",
          (rpc.call("vm.get", name="v")["state"],
           [f for f in os.listdir(host.runtime) if len(f) == 41]),
          ("stopped", []))
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    for s in waiting:
        s.connect(host.socket)
    equal("those connected are served", rpc.call("vm.get", name="v")["name"],
          "v")
    resource.prlimit(host.proc.pid, resource.RLIMIT_NOFILE, (soft, soft))
    for s in waiting:
        s.close()
    equal("service returns", rpc.call("vm.start", name="v")["state"],
          "running")
    equal("also to new clients", host.call("vm.stop", name="v")["state"],
          "stopped")
    rpc.close()


def test_killed_supervisor():
    host = Host("armvm-killed-").start()
    disk = host.dir + "/d.raw"
    make_image(disk)
    nics = [{"bridge": BRIDGE, "queues": 2}] if NETWORK else []
    for name in ("k", "next"):
        host.call("vm.define", config=config(name, disks=[{"path": disk}],
                                             nics=nics))
    rpc = host.rpc()
    # It has accepted this one; that earlier ones are gone it may not know yet.
    rpc.call("host.info")
    before = len(os.listdir(f"/proc/{host.proc.pid}/fd"))
    times = []
    for _ in range(3):
        pid = rpc.call("vm.start", name="k")["pid"]
        if NETWORK:
            equal("its tap is there", len(interfaces()), 1)
        refused("its disk is its own", "busy", rpc.call, "vm.start",
                name="next")
        last = rpc.call("event.subscribe", since=0)["last"]
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        vm = wait_for("crashed", lambda: (lambda v: v if v["state"] ==
                                          "crashed" else None)
                      (rpc.call("vm.get", name="k")), 60, 0.01)
        times.append(time.monotonic() - began)
        match("with its cause", r"killed by signal 9", vm["reason"])
        equal("one event", [(e["state"], e["previous"]) for e in rpc.call(
            "event.subscribe", since=last)["events"]],
            [("crashed", "running")])
        equal("no socket is left", [f for f in os.listdir(host.runtime)
                                    if len(f) == 41], [])
        if NETWORK:
            equal("nor a tap", interfaces(), [])
    # The best of three: the others are what else this machine does.
    check("crashed within 1 s", min(times) < 1, times)
    equal("the disk is free at once", rpc.call(
        "vm.start", name="next")["state"], "running")
    rpc.call("vm.stop", name="next")
    wait_for("no descriptor is left", lambda: len(os.listdir(
        f"/proc/{host.proc.pid}/fd")) <= before, 60)
    check("nor a process", not alive(pid))
    rpc.close()


def asked(rpc, method, **params):
    """Ask, and do not wait for the answer."""
    rpc.last += 1
    rpc.sock.sendall(json.dumps({"jsonrpc": "2.0", "id": rpc.last, "method":
                                 method, "params": params}).encode() + b"\n")


def answered(rpc, seconds):
    return bool(select.select([rpc.sock], [], [], seconds)[0])


def test_busy_database():
    """Somebody else writes to it: what changes something waits, for 2 s."""
    host = Host("armvm-busy-").start()
    host.call("vm.define", config=config("before"))
    pid = host.call("vm.start", name="before")["pid"]
    db = sqlite3.connect(host.state + "/armvmd.sqlite", isolation_level=None)
    writer, other, reader = host.rpc(), host.rpc(), host.rpc()
    db.execute("BEGIN IMMEDIATE")
    asked(writer, "vm.define", config=config("meanwhile"))
    asked(other, "vm.define", config=config("behind"))
    equal("what is stored can be read meanwhile", [
        reader.call("vm.get", name="before")["name"] for _ in range(20)],
        ["before"] * 20)
    check("and who changes something waits", not answered(writer, 0) and
          not answered(other, 0))
    db.execute("ROLLBACK")
    equal("until it is done", [r._line()["result"]["name"]
                               for r in (writer, other)],
          ["meanwhile", "behind"])
    db.execute("BEGIN IMMEDIATE")
    asked(writer, "vm.define", config=config("lost"))
    os.kill(pid, signal.SIGKILL)
    equal("reads go on", reader.call("vm.get", name="behind")["state"],
          "stopped")
    error = writer._line()["error"]["data"]
    equal("a lock that stays: typed", error["code"], "busy")
    refused("also for the next", "busy", other.call, "vm.define",
            config=config("lost2"))
    reader.call("vm.get", name="before")
    db.execute("ROLLBACK")
    db.close()
    wait_for("the crash is noticed", lambda: reader.call(
        "vm.get", name="before")["state"] == "crashed", 20)
    wait_for("and written down", lambda: [e for e in reader.call(
        "event.subscribe", since=0)["events"] if e.get("state") == "crashed"],
        20)
    host.call("vm.define", config=config("after"))
    equal("service returns by itself", sorted(
        v["name"] for v in host.call("vm.list")["vms"]),
        ["after", "before", "behind", "meanwhile"])
    for rpc in (writer, other, reader):
        rpc.close()


def test_io_error():
    """The disk refuses to write: by strace, for a while."""
    if not shutil.which("strace") or os.geteuid() != 0:
        report.skip("I/O error", "needs root and strace")
        return
    host = Host("armvm-eio-").start()
    host.call("vm.define", config=config("before"))
    rpc = host.rpc()
    trace = subprocess.Popen(
        ["strace", "-f", "-qq", "-e", "trace=fdatasync,fsync", "-e",
         "inject=fdatasync,fsync:error=EIO", "-o", host.dir + "/trace",
         "-p", str(host.proc.pid)], stderr=subprocess.DEVNULL)
    with open(f"/proc/{host.proc.pid}/status", encoding="ascii") as f:
        wait_for("strace", lambda: (f.seek(0), "TracerPid:\t0\n" not in
                                    f.read())[1], 10)
    refused("an I/O error: typed", "internal", rpc.call, "vm.define",
            config=config("lost"))
    equal("what was stored can be read",
          rpc.call("vm.get", name="before")["name"], "before")
    trace.terminate()
    trace.wait(10)
    rpc.call("vm.define", config=config("after"))
    rpc.close()
    host.kill()
    host.start()
    equal("nothing was acknowledged that is not there", sorted(
        v["name"] for v in host.call("vm.list")["vms"]), ["after", "before"])


def damage(path):
    with open(path, "r+b") as f:
        f.seek(4096)
        f.write(b"\x5a" * 8192)


def from_the_future(path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def test_refused_database():
    """The daemon ends, saying what to do; the VM runs on, and nothing is lost
    when the database is as it was."""
    host = Host("armvm-refused-").start()
    host.call("vm.define", config=config("before"))
    pid = host.call("vm.start", name="before")["pid"]
    host.stop()
    path = host.state + "/armvmd.sqlite"
    with open(path, "rb") as f:
        good = f.read()
    for what, change, words in (
            ("damaged", damage, "is damaged .* was left as it is; keep a copy, "
             "then try: sqlite3 .* .recover"),
            ("newer", from_the_future, "written by a newer armvmd .* was left "
             "as it is; run the newer armvmd")):
        change(path)
        with open(path, "rb") as f:
            bad = f.read()
        host.start(wait=False)
        status = host.proc.wait(60)
        host.proc = None
        check(f"a {what} database: the daemon does not start", status not in
              (0, -6, -11), status)
        match(f"{what}: and says what to do", words, host.log_text())
        with open(path, "rb") as f:
            equal(f"{what}: it is not touched", f.read() == bad, True)
        check(f"{what}: the VM runs on", alive(pid))
        for end in ("-wal", "-shm"):
            if os.path.exists(path + end):
                os.unlink(path + end)
        with open(path, "wb") as f:
            f.write(good)
    host.start()
    equal("with a good one it is taken over", host.wait_state(
        "before", "running")["pid"], pid)


def test_degraded():
    """A guest that runs on while the host lacks what it was started with."""
    host = Host()
    host.start()
    host.call("vm.define", config=config("web"))
    host.call("vm.start", name="web")
    console = host.console("web")
    console.expect("started")
    console.send("degraded\n")
    wait_for("the reason", lambda: host.vm("web")["reason"])
    what = ("running", "the null host lacks something")
    equal("a state, and what is wrong",
          (host.vm("web")["state"], host.vm("web")["reason"]), what)
    status, out, _ = host.ctl("show", "web")
    check("shown by armvmctl", status == 0 and what[1] in out, out)
    pid = host.vm("web")["pid"]
    host.kill()
    host.start()
    vm = wait_for("the supervisor's word", lambda: host.vm("web"))
    equal("known to the next daemon",
          (vm["state"], vm["reason"], vm["pid"]), what + (pid,))
    host.call("vm.stop", name="web")
    equal("stopped", (host.vm("web")["state"], host.vm("web")["reason"]),
          ("stopped", "stopped on request"))


if not NETWORK:
    report.skip("taps of a killed supervisor", "no tap can be made here")
if not shutil.which("unshare"):
    report.skip("full disk", "unshare is not here")
guarded(test_full_disk, test_descriptors, test_killed_supervisor,
        test_busy_database, test_io_error, test_refused_database,
        test_degraded)
report.end()
