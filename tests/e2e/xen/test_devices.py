#!/usr/bin/python3
"""Disks and network interfaces on Xen's PV bus: what a VM is started with,
what comes and goes while it runs, and that nothing of it stays."""
import os
import subprocess
import tempfile
import time

from xen_scene import (Host, boot, busy, checksum, define, domid, filled,
                       finish, guarded, guest_reboots, host_ends,
                       nodes, nothing_is_left, report, settled, sh, wait_for)

CYCLES = int(os.environ.get("ARMVM_HOTPLUG_CYCLES", "50"))
BRIDGE = "armvmxbr"
host = Host().start()
guest = None
# On a disk: memory has no direct I/O.
WORK = tempfile.mkdtemp(dir="/var/tmp")
ROOT, DATA = f"{WORK}/root.raw", f"{WORK}/data.raw"


def started_with():
    global guest
    sh(f"ip link add {BRIDGE} type bridge && "
       f"ip addr add 10.77.0.1/24 dev {BRIDGE} && ip link set {BRIDGE} up")
    define(host, "pv", vcpus=2, disks=[{"path": filled(ROOT)}],
           nics=[{"bridge": BRIDGE}])
    guest = boot(host, "pv")
    report.equal("the disk's content in the guest",
                 guest.says("sha256sum /dev/xvda").split(" ")[0],
                 checksum(ROOT))
    guest.says("dd if=/dev/urandom of=/dev/xvda bs=64k count=40 conv=fsync")
    inside = guest.says("sha256sum /dev/xvda").split(" ")[0]
    report.equal("and on the host, after the guest wrote it", checksum(ROOT),
                 inside)
    report.equal("past the page cache",
                 sh("losetup -l -n -O DIO,AUTOCLEAR").split(), ["1", "1"])
    disk = host.device("pv", "disk0")
    report.equal("listed", (disk["state"], disk["address"], disk["driver"]),
                 ("active", "vbd/51712", "xen-blkfront"))


def network():
    guest.says("ip link set eth0 up; ip addr add 10.77.0.2/24 dev eth0")
    report.match("the guest reaches the host", r"[1-3] packets received",
                 guest.says("ping -c 3 -W 5 10.77.0.1"))
    report.match("and the host the guest", r"[1-3] received",
                 sh("ping -c 3 -W 5 10.77.0.2 || true"))
    report.equal("its MAC is the definition's",
                 guest.says("cat /sys/class/net/eth0/address"),
                 host.vm("pv")["config"]["nics"][0]["mac"])


def statistics():
    stats = host.call("vm.stats", name="pv")["stats"]
    disk, nic = stats["disks"][0], stats["nics"][0]
    report.check("reads and writes are counted", disk["read"]["bytes"] >= 16
                 << 20 and disk["write"]["bytes"] >= 40 << 16, disk)
    report.check("frames, too", nic["rx"]["frames"] >= 3 and
                 nic["tx"]["frames"] >= 3, nic)


def a_disk_is_added():
    status, out, err = host.ctl("disk", "add", "pv", filled(DATA), "--serial",
                                "data1")
    report.equal("disk add", (status, err), (0, ""))
    report.match("says how far the guest is", r"^pv: data1 offered … "
                 r"acknowledged by the guest … active on vbd/\d+ as "
                 r"xen-blkfront \(\d+\.\d s\)\n$", out)
    report.equal("its content",
                 guest.until("sha256sum /dev/xvdc | cut -c1-64",
                             checksum(DATA)), checksum(DATA))
    report.match("xl sees it, too", r"\n51744 +0 ",
                 "\n" + sh("xl block-list pv"))


def load():
    """Of the devices that stay: a Linux guest that writes to a disk when it
    goes may wait for those writes for ever (armvmd(8), XEN)."""
    guest.says(busy("xvda") + "; while [ -e /tmp/busy ]; do ping -c 50 -i 0.01 "
               "10.77.0.1; done >/dev/null 2>&1 & sleep 0.3")


def guest_has_read(name):
    """Its partition table, too, for which it would wait for ever as well."""
    report.equal(f"the guest reads {name}",
                 guest.until(f"head -c 1 /dev/{name} | wc -c", "1"), "1")


def released_under_load():
    guest.says("sleep 1000 < /dev/xvdc & true")
    load()
    status, out, err = host.ctl("disk", "remove", "pv", "data1")
    report.equal("disk remove under load", (status, err), (0, ""))
    report.match("is asked and released", r"asked to release it … released",
                 out)
    report.equal("the guest has none",
                 guest.until("ls /sys/block | grep -c xvd", "1"), "1")
    guest.says("rm /tmp/busy")


def read_only_and_block_device():
    device_path = sh(f"losetup -f --show {DATA}")
    before = host_ends()
    status, _, err = host.ctl("disk", "add", "pv", device_path, "--readonly",
                              "--live", "--id", "ro")
    report.equal("a block device is added", (status, err), (0, ""))
    report.equal("without a loop device of its own",
                 len(host_ends()[0]), len(before[0]))
    report.equal("the guest knows it is read-only",
                 guest.until("cat /sys/block/xvdc/ro", "1"), "1")
    guest_has_read("xvdc")
    host.ctl("disk", "remove", "pv", "ro", "--force")
    report.equal("it is gone by force", settled(before), before)
    sh(f"losetup -d {device_path}")


