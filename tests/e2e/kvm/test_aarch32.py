#!/usr/bin/python3
"""Guests in AArch32: stock 32-bit firmware, GRUB and Debian's armmp-lpae kernel
from an unmodified image, and a zImage without firmware (PL-1, IMG-6). It needs
a CPU with AArch32 at EL1; `make check` runs it on one:
  tests/host/run --cpu cortex-a57 -- tests/e2e/kvm/all aarch32"""
import hashlib
import os
import subprocess
import time

from scene import BOOT_S, GUEST, Host, define, guarded, image, pin_vcpus, \
    report, save_tree, shell_again, start32, wait_for

host = Host().start()
if not host.call("host.info")["guest"]["aarch32"]:
    report.skip("guests in AArch32", "the CPU of this host has none")
    report.end()
SECTOR = 512
KERNEL = {"arch": "aarch32", "memory": "256MiB",
          "kernel": f"{GUEST}/vmlinuz32", "initrd": f"{GUEST}/initrd32.img",
          "cmdline": "quiet panic=-1 armvm=32"}
disk = image(host, "u32", "debian32.raw")
uefi = direct = None


def what_makes_no_sense_is_refused():
    old = image(host, "old")
    zimage = ["--arch", "aarch32", "--kernel", f"{GUEST}/vmlinuz32"]
    for name, arguments, status, words in (
            ("an image for aarch64 only", ["--arch", "aarch32", "--disk", old],
             14, ["old.raw", "BOOTARM.EFI"]),
            ("an image for aarch32 only", ["--disk", disk], 14,
             ["u32.raw", "BOOTAA64.EFI"]),
            ("an arm64 Image", ["--arch", "aarch32", "--kernel",
                                f"{GUEST}/vmlinuz"], 14,
             ["is for aarch64", "arch is aarch32"]),
            ("a zImage in an AArch64 VM", ["--kernel", f"{GUEST}/vmlinuz32"],
             14, ["is for aarch32", "arch is aarch64"]),
            ("4 GiB", [*zimage, "--memory", "4G"], 2, ["at most 3 GiB"]),
            ("stolen time", [*zimage, "--feature", "steal_time=on"], 10,
             ["features.steal_time", "auto or off"]),
            ("SVE", [*zimage, "--feature", "sve=on"], 10, ["features.sve"])):
        code, _, err = host.ctl("create", "bad", *arguments)
        report.check(f"{name} is refused with the reason", code == status and
                     all(w in err for w in words), f"{code}: {err}")


def both_are_started():
    """At once: each has a CPU of the host."""
    global uefi, direct
    define(host, "u32", disk, arch="aarch32", nics=[{"tap": "tap-u32"}])
    host.call("vm.define", config={"name": "z32", **KERNEL})
    uefi = start32(host, "u32", 1)
    direct = start32(host, "z32", 0)


def a_zimage_boots_without_firmware():
    began = time.monotonic()
    direct.ready(120)
    report.note(f"zImage: to the shell in {time.monotonic() - began:.1f} s")
    out, _ = direct.run("uname -m; cat /proc/cmdline; ls /sys/firmware")
    report.match("in AArch32, with its command line", r"armv[78]l\n.*armvm=32",
                 out)
    report.check("no UEFI", "efi" not in out, out)


def a_kernel_without_pciehp_takes_no_disk():
    path = host.dir + "/more.raw"
    with open(path, "wb") as f:
        f.truncate(1 << 20)
    began = time.monotonic()
    code, _, err = host.ctl("disk", "add", "z32", path, "--timeout", "3s")
    report.equal("armmp-lpae takes no disk: a timeout", code, 8)
    report.check("at the deadline", 3 <= time.monotonic() - began < 8)
    report.match("with the likely reason", r"no driver for it \(pciehp\).*not "
                 r"attached", err)
    disks = host.call("disk.list", name="z32")["disks"]
    report.equal("nothing is left of it", disks, [])


