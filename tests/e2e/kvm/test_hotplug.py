#!/usr/bin/python3
"""Disks and network interfaces come and go while the guest runs, by native
PCIe hotplug with the device tree alone (PL-5)."""
import os
import subprocess
import threading
import time

from scene import (Host, RpcError, blank, boot, define, guarded, image, report,
                   wait_for)

host = Host().start()
define(host, "hot", image(host, "hot"), max_hotplug=4)
guest = None
DATA = host.dir + "/data.raw"


def steps(ident, since=0):
    rpc = host.rpc()
    events = rpc.call("event.subscribe", since=since)["events"]
    rpc.close()
    return [e["state"] for e in events
            if e["kind"] == "device" and e["device"] == ident]


def events(since):
    """Those of the VM after one, and the number of the last of all."""
    rpc = host.rpc()
    page = rpc.call("event.subscribe", since=since)
    rpc.close()
    return [e for e in page["events"] if e.get("name") == "hot"], page["last"]


def ports_are_there():
    global guest
    guest = boot(host, "hot")
    report.equal("pciehp has a slot for the disk and four more",
                 guest.says("ls /sys/bus/pci/slots | wc -l"), "5")
    disk = host.device("hot", "disk0")
    report.equal("the one it was started with is active",
                 (disk["state"], disk["slot"]), ("active", 1))


def a_disk_is_added():
    blank(DATA)
    began = time.monotonic()
    status, out, err = host.ctl("disk", "add", "hot", DATA, "--serial",
                                "data1")
    report.equal("disk add", (status, err), (0, ""))
    report.match("says how far the guest is", r"^hot: data1 offered … "
                 r"acknowledged by the guest … active on 0000:\d\d:00\.0 as "
                 r"virtio-blk \(\d+\.\d s\)\n$", out)
    report.note(f"attached after {time.monotonic() - began:.1f} s")
    report.equal("with its serial", guest.says("cat /sys/block/vdb/serial"),
                 "data1")
    report.equal("each step is an event", steps("data1"),
                 ["requested", "offered", "acknowledged", "active"])
    guest.says("echo written-by-the-guest | "
               "dd of=/dev/vdb bs=512 conv=sync,fsync")
    with open(DATA, "rb") as f:
        report.equal("what the guest writes is in it", f.read(21),
                     b"written-by-the-guest\n")
    report.equal("it is in the definition, in its slot",
                 [(d["id"], d["slot"]) for d in
                  host.vm("hot")["config"]["disks"]],
                 [("disk0", 1), ("data1", 2)])
    status, _, err = host.ctl("disk", "add", "hot", DATA)
    report.check("the same file twice is refused", status == 2
                 and "already the path" in err, err)


def load(on="vdb"):
    guest.says(f"while dd if=/dev/zero of=/dev/{on} bs=64k count=64 conv=fsync "
               "2>/dev/null; do :; done & sleep 0.5")


def released_under_load():
    load()
    began = time.monotonic()
    status, out, err = host.ctl("disk", "remove", "hot", "data1")
    report.equal("disk remove under load", (status, err), (0, ""))
    report.match("is asked and released", r"asked to release it … released "
                 r"\(\d+\.\d s\)", out)
    report.note(f"released after {time.monotonic() - began:.1f} s")
    report.equal("the guest has none", guest.until("ls /sys/block", "vda"),
                 "vda")
    report.equal("nor has the definition",
                 len(host.vm("hot")["config"]["disks"]), 1)
    report.equal("nor is it listed", host.device("hot", "data1"), None)


def forced_under_load():
    host.ctl("disk", "add", "hot", DATA, "--live", "--id", "wild")
    report.equal("live only: not in the definition",
                 len(host.vm("hot")["config"]["disks"]), 1)
    load()
    began = time.monotonic()
    status, out, err = host.ctl("disk", "remove", "hot", "wild", "--force")
    report.equal("disk remove --force under load", (status, err), (0, ""))
    report.check("at once", time.monotonic() - began < 3, out)
    report.equal("the guest has none", guest.until("ls /sys/block", "vda"),
                 "vda")


def a_nic_under_load():
    status, out, err = host.ctl("nic", "add", "hot", "tap=hp0")
    report.equal("nic add", (status, err), (0, ""))
    report.match("active", r"nic0 .*active on .* as virtio-net", out)
    subprocess.run("ip addr add 10.9.0.1/24 dev hp0", shell=True, check=True)
    guest.says("ip link set eth0 up; ip addr add 10.9.0.2/24 dev eth0")
    report.match("the guest reaches the host by it", r"[1-3] packets received",
                 guest.says("ping -c 3 -W 5 10.9.0.1"))
    guest.says("ping -i 0.01 10.9.0.1 >/dev/null 2>&1 & sleep 0.2")
    status, out, err = host.ctl("nic", "remove", "hot", "nic0")
    report.equal("nic remove under load", (status, err), (0, ""))
    report.equal("the guest has none", guest.says("ls /sys/class/net"), "lo")
    report.equal("the tap is gone", os.path.exists("/sys/class/net/hp0"),
                 False)


