#!/usr/bin/python3
"""kill -9 of the daemon at every step of a scripted run, on the null backend.

strace kills the daemon as it enters its Nth call of each system call that leaves
a mark outside of it. After a restart every acknowledged operation is there, the
one under way is there whole or not at all, running VMs are the same processes,
and nothing is left over: no process, no socket, no tap, no directory.

It runs in a network namespace of its own, where every interface is one of ours
and every process one that a daemon started.

ARMVM_KILL_EVERY=K takes every Kth point alone.
"""
import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
import armvm                                                    # noqa: E402
from armvm import Host, RpcError, report, wait_for              # noqa: E402
from bootable import make_image                                 # noqa: E402
from network import BRIDGE, interfaces, own_network, processes  # noqa: E402

# Each point is the whole life of two daemons, and there are more than a
# hundred: the plain build gets through all of them, where there is one.
PLAIN = armvm.ROOT + "/build/native/bin"
if os.path.exists(PLAIN + "/armvmd"):
    armvm.BIN = PLAIN
NETWORK = own_network()
CALLS = ("fdatasync", "sendmsg", "bind", "connect", "listen", "unlink",
         "rmdir", "mkdir", "vfork", "clone", "clone3", "pidfd_open",
         "pidfd_send_signal", "ftruncate", "memfd_create")
UUID = "5ca1ab1e-0000-4000-8000-00000000000{}"
IMAGES = tempfile.mkdtemp(prefix="armvm-kill-images-")
IMAGE, TAP = IMAGES + "/disk.raw", "armvmkill0"
atexit.register(shutil.rmtree, IMAGES)
make_image(IMAGE)


def config(name, number, **more):
    return dict({"name": name, "hypervisor": "null", "memory": "128M",
                 "uuid": UUID.format(number)}, **more)


def without(model, name):
    """Less a device, or less a VM and its devices."""
    return {k: v for k, v in model.items()
            if k != name and not k.startswith(name + "+")}


# A tap that the daemon makes, and a process that it starts for the guest.
NICS = [{"bridge": BRIDGE}, {"user": True}]
PASST = """#!/bin/sh
cat <&3 >/dev/null 2>&1 &
"""


def with_nics(model, name):
    return {**model, **{f"{name}+nic{i}": "there" for i in range(len(NICS))}}


# (what, method, params, what it does to the model: {name: "running"|...},
# with "~name" for a variable store that was kept and "name+id" for a device)
SCRIPT = [
    ("define", "vm.define", {"config": config("ka", 1, nics=NICS)},
     lambda m: with_nics({**m, "ka": "stopped"}, "ka")),
    ("start", "vm.start", {"name": "ka"}, lambda m: {**m, "ka": "running"}),
    ("pause", "vm.pause", {"name": "ka"}, lambda m: {**m, "ka": "paused"}),
    ("resume", "vm.resume", {"name": "ka"}, lambda m: {**m, "ka": "running"}),
    ("attach a disk", "disk.add", {"name": "ka", "disk": {
        "path": IMAGE, "id": "d1"}}, lambda m: {**m, "ka+d1": "there"}),
    ("detach it", "disk.remove", {"name": "ka", "id": "d1"},
     lambda m: without(m, "ka+d1")),
    ("attach a nic", "nic.add", {"name": "ka", "nic": {
        "tap": TAP, "id": "n1"}}, lambda m: {**m, "ka+n1": "there"}),
    ("detach that", "nic.remove", {"name": "ka", "id": "n1"},
     lambda m: without(m, "ka+n1")),
    ("clone", "vm.clone", {"name": "ka", "new_name": "kb"},
     lambda m: with_nics({**m, "kb": "stopped"}, "kb")),
    ("rename", "vm.rename", {"name": "kb", "new_name": "kc"},
     lambda m: with_nics({**without(m, "kb"), "kc": "stopped"}, "kc")),
    ("start the clone", "vm.start", {"name": "kc"},
     lambda m: {**m, "kc": "running"}),
    ("stop", "vm.stop", {"name": "ka"}, lambda m: {**m, "ka": "stopped"}),
    ("delete, keep", "vm.delete", {"name": "ka", "keep_variables": True},
     lambda m: {**without(m, "ka"), "~ka": "kept"}),
    ("define again", "vm.define", {"config": config("ka", 1)},
     lambda m: {**without(m, "~ka"), "ka": "stopped"}),
    ("shutdown", "vm.shutdown", {"name": "kc", "timeout_ms": 20000},
     lambda m: {**m, "kc": "stopped"}),
    ("delete", "vm.delete", {"name": "kc"},
     lambda m: without(m, "kc")),
    ("delete the last", "vm.delete", {"name": "ka"},
     lambda m: without(m, "ka")),
]


def supervisors(runtime):
    """Processes of armvm-supervisor whose control socket is in there."""
    found = {}
    sockets = {}
    with open("/proc/net/unix", encoding="ascii", errors="replace") as f:
        for line in f:
            part = line.split()
            if part[-1].startswith(runtime):
                sockets[part[6]] = part[-1]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                if not f.read().startswith("armvm-superviso"):
                    continue
            for fd in os.listdir(f"/proc/{pid}/fd"):
                link = os.readlink(f"/proc/{pid}/fd/{fd}")
                if link.startswith("socket:[") and link[8:-1] in sockets:
                    found[int(pid)] = sockets[link[8:-1]]
        except OSError:
            continue
    return found


