#!/usr/bin/python3
"""Direct boot: a kernel as distributions ship it, initrd and command line,
without firmware."""
import gzip
import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "kvm"))
# pylint: disable=wrong-import-position
from scene import GUEST, Host, blank, boot, guarded, report

host = Host().start()
disk = blank(host.dir + "/data.raw")
large = blank(host.dir + "/large.img", 150)
packed = host.dir + "/vmlinuz.zst"
guest = None


def define(name, **more):
    return host.call("vm.define", config={
        "name": name, "memory": "512MiB", "kernel": f"{GUEST}/vmlinuz",
        "initrd": f"{GUEST}/initrd.img", "cmdline": "quiet panic=-1 armvm=1",
        **more})


def a_packed_kernel_boots_without_firmware():
    global guest
    subprocess.run(["zstd", "-q", "-1", f"{GUEST}/vmlinuz", "-o", packed],
                   check=True)
    define("direct", kernel=packed, vcpus=2, disks=[{"path": disk}])
    began = time.monotonic()
    guest = boot(host, "direct")
    report.note(f"to the shell in {time.monotonic() - began:.1f} s")
    report.check("no firmware spoke", "UEFI" not in guest.seen, guest.seen)
    out, _ = guest.run("cat /proc/cmdline; ls /sys/firmware; nproc")
    report.match("its command line", r"armvm=1", out)
    report.check("no UEFI", "efi" not in out, out)
    report.match("2 vCPUs", r"\n2\n", out)
    out, _ = guest.run("ls /proc/device-tree")
    report.check("no flash in the device tree", "flash" not in out, out)


def reset_loads_it_again():
    guest.send("reboot -f\n")
    guest.ready(120)
    out, _ = guest.run("cat /proc/cmdline")
    report.match("after the reboot, the same command line", r"armvm=1", out)
    guest.send("poweroff -f\n")
    host.wait_state("direct", "stopped", 60)


def a_gzipped_kernel_by_the_command_line():
    gzipped = host.dir + "/vmlinuz.gz"
    with open(f"{GUEST}/vmlinuz", "rb") as plain, gzip.open(
            gzipped, "wb", compresslevel=1) as packed_again:
        shutil.copyfileobj(plain, packed_again)
    status, _, err = host.ctl(
        "create", "plain", "--kernel", gzipped, "--initrd",
        f"{GUEST}/initrd.img", "--cmdline", "quiet", "--memory", "256M")
    report.equal("create", (status, err), (0, ""))
    boot(host, "plain")
    report.equal("it runs, as plain ones do in other tests",
                 host.vm("plain")["state"], "running")
    host.call("vm.stop", name="plain")


def wrong_arch():
    """A CPU without AArch32 is the first reason, the kernel's kind the next."""
    has_aarch32 = '"aarch32": true' in json.dumps(host.call("host.info"))
    return (14, ["aarch64", "aarch32"]) if has_aarch32 else \
        (10, ["aarch64", "AArch32"])


def what_is_no_kernel_is_refused():
    notes = host.dir + "/notes.txt"
    with open(notes, "w", encoding="utf-8") as f:
        f.write("hello\n" * 1000)
    for name, arguments, status, words in (
            ("no kernel", ["--kernel", notes], 14, ["notes.txt", "Image"]),
            ("wrong arch", ["--kernel", packed, "--arch", "aarch32"],
             *wrong_arch()),
            ("missing", ["--kernel", "/nowhere"], 3, ["/nowhere"]),
            ("initrd alone", ["--initrd", notes], 2, ["initrd", "kernel"]),
            ("both", ["--kernel", packed, "--firmware", notes], 2,
             ["firmware", "one of them"])):
        code, _, err = host.ctl("create", "bad", *arguments)
        report.equal(f"{name}: exit status", code, status)
        for word in words:
            report.check(f"{name}: says {word}", word in err, err)
    define("small", memory="160MiB", initrd=large)
    code, _, err = host.ctl("start", "small")
    report.check("too large for its memory: says so",
                 code != 0 and "memory: kernel and initrd need" in err, err)


guarded(a_packed_kernel_boots_without_firmware, reset_loads_it_again,
        a_gzipped_kernel_by_the_command_line, what_is_no_kernel_is_refused)
report.end()
