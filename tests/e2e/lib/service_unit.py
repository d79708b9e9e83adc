"""Tests of armvmd.service itself: its hardening, and what systemd keeps."""
import json
import os
import re
import signal
import sqlite3

from armvm import ROOT, report, wait_for
from systemd_scene import call, run, show, vm

check, equal = report.check, report.equal
DATABASE = "/var/lib/armvmd/armvmd.sqlite"
# linux/capability.h
CAP_SYS_RAWIO, CAP_SYS_MODULE, CAP_SYS_BOOT, CAP_SYS_TIME = 17, 16, 22, 25


def main_pid():
    return int(show("armvmd.service", "MainPID")[0])


def status_of(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return re.search(rf"^{field}:\s*(\S+)", f.read(), re.M).group(1)


def test_hardening():
    """Each setting that systemd knows is kept, or stands there with why not."""
    status, out = run("systemd-analyze", "security", "--json=short",
                      "--no-pager", "armvmd.service")
    equal("systemd judges the unit", status, 0)
    with open(ROOT + "/units/armvmd.service", encoding="utf-8") as f:
        unit = f.read()
    names = {name for row in json.loads(out)
             for name in re.findall("[A-Za-z]+=", row["name"])}
    check("it knows many settings", len(names) > 30, names)
    equal("each is kept or left out with a reason",
          sorted(n for n in names if n not in unit), [])
    pid = main_pid()
    bounds = int(status_of(pid, "CapBnd"), 16)
    equal("no capability for modules, raw I/O, clock or reboot",
          [c for c in (CAP_SYS_RAWIO, CAP_SYS_MODULE, CAP_SYS_BOOT,
                       CAP_SYS_TIME) if bounds >> c & 1], [])
    equal("calls are filtered, and no program gains by a file",
          (status_of(pid, "Seccomp"), status_of(pid, "NoNewPrivs")),
          ("2", "1"))
    equal("all devices can be had", show("armvmd.service", "DevicePolicy",
                                         "DeviceAllow"), ("auto", ""))
    status, _ = run("nsenter", "-m", "-t", str(pid), "sh", "-c",
                    "echo 1 >/proc/sys/kernel/printk || "
                    "mkdir /sys/fs/cgroup/armvm-test")
    check("tunables and cgroups cannot be written", status != 0)


def test_watchdog():
    """systemd hears from the daemon that it is alive."""
    def heard():
        return (main_pid(), show("armvmd.service",
                                 "WatchdogTimestampMonotonic"))
    call("host.info")
    pid, before = heard()
    wait_for("the watchdog hears of it again", lambda: heard()[1] != before)
    equal("of the same daemon", main_pid(), pid)


def kept():
    return int(show("armvmd.service", "NFileDescriptorStore")[0])


def running():
    return [v["name"] for v in call("vm.list", limit=1000)["vms"] if v["pid"]]


def test_kept():
    """systemd keeps a descriptor of each supervisor's process."""
    call("vm.define", config={"name": "kept", "hypervisor": "null"})
    pid = call("vm.start", name="kept")["pid"]
    wait_for("one for each VM that runs", lambda: kept() == len(running()))
    # Were it found by what was recorded, it would be taken for another.
    with sqlite3.connect(DATABASE) as db:
        db.execute("UPDATE run SET start_time = start_time + 1")
    db.close()
    old = main_pid()
    os.kill(old, signal.SIGKILL)
    wait_for("another daemon", lambda: main_pid() not in (0, old))
    equal("the next daemon knows it by that",
          (vm("kept")["state"], vm("kept")["pid"]), ("running", pid))
    equal("and it is still kept", kept(), len(running()))
    call("vm.stop", name="kept")
    wait_for("until it ends", lambda: kept() == len(running()))
    call("vm.delete", name="kept")
