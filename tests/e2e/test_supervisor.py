#!/usr/bin/python3
"""The supervisor on the null backend, spoken to as the daemon does, as a bad
daemon would, and not at all. No hypervisor and no daemon is needed."""
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import report, wait_for                       # noqa: E402
from supervisor import (SUPERVISOR, Daemon, Supervisor,  # noqa: E402
                        memfd, run_tests)

check, equal = report.check, report.equal


def refused(name, reply, code, text):
    error = reply.get("error", {})
    check(name, reply["ok"] is False and error.get("code") == code
          and text in error.get("message", ""), reply)


def test_hello():
    with Supervisor() as s:
        d = s.daemon(hello=False)
        refused("hello comes first", d.request("stats"), "wrong-state",
                "hello")
        reply = d.request("hello", version=99)
        check("another version is told ours", reply["ok"]
              and reply["version"] == 1, reply)
        refused("another version may do nothing else", d.request("stop"),
                "wrong-state", "hello")
        reply = d.request("hello", version=1)
        equal("hello names the process", reply["pid"], s.proc.pid)
        equal("hello: nothing configured, nothing spilled",
              (reply["configured"], reply["state"],
               reply["nvram_spilled_bytes"]), (False, "starting", 0))
        refused("unknown fields are named", d.request("stats", colour="red"),
                "invalid", "colour")
        refused("start needs a configuration", d.request("start"),
                "wrong-state", "not configured")
        refused("so does a console",
                d.request("console", fds=[d.sock.fileno()]), "wrong-state",
                "not configured")
        d.close()
        equal("an unconfigured supervisor ends with its daemon",
              s.wait_gone(), 0)


def test_configure_errors():
    with Supervisor() as s:
        d = s.daemon()
        before = sorted(s.descriptors())
        fd = memfd(1)
        cases = (
            ("role unknown", {"roles": ["gpu"], "fds": [fd]}, "invalid",
             "gpu"),
            ("role twice", {"roles": ["disk:a", "disk:a"], "fds": [fd, fd]},
             "invalid", "twice"),
            ("roles without descriptors", {"roles": ["kvm"]}, "invalid",
             "roles"),
            ("descriptors without roles", {"fds": [fd]}, "invalid", "roles"),
            ("role is no string", {"roles": [7], "fds": [fd]}, "invalid",
             "roles[0]"),
            ("config of another VM", {"config": s.config(name="db")},
             "invalid", "db"),
            ("config invalid", {"config": s.config(vcpus=0)}, "invalid",
             "vcpus"),
            ("hypervisor unresolved", {"config": s.config(hypervisor="auto")},
             "invalid", "auto"),
            ("hypervisor not built in",
             {"config": s.config(hypervisor="xen")}, "not-supported",
             "hypervisor"),
            ("disk without its descriptor",
             {"config": s.config(disks=[{"path": "/x.raw"}]),
              "roles": ["kvm"], "fds": [fd]}, "invalid", "disk0"),
            ("half a console log",
             {"roles": ["console-log:1"], "fds": [fd]}, "invalid",
             "console-log:0 and console-log:1 come together"),
            ("console log of no size",
             {"roles": ["console-log:0", "console-log:1"], "fds": [fd, fd]},
             "invalid", "0 bytes a part"),
            ("nvram without spill", {"roles": ["nvram"], "fds": [fd]},
             "invalid", "spill"),
            ("nvram too small",
             {"roles": ["nvram", "spill"], "fds": [fd, fd]}, "invalid",
             "65536"),
        )
        for name, request, code, text in cases:
            refused(f"configure: {name}", s.configure(d, **request), code,
                    text)
        equal("configure: failures keep no descriptor",
              sorted(s.descriptors()), before)
        check("configure works after all that", s.configure(d)["ok"])
        refused("configure works once", s.configure(d), "wrong-state",
                "already")
        os.close(fd)
        d.close()
        equal("a VM never started ends with its daemon", s.wait_gone(), 0)


