#!/usr/bin/python3
"""A machine that outlives its supervisor, as on Xen: the daemon starts another
supervisor, which takes the machine over or clears it up. lib/fake_xen stands
for the supervisor, a file for the machine."""
import os
import shutil
import signal
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
# pylint: disable=wrong-import-position
from armvm import (BIN, Host, RpcError, alive, guarded, kill_process, report,
                   wait_for)

host = Host()
lib = host.dir + "/lib"
os.mkdir(lib)
os.symlink(BIN + "/armvm-supervisor", lib + "/supervisor")
shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib",
                         "fake_xen"), lib + "/supervisor-xen")


def start_daemon():
    host.start("--supervisor", lib + "/supervisor")


def tell(what):
    with open(f"{lib}/{what}", "w", encoding="ascii"):
        pass


def forget(what):
    if os.path.exists(f"{lib}/{what}"):
        os.unlink(f"{lib}/{what}")


def domain():
    """How its domain came to be, or None."""
    try:
        with open(lib + "/domain-web", encoding="ascii") as f:
            return f.read().split()
    except FileNotFoundError:
        return None


def pid_of():
    return host.vm("web")["pid"]


def no_domain(when):
    wait_for("no domain", lambda: domain() is None, 30)
    report.equal(f"{when}: no process is left", host.supervisors(), [])


def define():
    kernel = host.dir + "/vmlinuz"
    with open(kernel, "wb") as f:
        f.write(b"\0" * 16 + (1 << 20).to_bytes(8, "little") + b"\0" * 32 +
                b"ARM\x64" + b"\0" * 4096)
    start_daemon()
    xen = [h for h in host.call("host.info")["hypervisors"]
           if h["name"] == "xen"][0]
    report.equal("Xen is there, with its version",
                 (xen["available"], xen["version"]), (True, "4.17.9"))
    host.call("vm.define", config={
        "name": "web", "memory": "256MiB", "hypervisor": "xen",
        "kernel": kernel})


def its_supervisor_is_killed():
    host.call("vm.start", name="web")
    report.equal("on xen", host.vm("web")["hypervisor"], "xen")
    pid = pid_of()
    kill_process(pid)
    host.another_supervisor("web", pid)
    wait_for("its adoption", lambda: len(domain()) == 2, 30)
    report.equal("the domain is the same", domain(), ["made", "adopted"])


def so_is_the_daemon():
    pid = pid_of()
    host.kill()
    start_daemon()
    host.wait_state("web", "running", 30)
    report.equal("the supervisor is the same", pid_of(), pid)
    host.kill()
    kill_process(pid)
    start_daemon()
    host.another_supervisor("web", pid)
    wait_for("its adoption", lambda: len(domain()) == 3, 30)
    report.equal("both killed: the domain is the same", domain(),
                 ["made", "adopted", "adopted"])


def the_daemon_dies_while_it_is_taken_over():
    tell("slow-adoption")
    host.kill_supervisor("web")
    wait_for("an adoption that goes on", lambda: len(domain()) == 4, 30)
    pid = pid_of()
    host.kill()
    forget("slow-adoption")
    start_daemon()
    host.wait_state("web", "running", 30)
    report.equal("it goes on with what it found", (pid_of(), len(domain())),
                 (pid, 4))


def what_is_asked_meanwhile_waits():
    tell("slow-adoption")
    pid = host.kill_supervisor("web")
    wait_for("another one", lambda: pid_of() not in (0, None, pid))
    answer = []
    thread = threading.Thread(target=lambda: answer.append(host.ctl(
        "pause", "web")))
    thread.start()
    forget("slow-adoption")
    thread.join(60)
    report.equal("it is done when it was taken over", answer[0][::2], (0, ""))


def it_dies_in_the_middle_of_a_stop():
    tell("die-in-stop")
    host.call("vm.stop", name="web")
    host.wait_state("web", "stopped", 30)
    no_domain("stop")
    report.match("it was asked for", "request", host.vm("web")["reason"])


def start_in_background():
    failed = []

    def start():
        try:
            host.call("vm.start", name="web")
        except (RpcError, ConnectionError, OSError) as e:
            failed.append(str(e))

    thread = threading.Thread(target=start)
    thread.start()
    wait_for("its domain", domain, 30)
    return thread, failed


def it_dies_in_the_middle_of_a_start():
    tell("hang-configure")
    thread, failed = start_in_background()
    os.kill(pid_of(), signal.SIGKILL)
    thread.join(60)
    host.wait_state("web", "stopped", 30)
    no_domain("start")
    report.check("and the start says so", failed and "supervisor" in failed[0],
                 failed)


def both_die_in_the_middle_of_a_start():
    thread, _ = start_in_background()
    pid = pid_of()
    host.kill()
    kill_process(pid)
    thread.join(60)
    start_daemon()
    host.wait_state("web", "stopped", 30)
    no_domain("a start nobody finished")
    forget("hang-configure")


def its_machine_is_gone():
    host.call("vm.start", name="web")
    pid = pid_of()
    forget("domain-web")
    kill_process(pid)
    host.wait_state("web", "crashed", 30)
    report.match("and the reason says it", "its domain is gone",
                 host.vm("web")["reason"])
    no_domain("gone")


def no_supervisor_stays():
    host.call("vm.start", name="web")
    tell("die-at-start")
    host.kill_supervisor("web")
    host.wait_state("web", "crashed", 60)
    report.match("given up, with the reason", "supervisor",
                 host.vm("web")["reason"])
    forget("die-at-start")
    forget("domain-web")
    host.call("vm.start", name="web")
    report.equal("it starts again", host.vm("web")["state"], "running")
    host.call("vm.stop", name="web")
    no_domain("at the end")


guarded(define, its_supervisor_is_killed, so_is_the_daemon,
        the_daemon_dies_while_it_is_taken_over, what_is_asked_meanwhile_waits,
        it_dies_in_the_middle_of_a_stop, it_dies_in_the_middle_of_a_start,
        both_die_in_the_middle_of_a_start, its_machine_is_gone,
        no_supervisor_stays)
