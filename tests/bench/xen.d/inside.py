#!/usr/bin/python3
"""The Xen benchmark, inside dom0: ours and xl take turns, each by the command an
operator would type.

Usage: inside.py OUT SECTION...    {row: {machine: [figures]}} in OUT (JSON)
"""
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
import tty

SRC = os.environ["ARMVM_SRC"]
GUEST = os.environ["ARMVM_GUEST"]
sys.path.insert(0, SRC + "/tests/e2e/lib")
# pylint: disable=wrong-import-position
from armvm import Console, Host     # noqa: E402

WORK = "/var/tmp/bench"
BRIDGE = "xenbr"
MEMORY = 256
READY = 300
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
MANY = 20
figures = {}


def note(row, machine, value):
    figures.setdefault(row, {}).setdefault(machine.name, []).append(value)
    print(f"# {row}: {machine.name} {value:.4g}", flush=True)


def sh(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()


def timed(call, *arguments):
    began = time.monotonic()
    call(*arguments)
    return time.monotonic() - began


def blank(name, mib=1):
    path = f"{WORK}/{name}.raw"
    if not os.path.exists(path):
        with open(path, "wb") as f:
            f.write(os.urandom(mib << 20))
    return path


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f
                    if line.startswith("Pss:"))


def pump(source, sink, _open):
    """What one end says, to the other, until one of them is gone."""
    try:
        while part := os.read(source, 65536):
            os.write(sink, part)
    except OSError:
        pass


class Ours:
    name = "ours"

    def __init__(self):
        self.host = Host().start()

    def ctl(self, *arguments):
        status, _, err = self.host.ctl(*arguments)
        assert status == 0, err

    def define(self, name, disk, nic):
        self.host.call("vm.define", config={
            "name": name, "memory": f"{MEMORY}MiB", "vcpus": 1,
            "kernel": WORK + "/vmlinuz", "initrd": WORK + "/initrd.img",
            "cmdline": "quiet", "console": "virtio",
            "disks": [{"path": disk}] if disk else [],
            "nics": [{"bridge": BRIDGE}] if nic else []})

    def create(self, name):
        self.ctl("start", name)

    def pause(self, name):
        self.ctl("pause", name)

    def destroy(self, name):
        self.ctl("stop", name)

    def console(self, name):
        return self.host.console(name)

    def server(self, name):
        return self.host.vm(name)["pid"]

    def block_attach(self, name, disk):
        self.ctl("disk", "add", name, disk, "--id", "more", "--live")

    def block_detach(self, name):
        self.ctl("disk", "remove", name, "more")

    def network_attach(self, name):
        self.ctl("nic", "add", name, "bridge=" + BRIDGE, "--id", "more",
                 "--live")

    def network_detach(self, name):
        self.ctl("nic", "remove", name, "more")


