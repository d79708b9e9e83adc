#!/usr/bin/python3
"""An unmodified image boots over UEFI, and every device works (FW-1..3, FW-9,
HW-1, HW-2, IMG-2, IMG-7, PL-2..4)."""
import hashlib
import os
import re
import subprocess
import time

from scene import Host, boot, define, guarded, image, report, save_tree

host = Host().start()
disk = image(host, "web")
define(host, "web", disk, vcpus=2,
       nics=[{"tap": "tap-web"}])
guest = None
SECTOR = 512
PART = 2  # the Linux partition a test may write to


def partition():
    """(offset, size) in bytes of the second partition, from its table."""
    with open(disk, "rb") as f:
        f.seek(2 * SECTOR + (PART - 1) * 128)
        entry = f.read(128)
    first = int.from_bytes(entry[32:40], "little")
    last = int.from_bytes(entry[40:48], "little")
    return first * SECTOR, (last - first + 1) * SECTOR


def boots_over_uefi_to_userspace():
    global guest
    began = time.monotonic()
    guest = boot(host, "web")
    report.note(f"to the shell in {time.monotonic() - began:.1f} s")
    report.match("the firmware was the first to speak",
                 r"UEFI|EDK|BdsDxe", guest.seen)
    report.equal("state is running", host.vm("web")["state"], "running")
    report.match("booted by UEFI from the ESP",
                 r"fw_platform_size", guest.run("ls /sys/firmware/efi")[0])
    report.equal("kernel runs in AArch64", guest.run("uname -m")[0].strip(),
                 "aarch64")


def its_disk_was_asked_without_exits():
    """The firmware's driver reads two registers before each request, which are
    memory by then (pages of 4 KiB); it was the first and is gone."""
    stats = host.call("vm.stats", name="web")["stats"]
    reads = sum(m.get("reads", 0) for m in stats["mmio"]
                if m["device"] == "virtio-blk")
    requests = sum(stats["disks"][0].get(op, {}).get("requests", 0)
                   for op in ("read", "write", "flush"))
    report.note(f"{reads} reads of registers for {requests} requests")
    report.check("which took most of them without an exit",
                 reads < requests or os.sysconf("SC_PAGESIZE") > 4096,
                 stats["mmio"])


def two_vcpus():
    report.equal("2 vCPUs online", guest.run("nproc")[0].strip(), "2")
    out, _ = guest.run("for c in 0 1; do taskset $((1<<c)) sh -c "
                       "'cat /proc/self/stat | cut -d\" \" -f39'; done")
    report.equal("both run code", out.split(), ["0", "1"])
    cpu = "/sys/devices/system/cpu/cpu1/online"
    out, _ = guest.run(f"echo 0 >{cpu}; nproc; echo 1 >{cpu}; nproc; "
                       "taskset 2 sh -c 'cut -d\" \" -f39 /proc/self/stat'")
    report.equal("one goes and comes back (PSCI)", out.split(),
                 ["1", "2", "1"])


def fdt_alone_describes_it():
    out, _ = guest.run("ls /sys/firmware/acpi/tables /sys/firmware/acpi "
                       "2>&1 | grep -c -i -E 'dsdt|facp|apic'")
    report.equal("no ACPI tables", out.strip(), "0")
    path = save_tree(guest, "guest.dtb")
    # interrupt_provider asks for #address-cells where pl061's binding forbids
    # it; the kernel's own device trees are built without that check, too.
    r = subprocess.run(["dtc", "-W", "no-interrupt_provider", "-I", "dtb",
                        "-O", "dts", "-o", host.dir + "/guest.dts", path],
                       text=True, stderr=subprocess.PIPE, check=False)
    report.equal("dtc has no complaint", (r.returncode, r.stderr.strip()),
                 (0, ""))
    with open(host.dir + "/guest.dts", encoding="utf-8") as f:
        tree = f.read()
    for node in ("arm,gic-v3", "arm,gic-v3-its", "arm,armv8-timer",
                 "arm,psci-1.0", "arm,pl011", "arm,pl031", "arm,pl061",
                 "gpio-keys", "cfi-flash", "pci-host-ecam-generic",
                 "stdout-path", "memory@"):
        report.check(f"device tree has {node}", node in tree, tree[:4000])


def room_for_more():
    out, _ = guest.run("ls /sys/bus/pci/slots | wc -l; "
                       "grep -c 'PCI Bus 0000:' /proc/iomem")
    slots, windows = map(int, out.split())
    report.equal("slots for disk, interface and, by default, eight more",
                 slots, 10)
    report.check("each with its two windows", windows >= 2 * slots, windows)


