#!/usr/bin/python3
"""Snapshots on the null backend: jobs, errors, files that are none, a daemon
or a supervisor killed half-way."""
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import Host, RpcError, guarded, report, wait_for     # noqa: E402

check, equal, match = report.check, report.equal, report.match
host = Host("armvm-snapshot-")
FILE = host.dir + "/a.snapshot"
DISK = host.dir + "/disk.raw"


def refused(what, code, method, pattern=".", on=None, **params):
    try:
        (on or host).call(method, **params)
        check(what, False, "it was accepted")
    except RpcError as e:
        check(what, e.code == code, f"{e.code}: {e}")
        match(what + ": says why", pattern, str(e))


def settled(job, on=None):
    return wait_for("the job's end", lambda: (
        lambda j: j if j["state"] != "running" else None)(
            (on or host).call("job.get", id=job["id"])), 30)


def say(name, *lines):
    console = host.console(name)
    for line in lines:
        console.send(line + "\n")
        console.expect(line + "\n", 60)
    console.close()


def set_up():
    with open(DISK, "wb") as f:
        f.truncate(1 << 20)
    host.start()
    host.call("vm.define", config={
        "name": "a", "hypervisor": "null", "memory": "128M",
        "kernel": kernel(), "disks": [{"path": DISK}]})
    host.call("vm.start", name="a")
    say("a", "note remember me", "weight 8 1")


def kernel():
    """Bytes that begin like an arm64 Image."""
    path = host.dir + "/Image"
    with open(path, "wb") as f:
        head = bytearray(64)
        struct.pack_into("<QQ", head, 8, 0, 4096)
        head[56:60] = b"ARM\x64"
        f.write(bytes(head) + bytes(4032))
    return path


def test_save_and_go_on():
    result = host.call("snapshot.save", name="a", path=FILE)
    equal("the file", (result["path"], result["bytes"]),
          (FILE, os.path.getsize(FILE)))
    equal("the VM goes on", host.vm("a")["state"], "running")
    check("only root reads it", os.stat(FILE).st_mode & 0o777 == 0o600)
    check("8 MiB of memory are in it", result["bytes"] > 8 << 20)
    equal("nothing else is left", sorted(os.listdir(host.dir)), sorted(
        ["Image", "a.snapshot", "armvmd.log", "disk.raw", "run", "state"]))
    refused("a file that is there", "exists", "snapshot.save", "overwrite",
            name="a", path=FILE)
    packed = host.call("snapshot.save", name="a", path=FILE, overwrite=True,
                       compress=True)
    check("packed it is small", packed["bytes"] < 2 << 20, packed)
    shown = host.call("snapshot.show", path=FILE)
    equal("it says what it is", (
        shown["definition"]["name"], shown["snapshot"]["hypervisor"],
        shown["snapshot"]["compressed"], shown["created_ms"]),
        ("a", "null", True, packed["created_ms"]))
    status, out, err = host.ctl("snapshot", "show", FILE)
    check("also on the command line", status == 0 and "VM          a (" in out
          and DISK in out, out + err)


def test_restore():
    refused("a running VM is not restored", "wrong-state", "snapshot.restore",
            "a is running", path=FILE)
    host.call("snapshot.save", name="a", path=FILE, overwrite=True, stop=True)
    equal("saved and stopped", host.vm("a")["state"], "stopped")
    host.call("vm.update", name="a", config={
        **host.vm("a")["config"], "description": "since changed"})
    status, out, err = host.ctl("snapshot", "restore", FILE)
    equal("restored", (status, err), (0, ""))
    match("says so", r"^a: running after \d", out)
    console = host.console("a")
    console.expect("null: VM a goes on: remember me", 60)
    console.close()
    equal("with the definition of then", host.vm("a")["config"].get(
        "description"), None)
    host.call("snapshot.save", name="a", path=FILE, overwrite=True, stop=True)
    host.call("vm.delete", name="a")
    vm = host.call("snapshot.restore", path=FILE, new_name="b", paused=True)
    equal("under another name, paused", (vm["name"], vm["state"]),
          ("b", "paused"))
    host.call("vm.resume", name="b")
    host.call("vm.stop", name="b")
    host.call("vm.rename", name="b", new_name="a")
    # A paused one is saved as such.
    host.call("snapshot.restore", path=FILE)
    host.call("vm.pause", name="a")
    host.call("snapshot.save", name="a", path=FILE, overwrite=True)
    equal("a paused VM stays so", host.vm("a")["state"], "paused")
    host.call("vm.stop", name="a")
    equal("and is restored so", host.call("snapshot.restore", path=FILE)
          ["state"], "paused")
    host.call("vm.resume", name="a")


