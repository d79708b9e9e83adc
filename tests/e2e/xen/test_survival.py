#!/usr/bin/python3
"""A domain outlives the daemon and its supervisor; what nobody looks after
any more is cleared up."""
import os
import signal
import subprocess
import tempfile
import threading
import time

from xen_scene import (Host, RpcError, alive, boot, define, domains, domid,
                       finish, guarded, guest_reboots, nothing_is_left, report,
                       sh, wait_for)

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
    with open(f"{WORK}/root.raw", "wb") as f:
        f.truncate(16 << 20)
    define(host, "web", disks=[{"path": f"{WORK}/root.raw"}],
           nics=[{"bridge": BRIDGE}])
    boot(host, "web").close()
    before, pid = domid("web"), host.vm("web")["pid"]
    os.kill(pid, signal.SIGKILL)
    another_supervisor(pid)
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
    os.kill(pid, signal.SIGKILL)
    wait_for("its end", lambda: not alive(pid), 30)
    host.start()
    another_supervisor(pid)
    report.equal("the same domain", domid("web"), before)
    answers("third")


def it_can_still_reboot_and_pause():
    console = host.console("web")
    guest_reboots(console)
    console.close()
    host.call("vm.pause", name="web")
    pid = host.vm("web")["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for("another supervisor",
             lambda: host.vm("web")["pid"] not in (0, None, pid), 60)
    host.wait_state("web", "paused", 60)
    host.call("vm.resume", name="web")
    answers("fourth")


def it_died_while_nobody_watched():
    pid = host.vm("web")["pid"]
    console = host.console("web")
    console.send("(sleep 8; poweroff -f) &\n")
    time.sleep(1)
    host.kill()
    os.kill(pid, signal.SIGKILL)
    wait_for("its domain has shut down",
             lambda: "s" in subprocess.run(
                 ["xl", "list", "web"], check=True, stdout=subprocess.PIPE,
                 text=True).stdout.split()[-2], 60)
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


def started(delay):
    """Begin a start; kill its supervisor after a while."""
    failed = []

    def start():
        try:
            host.call("vm.start", name="web")
        except RpcError as e:
            failed.append(str(e))

    thread = threading.Thread(target=start)
    thread.start()
    pid = wait_for("a supervisor", lambda: host.vm("web")["pid"], 30)
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    thread.join(120)
    return failed


def killed_while_it_starts():
    for delay in (0, 0.1, 0.3, 0.6):
        failed = started(delay)
        if host.vm("web")["state"] in ("running", "starting"):
            host.wait_state("web", "running", 60)
            report.note(f"after {delay} s it ran already")
            host.call("vm.stop", name="web")
        else:
            report.check(f"after {delay} s: the start says why", failed)
        nothing_is_left(host, f"killed {delay} s into a start")


def killed_while_it_stops():
    for delay in (0, 0.02, 0.1):
        host.call("vm.start", name="web")
        pid = host.vm("web")["pid"]
        thread = threading.Thread(
            target=lambda: host.call("vm.stop", name="web"))
        thread.start()
        time.sleep(delay)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            report.note(f"after {delay} s it had stopped")
        thread.join(120)
        host.wait_state("web", "stopped", 60)
        wait_for("no domain", lambda: not domains(), 60)
        nothing_is_left(host, f"killed {delay} s into a stop")


guarded(supervisor_killed, daemon_killed, both_killed,
        it_can_still_reboot_and_pause, it_died_while_nobody_watched,
        somebody_else_destroys_it, killed_while_it_starts,
        killed_while_it_stops)
sh(f"ip link delete {BRIDGE}")
finish(host, WORK)
