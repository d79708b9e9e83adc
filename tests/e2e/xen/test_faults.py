#!/usr/bin/python3
"""What goes wrong with devices on Xen: whoever is killed, whatever does not
answer, afterwards what is shown is true and nothing is left in dom0."""
import itertools
import os
import subprocess
import tempfile

from xen_scene import (Call, Host, blank, boot, define, domid, eventually,
                       finish, guarded, guest_reboots, host_ends, nodes,
                       nothing_is_left, report, settled, sh, wait_for)

BRIDGE = "armvmxbf"
host = Host().start()
WORK = tempfile.mkdtemp(dir="/var/tmp")
ROOT, DATA = f"{WORK}/root.raw", f"{WORK}/data.raw"
NUMBERS = itertools.count()
BEFORE = guest = None


def marked(path):
    """Empty, but for what says which one it is."""
    blank(path)
    with open(path, "r+b") as f:
        f.write(os.path.basename(path)[:4].encode() + b"\n")
    return path


def shown(ident):
    """The device's state as the API has it; None: not in the guest."""
    device = host.device("pv", ident) or host.device("pv", ident, "nic")
    state = device["state"] if device else "defined"
    return None if state == "defined" else state


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


class Steps:
    """The steps of the device, as they come."""
    LAST = ("active", "released", "failed")

    def __init__(self):
        self.rpc = host.rpc()
        self.rpc.call("event.subscribe", since=-1)

    def reach(self, step):
        """This one, or the last: a guest may be faster."""
        while True:
            event = self.rpc.next_event()
            if (event["kind"], event.get("device")) == ("device", "dev") and \
                    event["state"] in (step, *self.LAST):
                return


ADD = {"disk": {"disk": {"id": "dev", "path": DATA}},
       "nic": {"nic": {"id": "dev", "bridge": BRIDGE}}}


def add(kind):
    return Call(host, f"{kind}.add", name="pv", live=True, **ADD[kind])


def remove(kind):
    return Call(host, f"{kind}.remove", name="pv", id="dev", live=True)


def is_there(kind):
    call = add(kind)
    call.join(90)
    report.check(f"a {kind} is there", call.done, call.error)


def agreed():
    """Both say the same of the device, and it is in no step."""
    state = shown("dev")
    return (state in (None, "active")
            and in_xenstore("dev") == (state is not None))


def taken_away(kind):
    """Whoever else is at it: it has gone in the end."""
    if shown("dev") is None and not in_xenstore("dev"):
        return True
    remove(kind).join(90)
    return False


def talk_again():
    """A console ends with its supervisor; the next one begins with what was
    printed before, other answers as well."""
    global guest
    word = f"again{next(NUMBERS)}"
    guest.close()
    guest = host.console("pv")
    guest.send(f"\necho ''{word}\n")
    guest.expect(f"\n{word}\n.*guest# ", 60)


COUNT = {"disk": "ls /sys/block | grep -c xvd || true",
         "nic": "ls /sys/class/net | grep -c eth || true"}


def guest_agrees(when, kind, want):
    """Linux (6.1) may wait for ever for a request that a disk took with it
    (armvmd(8), XEN): then it hears of no device any more, until a reset."""
    talk_again()
    have = guest.until(COUNT[kind], want)
    waits = guest.says("cat /proc/$(pidof xenwatch)/stat")
    if have != want and ") D " in waits:
        report.note(f"{when}: the guest's xenwatch waits for ever")
        host.call("vm.reset", name="pv")
        guest.ready()
        have = guest.until(COUNT[kind], want)
    report.equal(f"{when}: the guest has as many", have, want)


def supervisor_killed():
    host.another_supervisor("pv", host.kill_supervisor("pv"))


def daemon_killed():
    host.kill()
    host.start()
    host.wait_state("pv", "running")


