#!/usr/bin/python3
"""What goes wrong with devices on Xen: whoever is killed, whatever does not
answer, afterwards what is shown is true and nothing is left in dom0."""
import os
import signal
import subprocess
import tempfile
import threading
import time

from xen_scene import (Host, RpcError, alive, boot, define, domid, finish,
                       guarded, guest_reboots, host_ends, nodes,
                       nothing_is_left, report, settled, sh, wait_for)

BRIDGE = "armvmxbf"
DELAYS = (0, 0.02, 0.05, 0.1, 0.2, 0.4)
host = Host().start()
WORK = tempfile.mkdtemp(dir="/var/tmp")
ROOT, DATA = f"{WORK}/root.raw", f"{WORK}/data.raw"
guest = None


def blank(path):
    """Empty, but for what says which one it is."""
    with open(path, "wb") as f:
        f.write(os.path.basename(path)[:4].encode() + b"\n")
        f.truncate(16 << 20)
    return path


def supervisor():
    return host.vm("pv")["pid"]


def another(pid):
    wait_for("another supervisor", lambda: host.vm("pv")["state"] == "running"
             and supervisor() not in (None, 0, pid), 60)


def shown(ident):
    """The device's state as the API has it; None: not in the guest."""
    states = [d["state"] for kind in ("disk", "nic")
              for d in host.call(f"{kind}.list", name="pv")[f"{kind}s"]
              if d["id"] == ident]
    return None if states in ([], ["defined"]) else states[0]


def in_xenstore(ident):
    base = f"/libxl/{domid('pv')}/device"
    for kind in ("vbd", "vif"):
        for number in nodes(f"{base}/{kind}"):
            path = f"{base}/{kind}/{number}/armvm-id"
            out = subprocess.run(["xenstore-read", path], text=True,
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, check=False)
            if out.stdout.strip() == ident:
                return True
    return False


class Call(threading.Thread):
    """One call of the API under way."""

    def __init__(self, method, **params):
        super().__init__()
        self.what, self.error, self.done = (method, params), "", False
        self.start()

    def run(self):
        method, params = self.what
        try:
            host.call(method, name="pv", **params)
            self.done = True
        except (RpcError, OSError) as e:
            self.error = str(e)


ADD = {"disk": {"disk": {"id": "dev", "path": DATA}},
       "nic": {"nic": {"id": "dev", "bridge": BRIDGE}}}


def add(kind):
    return Call(f"{kind}.add", live=True, **ADD[kind])


def remove(kind, **more):
    return Call(f"{kind}.remove", id="dev", live=True, **more)


def agreed():
    """Both say the same of the device, and it is in no step."""
    state = shown("dev")
    return (state in (None, "active")
            and in_xenstore("dev") == (state is not None))


def talk_again():
    """A console ends with its supervisor; the next one begins with what was
    printed before."""
    global guest
    guest = host.console("pv")
    guest.send("\necho he''re again\n")
    guest.expect("here again\n.*guest# ", 60)


def settle(when):
    try:
        wait_for("agreement", agreed, 60, 0.2)
    except TimeoutError:
        pass
    report.check(f"{when}: the device is there, or is not, for all",
                 agreed(), (shown("dev"), in_xenstore("dev")))


def take_away(kind):
    if shown("dev"):
        call = remove(kind, force=True)
        call.join(60)
        report.check("it can be taken away", call.done, call.error)


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    wait_for("its end", lambda: not alive(pid), 30)


def interrupted(kind, action, delay, before):
    pid = supervisor()
    when = f"supervisor killed {delay} s into a {kind}'s {action.__name__}"
    call = action(kind)
    time.sleep(delay)
    kill(pid)
    call.join(90)
    another(pid)
    settle(when)
    if action is add:
        report.equal(f"{when}: what was said is true", shown("dev"),
                     "active" if call.done else None)
    take_away(kind)
    report.equal(f"{when}: nothing is left", settled(before), before)


def scene():
    global guest
    sh(f"ip link add {BRIDGE} type bridge && ip link set {BRIDGE} up")
    blank(DATA)
    define(host, "pv", disks=[{"path": blank(ROOT)}])
    guest = boot(host, "pv")


def killed_while_attaching():
    before = host_ends()
    for delay in DELAYS:
        interrupted("disk", add, delay, before)
    for delay in DELAYS[1:4]:
        interrupted("nic", add, delay, before)