def saved_and_restored():
    """Its CPU, timer and interrupts, in 32 bits."""
    global direct
    direct.run("sha256sum /bin/busybox >/tmp/sum; (while "
               "sha256sum -c /tmp/sum >/dev/null 2>&1; do echo x >>/tmp/rounds; done) & sleep 1")
    path = host.dir + "/z32.snapshot"
    host.call("snapshot.save", name="z32", path=path, stop=True)
    direct.close()
    direct = shell_again(start32(host, "z32", 0, path))
    out, _ = direct.run("a=$(wc -l </tmp/rounds); sleep 3; "
                        "b=$(wc -l </tmp/rounds); [ $b -gt $a ] && echo on; "
                        "uname -m")
    report.match("restored, it goes on with right sums", r"on\narmv[78]l", out)


def the_power_button():
    code, _, err = host.ctl("shutdown", "z32", "--timeout", "60s")
    report.equal("the power button turns it off", (code, err), (0, ""))
    report.match("by itself", r"armvm-guest: power button",
                 direct.expect("power button", 10))


def all_the_memory_there_can_be():
    host.call("vm.define", config={"name": "big32", **KERNEL,
                                   "memory": "3GiB"})
    guest = start32(host, "big32", 0)
    guest.ready(120)
    out, _ = guest.run("awk '/^(MemTotal|HighTotal)/ { print $2 }' "
                       "/proc/meminfo")
    total, high = (int(n) >> 10 for n in out.split())
    report.check("3 GiB, most of them high memory",
                 total > 2900 and high > 2000, out)
    out, _ = guest.run("head -c 16m /dev/urandom >/tmp/a; "
                       "sha256sum </tmp/a; sha256sum </tmp/a", 120)
    report.equal("which holds what is written", len(set(out.split())), 2)
    host.call("vm.stop", name="big32")


def an_image_boots_by_32_bit_firmware():
    began = time.monotonic()
    uefi.ready(BOOT_S)
    report.note(f"UEFI: to the shell in {time.monotonic() - began:.1f} s more")
    report.match("the firmware was the first to speak", r"UEFI|EDK|BdsDxe",
                 uefi.seen)
    out, _ = uefi.run("uname -m; cat /sys/firmware/efi/fw_platform_size; ls "
                      "/sys/firmware/acpi 2>&1")
    report.match("in AArch32, by 32-bit UEFI, without ACPI",
                 r"armv[78]l\n32\n.*No such file", out)
    out, _ = uefi.run("cat /proc/interrupts")
    report.match("messages through the ITS or the GICv2m frame",
                 r"(?m)(?:ITS-(?:PCI-)?MSI|MSI) +\d+ Edge\s+virtio\d-req", out)
    out, _ = uefi.run("hwclock -u -r -f /dev/rtc0 && cat "
                      "/sys/class/rtc/rtc0/since_epoch")
    report.check("its clock has the host's time", abs(
        int((out.split() or ["0"])[-1]) - time.time()) < 30, out)


def the_tree_is_right():
    path = save_tree(uefi, "guest-aarch32.dtb")
    r = subprocess.run(["dtc", "-W", "no-interrupt_provider", "-I", "dtb",
                        "-O", "dts", "-o", host.dir + "/guest.dts", path],
                       text=True, stderr=subprocess.PIPE, check=False)
    report.equal("dtc has no complaint", (r.returncode, r.stderr.strip()),
                 (0, ""))
    out, _ = uefi.run("cut -d: -f1 /proc/iomem | tr -d ' '")
    ends = [int(line.split("-")[1], 16) for line in out.split() if "-" in line]
    report.check("everything lies in 32 bits", ends and max(ends) < 1 << 32,
                 out)


