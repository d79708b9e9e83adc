#!/usr/bin/python3
"""armvmctl top on the null backend: on a terminal with its keys and sizes, in
batches, for programs, and with many VMs."""
import atexit
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import BIN, Host, guarded, report, wait_for          # noqa: E402
from terminal import Terminal                                   # noqa: E402

check, equal, match = report.check, report.equal, report.match
host = Host("armvm-top-")
NAMES = [f"vm{i:02}" for i in range(30)]


def last_screen(terminal):
    """What the last whole frame shows, line by line."""
    frame = terminal.seen.split("\033[H")[-2]
    return [line.split("\033[K")[0] for line in frame.split("\r\n")]


def fresh(terminal):
    """After two more frames."""
    mark = len(terminal.seen)
    wait_for("frames", lambda: terminal.read() or
             terminal.seen.count("\033[H", mark) > 2, 10)
    return last_screen(terminal)


def test_batch():
    status, out, err = host.ctl("top", "-b", "-n", "2", "-d", "200ms")
    equal("top -b -n 2", (status, err), (0, ""))
    tables = out.split("\n\n")
    equal("two tables, each of sums and VMs", len(tables), 4)
    lines = tables[1].split("\n")
    match("headings", r"^NAME +STATE +\*CPU% +MEM +READ/s +WRITE/s", lines[0])
    equal("all VMs", sorted(line.split()[0] for line in lines[1:]), NAMES)
    match("sums", r"^30 VMs +CPU \d+ % +memory [\d.]+ MiB", tables[0])
    status, out, _ = host.ctl("top", "--sort", "name", "-n", "1")
    equal("a pipe is a batch, sorted by name",
          re.findall(r"^(vm\d\d) ", out, re.M), NAMES)
    status, out, _ = host.ctl("top", "-n1", "-o", "json", "--label", "k=v")
    rows = [json.loads(line) for line in out.splitlines()]
    equal("JSON, of those with a label", [r["name"] for r in rows], ["vm07"])
    check("with rates", rows[0]["cpu_percent"] >= 0, rows)
    for words, text in ((["--sort", "beauty"], "--sort must be cpu, memory"),
                        (["-d", "1ms"], "from 100ms to 1h"),
                        (["-n", "0"], "--count")):
        status, _, err = host.ctl("top", *words)
        equal(" ".join(words), (status, text in err), (2, True))


def test_cpu_is_seen():
    console = host.console("vm20")
    p = subprocess.Popen([BIN + "/armvmctl", "--socket", host.socket, "top",
                          "-b", "-n", "3", "-d", "300ms", "-o", "jsonl"],
                         stdout=subprocess.PIPE, text=True)
    while p.poll() is None:
        console.send("flood 20000\n")
        console.expect("flood 0*20000\n", 20)
    console.close()
    first = json.loads(p.stdout.read().splitlines()[-30])
    equal("who works stands first", first["name"], "vm20")
    check("with its CPU", first["cpu_percent"] > 0, first)


def test_terminal():
    with Terminal(host, "top", "-d", "200ms", rows=12, columns=90) as t:
        t.expect("vm")
        lines = fresh(t)
        equal("as many lines as there are", len(lines), 12)
        check("none too long", all(len(line) <= 90 for line in lines), lines)
        t.type(b"a")
        equal("by name", fresh(t)[3].split()[0], "vm00")
        t.type(b"r")
        equal("the other way round", fresh(t)[3].split()[0], "vm29")
        t.type(b"r\033[6~")
        equal("page down", fresh(t)[3].split()[0], "vm09")
        t.type(b"\033[B")
        equal("line down", fresh(t)[3].split()[0], "vm10")
        t.type(b"\033[6~\033[6~")
        fresh(t)
        t.type(b"\033[6~")
        equal("no further than the end", fresh(t)[-1].split()[0], "vm29")
        t.type(b"\033[H")
        equal("home", fresh(t)[3].split()[0], "vm00")
        t.type(b"h")
        match("help", r"q: leave", "\n".join(fresh(t)))
        t.type(b"h")
        fcntl.ioctl(t.slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 20, 30, 0, 0))
        os.kill(t.proc.pid, signal.SIGWINCH)
        lines = fresh(t)
        equal("another size", (len(lines), max(len(x) for x in lines) <= 30),
              (20, True))
        host.ctl("stop", "vm00")
        equal("a VM that stops is gone", fresh(t)[3].split()[0], "vm01")
        check("nothing is wiped: no flicker", "\033[2J" not in t.seen)
        t.type(b"q")
        equal("q leaves", t.proc.wait(60), 0)
        t.read()
        check("the screen from before is back",
              t.seen.endswith("\033[?25h\033[?1049l"), t.seen[-40:])
        check("the terminal is as before", t.restored())
    for sig in (signal.SIGTERM, signal.SIGINT):
        with Terminal(host, "top") as t:
            t.expect("vm01")
            t.proc.send_signal(sig)
            equal(f"{sig.name} ends it", t.proc.wait(60), -sig)
            check(f"the terminal is as before, after {sig.name}",
                  t.restored())