def nic_comes_and_goes():
    before = host_ends()
    status, out, err = host.ctl("nic", "add", "pv", f"bridge={BRIDGE}",
                                "--live")
    report.equal("nic add", (status, err), (0, ""))
    report.match("active", r"active on vif/\d+ as xen-netfront", out)
    guest.says("ip link set eth1 up")
    report.equal("a port of the bridge",
                 len(os.listdir(f"/sys/class/net/{BRIDGE}/brif")), 2)
    status, out, err = host.ctl("nic", "remove", "pv", "nic1")
    report.equal("nic remove", (status, err), (0, ""))
    report.equal("nothing of it is left", settled(before), before)


def cycles():
    before, began = host_ends(), time.monotonic()
    pid = host.vm("pv")["pid"]
    fds = len(os.listdir(f"/proc/{pid}/fd"))
    load()
    for i in range(CYCLES):
        force = i % 5 == 4
        host.call("disk.add", name="pv", live=True,
                  disk={"id": "cyc", "path": DATA})
        host.call("nic.add", name="pv", live=True,
                  nic={"id": "cycnic", "bridge": BRIDGE})
        if force:
            guest_has_read("xvdc")
        host.call("disk.remove", name="pv", id="cyc", live=True, force=force)
        host.call("nic.remove", name="pv", id="cycnic", live=True)
    guest.says("rm /tmp/busy")
    took = time.monotonic() - began
    report.note(f"{CYCLES} cycles of both, under load: {took / CYCLES:.2f} s each")
    report.equal("no loop device, interface or backend is left",
                 settled(before), before)
    report.equal("nor a descriptor", len(os.listdir(f"/proc/{pid}/fd")), fds)


def a_guest_that_does_not_listen():
    host.ctl("nic", "remove", "pv", "nic0", "--live")
    report.equal("the guest's driver is unloaded",
                 guest.until("rmmod xen_netfront 2>/dev/null; "
                       "grep -c xen_netfront /proc/modules || true", "0"), "0")
    before = host_ends()
    status, _, err = host.ctl("nic", "add", "pv", f"bridge={BRIDGE}", "--live",
                              "--timeout", "2s")
    report.check("an attach nobody follows ends at its deadline", status == 8
                 and "not listening" in err, (status, err))
    guest.says("insmod /modules/xen-netfront.ko")
    report.equal("and leaves nothing", settled(before), before)
    status, _, err = host.ctl("nic", "add", "pv", f"bridge={BRIDGE}", "--live")
    report.equal("with the driver it is one more", (status, err), (0, ""))


def supervisor_is_killed():
    host.another_supervisor("pv", host.kill_supervisor("pv"))
    wait_for("its having found the disk",
             lambda: host.device("pv", "disk0")["state"] == "active", 60)
    report.equal("and the NIC that was added live",
                 [d["state"] for d in host.call("nic.list", name="pv")["nics"]
                  if not d["persistent"]], ["active"])
    status, _, err = host.ctl("disk", "add", "pv", DATA, "--live", "--id",
                              "after")
    report.equal("and can add another", (status, err), (0, ""))
    status, _, err = host.ctl("disk", "remove", "pv", "after")
    report.equal("and remove it", (status, err), (0, ""))


def reboot():
    global guest
    before = domid("pv")
    guest = host.console("pv")
    guest_reboots(guest)
    report.check("another domain", domid("pv") != before)
    report.equal("a guest that rebooted has its disk",
                 guest.until("sha256sum /dev/xvda | cut -c1-64",
                             checksum(ROOT)), checksum(ROOT))
    report.equal("and its interface",
                 guest.says("ls /sys/class/net | grep -c eth"), "1")


def nonsense_in_its_nodes():
    """In all that a guest may write of its disk and its interface."""
    base = f"/local/domain/{domid('pv')}/device"
    theirs = [f"{base}/{kind}/{number}/{node}" for kind in ("vbd", "vif")
              for number in nodes(f"{base}/{kind}")
              for node in nodes(f"{base}/{kind}/{number}")]
    report.check("nodes of both", {f.split("/")[5] for f in theirs} ==
                 {"vbd", "vif"}, theirs)
    pid = host.vm("pv")["pid"]
    for text in ("", "99", "%s%n", "x" * 300, "-4"):
        subprocess.run(["xenstore-write", "--"] +
                       [word for path in theirs for word in (path, text)],
                       check=True)
    wait_for("dom0's driver to let go of the disk",
             lambda: host.device("pv", "disk0")["state"] != "active")
    report.equal("the supervisor does not mind",
                 (host.vm("pv")["state"], host.vm("pv")["pid"]),
                 ("running", pid))


def stopped():
    host.call("vm.stop", name="pv")
    host.wait_state("pv", "stopped", 60)
    report.equal("stopped, dom0 has no end of a device", settled(([], [], [])),
                 ([], [], []))
    nothing_is_left(host, "stopped")


guarded(started_with, network, statistics, a_disk_is_added,
        released_under_load, read_only_and_block_device, nic_comes_and_goes,
        cycles, a_guest_that_does_not_listen, supervisor_is_killed, reboot,
        nonsense_in_its_nodes, stopped)
sh(f"ip link delete {BRIDGE}")
finish(host, WORK)
