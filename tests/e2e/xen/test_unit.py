#!/usr/bin/python3
"""armvmd as the service that is installed, in dom0: what its unit denies it,
and what becomes of its domains when it ends.
  tests/host/run --xen --systemd -- tests/e2e/xen/all unit"""
import os
import signal
import tempfile

from xen_scene import (BOOT_S, GUEST, checksum, domid, domains, filled,
                       guarded, host_ends, nothing_is_left, report, settled,
                       sh, shutil, wait_for)
from systemd_scene import Service, install, restart, run, scope_of, show

BRIDGE = "armvmxbu"
if not os.path.isdir("/run/systemd/system"):
    report.skip("armvmd.service in dom0", "systemd is not process 1 here")
    report.end()
host = Service()
WORK = tempfile.mkdtemp(dir="/var/tmp")
ROOT, DATA = f"{WORK}/root.raw", f"{WORK}/data.raw"
guest = None


def main_pid():
    return int(show("armvmd.service", "MainPID")[0])


def still_here(word):
    console = host.console("web")
    console.send(f"\necho ''{word}\n")
    report.check(f"the guest answers: {word}",
                 console.expect(f"\n{word}\n", 60) is not None)
    console.close()


def it_starts():
    install()
    report.equal("systemctl start armvmd",
                 run("systemctl", "start", "armvmd.socket", "armvmd"), (0, ""))
    report.equal("ready", show("armvmd.service", "ActiveState", "SubState"),
                 ("active", "running"))
    xen = [h for h in host.call("host.info")["hypervisors"]
           if h["name"] == "xen"][0]
    report.equal("it may control Xen", (xen["available"], xen["reason"]),
                 (True, ""))


def a_domain_with_devices():
    global guest
    sh(f"ip link add {BRIDGE} type bridge && "
       f"ip addr add 10.80.0.1/24 dev {BRIDGE} && ip link set {BRIDGE} up")
    host.does("create", "web", "--kernel", f"{GUEST}/vmlinuz", "--initrd",
              f"{GUEST}/initrd.img", "--cmdline", "quiet", "--memory", "256M",
              "--disk", filled(ROOT), "--nic", f"bridge={BRIDGE}")
    host.does("start", "web")
    guest = host.console("web")
    guest.ready(BOOT_S)
    report.match("on Xen", r"web +running +xen", host.does("list"))
    report.equal("the disk's content in the guest",
                 guest.says("sha256sum /dev/xvda").split(" ")[0],
                 checksum(ROOT))
    guest.says("ip link set eth0 up; ip addr add 10.80.0.2/24 dev eth0")
    report.match("the guest reaches the host", r"[1-3] packets received",
                 guest.says("ping -c 3 -W 5 10.80.0.1"))


def devices_come_and_go():
    ends = host_ends()
    host.does("disk", "add", "web", filled(DATA), "--live", "--id", "more")
    host.does("nic", "add", "web", f"bridge={BRIDGE}", "--live", "--id", "n1")
    host.does("disk", "remove", "web", "more")
    host.does("nic", "remove", "web", "n1")
    report.equal("without a trace", settled(ends), ends)
    host.does("pause", "web")
    host.does("resume", "web")
    host.does("balloon", "web", "192M")
    guest.close()


def in_its_scope():
    pid = host.vm("web")["pid"]
    path = wait_for("its scope", lambda: "armvm.slice" in scope_of(pid) and
                    scope_of(pid))
    report.equal("in a scope named after its uuid", path.rsplit("/", 1)[1],
                 f"armvm-{host.vm('web')['uuid']}-{pid}.scope")
    match = run("machinectl", "list", "--no-legend", "--no-pager")[1]
    report.match("and a machine", r"web +vm +armvmd", match)


def the_daemon_ends():
    before = (host.vm("web")["pid"], domid("web"))
    report.equal("a restart", restart(), (0, ""))
    host.wait_state("web", "running")
    report.equal("the same supervisor and domain",
                 (host.vm("web")["pid"], domid("web")), before)
    daemon = main_pid()
    os.kill(daemon, signal.SIGKILL)
    wait_for("systemd to start another",
             lambda: main_pid() not in (0, daemon))
    host.wait_state("web", "running")
    report.equal("killed: the same supervisor and domain",
                 (host.vm("web")["pid"], domid("web")), before)
    still_here("first")


def the_supervisor_ends():
    before = domid("web")
    host.another_supervisor("web", host.kill_supervisor("web"))
    report.equal("another supervisor, the same domain", domid("web"), before)
    still_here("second")
    in_its_scope()
    host.does("disk", "add", "web", DATA, "--live", "--id", "after")
    host.does("disk", "remove", "web", "after")
    host.does("stop", "web")
    nothing_is_left(host, "stopped")


def as_a_unit():
    report.equal("systemctl start armvm@web",
                 run("systemctl", "start", "armvm@web"), (0, ""))
    report.equal("is a unit, and a domain",
                 (show("armvm@web", "ActiveState")[0],
                  list(domains().values())), ("active", ["web"]))
    console = host.console("web")
    console.ready(BOOT_S)
    console.close()
    report.equal("systemctl stop armvm@web",
                 run("systemctl", "stop", "armvm@web"), (0, ""))
    report.equal("shuts it down",
                 (host.vm("web")["state"], host.vm("web")["reason"]),
                 ("stopped", "the guest powered off"))
    nothing_is_left(host, "its unit stopped")
    wait_for("no scope", lambda: "armvm-" not in run(
        "systemctl", "list-units", "--type=scope", "--plain", "--no-legend",
        "--no-pager")[1])


guarded(it_starts, a_domain_with_devices, devices_come_and_go, in_its_scope,
        the_daemon_ends, the_supervisor_ends, as_a_unit)
if report.failed:
    print(run("journalctl", "-b", "--no-pager", "-n", "150")[1])
sh(f"ip link delete {BRIDGE}")
shutil.rmtree(WORK)
report.end()
