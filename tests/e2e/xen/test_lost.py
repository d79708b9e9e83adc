#!/usr/bin/python3
"""xenconsoled dies, and is started again. Then xenstored dies, which no host
survives: guests run on, what is shown is true, what cannot be done any more is
refused, and nobody goes on alone. The last of all tests of a boot, for nothing
can be started after it."""
import glob
import os
import shutil
import signal
import subprocess
import tempfile

from xen_scene import (GUEST, Host, RpcError, alive, blank, boot, define,
                       domid, eventually, guarded, host_ends, kill_process,
                       living_domains, report, settled, sh, supervisors,
                       wait_for)

BRIDGE = "armvmxbl"
LOST = "xenstored has ended"
host = Host().start()
WORK = tempfile.mkdtemp(dir="/var/tmp")
consoles, numbers, pids = {}, {}, {}


def ports():
    return os.listdir(f"/sys/class/net/{BRIDGE}/brif")


def scene():
    sh(f"ip link add {BRIDGE} type bridge && ip link set {BRIDGE} up")
    define(host, "late")
    for name in ("web", "mail", "alone"):
        define(host, name, disks=[{"path": blank(f"{WORK}/{name}.raw")}],
               nics=[{"bridge": BRIDGE}])
        consoles[name] = boot(host, name)
        numbers[name] = domid(name)
        pids[name] = host.vm(name)["pid"]
    report.equal("three domains", sorted(living_domains()),
                 sorted(numbers.values()))
    report.equal("three ports", len(ports()), 3)


def xenconsoled_dies():
    """It can be started again, and serves the consoles then."""
    daemon = pid_of("xenconsoled")
    node = f"/local/domain/{numbers['web']}/vuart/0/tty"
    report.match("its terminal", "^/dev/pts/", sh(f"xenstore-read {node}"))
    os.kill(daemon, signal.SIGKILL)
    wait_for("its terminal's being forgotten",
             lambda: sh(f"xenstore-read {node}") == "")
    report.equal("the guest runs on", host.vm("web")["state"], "running")
    sh("PATH=/usr/lib/xen-4.17/bin:$PATH xenconsoled "
       "--pid-file=/run/xen/xenconsoled.pid")
    wait_for("another terminal",
             lambda: sh(f"xenstore-read {node}").startswith("/dev/pts/"))
    # What was typed before the supervisor has it open waits for that.
    guest_works("web")


def pid_of(program):
    return int(subprocess.run(["pidof", program], check=True, text=True,
                              stdout=subprocess.PIPE).stdout)


def xenstored_stands_still():
    """Nothing is done without its answer, and nothing is given up for lost."""
    store = pid_of("xenstored")
    os.kill(store, signal.SIGSTOP)
    try:
        refused("a start while xenstored does not answer", "start", "late")
        report.equal("it was not started", host.vm("late")["state"], "stopped")
        kill_process(pids["mail"])
        report.equal("what is shown", host.vm("mail")["state"], "running")
        report.check("is true", numbers["mail"] in living_domains())
    finally:
        os.kill(store, signal.SIGCONT)
    pids["mail"] = wait_for("another supervisor", another_of_mail)
    report.equal("the same domain goes on", domid("mail"), numbers["mail"])
    consoles["mail"].close()
    consoles["mail"] = host.console("mail")
    guest_works("mail")


def another_of_mail():
    """Once it has taken the domain over, which its consoles tell."""
    vm = host.vm("mail")
    if vm["pid"] in (0, None, pids["mail"]) or vm["state"] != "running":
        return None
    try:
        host.console("mail").close()
    except RpcError:
        return None
    return host.vm("mail")["pid"]


def says_so(name, state):
    vm = host.vm(name)
    return vm["state"] == state and LOST in vm["reason"]


def xenstored_dies():
    os.kill(pid_of("xenstored"), signal.SIGKILL)
    for name in numbers:
        wait_for(f"{name} says so", lambda: says_so(name, "running"))
    report.equal("all run on", sorted(living_domains()),
                 sorted(numbers.values()))
    status, out, _ = host.ctl("show", "web")
    report.check("show says it, too", status == 0 and LOST in out, out)
    guest_works("web")


def guest_works(name):
    guest = consoles[name]
    guest.send("\n")
    guest.expect(guest.PROMPT, 60)
    out, status = guest.run("dd if=/dev/zero of=/dev/xvda bs=64k count=16 "
                            "conv=fsync 2>&1; echo written")
    report.check(f"{name}: its disk is served",
                 status == 0 and "written" in out and "rror" not in out, out)


def refused(name, *arguments):
    status, _, err = host.ctl(*arguments)
    report.check(f"refused: {name}", status not in (0, 1), (status, err))
    report.check(f"{name}: in one line that says why",
                 "xenstored" in err and err.count("\n") == 1, err)