def killed_while_detaching():
    before = host_ends()
    for delay in DELAYS[:4]:
        call = add("disk")
        call.join(60)
        report.check("a disk is there", call.done, call.error)
        interrupted("disk", remove, delay, before)


def daemon_is_killed():
    before, pid = host_ends(), supervisor()
    for delay in DELAYS[:4]:
        call = add("disk")
        time.sleep(delay)
        host.kill()
        call.join(60)
        host.start()
        host.wait_state("pv", "running", 60)
        settle(f"daemon killed {delay} s into an attach")
        take_away("disk")
        report.equal("nothing is left", settled(before), before)
    report.equal("the supervisor has seen them all", supervisor(), pid)
    talk_again()


def another_file_is_not_its_disk():
    """A guest that writes nonsense makes dom0's driver let go of its disk; with
    the supervisor's end nobody holds its loop device, which the next file
    gets."""
    front = f"/local/domain/{domid('pv')}/device/vbd/51712/state"
    subprocess.run(["xenstore-write", "--", front, ""], check=True)
    wait_for("the disk's end", lambda: shown("disk0") == "failed", 30)
    pid = supervisor()
    kill(pid)
    another(pid)
    wait_for("the disk's being given up", lambda: shown("disk0") is None, 30)
    call = add("disk")
    call.join(60)
    report.check("another file is added", call.done, call.error)
    talk_again()
    guest_reboots(guest)
    report.equal("after a reboot the guest has that one alone",
                 guest.run("head -c 4 /dev/xvd?")[0].strip(), "data")
    host.call("vm.stop", name="pv")
    boot_again()


def boot_again():
    global guest
    guest = boot(host, "pv")
    report.equal("with the next start it has its own",
                 guest.run("head -c 4 /dev/xvda")[0].strip(), "root")


def disk_is_full():
    """A sparse file on a file system with less room than its size."""
    full = f"{WORK}/full"
    sh(f"truncate -s 16M {full}.img && mke2fs -q -F {full}.img && "
       f"mkdir {full} && mount -o loop {full}.img {full} && "
       f"truncate -s 64M {full}/big.raw")
    try:
        written_until_it_is_full(f"{full}/big.raw")
    finally:
        sh(f"umount -l {full}")


def written_until_it_is_full(path):
    before = host_ends()
    call = Call("disk.add", live=True, disk={"id": "dev", "path": path})
    call.join(60)
    report.check("a sparse disk is added", call.done, call.error)
    name = guest.run("ls /sys/block | grep xvd | tail -n 1")[0].strip()
    out, status = guest.run(f"dd if=/dev/zero of=/dev/{name} bs=64k count=700 "
                            "conv=fsync", 120)
    report.check("a full disk of the host's is the guest's I/O error",
                 status != 0 and "rror" in out, (status, out))
    report.equal("and both run on", (host.vm("pv")["state"],
                                     guest.run("echo here")[0].strip()),
                 ("running", "here"))
    take_away("disk")
    report.equal("nothing is left of it", settled(before), before)


def backend_that_never_connects():
    before = host_ends()
    sh("modprobe -r xen-netback")
    status, _, err = host.ctl("nic", "add", "pv", f"bridge={BRIDGE}", "--live",
                              "--timeout", "2s")
    report.check("a backend that does not answer: the deadline, and why",
                 status == 8 and "xen-netback" in err, (status, err))
    report.equal("nothing is left of it", settled(before), before)
    sh("modprobe xen-netback")
    call = add("nic")
    call.join(60)
    report.check("with the driver there is a NIC", call.done, call.error)
    take_away("nic")


def domain_dies_in_the_middle():
    guest.run("rmmod xen_netfront")
    call = Call("nic.add", live=True, timeout_ms=60000, **ADD["nic"])
    wait_for("the offer", lambda: shown("dev") == "offered", 30)
    sh("xl destroy pv")
    call.join(60)
    report.check("an attach ends with its domain, saying so",
                 not call.done and "destroyed" in call.error, call.error)
    host.wait_state("pv", "crashed", 60)
    report.match("which crashed", "destroyed by somebody else",
                 host.vm("pv")["reason"])
    report.equal("nothing is left", settled(([], [], [])), ([], [], []))
    nothing_is_left(host, "destroyed in an attach")


guarded(scene, killed_while_attaching, killed_while_detaching,
        daemon_is_killed, another_file_is_not_its_disk, disk_is_full, backend_that_never_connects,
        domain_dies_in_the_middle)
sh(f"ip link delete {BRIDGE}")
finish(host, WORK)