def ids(kind="disk", name="a"):
    return [(d["id"], d["state"], d["slot"], d["persistent"])
            for d in host.call(f"{kind}.list", name=name)[f"{kind}s"]]


def test_live_devices():
    """What runs is not what is defined, nor what the daemon keeps in memory."""
    loose = host.dir + "/loose.raw"
    with open(loose, "wb") as f:
        f.truncate(1 << 20)
    before = host.vm("a")["config"]
    clean = host.dir + "/clean.snapshot"
    host.call("snapshot.save", name="a", path=clean)
    host.call("disk.add", name="a", disk={"path": loose, "id": "loose"},
              live=True)
    host.call("disk.remove", name="a", id="disk0", live=True, force=True)
    have = [("loose", "active", 2, False), ("disk0", "defined", 1, True)]
    equal("a disk came, the defined one went", ids(), have)
    host.kill()
    host.start()
    wait_for("adopted", lambda: host.vm("a")["state"] == "running")
    host.call("snapshot.save", name="a", path=FILE, overwrite=True, stop=True)
    shown = host.call("snapshot.show", path=FILE)["snapshot"]
    equal("the file says with what it ran", (
        [d["id"] for d in shown["devices"]["disks"]],
        [d["id"] for d in shown["disks"]]), (["loose"], ["loose"]))
    match("also on the command line", "Devices +others than its definition",
          host.ctl("snapshot", "show", FILE)[1])
    for kind in ("restored", "and again"):
        host.call("snapshot.restore", path=FILE)
        equal(f"{kind}: with what it ran", ids(), have)
        equal(f"{kind}: as it was defined", host.vm("a")["config"], before)
        host.call("snapshot.save", name="a", path=FILE, overwrite=True,
                  stop=True)
    os.rename(loose, loose + ".away")
    refused("without the disk it ran with", "not-found", "snapshot.restore",
            "loose.raw", path=FILE)
    host.call("vm.start", name="a")
    equal("a start is by definition", ids(),
          [("disk0", "active", 1, True)])
    host.call("vm.stop", name="a")
    host.call("snapshot.restore", path=clean, changed_disks=True)
    os.unlink(clean)
    os.unlink(loose + ".away")


def test_disks():
    host.call("snapshot.save", name="a", path=FILE, overwrite=True, stop=True)
    with open(DISK, "r+b") as f:
        f.write(b"x")
    refused("a disk that was written to", "conflict", "snapshot.restore",
            "disk.raw.*changed_disks", path=FILE)
    equal("nothing happened", host.vm("a")["state"], "stopped")
    host.call("snapshot.restore", path=FILE, changed_disks=True)
    host.call("vm.stop", name="a")
    os.truncate(DISK, 2 << 20)
    refused("a disk of another size", "invalid", "snapshot.restore",
            "2097152 bytes; it had 1048576", path=FILE, changed_disks=True)
    os.rename(DISK, DISK + ".away")
    refused("a disk that is gone", "not-found", "snapshot.restore",
            "disk.raw", path=FILE)
    os.rename(DISK + ".away", DISK)
    os.truncate(DISK, 1 << 20)
    host.call("snapshot.restore", path=FILE, changed_disks=True)


def edited(change, recount=True):
    """A copy of FILE with one thing changed."""
    with open(FILE, "rb") as f:
        data = bytearray(f.read())
    change(data)
    path = host.dir + "/edited"
    with open(path, "wb") as f:
        f.write(data)
    return path


def section(data, kind):
    """Where the first section of that type begins."""
    at = 64
    while True:
        magic, found = struct.unpack_from("<4sH", data, at)
        assert magic == b"SECT"
        if found == kind:
            return at
        at += 48 + struct.unpack_from("<Q", data, at + 16)[0]