def interrupts_by_msi():
    out, _ = guest.run("cat /proc/interrupts")
    report.match("virtio interrupts are MSI-X through the ITS",
                 r"ITS-(?:PCI-)?MSI.*virtio", out)
    report.match("the virtual timer ticks", r"arch_timer", out)
    out, _ = guest.run("dmesg | grep -i -E 'gicv3|its@|psci'")
    report.match("GICv3", r"GICv3", out)
    report.match("PSCI", r"(?i)psci", out)


def disk_by_checksum():
    offset, size = partition()
    data = os.urandom(4 << 20)
    # What the host wrote before is what the guest reads ...
    out, status = guest.run(
        "dd if=/dev/urandom of=/tmp/a bs=1M count=8 2>/dev/null && "
        "dd if=/tmp/a of=/dev/vda2 bs=1M conv=fsync 2>/dev/null && "
        "sha256sum /tmp/a | cut -d' ' -f1", 120)
    report.equal("guest writes 8 MiB", status, 0)
    with open(disk, "rb") as f:
        f.seek(offset)
        have = hashlib.sha256(f.read(8 << 20)).hexdigest()
    report.equal("the host finds the guest's bytes", have, out.strip())
    with open(disk, "r+b") as f:
        f.seek(offset + (16 << 20))
        f.write(data)
    out, _ = guest.run("echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vda2 "
                       "bs=1M skip=16 count=4 iflag=direct 2>/dev/null | "
                       "sha256sum | cut -d' ' -f1", 120)
    report.equal("the guest reads the host's bytes", out.strip(),
                 hashlib.sha256(data).hexdigest())
    out, _ = guest.run("cat /sys/block/vda/serial; echo; cat /sys/block/vda/size")
    serial, sectors = out.split()
    report.equal("serial", serial, "disk0")
    report.equal("size", int(sectors) * SECTOR, os.path.getsize(disk))
    report.check("the partition is inside", offset + size
                 <= os.path.getsize(disk))


def network_by_ping():
    subprocess.run(["ip", "addr", "add", "10.77.0.1/24", "dev", "tap-web"],
                   check=True)
    guest.run("ip link set eth0 up && ip addr add 10.77.0.2/24 dev eth0")
    out, status = guest.run("ping -c 3 -w 20 10.77.0.1", 40)
    report.check("guest pings host", status == 0, out)
    r = subprocess.run(["ping", "-c", "3", "-w", "20", "10.77.0.2"],
                       stdout=subprocess.PIPE, text=True, check=False)
    report.check("host pings guest", r.returncode == 0, r.stdout)
    out, _ = guest.run("cat /sys/class/net/eth0/address")
    nic = host.vm("web")["config"]["nics"][0]
    report.equal("MAC as defined", out.strip(), nic["mac"])
    out, status = guest.run("ping -c 3 -s 1400 -w 20 10.77.0.1", 40)
    report.check("large frames pass", status == 0, out)


def random_numbers():
    out, status = guest.run("cat /sys/class/misc/hw_random/rng_current; "
                            "dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c")
    report.match("virtio-rng feeds the guest", r"virtio_rng.*\n64", out)
    report.equal("and reads end well", status, 0)


def time_through_uefi():
    out, status = guest.run("hwclock -u -r -f /dev/rtc0; "
                            "cat /sys/class/rtc/rtc*/name; date -u +%s")
    report.equal("hwclock reads", status, 0)
    report.match("an EFI or PL031 clock", r"rtc-efi|pl031", out)
    # The EFI clock alone, wherever it is numbered.
    out, _ = guest.run("for r in /sys/class/rtc/rtc*; do grep -q efi $r/name "
                       "&& cat $r/since_epoch; done")
    efi = re.findall(r"\d{9,}", out)
    if report.check("UEFI time can be read", efi, out):
        report.check("it is the host's time",
                     abs(int(efi[0]) - time.time()) < 10,
                     f"guest {efi[0]}, host {time.time():.0f}")


def guest_reboots():
    guest.run("sync")
    guest.send("reboot -f\n")
    guest.ready(240)
    report.equal("after the guest's reboot it runs", host.vm("web")["state"],
                 "running")
    events = host.call("event.subscribe", since=0)["events"]
    report.check("the reboot is an event",
                 any(e["kind"] == "reset" for e in events), events)


def guest_powers_off():
    guest.send("poweroff -f\n")
    vm = host.wait_state("web", "stopped", 60)
    report.match("seen as the guest's own doing", r"guest.*power", vm["reason"])
    report.equal("no process left", vm["pid"], 0)
    r = subprocess.run(["ip", "link", "show", "tap-web"], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    report.check("no tap left", r.returncode != 0)


guarded(boots_over_uefi_to_userspace,
        its_disk_was_asked_without_exits, two_vcpus, fdt_alone_describes_it,
        room_for_more, interrupts_by_msi, disk_by_checksum, network_by_ping, random_numbers,
        time_through_uefi, guest_reboots, guest_powers_off)
report.end()
