#!/usr/bin/python3
"""The boot matrix: {AArch64, AArch32} x {pl011, virtio console} x {PCIe, MMIO}
on the GIC of this host, two at a time. For each architecture one console on
either transport boots by UEFI from an unmodified image, the other two from a
kernel. `make check` runs it on hosts with a GICv3 and a GICv2, with and without
AArch32; ARMVM_MATRIX names one architecture to be run alone."""
import hashlib
import itertools
import os
import time

from scene import BOOT_S, GUEST, Host, guarded, image, report, start32

host = Host().start()
can = host.call("host.info")["guest"]
GIC = "GICv3" if can["gic_v3"] else "GICv2"
ARCHS = ["aarch64"] + (["aarch32"] if can["aarch32"] else [])
ASKED = os.environ.get("ARMVM_MATRIX")
BY_UEFI = (("pl011", "mmio"), ("virtio", "pcie"))
SECTOR = 512


class Combination:
    def __init__(self, arch, console, bus):
        self.arch, self.console, self.bus = arch, console, bus
        self.uefi = (console, bus) in BY_UEFI
        self.vm = f"{arch}-{console}-{bus}"
        self.name = f"{GIC}, {arch}, {console}, {bus}, " + \
            ("UEFI" if self.uefi else "kernel")
        self.disk, self.offset, self.guest = None, 0, None

    def define(self):
        suffix = "32" if self.arch == "aarch32" else ""
        config = {"name": self.vm, "arch": self.arch, "memory": "512MiB",
                  "console": self.console}
        if self.uefi:
            self.disk = image(host, self.vm, f"debian{suffix}.raw")
            with open(self.disk, "rb") as f:
                f.seek(2 * SECTOR + 128 + 32)
                self.offset = int.from_bytes(f.read(8), "little") * SECTOR
        else:
            self.disk = f"{host.dir}/{self.vm}.raw"
            with open(self.disk, "wb") as f:
                f.truncate(8 << 20)
            config.update(kernel=f"{GUEST}/vmlinuz{suffix}",
                          initrd=f"{GUEST}/initrd{suffix}.img",
                          cmdline="quiet panic=-1")
        config["disks"] = [{"path": self.disk, "bus": self.bus}]
        host.call("vm.define", config=config)

    def start(self, cpu):
        self.define()
        self.guest = start32(host, self.vm, cpu)

    def check_machine(self):
        out, _ = self.guest.run(
            "uname -m; tty; ls /sys/firmware | grep -x efi; "
            "readlink -f /sys/block/vda/device; cut -c1-60 /proc/interrupts")
        machine = "aarch64" if self.arch == "aarch64" else "armv[78]l"
        tty = "ttyAMA0" if self.console == "pl011" else "hvc0"
        report.match(f"{self.name}: boots on its console",
                     rf"^{machine}\n/dev/{tty}\n", out)
        report.equal(f"{self.name}: as it was to",
                     "\nefi\n" in out, self.uefi)
        report.match(f"{self.name}: the disk's transport",
                     r"\n/sys/devices/\S*" + (
                         "virtio_mmio" if self.bus == "mmio" else "pci0000"),
                     out)
        report.match(f"{self.name}: the interrupt controller",
                     "GICv3 " if GIC == "GICv3" else r"GICv2 |GIC-0 ", out)

    def check_disk(self):
        device = "/dev/vda2" if self.uefi else "/dev/vda"
        out, status = self.guest.run(
            "dd if=/dev/urandom of=/tmp/a bs=64k count=16 2>/dev/null && "
            f"dd if=/tmp/a of={device} bs=64k conv=fsync 2>/dev/null && "
            "sha256sum </tmp/a | cut -d' ' -f1", 120)
        with open(self.disk, "rb") as f:
            f.seek(self.offset)
            have = hashlib.sha256(f.read(1 << 20)).hexdigest()
        report.equal(f"{self.name}: the host finds what it wrote",
                     (status, have), (0, out.strip()))

    def finish(self):
        began = time.monotonic()
        try:
            self.guest.ready(BOOT_S)
            report.note(f"{self.name}: {time.monotonic() - began:.1f} s more")
            self.check_machine()
            self.check_disk()
        finally:
            host.call("vm.stop", name=self.vm)


def run(pair):
    def test():
        for cpu, combination in enumerate(pair):
            combination.start(cpu % os.cpu_count())
        guarded(*map(finish, pair))
    test.__name__ = " and ".join(c.name for c in pair)
    return test


def finish(combination):
    def test():
        combination.finish()
    test.__name__ = combination.name
    return test


if ASKED and ASKED not in ARCHS:
    report.skip(f"the boot matrix in {ASKED}", "the CPU of this host has none")
    report.end()
combinations = sorted(
    (Combination(*c) for c in itertools.product(
        [ASKED] if ASKED else ARCHS, ("pl011", "virtio"), ("pcie", "mmio"))),
    key=lambda c: (not c.uefi, c.arch))
guarded(*(run(combinations[i:i + 2])
          for i in range(0, len(combinations), 2)))
report.end()
