#!/usr/bin/python3
"""A machine with a GICv2 under Xen, and guests on it. `make check` makes one:
  tests/host/run --xen --gic 2 -- tests/e2e/xen/all gicv2"""
import tempfile

from xen_scene import (GUEST, Host, boot, boot32, checksum, define, filled,
                       finish, guarded, guest_reboots, host_ends,
                       nothing_is_left, report, settled, sh)

BRIDGE = "armvmxbg"
host = Host().start()
CAN = {h["name"]: h.get("guest") for h in host.call("host.info")["hypervisors"]}
if CAN["xen"]["gic_v3"]:
    report.skip("guests on a GICv2", "this host has a GICv3")
    report.end()
WORK = tempfile.mkdtemp(dir="/var/tmp")
ROOT, DATA = f"{WORK}/root.raw", f"{WORK}/data.raw"
KIND = ("cat /proc/device-tree/interrupt-controller*/compatible; echo; "
        "grep -c GICv3 /proc/interrupts || true")
A_GICV2 = r"arm,(gic-400|cortex-a15-gic).*\n0$"
guest = None


def what_it_refuses():
    for arguments, words in ((["--gic", "v3"], ["gic:", "use v2"]),
                             (["--vcpus", "9"], ["vcpus: 9", "at most 8"])):
        status, _, err = host.ctl("create", "bad", "--kernel",
                                  f"{GUEST}/vmlinuz", *arguments)
        report.check(f"{' '.join(arguments)}: refused, with the reason",
                     status != 0 and all(w in err for w in words), err)


def a_guest_has_one():
    global guest
    sh(f"ip link add {BRIDGE} type bridge && "
       f"ip addr add 10.79.0.1/24 dev {BRIDGE} && ip link set {BRIDGE} up")
    define(host, "v2", vcpus=2, disks=[{"path": filled(ROOT)}],
           nics=[{"bridge": BRIDGE}])
    guest = boot(host, "v2")
    report.match("its controller is a GICv2", A_GICV2, guest.says(KIND))


def devices():
    report.equal("the disk's content in the guest",
                 guest.says("sha256sum /dev/xvda").split(" ")[0],
                 checksum(ROOT))
    guest.says("dd if=/dev/urandom of=/dev/xvda bs=64k count=20 conv=fsync")
    report.equal("and on the host, after the guest wrote it", checksum(ROOT),
                 guest.says("sha256sum /dev/xvda").split(" ")[0])
    guest.says("ip link set eth0 up; ip addr add 10.79.0.2/24 dev eth0")
    report.match("the guest reaches the host", r"[1-3] packets received",
                 guest.says("ping -c 3 -W 5 10.79.0.1"))
    ends = host_ends()
    host.does("disk", "add", "v2", filled(DATA), "--live", "--id", "more")
    name = "/dev/$(ls /sys/block | grep xvd | sed 1d)"
    report.equal("a disk that is added",
                 guest.until(f"sha256sum {name} | cut -c1-64", checksum(DATA)),
                 checksum(DATA))
    host.does("disk", "remove", "v2", "more")
    report.equal("and removed, without a trace", settled(ends), ends)


def it_starts_over():
    guest_reboots(guest)
    report.equal("after a reboot, the same content",
                 guest.says("sha256sum /dev/xvda").split(" ")[0],
                 checksum(ROOT))
    host.does("shutdown", "v2", "--timeout", "60s")
    nothing_is_left(host, "shut down")


def aarch32():
    define(host, "a32", "32", arch="aarch32")
    console = boot32(host, "a32")
    report.match("an AArch32 guest has one, too",
                 r"^armv[78]l\n" + A_GICV2,
                 console.says(f"uname -m; {KIND}"))
    host.does("stop", "a32")
    nothing_is_left(host, "AArch32")


guarded(what_it_refuses, a_guest_has_one, devices, it_starts_over, aarch32)
sh(f"ip link delete {BRIDGE}")
finish(host, WORK)