class Xl:
    name = "peer"

    def define(self, name, disk, nic):
        lines = [f'name = "xl-{name}"', 'type = "pvh"',
                 f'kernel = "{WORK}/vmlinuz"',
                 f'ramdisk = "{WORK}/initrd.img"',
                 'cmdline = "quiet console=hvc0"', f"memory = {MEMORY}",
                 "vcpus = 1"]
        if disk:
            lines.append('disk = ["format=raw,vdev=xvda,access=rw,'
                         f'target={disk}"]')
        if nic:
            lines.append(f'vif = ["bridge={BRIDGE}"]')
        with open(f"{WORK}/{name}.cfg", "w", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n")

    def create(self, name):
        sh("xl", "create", "-q", f"{WORK}/{name}.cfg")

    def pause(self, name):
        sh("xl", "pause", "xl-" + name)

    def destroy(self, name):
        sh("xl", "destroy", "xl-" + name)

    def console(self, name):
        domid = sh("xl", "domid", "xl-" + name)
        path = sh("xenstore-read", f"/local/domain/{domid}/console/tty")
        terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(terminal)
        ours, theirs = socket.socketpair()
        for source, sink in ((terminal, theirs.fileno()),
                             (theirs.fileno(), terminal)):
            threading.Thread(target=pump, args=(source, sink, theirs),
                             daemon=True).start()
        return Console(ours.detach(), name)

    def server(self, name):
        """The xl that stays to see the domain end."""
        wanted = f"{WORK}/{name}.cfg".encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if wanted in f.read().split(b"\0"):
                        return int(pid)
            except OSError:
                continue
        raise RuntimeError("xl left no process")

    def block_attach(self, name, disk):
        sh("xl", "block-attach", "xl-" + name,
           f"format=raw,vdev=xvda,access=rw,target={disk}")

    def block_detach(self, name):
        sh("xl", "block-detach", "xl-" + name, "xvda")

    def network_attach(self, name):
        sh("xl", "network-attach", "xl-" + name, "bridge=" + BRIDGE)

    def network_detach(self, name):
        sh("xl", "network-detach", "xl-" + name, "0")


def section_create(machines):
    """A domain with one disk and one interface; the first of each is not
    counted, so that its programs are in memory."""
    for machine in machines:
        machine.define("one", blank("one"), True)
    for i in range(1 + ROUNDS):
        for machine in machines:
            took = timed(machine.create, "one")
            if i == ROUNDS:
                time.sleep(5)
                note("memory", machine, pss(machine.server("one")))
            gone = timed(machine.destroy, "one")
            if i > 0:
                note("create", machine, took)
                note("destroy", machine, gone)


def attach(machine, console, row, where, call):
    """The command's time, and how long after its beginning the guest has it; a
    round without a row is not counted."""
    console.at = len(console.seen)
    console.send(f"until ls {where}; do usleep 10000; done 2>/dev/null "
                 ">&2; echo no'w' there\n")
    time.sleep(0.5)
    began = time.monotonic()
    took = timed(*call)
    console.expect("now there", 60)
    there = time.monotonic() - began
    if row:
        note(row + "-attach", machine, took)
        note(row + "-node", machine, there)


def section_attach(machines):
    """To a guest that runs and has nothing else."""
    consoles = {}
    for machine in machines:
        machine.define("attach", None, False)
        machine.create("attach")
        consoles[machine] = machine.console("attach")
        consoles[machine].expect("armvm-guest ready", READY)
        consoles[machine].send("\n")
    for i in range(1 + ROUNDS):
        for machine in machines:
            console = consoles[machine]
            attach(machine, console, i and "block", "/sys/block/xvd*",
                   (machine.block_attach, "attach", blank("more")))
            machine.block_detach("attach")
            attach(machine, console, i and "network", "/sys/class/net/eth*",
                   (machine.network_attach, "attach"))
            machine.network_detach("attach")
    for machine in machines:
        consoles[machine].close()
        machine.destroy("attach")


def section_twenty(machines):
    """Each of them paused as soon as it is there, so that what is measured is
    not how they share the processors."""
    names = [f"n{i}" for i in range(MANY)]
    for machine in machines:
        for name in names:
            machine.define(name, blank(name), True)
        times = []
        for name in names:
            times.append(timed(machine.create, name))
            machine.pause(name)
        print(f"# {machine.name}:", " ".join(f"{t:.3f}" for t in times),
              flush=True)
        for name in names:
            machine.destroy(name)
        # Of three each: one alone is as good as what else the host did.
        note("twentieth", machine, statistics.median(times[-3:]) /
             statistics.median(times[:3]))


def main():
    out, *sections = sys.argv[1:]
    os.makedirs(WORK, exist_ok=True)
    for name in ("vmlinuz", "initrd.img"):
        shutil.copyfile(f"{GUEST}/{name}", f"{WORK}/{name}")
    for command in (f"ip link add {BRIDGE} type bridge",
                    f"ip link set {BRIDGE} up"):
        subprocess.run(command.split(), check=True)
    machines = [Ours(), Xl()]
    try:
        for section in sections:
            globals()[f"section_{section}"](machines)
    finally:
        with open(out, "w", encoding="utf-8") as f:
            json.dump(figures, f)
        machines[0].host.cleanup()


if __name__ == "__main__":
    main()
