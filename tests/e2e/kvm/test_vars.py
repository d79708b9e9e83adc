#!/usr/bin/python3
"""UEFI variables belong to the VM instance and are durable before the guest
hears of it (FW-4..7)."""
import os
import shutil
import signal

from scene import (GUEST, Host, boot, define, guarded, image, report,
                   wait_for)

GUID = "12345678-1234-1234-1234-123456789abc"
host = Host().start()
disk = image(host, "one")
define(host, "one", disk)
define(host, "two", image(host, "two"))
guest = None


def stored(name, vm="one"):
    """The value of a variable in the store, or None."""
    for v in host.call("var.list", name=vm)["variables"]:
        if v["name"] == name and v["guid"] == GUID:
            return bytes.fromhex(v["data"])
    return None


def set_in_guest(name, value):
    out, status = guest.run(f"uefivar set {name} {value} {GUID}", 60)
    return report.check(f"the guest sets {name}", status == 0, out)


def get_in_guest(name):
    return guest.run(f"uefivar get {name} {GUID}")[0].strip()


def firmware_variables_are_listed():
    global guest
    guest = boot(host, "one")
    names = {v["name"]: v for v in
             host.call("var.list", name="one")["variables"]}
    report.check("BootOrder is there", "BootOrder" in names, names.keys())
    if "BootOrder" in names:
        report.equal("with its attributes", names["BootOrder"]["attributes"],
                     "NV,BS,RT")
    status, out, _ = host.ctl("var", "list", "one")
    report.equal("armvmctl var list works", status, 0)
    report.match("shows name, GUID, attributes and size",
                 r"BootOrder\s+8be4df61-93ca-11d2-aa0d-00e098032b8c\s+"
                 r"NV,BS,RT\s+\d+", out)


def in_sqlite_before_setvariable_returns():
    set_in_guest("First", "alpha")
    report.equal("the store has it at once", stored("First"), b"alpha")
    set_in_guest("First", "beta")
    report.equal("and its new value", stored("First"), b"beta")
    guest.run(f"uefivar set Gone x {GUID} && uefivar delete Gone {GUID}")
    report.equal("a deleted one is gone", stored("Gone"), None)


def kill_9_of_the_supervisor():
    global guest
    set_in_guest("BeforeKill", "survivor")
    pid = host.vm("one")["pid"]
    os.kill(pid, signal.SIGKILL)
    vm = host.wait_state("one", "crashed")
    report.match("crashed, with its cause", r"signal 9", vm["reason"])
    report.equal("the variable is stored", stored("BeforeKill"), b"survivor")
    guest = boot(host, "one")
    report.equal("and back in the guest", get_in_guest("BeforeKill"),
                 "survivor")
    report.equal("with the older one", get_in_guest("First"), "beta")


def kill_9_of_the_daemon():
    global guest
    pid = host.vm("one")["pid"]
    host.kill()
    guest.send("echo still-here\n")
    guest.expect("still-here\n.*guest# ", 30)
    report.check("the guest goes on without armvmd", True)
    set_in_guest("WhileAway", "spilled")
    host.start()
    vm = host.wait_state("one", "running")
    report.equal("adopted: the same process", vm["pid"], pid)
    report.equal("what was written meanwhile is stored", stored("WhileAway"),
                 b"spilled")
    guest.close()
    guest = host.console("one")
    guest.send("\n")
    guest.expect("guest# ", 30)
    set_in_guest("AfterAdoption", "direct")
    report.equal("later writes are stored directly", stored("AfterAdoption"),
                 b"direct")


def kill_9_of_both():
    global guest
    pid = host.vm("one")["pid"]
    host.kill()
    set_in_guest("BothKilled", "durable")
    os.kill(pid, signal.SIGKILL)
    host.start()
    vm = host.vm("one")
    report.equal("found crashed", vm["state"], "crashed")
    report.equal("the spilled write is stored", stored("BothKilled"),
                 b"durable")


def stop_and_new_disk():
    """Back after a stop and after the disk image is swapped."""
    global guest
    with open(disk, "rb") as f:
        image_bytes = f.read()
    report.check("never in the disk image",
                 "survivor".encode("utf-16-le") not in image_bytes
                 and b"survivor" not in image_bytes)
    os.rename(disk, disk + ".old")
    shutil.copyfile(f"{GUEST}/debian.raw", disk)
    guest = boot(host, "one")
    for name, value in (("First", "beta"), ("BeforeKill", "survivor"),
                        ("WhileAway", "spilled"), ("BothKilled", "durable"),
                        ("AfterAdoption", "direct")):
        report.equal(f"{name} on the new disk", get_in_guest(name), value)
    host.call("vm.stop", name="one")
    report.equal("stopped", host.vm("one")["state"], "stopped")
    report.equal("still stored", stored("First"), b"beta")


def another_vm_sees_none():
    global guest
    guest = boot(host, "two")
    out, status = guest.run(f"uefivar get First {GUID}")
    report.check("a second VM from the same image sees none", status != 0, out)
    report.equal("nor does its store", stored("First", "two"), None)
    host.call("vm.stop", name="two")


def a_clone_has_its_own():
    def names(vm):
        return {v["name"] for v in host.call("var.list", name=vm)["variables"]}

    config = host.vm("one")["config"]
    host.call("vm.clone", name="one", new_name="copy")
    report.equal("a clone has them all", names("copy"), names("one"))
    report.equal("with what is in them", stored("First", "copy"), b"beta")
    host.call("vm.delete", name="one")
    report.equal("its own: they stay when the first goes",
                 stored("First", "copy"), b"beta")
    host.call("vm.delete", name="copy")
    host.call("vm.define", config=config)
    report.equal("and go with it", names("one"), set())


def deleted_with_the_vm():
    host.call("vm.delete", name="one")
    define(host, "one", disk)
    report.equal("a new VM of that name starts empty",
                 host.call("var.list", name="one")["variables"], [])


guarded(firmware_variables_are_listed, in_sqlite_before_setvariable_returns,
        kill_9_of_the_supervisor, kill_9_of_the_daemon, kill_9_of_both,
        stop_and_new_disk, another_vm_sees_none,
        a_clone_has_its_own, deleted_with_the_vm)
report.end()