def test_life():
    with Supervisor() as s:
        d = s.daemon()
        disks = [memfd(512) for _ in range(10)]
        config = s.config(disks=[{"path": f"/{i}.raw"} for i in range(10)])
        roles = [f"disk:disk{i}" for i in range(10)]
        logs = [memfd(0), memfd(0)]
        reply = s.configure(d, config, roles[:8], disks[:8], more=True)
        check("configure takes more than one message", reply["ok"], reply)
        reply = s.configure(d, config, roles[8:] + ["console-log:0", "console-log:1"],
                            disks[8:] + logs, console_log_bytes=65536)
        check("configure ends with the last", reply["ok"], reply)
        for fd in disks:
            os.close(fd)
        s.open_terminal(d)
        check("start", d.request("start")["ok"])
        check("the guest runs", d.await_message("state", state="running"))
        check("console: banner", s.expect("null: VM web started\n"))
        refused("start works once", d.request("start"), "wrong-state",
                "already")
        s.type("hello\n")
        check("console: what is typed comes back", s.expect("hello\n"))
        late = s.terminal
        s.open_terminal(d)
        check("console: a second one is shown what was",
              "started" in s.expect("hello\n"))
        late.close()
        stats = d.request("stats")
        check("stats", stats["ok"] and stats["next"] == 0 and
              stats["stats"]["vcpus"][0]["exits"] > 0, stats)
        check("pause", d.request("pause")["ok"]
              and d.await_message("state", state="paused"))
        refused("paused once", d.request("pause"), "wrong-state", "web")
        check("resume", d.request("resume")["ok"]
              and d.await_message("state", state="running"))
        check("reset", d.request("reset")["ok"]
              and d.await_message("event", kind="reset"))
        s.type("panic\n")
        check("a panic is told", d.await_message("event", kind="panic"))
        check("shutdown", d.request("shutdown")["ok"]
              and d.await_message("state", state="shutting-down"))
        end = d.await_message("state", state="stopped")
        equal("and its reason", end["reason"], "the guest powered off")
        equal("a stopped VM exits with 0", s.status(), 0)
        check("the console log has it all",
              b"started\nhello\n" in os.pread(logs[0], 65536, 0))
        check("log lines name the VM", "web: stopped: " in s.output(),
              s.output())
        d.close()


def test_ends():
    for word, state, status in (("poweroff", "stopped", 0),
                                ("fatal", "crashed", 1)):
        with Supervisor() as s:
            d = s.daemon()
            s.start(d)
            s.type(word + "\n")
            end = d.await_message("state", state=state)
            check(f"{word}: {state}, with a reason", end["reason"], end)
            equal(f"{word}: exit status", s.status(), status)
            d.close()
    with Supervisor() as s:
        d = s.daemon()
        s.start(d)
        d.request("stop")
        d.close()
        equal("stop: ends without a farewell", s.status(), 0)
    with Supervisor() as s:
        d = s.daemon()
        s.start(d)
        check("stop", d.request("stop")["ok"])
        check("stop: told", d.await_message("state", state="stopped"))
        equal("stop: exit status", s.status(), 0)
        d.close()
    with Supervisor() as s:
        d = s.daemon()
        s.start(d)
        for number in (signal.SIGHUP, signal.SIGPIPE):
            s.proc.send_signal(number)
        s.type("still here\n")
        check("hangup and broken pipes change nothing",
              s.expect("still here\n"))
        s.proc.send_signal(signal.SIGINT)
        check("SIGINT asks for a reboot, as systemd-machined does",
              s.expect("asked to reboot\n"))
        check("and the guest follows", d.await_message("event", kind="reset"))
        s.proc.send_signal(signal.SIGTERM)
        check("SIGTERM: told", d.await_message("state", state="stopped"))
        equal("SIGTERM: exit status", s.status(), 0)
        d.close()
    for word in ("", "poweroff\n"):
        with Supervisor() as s:
            d = s.daemon()
            s.start(d)
            d.close()
            s.type(word)
            if word:
                wait_for("its end", lambda: "web: stopped" in s.output())
            s.proc.send_signal(signal.SIGTERM)
            equal(f"SIGTERM without a daemon {word!r}: exit status",
                  s.status(), 0)


def test_daemon_comes_back():
    with Supervisor() as s:
        d = s.daemon()
        s.start(d)
        waiting = Daemon(s.path, hello=False)
        waiting.send("hello", id=1, version=1)
        waiting.sock.settimeout(0.3)
        try:
            early = waiting.receive()
        except socket.timeout:
            early = None
        check("a second daemon waits", early is None, early)
        d.close()
        waiting.sock.settimeout(10)
        reply = waiting.receive()
        check("and is served when the first is gone",
              reply and reply["state"] == "running", reply)
        equal("it is handed the variable store",
              [os.fstat(fd).st_ino for fd in waiting.fds],
              [os.fstat(s.nvram).st_ino])
        waiting.close()
        s.type("alone\n")
        check("the guest goes on alone", s.expect("alone\n"))
        s.type("poweroff\n")
        wait_for("the guest's end", lambda: "web: stopped" in s.output())
        time.sleep(0.2)
        check("its end waits for a daemon", s.proc.poll() is None)
        check("without the guest's memory",
              not any("memfd" in x for x in s.descriptors()),
              s.descriptors())
        hasty = s.daemon()
        hasty.close()
        time.sleep(0.2)
        check("even when one left at once", s.proc.poll() is None)
        d = s.daemon()
        equal("which is told", (d.hello["state"], d.hello["reason"]),
              ("stopped", "the guest powered off"))
        equal("and then it ends", s.status(), 0)
        d.close()


