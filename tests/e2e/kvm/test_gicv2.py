#!/usr/bin/python3
"""A host whose KVM has a GICv2: stock firmware on it, 8 vCPUs, messages through
a GICv2m frame (PL-3). `make check` makes such a host:
  tests/host/run --cpu cortex-a57 --gic 2 -- tests/e2e/kvm/all gicv2"""
import subprocess
import time

from scene import Host, address_of, boot, define, guarded, image, report, \
    save_tree, shell_again

host = Host().start()
can = host.call("host.info")["guest"]
if can["gic_v3"]:
    report.skip("guests on a GICv2", "this host has a GICv3")
    report.end()


def what_a_gicv2_host_refuses():
    report.equal("on a GICv2, 8 vCPUs", can["vcpus_max"], 8)
    disk = image(host, "refused")
    for arguments, words in (
            (["--vcpus", "9"], ["vcpus: 9", "at most 8"]),
            (["--vcpus", "9", "--gic", "v2"], ["vcpus: 9", "use 8"]),
            (["--gic", "v3"], ["gic:", "use v2"]),
            (["--feature", "pauth=on"], ["features.pauth", "none"])):
        code, _, err = host.ctl("create", "bad", "--disk", disk, *arguments)
        report.check(f"{' '.join(arguments)} is refused with the reason",
                     code != 0 and all(w in err for w in words), err)


def check_devices(guest):
    out, _ = guest.run("grep virtio /proc/interrupts")
    report.match("messages through the GICv2m frame",
                 r"(?m) MSI +\d+ Edge\s+virtio\d-(?:req|input)", out)
    out, status = guest.run(
        "dd if=/dev/urandom of=/tmp/a bs=1M count=4 2>/dev/null && dd if=/tmp/a "
        "of=/dev/vda2 bs=1M conv=fsync 2>/dev/null && echo 3 > "
        "/proc/sys/vm/drop_caches && dd if=/dev/vda2 bs=1M count=4 2>/dev/null |"
        " cmp - /tmp/a", 120)
    report.equal("the disk gives back what was written", status, 0)
    subprocess.run(["ip", "addr", "add", "10.78.1.1/24", "dev",
                    "tap-v2"], check=True)
    guest.run("ip link set eth0 up && ip addr add 10.78.1.2/24 dev eth0")
    out, status = guest.run("ping -c 2 -w 20 10.78.1.1", 40)
    report.equal("guest pings host", status, 0)


SUMS = ("for c in 0 1 2 3 4 5 6 7; do taskset $((1 << c)) sh -c 'until [ "
        "-e /tmp/enough ]; do "
        "sha256sum /tmp/a; done' >/tmp/sums.$c & done")


def saved_and_restored(guest):
    """With each CPU at work and interrupts of every kind on their way."""
    guest.run(SUMS + "; ping -i 0.05 10.78.1.1 >/dev/null & sleep 1")
    path = host.dir + "/v2.snapshot"
    neighbour = address_of("tap-v2")
    began = time.monotonic()
    host.call("snapshot.save", name="v2", path=path, stop=True)
    host.call("snapshot.restore", path=path)
    report.note(f"saved and restored in {time.monotonic() - began:.1f} s")
    guest.close()
    subprocess.run(["ip", "addr", "replace", "10.78.1.1/24", "dev", "tap-v2"],
                   check=True)
    report.equal("the guest's neighbour has the address it had",
                 address_of("tap-v2"), neighbour)
    guest = shell_again(host.console("v2"))
    out, _ = guest.run("wc -l /tmp/sums.? | head -n 8 >/tmp/then; sleep 3; "
                       "wc -l /tmp/sums.? | head -n 8 | paste /tmp/then - | "
                       "awk '$3 > $1' | wc -l; cut -d' ' -f1 /tmp/sums.? | "
                       "sort -u | wc -l", 120)
    report.equal("restored, all 8 CPUs go on, and their sums are right",
                 out.split(), ["8", "1"])
    out, status = guest.run("ping -c 2 -w 20 10.78.1.1", 40)
    report.check("so does its network", status == 0, out)
    guest.run("touch /tmp/enough; killall ping; sync")
    return guest


def firmware_on_gicv2_with_8_vcpus():
    define(host, "v2", image(host, "v2"), vcpus=8, gic="v2",
           nics=[{"tap": "tap-v2"}])
    began = time.monotonic()
    guest = boot(host, "v2")
    report.note(f"to the shell in {time.monotonic() - began:.1f} s")
    report.match("by UEFI", r"fw_platform_size",
                 guest.run("ls /sys/firmware/efi")[0])
    out, _ = guest.run("uname -m; nproc; dmesg | grep -i -E 'gicv2|pmu'")
    report.match("AArch64, 8 vCPUs", r"aarch64\n8\n", out)
    report.match("a GICv2m frame", r"GICv2m: range", out)
    report.match("the PMU of the CPU", r"(?i)hw perfevents.*pmuv3", out)
    save_tree(guest, "guest-gicv2.dtb")
    check_devices(guest)
    guest = saved_and_restored(guest)
    guest.send("reboot -f\n")
    guest.ready(240)
    report.equal("it reboots", guest.run("nproc")[0].strip(), "8")
    host.call("vm.stop", name="v2")


guarded(what_a_gicv2_host_refuses, firmware_on_gicv2_with_8_vcpus)
report.end()