def test_daemon_goes():
    with Terminal(host, "top", "-d", "200ms") as t:
        t.expect("vm01")
        host.kill()
        equal("no daemon", t.proc.wait(60), 11)
        t.expect("armvmctl: ")
        check("the terminal is as before", t.restored())
    host.start()


class Thousands:
    """In armvmd's place: 10,000 VMs that run. It counts what it is asked."""
    COUNT = 10000

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="armvm-many-")
        atexit.register(shutil.rmtree, self.dir)
        self.socket = self.dir + "/s"
        self.calls = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket)
        self.listener.listen(4)
        threading.Thread(target=self.serve, daemon=True).start()

    def page(self, params):
        n, at = len(self.calls), time.monotonic_ns()
        first = int(params["cursor"][2:]) + 1 if "cursor" in params else 0
        last = min(self.COUNT, first + params["limit"])
        page = {"vms": [{
            "name": f"vm{i:05}", "uuid": f"{i:08x}-0000-4000-8000-0",
            "state": "running", "vcpus": 2, "memory": 1 << 30,
            "resident": 1 << 29, "totals": {
                "time_ns": at, "cpu_ns": n * i * 10 ** 6, "exits": n * 7,
                "disk_read": n << 20, "disk_written": 5, "disk_requests": 1,
                "net_received": 0, "net_sent": n}} for i in
            range(first, last)]}
        if last < self.COUNT:
            page["cursor"] = f"vm{last - 1:05}"
        return page

    def serve(self):
        while True:
            s = self.listener.accept()[0]
            for line in s.makefile("rb"):
                call = json.loads(line)
                self.calls.append((call["method"], call["params"]))
                s.sendall(json.dumps({
                    "jsonrpc": "2.0", "id": call["id"],
                    "result": self.page(call["params"])}).encode() + b"\n")


def test_ten_thousand():
    many = Thousands()
    r = subprocess.run([BIN + "/armvmctl", "--socket", many.socket, "top",
                        "-b", "-n", "3", "-d", "100ms"], text=True,
                       capture_output=True, timeout=120, check=False)
    equal("top of 10,000 VMs", (r.returncode, r.stderr), (0, ""))
    equal("one call for each look at them", [m for m, _ in many.calls],
          ["stats.list"] * 4)
    check("for sums alone", all(p["totals"] for _, p in many.calls))
    table = r.stdout.split("\n\n")[-1].splitlines()
    equal("all of them", len(table), 1 + many.COUNT)
    match("who works most first", "^vm09999 ", table[1])
    many.calls.clear()
    with Terminal(many, "top", "-d", "300ms", rows=20) as t:
        t.expect("vm09999")
        t.type(b"a\033[6~")
        wait_for("the second page by name", lambda: t.read() or
                 "\nvm00016" in t.seen, 60)
        t.type(b"q")
        equal("keys are heard", t.proc.wait(60), 0)
    check("and never a call for one VM",
          {m for m, _ in many.calls} == {"stats.list"}, many.calls)


host.start()
for name in NAMES:
    host.call("vm.define", config={
        "name": name, "memory": "128MiB", "hypervisor": "null",
        "labels": {"k": "v" if name == "vm07" else "w"}})
    host.call("vm.start", name=name)
guarded(test_batch, test_cpu_is_seen, test_terminal, test_ten_thousand,
        test_daemon_goes)
report.end()