def test_bad_daemon():
    deep = b'{"type":"stats","id":1,"x":' + b"[" * 1000 + b"]" * 1000 + b"}"
    with Supervisor() as s:
        d = s.daemon()
        s.start(d)
        for name, data in (("no JSON", b"\x00\xff{"), ("a list", b"[]"),
                           ("no type", b"{}"), ("deep nesting", deep),
                           ("unknown type", b'{"type":"dance","id":1}'),
                           ("type is a number", b'{"type":7}')):
            d.send_raw(data)
            check(f"bad daemon: {name}: cut off", d.receive() is None)
            d.close()
            d = s.daemon()
            equal(f"bad daemon: {name}: the guest runs on",
                  d.hello["state"], "running")
        refused("bad daemon: id missing", _without_id(d), "invalid", "id")
        d.send("nvram-ack", seq=77)
        d.send("reply", id=1)
        check("bad daemon: stray answers are ignored",
              d.request("stats")["ok"])
        d.request("stop")
        d.close()
        s.wait_gone()


def _without_id(d):
    d.send("stats")
    return d.receive()


def test_nvram():
    with Supervisor() as s:
        d = s.daemon()
        s.start(d)
        s.type("nvram 16 c0ffee\n")
        m = d.await_message("nvram")
        equal("an update is sent", (m["offset"], m["size"]), (16, 3))
        equal("its bytes are in the shared memory",
              os.pread(s.nvram, 3, 16), b"\xc0\xff\xee")
        check("the guest waits for the daemon", s.silent("committed"))
        d.send("nvram-ack", seq=m["seq"] + 1)
        check("for that very update", s.silent("committed"))
        d.send("nvram-ack", seq=m["seq"])
        check("and goes on when it is stored", s.expect("committed\n"))
        equal("nothing is spilled meanwhile", s.spilled(), [])

        s.type("nvram 32 aabb\n")
        m = d.await_message("nvram")
        d.close()
        check("a daemon that dies does not keep the guest waiting",
              s.expect("committed\n"))
        equal("its update is in the spill file", s.spilled(),
              [(m["seq"], 32, b"\xaa\xbb")])
        s.type("nvram 48 cc\n")
        s.expect("committed\n")
        equal("and so is the next", s.spilled()[1][1:], (48, b"\xcc"))
        d = s.daemon()
        equal("a new daemon hears of it", d.hello["nvram_spilled_bytes"],
              os.fstat(s.spill).st_size)
        s.type("nvram 64 dd\n")
        m = d.await_message("nvram")
        check("and gets what comes later", m["offset"] == 64)
        s.type("poweroff\n")
        check("one at a time", s.silent("poweroff"))
        d.send("nvram-ack", seq=m["seq"])
        d.await_message("state", state="stopped")
        equal("nvram: exit status", s.status(), 0)
        d.close()


def test_kill():
    with Supervisor() as s:
        d = s.daemon()
        s.start(d)
        d.close()
        s.type("nvram 8 0123456789abcdef\n")
        s.expect("committed\n")
        s.proc.kill()
        s.proc.wait()
        equal("kill -9 right after an update loses nothing",
              s.spilled()[0][1:], (8, bytes.fromhex("0123456789abcdef")))


def test_full_disk():
    with Supervisor() as s:
        d = s.daemon()
        s.start(d, spill_path="/dev/full")
        d.close()
        s.type("nvram 8 01\n")
        check("a full disk: the guest waits", s.silent("committed", 1.5))
        equal("a full disk: said once",
              s.output().count("cannot be written to the spill file"), 1)
        d = s.daemon()
        m = d.await_message("nvram", offset=8)
        d.send("nvram-ack", seq=m["seq"])
        check("a full disk: a daemon frees it", s.expect("committed\n"))
        d.request("stop")
        d.close()
        s.wait_gone()


def test_arguments():
    for name, args, text in (
            ("no name", ["--uid", "1"], "--name"),
            ("bad name", ["--name", "../x"], "--name"),
            ("bad uid", ["--name", "a", "--uid", "me"], "--uid"),
            ("bad level", ["--name", "a", "--log-level", "loud"], "loud"),
            ("stray word", ["--name", "a", "b"], "\"b\"")):
        r = subprocess.run([SUPERVISOR, *args], capture_output=True,
                           text=True, check=False)
        check(f"arguments: {name}", r.returncode != 0 and text in r.stderr
              and r.stderr.count("\n") == 1, r.stderr)
    r = subprocess.run([SUPERVISOR, "--help"], capture_output=True, text=True,
                       check=False)
    check("arguments: help", r.returncode == 0 and "Usage:" in r.stdout)


run_tests(globals())
