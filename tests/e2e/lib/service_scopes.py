"""Scopes of VMs in tests/e2e/systemd."""
import os
import signal
import time

from armvm import Rpc, alive, report, wait_for
from systemd_scene import (SOCKET, call, restart, run, scope_of, show, vm)

check, equal = report.check, report.equal


def test_scope():
    call("vm.define", config={"name": "web", "hypervisor": "null",
                              "memory": "512MiB", "vcpus": 2,
                              "cpu_weight": 250})
    pid = call("vm.start", name="web")["pid"]
    path = wait_for("its scope", lambda: "armvm.slice" in scope_of(pid) and
                    scope_of(pid))
    scope = path.rsplit("/", 1)[1]
    equal("named after the VM's uuid", scope,
          f"armvm-{vm('web')['uuid']}-{pid}.scope")
    equal("with limits of the definition", show(
        scope, "MemoryMax", "CPUQuotaPerSecUSec", "CPUWeight", "Description"),
          (str((512 + 16 + 128) << 20), "3s", "250", "Virtual machine web"))
    equal("a share that is changed", run("armvmctl", "set", "web",
                                         "--cpu-weight", "50")[0], 0)
    wait_for("is, in the scope", lambda: show(scope, "CPUWeight") == ("50",))
    with open(f"/sys/fs/cgroup{path}/memory.max", encoding="utf-8") as f:
        equal("which the kernel knows", int(f.read()), (512 + 16 + 128) << 20)
    main = int(show("armvmd.service", "MainPID")[0])
    check("the daemon is not in it", scope_of(main) != path)
    equal("a restart", restart(), (0, ""))
    equal("leaves the VM running", (vm("web")["state"], vm("web")["pid"],
                                    scope_of(pid)), ("running", pid, path))
    os.kill(int(show("armvmd.service", "MainPID")[0]), signal.SIGKILL)
    equal("so does kill -9", vm("web")["pid"], pid)
    os.kill(int(show("armvmd.service", "MainPID")[0]), signal.SIGSTOP)
    run("systemctl", "kill", "-s", "SIGABRT", "--kill-who=main", "armvmd")
    run("systemctl", "kill", "-s", "SIGCONT", "--kill-who=main", "armvmd")
    time.sleep(1)
    equal("and a watchdog's abort", vm("web")["pid"], pid)
    call("vm.stop", name="web")
    wait_for("the scope is gone", lambda: show(scope, "ActiveState")[0] ==
             "inactive")
    check("with its process", not alive(pid))


def scopes():
    out = run("systemctl", "list-units", "--type=scope", "--all", "--plain",
              "--no-legend", "--no-pager", "armvm-*")[1]
    return sorted(line.split()[0] for line in out.splitlines())


def main_pid():
    return int(show("armvmd.service", "MainPID")[0])


def dead_when_moved(name):
    """A start whose process ends, but is not reaped, before systemd hears of
    it; the pid of the daemon, which is stopped, and the empty scope."""
    call("host.info")
    daemon, bus = main_pid(), int(show("dbus.service", "MainPID")[0])
    os.kill(bus, signal.SIGSTOP)
    try:
        rpc = Rpc(SOCKET)
        pid = rpc.call("vm.start", name=name)["pid"]
        rpc.close()
        os.kill(daemon, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
    finally:
        os.kill(bus, signal.SIGCONT)
    wait_for("a scope", lambda: len(scopes()) == 1)
    scope = scopes()[0]
    wait_for("it runs", lambda: show(scope, "SubState") == ("running",))
    path = f"/sys/fs/cgroup/armvm.slice/{scope}/cgroup.events"
    with open(path, encoding="ascii") as f:
        check(f"{name}: nobody is in its scope", "populated 0\n" in f.read())
    return daemon


def test_late():
    """Processes that were dead when systemd moved them."""
    call("vm.define", config={"name": "late", "hypervisor": "null"})
    os.kill(dead_when_moved("late"), signal.SIGCONT)
    wait_for("crashed", lambda: vm("late")["state"] == "crashed")
    wait_for("the daemon ends its scope", lambda: not scopes())
    os.kill(dead_when_moved("late"), signal.SIGKILL)
    wait_for("another daemon", lambda: vm("late")["pid"] == 0 and main_pid())
    wait_for("the next daemon ends its scope", lambda: not scopes())
    check("an empty scope is ended, also by the next daemon", True)
    call("vm.delete", name="late")
