#!/usr/bin/python3
"""One section of the benchmark, inside the ARM host; both machines take turns.

Usage: inside.py SECTION OUT    adds {row: {machine: [figures]}} to OUT (JSON)
"""
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from machines import (READY, SRC, WORK, Ours, Qemu, blank, prepare,
                      pss_without_guest)                        # noqa: E402
from perf import Counter, First, mount_tracing, syscalls_of  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "1"))
IDLE = float(os.environ.get("BENCH_IDLE", "60"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
TURNS = 3
figures = {}


def note(row, machine, value):
    figures.setdefault(row, {}).setdefault(machine.name, []).append(value)
    print(f"# {row}: {machine.name} {value:.4g}", flush=True)


def ready(machine):
    machine.console.expect("armvm-guest ready", READY)
    at = time.monotonic()
    machine.console.send("\n")
    machine.console.expect(re.escape(machine.console.PROMPT), 30)
    return at


def warm_up(machine, name):
    """What a machine reads from disk when it is started is in memory then."""
    first = First("kvm/kvm_entry")
    machine.start(name)
    time.sleep(3)
    machine.stop()
    first.end()


def boot(machine, name, row, exits=None):
    """Start it and wait for its userspace, both counted from the request."""
    first, leaving = First("kvm/kvm_entry"), Counter("kvm/kvm_userspace_exit")
    began = machine.start(name)
    up = ready(machine) - began
    if exits:
        note(exits, machine, leaving.read())
    leaving.close()
    note("first-instruction", machine, first.end() - began)
    note(row, machine, up)


def section_direct(machines):
    """A kernel started directly, with one disk."""
    for machine in machines:
        machine.define("direct", [blank("small", 1)], direct=True)
        warm_up(machine, "direct")
    for _ in range(ROUNDS):
        for machine in machines:
            boot(machine, "direct", "boot-direct", "exits-boot-direct")
            machine.stop()


def idle(machine):
    time.sleep(5)
    note("memory", machine, pss_without_guest(machine.pid))
    leaving = Counter("kvm/kvm_userspace_exit")
    time.sleep(IDLE)
    note("exits-idle", machine, leaving.read())
    leaving.close()


def section_uefi(machines):
    """Firmware, boot loader, kernel; the first time with fresh variables. Then a
    minute in which nothing happens."""
    subprocess.run(["ip", "tuntap", "add", "tap-peer", "mode", "tap"],
                   check=True)
    for machine in machines:
        path = f"{WORK}/{machine.name[:4]}.raw"
        subprocess.run(["cp", "--sparse=always", WORK + "/debian.raw", path],
                       check=True)
        machine.define("uefi", [path], nic=True)
        boot(machine, "uefi", "boot-uefi-fresh", "exits-boot-fresh")
        machine.stop()
    for i in range(ROUNDS):
        for machine in machines:
            boot(machine, "uefi", "boot-uefi", "exits-boot-warm")
            if i == ROUNDS - 1 and machine in machines[:2]:
                idle(machine)
            machine.stop()


def load(machine, *words):
    """Requests, bytes, seconds."""
    out, status = machine.console.run(
        "/tmp/load " + " ".join(str(w) for w in words), 120)
    m = re.search(r"requests (\d+) bytes (\d+) seconds ([\d.]+)", out)
    assert status == 0 and m, out
    return int(m[1]), int(m[2]), float(m[3])


def counts(machine, depth):
    """Of a request, in the middle of a load: the console is silent then, and
    what the command itself costs is over. How many requests these were says the
    rate of the whole."""
    result = []
    runner = threading.Thread(target=lambda: result.append(load(
        machine, "/dev/vda", "randread", 4096, depth, SECONDS)))
    runner.start()
    time.sleep(SECONDS / 4)
    leaving = Counter("kvm/kvm_userspace_exit")
    calls = syscalls_of(machine.pid)
    began = time.monotonic()
    time.sleep(SECONDS / 2)
    exits, all_calls = leaving.read(), calls.read()
    took = time.monotonic() - began
    leaving.close()
    calls.close()
    runner.join()
    requests, _, seconds = result[0]
    requests *= took / seconds
    note(f"exits-4k-{depth}", machine, exits / requests)
    note(f"calls-4k-{depth}", machine, (all_calls - exits) / requests)


def rates(machines, row, *words):
    """In turns, so that what else the machine does meets all alike."""
    for _ in range(TURNS):
        for machine in machines:
            requests, _, seconds = load(machine, "/dev/vda", *words,
                                        SECONDS / 2)
            note(row, machine, requests / seconds)


def section_disk(machines):
    """A disk under load, in guests that have nothing else to do. Each has a
    disk of its own: the peer locks it."""
    for i, machine in enumerate(machines):
        program = f"{WORK}/load{i}.raw"
        shutil.copyfile(WORK + "/load.raw", program)
        machine.define("disk", [blank(f"disk{i}", 128), program], direct=True)
        machine.start("disk")
        ready(machine)
        machine.console.run("dd if=/dev/vdb of=/tmp/load bs=64k 2>/dev/null; "
                            "chmod 755 /tmp/load")
        load(machine, "/dev/vda", "read", 1 << 20, 4, 1)    # warm up
    for _ in range(ROUNDS):
        for depth in (1, 32):
            for machine in machines:
                counts(machine, depth)
            for what in ("read", "write"):
                rates(machines, f"{what}-4k-{depth}", "rand" + what, 4096,
                      depth)
        for what in ("read", "write"):
            rates(machines, what + "-1m", what, 1 << 20, 4)
        for machine in machines:
            flushes(machine)
    for machine in machines:
        machine.stop()


def flushes(machine):
    """Of the host per flush of the guest: by io_uring (opcode 3) and by call."""
    counters = [Counter("io_uring/io_uring_submit_sqe", "opcode == 3")]
    for name in ("fdatasync", "fsync"):
        counters.append(Counter(f"syscalls/sys_enter_{name}"))
    out, status = machine.console.run("/tmp/load /dev/vda flush 4096 1 100",
                                      120)
    assert status == 0, out
    note("flushes", machine, sum(c.read() for c in counters) / 100)
    for c in counters:
        c.close()


def receive(port):
    """The host's end of a transfer; its figures count."""
    return subprocess.Popen([WORK + "/load", "-", "serve", str(port), "-", "0"],
                            stdout=subprocess.PIPE, text=True)


def rate(text):
    m = re.search(r"bytes (\d+) seconds ([\d.]+)", text)
    assert m, text
    return int(m[1]) / float(m[2]) / (1 << 20)


def wire(machine, net):
    tap = "tap-" + machine.name
    subprocess.run(["ip", "addr", "replace", f"10.9.{net}.1/24", "dev", tap],
                   check=True)
    subprocess.run(["ip", "link", "set", tap, "up"], check=True)
    machine.console.run(f"ip addr add 10.9.{net}.2/24 dev eth0; "
                        "ip link set eth0 up; sleep 3")


def transfers(machine, row, net):
    server = receive(9000)
    _, status = machine.console.run(
        f"/tmp/load - send 10.9.{net}.1:9000 - {SECONDS}", 120)
    assert status == 0
    note(row + "-out", machine, rate(server.communicate(timeout=30)[0]))
    machine.console.at = len(machine.console.seen)
    machine.console.send("/tmp/load - serve 9001 - 0\n")
    time.sleep(1)
    subprocess.run([WORK + "/load", "-", "send", f"10.9.{net}.2:9001", "-",
                    str(SECONDS)], check=True, stdout=subprocess.DEVNULL)
    note(row + "-in", machine,
         rate(machine.console.expect(r"requests .* seconds [\d.]+\n", 30)))


def section_net(machines):
    """TCP out of the guest and into it, with vhost and without."""
    subprocess.run(["cp", f"{SRC}/build/bench/load", WORK + "/load"], check=True)
    for machine in machines:
        shutil.copyfile(WORK + "/load.raw", f"{WORK}/load-{machine.name}.raw")
    subprocess.run(["ip", "tuntap", "add", "tap-peer", "mode", "tap"],
                   check=True)
    for net, row in enumerate(("vhost", "plain")):
        name = f"net-{row}"
        for machine in machines[:2]:
            machine.define(name, [WORK + f"/load-{machine.name}.raw"],
                           direct=True, nic=row)
            machine.start(name)
            ready(machine)
            machine.console.run("dd if=/dev/vda of=/tmp/load bs=64k "
                                "2>/dev/null; chmod 755 /tmp/load")
            wire(machine, 2 * net + machines.index(machine))
        for _ in range(TURNS):
            for machine in machines[:2]:
                transfers(machine, name, 2 * net + machines.index(machine))
        for machine in machines[:2]:
            machine.stop()
        time.sleep(1)


def section_attach(machines):
    """From the call to the device node in the guest, the 1st and the 32nd."""
    for machine in machines[:2]:
        machine.define("attach", [], direct=True, slots=32)
        machine.start("attach")
        ready(machine)
        for i in range(32):
            path = blank(f"attach{i}", 1)
            node = "vd" + (chr(97 + i) if i < 26 else "a" + chr(71 + i))
            machine.console.at = len(machine.console.seen)
            machine.console.send(f"until [ -b /dev/{node} ]; do usleep 10000;"
                                 " done; echo no'w' there\n")
            machine.before_attach(path, i)
            time.sleep(0.5)
            began = time.monotonic()
            # The node may be there before the call is answered.
            call = threading.Thread(target=machine.attach, args=(path, i))
            call.start()
            machine.console.expect("now there", 60)
            took = time.monotonic() - began
            call.join()
            if i in (0, 31):
                note(f"attach-{i + 1}", machine, took)
        machine.stop()


def main():
    section, out = sys.argv[1:]
    mount_tracing()
    prepare()
    machines = [Ours(), Qemu()]
    if section not in ("attach", "net") and not os.environ.get("BENCH_NO_DEFAULT"):
        machines.append(Qemu(tuned=False))
    try:
        globals()[f"section_{section}"](machines)
    finally:
        with open(out, "w", encoding="utf-8") as f:
            json.dump(figures, f)


if __name__ == "__main__":
    main()
