#!/usr/bin/python3
"""A guest that writes nonsense to every device register, ring and config
space: its supervisor lives on, other VMs and the daemon notice nothing."""
import re

from scene import Host, boot, define, guarded, image, report

host = Host().start()
COUNT = 20000
define(host, "bad", image(host, "bad"), nics=[{"tap": "tap-bad"}],
       max_hotplug=1)
define(host, "good", image(host, "good"))
guests = {}


def both_run():
    guests["good"] = boot(host, "good")
    guests["bad"] = boot(host, "bad")
    report.check("a good and a bad guest run", True)


def still_there(what, pid):
    vm = host.vm("bad")
    report.check(f"{what}: the supervisor is not hurt",
                 vm["pid"] == pid and vm["state"] != "crashed",
                 f"{vm}\n{host.log_text()[-3000:]}")
    out, _ = guests["good"].run("echo unhurt")
    report.equal(f"{what}: the good guest answers", out.strip(), "unhurt")


def pci_functions(guest):
    """{address: [(start, size)]} of each function's memory BARs."""
    out, _ = guest.run("for d in /sys/bus/pci/devices/*; do "
                       "echo \"@$d\"; cat $d/resource; done")
    found = {}
    for block in out.split("@")[1:]:
        lines = block.strip().split("\n")
        bars = []
        for line in lines[1:7]:  # not the windows of bridges
            m = re.match(r"0x([0-9a-f]+) 0x([0-9a-f]+)", line)
            if m and int(m.group(1), 16):
                start, end = int(m.group(1), 16), int(m.group(2), 16)
                bars.append((start, end - start + 1))
        found[lines[0].strip()] = bars
    return found


def hammer(what, *arguments, timeout=30):
    """A guest that hangs itself gets a fresh start; that is its own affair."""
    pid = host.vm("bad")["pid"]
    guests["bad"].send("hammer " + " ".join(arguments) +
                       "; echo =ham\"\"mered=\n")
    try:
        guests["bad"].expect("=hammered=", timeout)
    except (TimeoutError, ConnectionError):
        report.note(f"{what}: the guest did not survive its own doing")
    vm = host.vm("bad")
    if vm["state"] == "stopped" and "guest" in vm["reason"]:
        report.note(f"{what}: it turned itself off")
        pid = 0
    still_there(what, pid)
    guests["bad"].at = len(guests["bad"].seen)
    if guests["bad"].seen.endswith("hammered=\n") or alive_guest():
        return
    if host.vm("bad")["pid"]:
        host.call("vm.stop", name="bad")
    image(host, "bad")
    guests["bad"] = boot(host, "bad")


def alive_guest():
    try:
        return guests["bad"].run("echo alive", 10)[0].strip() == "alive"
    except (TimeoutError, ConnectionError, OSError):
        return False


def virtio_registers_and_rings():
    """With drivers bound and rings live."""
    functions = pci_functions(guests["bad"])
    report.check("PCI functions found", len(functions) >= 3, functions)
    for address, bars in functions.items():
        for start, size in bars:
            hammer(f"registers of {address[-7:]} at {start:#x}", "7",
                   str(COUNT), f"{start:#x}", f"{size:#x}")


def pci_config_space():
    for address in pci_functions(guests["bad"]):
        hammer(f"config space of {address[-7:]}", "11", str(COUNT),
               f"{address}/config")


def platform_devices():
    for name, base, size in (("pl031", 0x09010000, 0x1000),
                             ("flash 0", 0x00000000, 0x4000000),
                             ("flash 1", 0x04000000, 0x4000000),
                             ("a hole", 0x09100000, 0x10000),
                             ("pl061", 0x09030000, 0x1000)):
        hammer(name, "3", str(COUNT), f"{base:#x}", f"{size:#x}")
    # The console last: what it says after this is noise.
    pid = host.vm("bad")["pid"]
    guests["bad"].send(f"hammer 5 {COUNT} 0x09000000 0x1000\n")
    for _ in range(10):
        guests["good"].run("sleep 0.5")
    still_there("pl011", pid)


def the_rest_of_the_map():
    """ECAM, GIC and all: the guest will not survive it, and may not."""
    guest = guests["bad"]
    guest.send("\n\nhammer 9 100000 0x08000000 0x8000000 & "
               "hammer 13 100000 0x30000000 0x10000000 &\n")
    for _ in range(20):
        guests["good"].run("sleep 0.5")
    vm = host.vm("bad")
    report.check("its supervisor was not brought down by a signal",
                 "signal" not in vm["reason"],
                 f"{vm}\n{host.log_text()[-3000:]}")
    report.equal("the good guest runs", host.vm("good")["state"], "running")


def the_bad_one_can_be_replaced():
    if host.vm("bad")["pid"]:
        host.call("vm.stop", name="bad")
    host.call("vm.delete", name="bad")
    host.call("vm.stop", name="good")
    report.equal("nothing is left", host.supervisors(), [])


guarded(both_run, virtio_registers_and_rings, pci_config_space,
        platform_devices, the_rest_of_the_map, the_bad_one_can_be_replaced)
report.end()