def interrupted(kind, action, step, killed):
    """Somebody is killed when a call has come to this step. Both what was
    begun and what was before is right; what is said, shown and there has to be
    the same."""
    when = (f"{killed.__name__.replace('_', ' ')} in a {kind}'s "
            f"{action.__name__}, {step or 'begun'}")
    steps = Steps()
    call = action(kind)
    if step:
        steps.reach(step)
    killed()
    call.join(120)
    steps.rpc.close()
    report.check(f"{when}: the device is there, or is not, for all",
                 eventually(agreed), (shown("dev"), in_xenstore("dev")))
    if call.done:
        report.equal(f"{when}: what was done is", shown("dev") is not None,
                     action is add)
    report.check(f"{when}: it can be taken away",
                 eventually(lambda: taken_away(kind)), call.error)
    guest_agrees(when, kind, "1" if kind == "disk" else "0")
    report.equal(f"{when}: nothing is left", settled(BEFORE), BEFORE)


def scene():
    global guest, BEFORE
    sh(f"ip link add {BRIDGE} type bridge && ip link set {BRIDGE} up")
    marked(DATA)
    define(host, "pv", disks=[{"path": marked(ROOT)}])
    guest = boot(host, "pv")
    BEFORE = host_ends()


def killed_while_attaching():
    for step in ("", "requested", "offered", "acknowledged"):
        interrupted("disk", add, step, supervisor_killed)
    interrupted("nic", add, "offered", supervisor_killed)


def killed_while_detaching():
    for kind, step in (("disk", ""), ("disk", "releasing"),
                       ("nic", "releasing")):
        is_there(kind)
        interrupted(kind, remove, step, supervisor_killed)


def daemon_is_killed():
    pid = host.vm("pv")["pid"]
    for step in ("", "offered"):
        interrupted("disk", add, step, daemon_killed)
    is_there("disk")
    interrupted("disk", remove, "releasing", daemon_killed)
    report.equal("the supervisor has seen them all", host.vm("pv")["pid"], pid)


def another_file_is_not_its_disk():
    """A guest that writes nonsense makes dom0's driver let go of its disk; with
    the supervisor's end nobody holds its loop device, which the next file
    gets."""
    front = f"/local/domain/{domid('pv')}/device/vbd/51712/state"
    subprocess.run(["xenstore-write", "--", front, ""], check=True)
    wait_for("the disk's end", lambda: shown("disk0") == "failed", 30)
    supervisor_killed()
    wait_for("the disk's being given up", lambda: shown("disk0") is None, 30)
    is_there("disk")
    talk_again()
    guest_reboots(guest)
    report.equal("after a reboot the guest has that one alone",
                 guest.says("head -c 4 /dev/xvd?"), "data")


def has_its_own_again():
    global guest
    host.call("vm.stop", name="pv")
    nothing_is_left(host, "stopped")
    guest = boot(host, "pv")
    report.equal("with the next start it has its own",
                 guest.says("head -c 4 /dev/xvda"), "root")


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
    call = Call(host, "disk.add", name="pv", live=True,
                disk={"id": "dev", "path": path})
    call.join(90)
    report.check("a sparse disk is added", call.done, call.error)
    name = wait_for("it in the guest", lambda: guest.says(
        "ls /sys/block | grep xvd | sed 1d"))
    out, status = guest.run(f"dd if=/dev/zero of=/dev/{name} bs=64k count=700 "
                            "conv=fsync", 120)
    report.check("a full disk of the host's is the guest's I/O error",
                 status != 0 and "rror" in out, (status, out))
    report.equal("and both run on", (host.vm("pv")["state"],
                                     guest.says("echo here")),
                 ("running", "here"))
    report.check("it can be taken away",
                 eventually(lambda: taken_away("disk")), shown("dev"))
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
    is_there("nic")
    report.check("with the driver it can be taken away",
                 eventually(lambda: taken_away("nic")), shown("dev"))


def domain_dies_in_the_middle():
    guest.run("rmmod xen_netfront")
    call = Call(host, "nic.add", name="pv", live=True, timeout_ms=60000,
                **ADD["nic"])
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
        daemon_is_killed, disk_is_full, backend_that_never_connects,
        another_file_is_not_its_disk, has_its_own_again,
        domain_dies_in_the_middle)
sh(f"ip link delete {BRIDGE}")
finish(host, WORK)