def no_slot_is_left():
    for i in range(4):
        host.call("disk.add", name="hot", live=True, timeout_ms=20000,
                  disk={"path": blank(f"{host.dir}/f{i}.raw", 1),
                        "id": f"f{i}"})
    try:
        host.call("disk.add", name="hot", disk={"path": DATA}, live=True)
        report.check("a fifth is refused", False)
    except RpcError as e:
        report.check("a fifth is refused, saying what helps",
                     e.code == "no-space" and "max_hotplug" in str(e), e)
    for i in range(4):
        host.call("disk.remove", name="hot", id=f"f{i}", force=True)


def a_detach_meets_a_reboot():
    host.ctl("disk", "add", "hot", DATA, "--id", "stays")
    host.ctl("disk", "add", "hot", blank(host.dir + "/goes.raw"), "--id",
             "goes")
    result = {}

    def detach():
        result["ctl"] = host.ctl("disk", "remove", "hot", "goes",
                                 "--timeout", "60s")

    thread = threading.Thread(target=detach)
    thread.start()
    wait_for("asked",
             lambda: host.device("hot", "goes")["state"] == "releasing")
    time.sleep(1)
    last = events(-1)[1]
    guest.send("reboot -f\n")
    thread.join(60)
    # Also when the guest, being slow, let go of it first.
    wait_for("the guest is reset", lambda: any(
        e["kind"] == "reset" for e in events(last)[0]))
    report.equal("a guest that reboots half-way has let go of it",
                 result["ctl"][0], 0)


def a_guest_in_its_firmware():
    began = time.monotonic()
    status, out, err = host.ctl("disk", "add", "hot",
                                host.dir + "/goes.raw", "--timeout", "2s")
    report.equal("a guest in its firmware: exit status of a timeout",
                 (status, out), (8, ""))
    report.check("at the deadline", 2 <= time.monotonic() - began < 6)
    report.match("with the likely reason", r"did not take disk \"disk\d\" "
                 r"within 2 s .*firmware.*It is not attached", err)
    report.equal("nothing changed",
                 [d["id"] for d in
                  host.call("disk.list", name="hot")["disks"]],
                 ["disk0", "stays"])
    status, out, err = host.ctl("disk", "remove", "hot", "stays",
                                "--timeout", "1s")
    report.equal("nor does it release one", (status, out), (8, ""))
    report.match("which is said", r"did not release disk \"stays\".*still "
                 r"attached; use --force", err)
    patient = {}
    thread = threading.Thread(target=lambda: patient.update(ctl=host.ctl(
        "disk", "add", "hot", host.dir + "/goes.raw", "--live", "--id",
        "patient", "--timeout", "240s", timeout=300)))
    thread.start()
    guest.ready(240)
    thread.join(240)
    report.match("an attach that can wait is done when a system is there",
                 r"patient offered .* active", str(patient.get("ctl")))
    report.equal("for which it is a disk", guest.until(
        "cat /sys/block/vd?/serial | grep -c patient", "1"), "1")
    host.call("disk.remove", name="hot", id="patient", force=True)
    report.equal("what was added live is there after the reboot",
                 guest.says("ls -1 /sys/block; cat /sys/block/vdb/serial"),
                 "vda\nvdb\nstays")
    report.equal("and active", host.device("hot", "stays")["state"], "active")


def there_at_the_next_start():
    slot = host.device("hot", "stays")["slot"]
    host.call("vm.stop", name="hot")
    report.equal("at rest", host.device("hot", "stays")["state"], "defined")
    host.call("vm.start", name="hot")
    report.equal("there at the next start, in its slot",
                 [(d["id"], d["slot"]) for d in
                  host.call("disk.list", name="hot")["disks"]],
                 [("disk0", 1), ("stays", slot)])
    host.call("vm.stop", name="hot")
    status, _, err = host.ctl("disk", "remove", "hot", "stays")
    report.equal("removed at rest", (status, err), (0, ""))
    report.check("no supervisor complained of its guest",
                 "signal" not in host.log_text(), host.log_text()[-3000:])


guarded(ports_are_there, a_disk_is_added, released_under_load,
        forced_under_load, a_nic_under_load, no_slot_is_left,
        a_detach_meets_a_reboot, a_guest_in_its_firmware,
        there_at_the_next_start)
report.end()
