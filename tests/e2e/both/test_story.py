#!/usr/bin/python3
"""One story, the same words on every hypervisor: a VM boots from a kernel,
talks, has its disks and networks come and go, gives memory back, reboots,
outlives the daemon, shuts down, and leaves nothing."""
import json
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "kvm"))
# pylint: disable=wrong-import-position
from scene import (BOOT_S, GUEST, Host, alive, busy, checksum, filled, guarded,
                   host_ends, report, settled, sh, shutil, wait_for)

BRIDGE = "armvmstory"
host = Host().start()
# On a disk: memory has no direct I/O.
WORK = tempfile.mkdtemp(dir="/var/tmp")
ROOT, DATA = f"{WORK}/root.raw", f"{WORK}/data.raw"
guest = None


def disks_seen():
    return {name for name in guest.says("ls /sys/block").split()
            if re.fullmatch("x?vd[a-z]+", name)}


def created_and_started():
    global guest
    host.does("create", "web", "--kernel", f"{GUEST}/vmlinuz", "--initrd",
              f"{GUEST}/initrd.img", "--cmdline", "quiet panic=-1 armvm=1",
              "--memory", "256M", "--vcpus", "2", "--disk", filled(ROOT),
              "--nic", f"bridge={BRIDGE}")
    host.does("start", "web")
    report.match("it runs", r"web +running", host.does("list"))
    guest = host.console("web")
    guest.ready(BOOT_S)
    report.match("its command line and CPUs", r"armvm=1.*\n2$",
                 guest.says("cat /proc/cmdline; nproc"))


def console_and_log():
    late = host.console("web")
    report.check("a late reader sees what was printed",
                 "ready" in late.expect("armvm=1", 30))
    late.close()
    report.match("and so does the log", r"armvm-guest ready",
                 host.does("log", "web"))


def disk_and_network():
    name = disks_seen().pop()
    report.equal("the disk's content in the guest",
                 guest.says(f"sha256sum /dev/{name}").split()[0],
                 checksum(ROOT))
    guest.says(f"dd if=/dev/urandom of=/dev/{name} bs=64k count=40 conv=fsync")
    report.equal("and on the host, after the guest wrote it", checksum(ROOT),
                 guest.says(f"sha256sum /dev/{name}").split()[0])
    guest.says("ip link set eth0 up; ip addr add 10.78.0.2/24 dev eth0")
    report.match("the guest reaches the host", r"[1-3] packets received",
                 guest.says("ping -c 3 -W 5 10.78.0.1"))
    stats = host.call("vm.stats", name="web")["stats"]
    report.check("all of it is counted", stats["disks"][0]["read"]["bytes"] >=
                 16 << 20 and stats["nics"][0]["tx"]["frames"] > 0 and
                 all(v["cpu_ns"] > 0 for v in stats["vcpus"]), stats)


def devices_come_and_go():
    before, ends = disks_seen(), host_ends()
    out = host.does("disk", "add", "web", filled(DATA))
    report.match("says how far the guest is", r"^web: \S+ offered … "
                 r"acknowledged by the guest … active on \S+ as \S+ \(", out)
    ident = re.match(r"web: (\S+) offered", out).group(1)
    wait_for("the disk in the guest", lambda: disks_seen() - before, 30)
    name = (disks_seen() - before).pop()
    report.equal("its content",
                 guest.says(f"sha256sum /dev/{name}").split()[0],
                 checksum(DATA))
    # Not writes to this one: a Linux guest on Xen may not survive that
    # (armvmd(8), XEN).
    guest.says(f"sleep 1000 < /dev/{name} & {busy(min(before))}")
    report.match("is asked and released, open and under load",
                 r"asked to release it … released",
                 host.does("disk", "remove", "web", ident))
    wait_for("its end in the guest", lambda: name not in disks_seen(), 30)
    guest.says("rm /tmp/busy")
    host.does("nic", "add", "web", f"bridge={BRIDGE}", "--live", "--id",
              "second")
    wait_for("the NIC in the guest",
             lambda: guest.says("ls /sys/class/net | grep -c eth") == "2", 30)
    host.does("nic", "remove", "web", "second")
    report.equal("nothing of both is left", settled(ends), ends)


def pause_and_balloon():
    host.does("pause", "web")
    guest.send("echo pa''used\n")
    try:
        guest.expect("\npaused", 2)
        report.check("a paused guest is silent", False)
    except TimeoutError:
        report.check("a paused guest is silent", True)
    host.does("resume", "web")
    guest.expect("\npaused", 30)

    def left():
        return host.call("vm.stats", name="web")["stats"]["balloon"]["actual"]

    host.does("balloon", "web", "192M")
    wait_for("memory given back", lambda: left() <= 193 << 20, 60)
    host.does("balloon", "web", "256M")
    wait_for("and taken again", lambda: left() >= 255 << 20, 60)


def reboots():
    guest.send("\nreboot -f\n")
    guest.expect("reboot: Restarting system", 60)
    guest.ready(BOOT_S)
    report.equal("the guest's own: it runs on", host.vm("web")["state"],
                 "running")
    host.does("reset", "web")
    guest.ready(BOOT_S)


def outlives_the_daemon():
    pid = host.vm("web")["pid"]
    guest.close()
    host.kill()
    host.start()
    host.wait_state("web", "running", 60)
    report.equal("the same supervisor", host.vm("web")["pid"], pid)
    again = host.console("web")
    again.send("echo sti''ll\n")
    report.check("and guest", again.expect("still", 60) is not None)
    again.close()


def shut_down():
    pid = host.vm("web")["pid"]
    host.does("shutdown", "web", "--timeout", "60s")
    vm = host.vm("web")
    report.equal("stopped, by the guest", (vm["state"], vm["reason"]),
                 ("stopped", "the guest powered off"))
    report.check("its process is gone", not alive(pid))
    report.match("it saw the power button", r"armvm-guest: power button",
                 host.does("log", "web"))
    report.equal("nothing is left in the host", settled(BASE), BASE)


def starts_with_the_host():
    host.does("set", "web", "--autostart", "yes")
    host.stop()
    os.unlink(host.runtime + "/autostarted")
    host.start()
    host.wait_state("web", "running", 60)
    status, _, err = host.ctl("shutdown", "web", "--timeout", "1ms")
    report.equal("a guest that does not listen yet: a timeout", status, 8)
    report.match("says what to do", r"armvmctl stop web", err)
    host.does("stop", "web")
    lines = host.does("events", "--since", "0", "--output", "jsonl")
    states = [json.loads(line).get("state") for line in lines.splitlines()]
    report.match("each state change is an event",
                 "starting,running,.*paused,.*shutting-down,.*stopped",
                 ",".join(s for s in states if s))
    host.does("delete", "web")
    report.equal("nothing is left", (settled(BASE), host.supervisors(),
                                     os.listdir(host.state + "/vms")),
                 (BASE, [], []))


sh(f"ip link add {BRIDGE} type bridge && "
   f"ip addr add 10.78.0.1/24 dev {BRIDGE} && ip link set {BRIDGE} up")
BASE = host_ends()
guarded(created_and_started, console_and_log, disk_and_network,
        devices_come_and_go, pause_and_balloon, reboots, outlives_the_daemon,
        shut_down, starts_with_the_host)
host.cleanup()
sh(f"ip link delete {BRIDGE}")
shutil.rmtree(WORK)
report.end()