def seal(data, at):
    """The sums of a section whose payload or header was changed."""
    length, = struct.unpack_from("<Q", data, at + 16)
    struct.pack_into("<I", data, at + 12,
                     zlib.crc32(data[at + 48:at + 48 + length]))
    struct.pack_into("<I", data, at + 40, zlib.crc32(data[at:at + 40]))


def test_bad_files():
    host.call("snapshot.save", name="a", path=FILE, overwrite=True, stop=True)

    def flip(kind, offset):
        def change(data):
            data[section(data, kind) + offset] ^= 1
        return change

    def truncate(data):
        del data[len(data) // 2:]

    def longer(data):
        data += b"more"

    def format_2(data):
        data[8] = 2

    def wild(data):
        at = section(data, 5)
        struct.pack_into("<Q", data, at + 24, 2**64 - 4096)
        seal(data, at)

    def definition(data):
        at = section(data, 2)
        length, = struct.unpack_from("<Q", data, at + 16)
        text = data[at + 48:at + 48 + length].replace(
            b'"name":"a"', b'"nome":"a"')
        data[at + 48:at + 48 + length] = text
        seal(data, at)

    for name, change, code, words in (
            ("not a snapshot", lambda d: d.__setitem__(0, 0), "bad-image",
             "no snapshot"),
            ("a later format", format_2, "not-supported", "format 2"),
            ("a damaged header", lambda d: d.__setitem__(20, d[20] ^ 1),
             "bad-image", "header"),
            ("a damaged definition", flip(2, 60), "bad-image", "DEFINITION"),
            ("an unknown field", definition, "invalid", "nome"),
            ("damaged variables", flip(3, 5000), "bad-image", "VARIABLES"),
            ("a damaged machine", flip(4, 60), "bad-image", "MACHINE"),
            ("damaged memory", flip(5, 4000), "bad-image", "MEMORY"),
            ("a section's header", flip(5, 24), "bad-image", "section"),
            ("memory out of bounds", wild, "bad-image", "memory"),
            ("cut short", truncate, "bad-image", "short|longer"),
            ("too long", longer, "bad-image", "end")):
        path = edited(change)
        refused(name, code, "snapshot.restore", words, path=path)
    equal("the VM is as it was", host.vm("a")["state"], "stopped")
    host.call("vm.delete", name="a")
    refused("also one that is not there", "bad-image", "snapshot.restore",
            "MEMORY", path=edited(flip(5, 4000)))
    equal("is not there afterwards", host.call("vm.list")["vms"], [])
    refused("a directory", "bad-image", "snapshot.restore", ".",
            path=host.dir)
    refused("no file", "not-found", "snapshot.restore", ".",
            path=host.dir + "/none")
    host.call("snapshot.restore", path=FILE)
    refused("a relative path", "invalid", "snapshot.save", "absolute",
            name="a", path="x")


def slow(seconds=20):
    """As many milliseconds for each of 64 MiB as make that many seconds."""
    say("a", f"weight 64 {int(seconds * 1000 / 64)}")


def test_cancel_and_deadline():
    slow()
    path = host.dir + "/never"
    job = host.call("snapshot.save", name="a", path=path, **{"async": True})
    progress = wait_for("progress", lambda: (
        lambda j: j["progress"] if j["progress"] > 5 else 0)(
            host.call("job.get", id=job["id"])), 10)
    check("progress is told", 5 < progress < 60, progress)
    refused("not twice", "busy", "snapshot.save", "already", name="a",
            path=host.dir + "/other")
    refused("nothing else meanwhile", "busy", "vm.resume", "snapshot",
            name="a")
    gone = host.call("job.cancel", id=job["id"])
    equal("cancelled", (gone["state"], gone["error"]["code"]),
          ("cancelled", "cancelled"))
    host.wait_state("a", "running", 60)
    check("and it runs on, and no file is left", not os.path.exists(path))
    refused("a deadline", "timeout", "snapshot.save", "in time", name="a",
            path=path, deadline_ms=300)
    host.wait_state("a", "running", 60)
    equal("nothing is left", [f for f in os.listdir(host.dir)
                              if "never" in f or "other" in f], [])


def test_supervisor_killed():
    slow()
    path = host.dir + "/never"
    job = host.call("snapshot.save", name="a", path=path, **{"async": True})
    host.wait_state("a", "paused", 60)
    os.kill(host.vm("a")["pid"], signal.SIGKILL)
    equal("the job fails", settled(job)["state"], "failed")
    host.wait_state("a", "crashed", 60)
    check("no file", not os.path.exists(path))
    host.call("snapshot.restore", path=FILE, changed_disks=True)


def test_daemon_killed():
    for stop in (False, True):
        slow()
        path = host.dir + "/never"
        job = host.call("snapshot.save", name="a", path=path, stop=stop,
                        **{"async": True})
        host.wait_state("a", "paused", 60)
        pid = host.vm("a")["pid"]
        host.kill()
        host.start()
        done = settled(job)
        equal("the job is undone", (done["state"], done["step"]),
              ("failed", "undone"))
        host.wait_state("a", "running", 60)
        equal("the VM ran on", host.vm("a")["pid"], pid)
        equal("nothing is left", [f for f in os.listdir(host.dir)
                                  if "never" in f], [])
    say("a", "weight 4 0")
    for at_ms in (0, 1, 2, 4, 8, 16, 30, 60):
        job = host.call("snapshot.save", name="a", path=path,
                        **{"async": True})
        time.sleep(at_ms / 1000)
        host.kill()
        host.start()
        done = settled(job)
        there = os.path.exists(path)
        check(f"killed after {at_ms} ms: {done['state']}, and the file is "
              f"{'there' if there else 'not'}", (done["state"] == "done")
              == there, json.dumps(done))
        if there:
            host.call("snapshot.show", path=path)
            os.unlink(path)
        host.wait_state("a", "running", 60)


def test_restore_killed():
    host.call("snapshot.save", name="a", path=FILE, overwrite=True, stop=True)
    for at_ms in (0, 1, 3, 6, 12, 25, 50):
        if host.call("vm.list")["vms"]:
            if host.vm("a")["pid"]:
                host.call("vm.stop", name="a")
            host.call("vm.delete", name="a")
        job = host.call("snapshot.restore", path=FILE, **{"async": True})
        time.sleep(at_ms / 1000)
        host.kill()
        host.start()
        done = settled(job)
        vms = [v["state"] for v in host.call("vm.list")["vms"]]
        check(f"killed after {at_ms} ms: {done['state']} and {vms}",
              vms == (["running"] if done["state"] == "done" else []),
              json.dumps(done))
    if not host.call("vm.list")["vms"]:
        host.call("snapshot.restore", path=FILE)


def test_full_disk():
    if os.geteuid() != 0:
        report.skip("full disk", "needs root for a file system of its own")
        return
    # In the daemon's own mount namespace: this is its last test.
    small = host.dir + "/small"
    os.mkdir(small)
    subprocess.run(["nsenter", "-t", str(host.proc.pid), "-m", "mount", "-t",
                    "tmpfs", "-o", "size=2m", "tmpfs", small], check=True)
    try:
        say("a", "weight 64 0")
        refused("a full disk", "no-space", "snapshot.save", "No space",
                name="a", path=small + "/x")
        equal("no file", os.listdir(f"/proc/{host.proc.pid}/root{small}"), [])
        host.wait_state("a", "running", 60)
        refused("no such directory", "not-found", "snapshot.save", "nowhere",
                name="a", path=host.dir + "/nowhere/x")
    finally:
        subprocess.run(["nsenter", "-t", str(host.proc.pid), "-m", "umount",
                        small], check=True)


def test_other_daemon():
    host.call("snapshot.save", name="a", path=FILE, overwrite=True, stop=True)
    other = Host("armvm-snapshot2-").start()
    vm = other.call("snapshot.restore", path=FILE)
    equal("another daemon has it", (vm["name"], vm["state"]),
          ("a", "running"))
    other.call("vm.stop", name="a")
    other.stop()


guarded(set_up, test_save_and_go_on, test_restore, test_live_devices, test_disks, test_bad_files,
        test_cancel_and_deadline, test_supervisor_killed, test_daemon_killed,
        test_restore_killed, test_full_disk, test_other_daemon)
report.end()