class Run:
    """One daemon, one point."""

    def __init__(self, call, point):
        self.host = Host("armvm-kill-")
        self.model, self.doing, self.pids = {}, None, {}
        self.host.start()
        self.strace = subprocess.Popen(
            ["strace", "-qq", "-o", "/dev/null", "-p", str(self.host.proc.pid),
             "-e", "trace=" + call, "-e",
             f"inject={call}:signal=KILL:when={point}"],
            stderr=subprocess.PIPE)
        wait_for("strace attached", self.attached, 10, 0.005)

    def attached(self):
        if self.strace.poll() is not None:
            raise RuntimeError(self.strace.stderr.read().decode())
        with open(f"/proc/{self.host.proc.pid}/status", encoding="ascii") as f:
            return "TracerPid:\t0\n" not in f.read()

    def play(self):
        """Whether the daemon was killed."""
        rpc = self.host.rpc()
        try:
            for what, method, params, effect in SCRIPT:
                self.doing = (what, effect)
                vm = rpc.call(method, **params)
                self.model = effect(self.model)
                self.doing = None
                if "pid" not in vm:
                    continue
                if self.model.get(vm["name"]) in ("running", "paused"):
                    self.pids[vm["name"]] = vm["pid"]
                else:
                    self.pids.pop(vm["name"], None)
            return False
        except (ConnectionError, OSError):
            return True
        finally:
            rpc.close()

    def look(self):
        found = {v["name"]: v["state"]
                 for v in self.host.call("vm.list")["vms"]}
        for name in list(found):
            config = self.host.vm(name)["config"]
            for device in config.get("disks", []) + config.get("nics", []):
                found[f"{name}+{device['id']}"] = "there"
        for kept in self.host.call("var.kept")["kept"]:
            found["~" + kept["name"]] = "kept"
        return found

    def settled(self):
        found = self.look()
        if any(s in ("starting", "stopping", "shutting-down")
               for s in found.values()):
            return None
        if self.host.call("job.list", running=True)["jobs"]:
            return None
        return (found,)

    def leftovers(self):
        vms = {v["uuid"]: v for v in self.host.call("vm.list")["vms"]}
        running = {u for u, v in vms.items() if v["pid"]}
        left = [f"process {pid} of {path}" for pid, path in
                supervisors(self.host.runtime).items()
                if pid not in {v["pid"] for v in vms.values()}]
        left += [f for f in os.listdir(self.host.runtime)
                 if len(f) == 41 and f[:36] not in running]
        left += [f for f in os.listdir(self.host.state + "/vms")
                 if f not in vms]
        nics = [n for v in vms.values() for n in self.host.call(
            "nic.list", name=v["name"])["nics"] if n["state"] != "defined"]
        have, users = interfaces(), sum(1 for n in nics if n.get("user"))
        if len(have) != len(nics) - users:
            left.append(f"taps {have} for {nics}")
        mine = {os.getpid(), self.strace.pid, self.host.proc.pid}
        others = {p: c for p, c in processes().items() if p not in mine}
        if len(others) != users:
            left.append(f"processes {others} for {nics}")
        return left

    def judge(self):
        """What is wrong, if anything."""
        allowed = [self.model]
        if self.doing:
            allowed.append(self.doing[1](self.model))
        self.host.proc.wait(60)
        self.host.proc = None
        self.host.start()
        found, = wait_for("settled", self.settled, 60)
        # An end that was asked for is finished after the restart.
        if found not in allowed:
            return f"have {found}\nwant one of {allowed}"
        for name, pid in self.pids.items():
            if found.get(name) in ("running", "paused") and \
                    self.host.vm(name)["pid"] != pid:
                return f"{name} is another process"
        try:
            wait_for("no leftovers", lambda: not self.leftovers(), 60)
        except TimeoutError:
            return f"left over: {self.leftovers()}"
        return None

    def end(self):
        self.strace.kill()
        self.strace.wait()
        self.strace.stderr.close()
        for pid in supervisors(self.host.runtime):
            os.kill(pid, signal.SIGKILL)
        if self.host.proc:
            self.host.stop(signal.SIGKILL)
        self.host.proc = None
        shutil.rmtree(self.host.dir, ignore_errors=True)


def one(call, point):
    """What was being done when it was killed; None when it was not."""
    run = Run(call, point)
    try:
        killed = run.play()
        wrong = run.judge() if killed else None
    except (RpcError, RuntimeError, TimeoutError,
            subprocess.TimeoutExpired) as e:
        killed, wrong = True, str(e)
    doing = run.doing[0] if run.doing else "nothing"
    if wrong:
        report.check(f"killed at {call} {point}, during {doing}", False,
                     f"{wrong}\n{run.host.log_text()[-1500:]}")
    run.end()
    return doing if killed else None


def main():
    every = int(os.environ.get("ARMVM_KILL_EVERY",
                               "5" if "san" in armvm.BIN else "1"))
    points, seen, began = 0, set(), time.monotonic()
    with open(IMAGES + "/passt", "w", encoding="ascii") as f:
        f.write(PASST)
    os.chmod(IMAGES + "/passt", 0o755)
    os.environ["PATH"] = IMAGES + ":" + os.environ["PATH"]
    for call in CALLS:
        point = 1
        while time.monotonic() - began < 240:
            doing = one(call, point)
            if not doing:
                break
            seen.add(doing)
            points += 1
            point += every
    report.check(f"killed at {points} points", points >= 60 // every, points)
    report.check("during every operation", every > 1 or
                 len(seen) >= len(SCRIPT), seen)
    report.end()


if not shutil.which("strace"):
    report.skip("kill -9 at every step", "strace is not here")
    report.end()
if not NETWORK:
    report.skip("kill -9 at every step", "no tap can be made here")
    report.end()
main()
