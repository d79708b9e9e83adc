#!/usr/bin/python3
"""A real guest's disks when the host fails: a file system without space, a file
that was cut short; and disks that grow while they are used."""
import hashlib
import os
import re
import subprocess

from scene import GUEST, Host, RpcError, boot, guarded, report, wait_for

MIB = 1 << 20
host = Host().start()
small = host.dir + "/small"     # a file system with too little space
guest = None


def run(*command):
    subprocess.run(command, check=True)


def sparse(path, size):
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def events(kind):
    return [e["detail"] for e in host.call("event.subscribe", since=0)
            ["events"] if e["kind"] == kind]


def start():
    global guest
    os.mkdir(small)
    run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small)
    loop = subprocess.run(
        ["losetup", "--show", "-f", sparse(host.dir + "/back.raw", 8 * MIB)],
        check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    host.call("vm.define", config={
        "name": "web", "memory": "512MiB", "vcpus": 2,
        "kernel": f"{GUEST}/vmlinuz", "initrd": f"{GUEST}/initrd.img",
        "cmdline": "console=ttyAMA0 quiet", "disks": [
            {"id": "full", "path": sparse(small + "/full.raw", 64 * MIB)},
            {"id": "cut", "path": sparse(host.dir + "/cut.raw", 16 * MIB),
             "on_error": "report"},
            {"id": "held", "path": sparse(host.dir + "/held.raw", 16 * MIB),
             "on_error": "pause"},
            {"id": "loop", "path": loop},
            {"id": "ro", "path": sparse(host.dir + "/ro.raw", MIB),
             "readonly": True}]})
    guest = boot(host, "web")


def a_full_file_system_pauses():
    """What was being written is there in the end, all of it."""
    guest.send("dd if=/dev/urandom of=/tmp/data bs=1M count=24 2>/dev/null; "
               "md5sum </tmp/data; dd if=/tmp/data of=/dev/vda bs=256k "
               "conv=fsync 2>/dev/null; echo dd=$?\n")
    vm = host.wait_state("web", "paused", 60)
    report.match("it says why", 'disk "full": write failed: No space left',
                 vm["reason"])
    told = events("io-error")
    # Requests that were under way fail, too, as late as they come; not each
    # of the 96 is told.
    report.check("few events for it, all of that disk", 1 <= len(told) < 8 and
                 all('disk "full": write failed' in t for t in told), told)
    host.call("vm.resume", name="web")
    wait_for("it is tried again", lambda: len(events("io-error")) > len(told))
    host.wait_state("web", "paused", 60)
    report.check("still no space: paused again", True)
    s = host.call("vm.stats", name="web")["stats"]["disks"][0]
    report.check("failures are counted", s["write"]["errors"] > 0, s)
    run("mount", "-o", "remount,size=64m", small)
    host.call("vm.resume", name="web")
    text = guest.expect(r"dd=\d+", 120)
    report.match("with space the guest never knew", "dd=0", text)
    md5 = next(w for w in text.split() if len(w) == 32)
    with open(small + "/full.raw", "rb") as f:
        have = hashlib.md5(f.read(24 * MIB)).hexdigest()
    report.equal("every byte is there", have, md5)
    guest.send("\n")
    guest.expect("guest# ", 30)


def a_disk_that_is_only_read():
    out, status = guest.run("cat /sys/block/vde/ro; echo x | dd of=/dev/vde "
                            "conv=fsync 2>&1")
    report.check("a read-only disk is one to the guest, too",
                 out.startswith("1\n") and status != 0, out)
    with open(host.dir + "/ro.raw", "rb") as f:
        report.equal("nothing is written to it", f.read(), bytes(MIB))


def failures(detail):
    more = re.search(r"and (\d+) more", detail)
    return 1 + (int(more[1]) if more else 0)


def an_error_is_reported():
    """The first at once; those that follow within a second are told then."""
    def told():
        return [t for t in events("io-error") if 'disk "cut"' in t]

    os.truncate(host.dir + "/cut.raw", 8 * MIB)
    dd = "dd if=/dev/vdb of=/dev/null bs=1M iflag=direct 2>&1"
    out, status = guest.run(f"{dd}; {dd}", 60)
    report.check("the guest is told", status != 0 and "rror" in out, out)
    report.equal("and goes on", host.vm("web")["state"], "running")
    wait_for("both are told", lambda: sum(failures(t) for t in told()) >= 2)
    report.match("that names disk and error",
                 'disk "cut": read failed: Input/output error', told()[0])
    report.check("of many failures few are told", len(told()) < 5, told())


def a_reset_gives_up_what_is_held():
    os.truncate(host.dir + "/held.raw", 0)
    guest.send("dd if=/dev/vdc of=/dev/null bs=4k count=1 iflag=direct\n")
    host.wait_state("web", "paused", 30)
    os.truncate(host.dir + "/held.raw", 16 * MIB)
    host.call("vm.resume", name="web")
    guest.expect("1\\+0 records out", 30)
    report.check("paused, mended, resumed", True)
    os.truncate(host.dir + "/held.raw", 0)
    guest.send("dd if=/dev/vdc of=/dev/null bs=4k count=1 iflag=direct\n")
    host.wait_state("web", "paused", 30)
    host.call("vm.resume", name="web")
    host.wait_state("web", "paused", 30)
    os.truncate(host.dir + "/held.raw", 16 * MIB)
    host.call("vm.resume", name="web")
    host.wait_state("web", "running", 30)
    host.call("vm.reset", name="web")
    guest.ready()
    report.check("and reset", True)


def size(disk):
    return int(guest.run(f"cat /sys/class/block/{disk}/size")[0]) * 512


def disks_grow():
    report.equal("before", size("vda"), 64 * MIB)
    status, out, err = host.ctl("disk", "resize", "web", "full", "96M")
    report.equal("disk resize", (status, err), (0, ""))
    wait_for("the guest sees it", lambda: size("vda") == 96 * MIB, 20)
    out, status = guest.run("echo here | dd of=/dev/vda bs=1 seek=100000000 "
                            "conv=fsync 2>/dev/null; dd if=/dev/vda bs=1 "
                            "skip=100000000 count=4 2>/dev/null")
    report.match("and uses it", "here", out)
    os.truncate(host.dir + "/back.raw", 24 * MIB)
    run("losetup", "-c", host.vm("web")["config"]["disks"][3]["path"])
    try:
        host.call("disk.resize", name="web", id="loop", size=32 * MIB)
        report.check("a block device is resized elsewhere", False)
    except RpcError as e:
        report.match("a block device is resized elsewhere", "rescan", str(e))
    status, out, err = host.ctl("disk", "resize", "web", "loop", "--rescan")
    report.equal("--rescan", (status, err), (0, ""))
    wait_for("the guest sees that, too", lambda: size("vdd") == 24 * MIB, 20)
    report.equal("two events", len(events("resize")), 2)
    host.call("vm.define", config={
        "name": "other", "kernel": f"{GUEST}/vmlinuz", "disks": [
            {"id": "full", "path": small + "/full.raw"}]})
    try:
        host.call("disk.resize", name="other", id="full", size=128 * MIB)
        report.check("not by a VM at rest while another uses it", False)
    except RpcError as e:
        report.equal("not by a VM at rest while another uses it", e.code,
                     "busy")


def end():
    loop = host.vm("web")["config"]["disks"][3]["path"]
    host.call("vm.stop", name="web")
    run("losetup", "-d", loop)
    run("umount", small)


guarded(start, a_disk_that_is_only_read, a_full_file_system_pauses, an_error_is_reported,
        a_reset_gives_up_what_is_held, disks_grow, end)
report.end()