def what_takes_it_is_refused():
    blank(f"{WORK}/more.raw")
    for name, *arguments in (
            ("shutdown", "shutdown", "web"),
            ("reset", "reset", "web"),
            ("a disk", "disk", "add", "web", f"{WORK}/more.raw", "--live"),
            ("a disk's end", "disk", "remove", "web", "disk0", "--live"),
            ("the same by force", "disk", "remove", "web", "disk0", "--live",
             "--force"),
            ("a NIC", "nic", "add", "web", f"bridge={BRIDGE}", "--live"),
            ("a balloon", "balloon", "web", "128M")):
        refused(name, *arguments)
    report.check("and changes nothing", says_so("web", "running"))
    devices = host.call("disk.list", name="web")["disks"]
    report.equal("its disk is shown as it is",
                 [d["state"] for d in devices], ["active"])


def it_can_be_paused():
    host.call("vm.pause", name="web")
    wait_for("web paused", lambda: says_so("web", "paused"))
    host.call("vm.resume", name="web")
    wait_for("web running", lambda: says_so("web", "running"))
    guest_works("web")


def another_daemon_knows():
    host.kill()
    host.start()
    for name in numbers:
        wait_for(f"{name} is there for another daemon",
                 lambda: says_so(name, "running"))
    report.equal("with its supervisor",
                 {name: host.vm(name)["pid"] for name in pids}, pids)
    # Consoles end with the daemon that handed them out.
    for name in consoles:
        consoles[name].close()
        consoles[name] = host.console(name)
    guest_works("web")


def nothing_is_started():
    refused("a start", "start", "late")
    report.equal("it was not started", host.vm("late")["state"], "stopped")
    refused("a definition for what there is", "create", "later", "--kernel",
            f"{GUEST}/vmlinuz", "--memory", "256M")
    status, out, err = host.ctl("host", "info")
    report.check("host info says it",
                 status == 0 and "xenstored is not running" in out, out + err)
    report.equal("all run on", sorted(living_domains()),
                 sorted(numbers.values()))


def guest_reboots():
    """At once: on its way to an orderly end Linux asks xenstored, too."""
    consoles["mail"].send("\necho b > /proc/sysrq-trigger\n")
    host.wait_state("mail", "crashed", 60)
    report.match("a guest's end is seen, and why", "rebooted.*xenstored",
                 host.vm("mail")["reason"])
    ended("mail")


def it_is_stopped():
    host.call("vm.stop", name="web")
    report.equal("stopped by request", host.vm("web")["state"], "stopped")
    ended("web")


def nobody_goes_on_alone():
    """Its supervisor dies, and another one cannot look after the domain."""
    os.kill(pids["alone"], signal.SIGKILL)
    host.wait_state("alone", "crashed", 120)
    report.match("it says why", LOST, host.vm("alone")["reason"])
    ended("alone")


def ended(name):
    number = numbers.pop(name)
    wait_for(f"{name}'s supervisor's end", lambda: not alive(pids[name]), 30)
    report.equal(f"{name}: its domain has ended, the others run",
                 sorted(living_domains()), sorted(numbers.values()))


def what_is_left():
    """dom0's kernel asks xenstored before it lets go of a device. With another
    one, which knows nothing and will do for that, it lets go of all."""
    report.check("no process", eventually(lambda: not supervisors()),
                 supervisors())
    report.equal("no domain that runs", living_domains(), [])
    vifs = glob.glob("/sys/class/net/vif*")
    for vif in vifs:
        with open(f"{vif}/operstate", encoding="ascii") as f:
            report.equal(f"{os.path.basename(vif)} is down", f.read().strip(),
                         "down")
    report.equal("no port of the bridge", ports(), [])
    report.note(f"what the kernel keeps: {host_ends()}")
    sh("PATH=/usr/lib/xen-4.17/bin:$PATH xenstored --pid-file "
       "/run/xen/xenstored.pid")
    backends = host_ends()[2]
    for backend in backends:
        driver = f"/sys/bus/xen-backend/devices/{backend}/driver"
        if os.path.exists(driver):
            sh(f"timeout 60 sh -c 'echo {backend} > {driver}/unbind'")
    report.equal("nobody else held loop devices and interfaces",
                 settled(([], [], backends))[:2], ([], []))


guarded(scene, xenconsoled_dies, xenstored_stands_still, xenstored_dies,
        what_takes_it_is_refused, it_can_be_paused, another_daemon_knows,
        nothing_is_started, guest_reboots, it_is_stopped,
        nobody_goes_on_alone, what_is_left)
host.cleanup()
sh(f"ip link delete {BRIDGE}")
shutil.rmtree(WORK)
report.end()
