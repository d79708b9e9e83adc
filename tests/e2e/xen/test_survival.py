#!/usr/bin/python3
"""A domain outlives the daemon and its supervisor; what nobody looks after
any more is cleared up."""
import subprocess
import tempfile

from xen_scene import (Call, Host, blank, boot, define, domid, eventually,
                       finish, flags, guarded, guest_reboots, kill_process,
                       nodes, nothing_is_left, report, running_domains, sh,
                       wait_for)

BRIDGE = "armvmxbs"
host = Host().start()
WORK = tempfile.mkdtemp(dir="/var/tmp")


def answers(word):
    console = host.console("web")
    console.send(f"echo {word[:2]}''{word[2:]}\n")
    report.check(f"the guest answers: {word}",
                 console.expect(word, 60) is not None)
    console.close()


def supervisor_killed():
    sh(f"ip link add {BRIDGE} type bridge && ip link set {BRIDGE} up")
    define(host, "web", disks=[{"path": blank(f"{WORK}/root.raw")}],
           nics=[{"bridge": BRIDGE}])
    boot(host, "web").close()
    before = domid("web")
    host.another_supervisor("web", host.kill_supervisor("web"))
    report.equal("the same domain", domid("web"), before)
    answers("first")


def daemon_killed():
    before, pid = domid("web"), host.vm("web")["pid"]
    host.kill()
    host.start()
    host.wait_state("web", "running", 60)
    report.equal("the same domain and supervisor",
                 (domid("web"), host.vm("web")["pid"]), (before, pid))
    answers("second")


def both_killed():
    before, pid = domid("web"), host.vm("web")["pid"]
    host.kill()
    kill_process(pid)
    host.start()
    host.another_supervisor("web", pid)
    report.equal("the same domain", domid("web"), before)
    answers("third")


def it_can_still_reboot_and_pause():
    console = host.console("web")
    guest_reboots(console)
    console.close()
    host.call("vm.pause", name="web")
    host.another_supervisor("web", host.kill_supervisor("web"), "paused")
    host.call("vm.resume", name="web")
    answers("fourth")


def it_died_while_nobody_watched():
    pid = host.vm("web")["pid"]
    host.kill()
    kill_process(pid)
    sh(f"xenstore-write /local/domain/{domid('web')}/control/shutdown "
       "poweroff")
    wait_for("its domain has shut down", lambda: "s" in flags("web"))
    host.start()
    host.wait_state("web", "stopped", 60)
    report.match("and the reason is true", "powered off",
                 host.vm("web")["reason"])
    nothing_is_left(host, "powered off unseen")


def somebody_else_destroys_it():
    host.call("vm.start", name="web")
    subprocess.run(["xl", "destroy", "web"], check=True)
    host.wait_state("web", "crashed", 60)
    report.match("and that is said", "destroyed by somebody else",
                 host.vm("web")["reason"])
    nothing_is_left(host, "destroyed by another")


def offered():
    return nodes("/local/domain/0/backend/vbd")


# How far a start and a stop are seen to be from outside, in order.
UP = (("its supervisor is there", lambda: host.vm("web")["pid"]),
      ("Xen has its domain", running_domains),
      ("its disk is offered", offered))
DOWN = (("begun", lambda: True), ("its disk is gone", lambda: not offered()))


def the_supervisor():
    pid = host.vm("web")["pid"]
    try:
        if pid:
            kill_process(pid)
    except ProcessLookupError:
        pass  # it has just ended by itself


def the_daemon():
    host.kill()


def is_true():
    """A VM is shown as running, and its domain runs, or neither."""
    state, domain = host.vm("web")["state"], flags("web")
    if state == "running":
        return domain and not set(domain) & set("psd")
    return state in ("stopped", "crashed") and not domain


def stopped():
    if host.vm("web")["state"] in ("stopped", "crashed"):
        return True
    host.ctl("stop", "web")
    return False


def interrupted(method, step, reached, victim):
    """Killed at this step: both what was begun and what was before is right;
    what is shown is what is, and can be ended."""
    when = f"{method}, {step}: {victim.__name__.replace('_', ' ')} is killed"
    call = Call(host, method, name="web")
    wait_for(step, lambda: reached() or not call.is_alive(), interval=0.002)
    victim()
    call.join(120)
    if host.proc is None:
        host.start()
    report.check(f"{when}: what is shown is true", eventually(is_true),
                 (host.vm("web")["state"], flags("web")))
    if call.done:
        report.equal(f"{when}: what was done is",
                     host.vm("web")["state"] == "running",
                     method == "vm.start")
    else:
        report.check(f"{when}: and it says why", call.error)
    report.check(f"{when}: it can be stopped", eventually(stopped),
                 host.vm("web")["state"])
    nothing_is_left(host, when)


def killed_while_it_starts():
    for victim in (the_supervisor, the_daemon):
        for step, reached in UP:
            interrupted("vm.start", step, reached, victim)


def killed_while_it_stops():
    for victim in (the_supervisor, the_daemon):
        for step, reached in DOWN:
            host.call("vm.start", name="web")
            interrupted("vm.stop", step, reached, victim)


guarded(supervisor_killed, daemon_killed, both_killed,
        it_can_still_reboot_and_pause, it_died_while_nobody_watched,
        somebody_else_destroys_it, killed_while_it_starts,
        killed_while_it_stops)
sh(f"ip link delete {BRIDGE}")
finish(host, WORK)