def devices_carry_data():
    with open(disk, "rb") as f:
        f.seek(2 * SECTOR + 128 + 32)
        offset = int.from_bytes(f.read(8), "little") * SECTOR
    out, status = uefi.run(
        "dd if=/dev/urandom of=/tmp/a bs=1M count=4 2>/dev/null && "
        "dd if=/tmp/a of=/dev/vda2 bs=1M conv=fsync 2>/dev/null && "
        "sha256sum </tmp/a | cut -d' ' -f1", 120)
    report.equal("the guest writes 4 MiB", status, 0)
    with open(disk, "r+b") as f:
        f.seek(offset)
        have = hashlib.sha256(f.read(4 << 20)).hexdigest()
        report.equal("the host finds the guest's bytes", have, out.strip())
        data = os.urandom(2 << 20)
        f.seek(offset + (16 << 20))
        f.write(data)
    out, _ = uefi.run("echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vda2 bs=1M "
                      "skip=16 count=2 2>/dev/null | sha256sum | cut -d' ' -f1",
                      120)
    report.equal("the guest reads the host's bytes", out.strip(),
                 hashlib.sha256(data).hexdigest())
    subprocess.run(["ip", "addr", "add", "10.78.2.1/24", "dev", "tap-u32"],
                   check=True)
    uefi.run("ip link set eth0 up && ip addr add 10.78.2.2/24 dev eth0")
    out, status = uefi.run("ping -c 2 -s 1400 -w 20 10.78.2.1", 40)
    report.check("guest pings host", status == 0, out)
    out, _ = uefi.run("dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c")
    report.equal("virtio-rng feeds it", out.strip(), "64")


def variables_stay():
    out, status = uefi.run("uefivar set Test32 kept; sync")
    report.equal("it sets a variable", (out, status), ("", 0))
    names = [v["name"] for v in host.call("var.list", name="u32")["variables"]]
    report.check("the daemon has it", "Test32" in names, names)
    uefi.send("reboot -f\n")
    uefi.ready(BOOT_S)
    out, _ = uefi.run("uefivar get Test32")
    report.equal("it is there after the reboot", out.strip(), "kept")
    uefi.send("poweroff -f\n")
    host.wait_state("u32", "stopped", 60)


def two_vcpus():
    host.call("vm.define", config={"name": "smp32", **KERNEL, "vcpus": 2})
    guest = start32(host, "smp32")
    for tries in range(3):
        guest.expect("armvm-guest ready|Kernel panic|Internal error", 120)
        if "armvm-guest ready" in guest.seen or \
                os.environ.get("ARMVM_HOST") != "emulated":
            break
        # README of tests/host: QEMU's error, which a CPU for each of them
        # makes rare (one start in some twenty).
        report.note(f"start {tries + 1} of two vCPUs fell to the emulator")
        host.call("vm.stop", name="smp32")
        guest = start32(host, "smp32")
    report.check("two vCPUs start", "armvm-guest ready" in guest.seen,
                 guest.seen[-2000:])
    guest.send("\n")
    guest.expect("guest# ", 30)
    for when in ("2 vCPUs", "after a reboot, too"):
        out, _ = guest.run("nproc; for c in 0 1; do taskset $((1<<c)) sh -c "
                           "'cut -d\" \" -f39 /proc/self/stat'; done")
        report.equal(when, out.split(), ["2", "0", "1"])
        if when == "2 vCPUs":
            before = pin_vcpus(host, "smp32")
            guest.send("reboot -f\n")
            wait_for("new vCPUs", lambda b=before: len(
                pin_vcpus(host, "smp32") - b) == 2)
            guest.ready(120)
    host.call("vm.stop", name="smp32")


guarded(what_makes_no_sense_is_refused, both_are_started,
        a_zimage_boots_without_firmware, a_kernel_without_pciehp_takes_no_disk,
        saved_and_restored, the_power_button, all_the_memory_there_can_be,
        an_image_boots_by_32_bit_firmware, the_tree_is_right,
        devices_carry_data, variables_stay, two_vcpus)
report.end()
