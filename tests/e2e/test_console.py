#!/usr/bin/python3
"""Consoles and their log, on the null backend: who types and who reads, the
escape menu, WebSockets; a log that is bounded, survives the daemon, can be
followed, and shows no terminal what a guest wants it to do."""
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import BIN, Host, RpcError, guarded, report, wait_for  # noqa: E402
from http_client import Http                                    # noqa: E402
from terminal import Terminal                                   # noqa: E402

check, equal, match = report.check, report.equal, report.match
host = Host("armvm-console-")
CTL = BIN + "/armvmctl"
PART = 256 << 10


def log(*options):
    status, out, err = host.ctl("log", "web", *options)
    equal("log " + " ".join(options), (status, err), (0, ""))
    return out


def say(text, want=None):
    """Type it at the console of web, and wait for the echo."""
    console = host.console("web")
    console.send(text + "\n")
    console.expect(want or re.escape(text), 20)
    console.close()


def log_files():
    folder = f"{host.state}/vms/{host.vm('web')['uuid']}"
    return [f"{folder}/console.{i}.log" for i in (0, 1)]


def test_log():
    status, out, err = host.ctl("log", "web")
    equal("a VM that never ran has none", (status, out, err),
          (0, "", "armvmctl: nothing is logged of web\n"))
    host.ctl("start", "web")
    say("hello")
    equal("log", log(), "null: VM web started\nhello\n")
    equal("the last line", log("-n", "1"), "hello\n")
    equal("for nobody but root", [os.stat(f).st_mode & 0o777
                                  for f in log_files()], [0o640] * 2)
    host.ctl("stop", "web")
    equal("of a stopped VM", log("--lines=2"),
          "null: VM web started\nhello\n")
    host.ctl("start", "web")
    say("again")
    equal("over two starts", log(), "null: VM web started\nhello\n"
          "null: VM web started\nagain\n")
    equal("since the last start", log("--since", "boot"),
          "null: VM web started\nagain\n")
    say("reboot", "restarted")
    match("since the reset", r"^null: VM web restarted\n$",
          log("--since", "boot"))
    page = json.loads(log("-o", "json", "-n", "1"))
    equal("as JSON", (page["text"], page["lost"]),
          ("null: VM web restarted\n", 0))
    equal("over HTTP", Http(host.runtime + "/http.sock").ask(
        "GET", "/v1/vms/web/log?lines=1").json()["text"],
        "null: VM web restarted\n")


def test_follow():
    p = subprocess.Popen([CTL, "--socket", host.socket, "log", "web", "-f",
                          "-n", "1"], stdout=subprocess.PIPE, text=True)
    equal("what was", p.stdout.readline(), "null: VM web restarted\n")
    say("followed")
    equal("and what comes", p.stdout.readline(), "followed\n")
    audits = host.log_text().count("audit: vm.log")
    host.ctl("stop", "web")
    host.ctl("start", "web")
    equal("over a restart of the VM", p.stdout.readline(),
          "null: VM web started\n")
    p.send_signal(signal.SIGINT)
    p.wait(10)
    equal("reading is not audited", audits, 0)


def test_a_terminal_is_safe():
    console = host.console("web")
    console.send("\033]0;owned\007\033[31mred\033[0m\033c\a\302\2332J.\n")
    console.expect("red.*\n", 60)
    console.close()
    with Terminal(host, "log", "web", "-n", "1") as t:
        t.expect("red")
        equal("log on a terminal", t.proc.wait(60), 0)
        t.expect("\n")
        equal("nothing but text", t.seen.strip(), "red\u00c2.")
    check("a pipe gets all of it", "\033]0;owned\007" in log("-n", "1"))


def test_bounded():
    """60 MiB, into a log of 512 KiB."""
    for _ in range(3):
        say("flood 327680", "flood 0*327680")
    sizes = [os.stat(f).st_size for f in log_files()]
    check("the log is bounded", all(s <= PART for s in sizes), sizes)
    out = log()
    check("what is kept is the newest", len(out) <= 2 * PART and
          len(out) > PART / 2, len(out))
    first = int(re.search(r"flood 0*(\d+)\n", out).group(1))
    check("the oldest lines are gone", first > 1, first)
    time.sleep(1)
    say("after the flood")
    match("what a flood costs is said", r"\[armvmd: \d+ bytes of output are "
          r"missing here\]\n.*after the flood\n$", log())
    page = host.call("vm.log", name="web", position=1)
    check("bytes no longer kept are counted", page["lost"] == page["from"] - 1
          and page["lost"] > 0, page["lost"])
    equal("the VM runs", host.vm("web")["state"], "running")


def test_without_the_daemon():
    console = host.console("web")
    host.kill()
    console.send("nobody listens\n")
    console.expect("nobody listens", 60)
    console.send("flood 2000\n")
    console.expect("flood 0*2000\n", 60)
    console.send("still here\n")
    console.expect("still here", 60)
    host.start(*OPTIONS)
    wait_for("adopted", lambda: host.vm("web")["state"] == "running")
    match("logged while the daemon was away", r"still here\n$", log())
    result = host.call("vm.console", name="web")
    equal("who types is known after a restart", (result["writes"],
          result["writer"]), (False, "uid 0" if os.geteuid() == 0
                              else f"uid {os.geteuid()}"))
    console.close()


def events_of(rpc, kind):
    while True:
        event = rpc.next_event()
        if event["kind"] == kind:
            return event


class Seat:
    """One at the console, with the connection it hears events on."""

    def __init__(self, **params):
        self.rpc = host.rpc()
        self.rpc.call("event.subscribe", since=-1)
        self.seat = self.rpc.call("vm.console", name="web", **params)
        from armvm import Console
        self.console = Console(self.rpc.fds.pop(0), "seat")

    def take(self, session=None):
        return self.rpc.call("vm.console_take", name="web",
                             session=session or self.seat["session"])

    def close(self):
        self.console.close()
        self.rpc.close()


def test_one_types():
    one, two = Seat(), Seat()
    equal("the first types", (one.seat["writes"], two.seat["writes"]),
          (True, False))
    equal("the second knows who", two.seat["writer"], one.seat["writer"])
    two.console.send("not typed\n")
    one.console.send("typed\n")
    two.console.expect("typed\n", 60)
    check("the second only reads", "not typed" not in two.console.seen)
    two.take()
    event = [events_of(one.rpc, "console") for _ in range(2)][-1]
    equal("the first is told", (event["session"], event["writer"],
                                event["device"]),
          (two.seat["session"], one.seat["writer"], "pl011"))
    one.console.send("no more\n")
    two.console.send("my turn\n")
    one.console.expect("my turn", 60)
    check("and reads on", "no more" not in one.console.seen)
    try:
        one.take(session=999)
        check("no such session", False)
    except RpcError as e:
        equal("no such session", e.code, "not-found")
    two.close()
    equal("nobody follows by itself", events_of(one.rpc, "console")["session"],
          0)
    three = Seat(want="read")
    equal("who only reads takes nothing", three.seat["writes"], False)
    one.take()
    equal("until asked", events_of(three.rpc, "console")["session"],
          one.seat["session"])
    four = Seat(want="take-over")
    equal("taken while attaching", four.seat["writes"], True)
    for seat in (one, three, four):
        seat.close()
    match("audited", r"audit: vm.console_take by uid \d+ \(admin\): done",
          host.log_text())


def test_over_websocket():
    http = Http(host.runtime + "/http.sock")
    equal("a console", http.upgrade("/v1/vms/web/console")[0], 101)
    http.send_frame(b"typed early\n")
    opcode, payload = http.frame()
    seat = json.loads(payload)
    equal("first it is told", (opcode, seat["writes"]), (1, True))
    seen = b""
    while b"typed early" not in seen:
        seen += http.frame()[1]
    other = Seat(want="take-over")
    while opcode != 1 or "vm" in json.loads(payload):
        opcode, payload = http.frame()
    told = json.loads(payload)
    equal("then of the other", (told["writes"], told["session"]),
          (False, other.seat["session"]))
    reply = Http(host.runtime + "/http.sock").ask(
        "POST", "/v1/vms/web/console", {"session": seat["session"]})
    equal("taken back by REST", reply.status, 200)
    opcode, payload = http.frame()
    while opcode != 1:
        opcode, payload = http.frame()
    equal("and told", json.loads(payload)["writes"], True)
    other.close()
    http.close()


def test_on_two_terminals():
    with Terminal(host, "console", "web") as one:
        one.expect("Connected to the console of web")
        wait_for("raw", one.raw)
        on_two_terminals(one)
    with Terminal(host, "console", "web", "--escape", "^A") as t:
        wait_for("raw", t.raw)
        t.type(b"\x01.")
        equal("another escape character", t.proc.wait(60), 0)


def on_two_terminals(one):
    with Terminal(host, "console", "web") as two:
        two.expect("types here, you read along; --take-over")
        wait_for("raw", two.raw)
        one.type(b"from one\r")
        two.expect("from one")
        two.type(b"x")
        two.expect("types here; Ctrl-] t takes over")
        two.type(b"\x1dt")
        two.expect("you type here now")
        one.expect("has taken over and types here now")
        two.type(b"from two\r")
        one.expect("from two")
        one.type(b"\x1d?")
        one.expect("leave")
        one.type(b"\x1d]\x1d\x1d")
        one.expect("Left the console of web")
        equal("Ctrl-] Ctrl-] leaves", one.proc.wait(60), 0)
        two.type(b"\x1d]")
        two.expect("\x1d")
        two.type(b"\r\x1d.")
        equal("Ctrl-] . leaves", two.proc.wait(60), 0)


def test_through_pipes():
    held = host.console("web")
    status, _, err = host.ctl("console", "web", input="typed\n")
    equal("input for a console that is taken", (status, "types at the console"
                                                in err), (6, True))
    p = subprocess.Popen([CTL, "--socket", host.socket, "console", "web",
                          "--take-over"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdin.write(b"by force\n")
    p.stdin.flush()
    held.expect("by force", 60)
    p.terminate()
    p.wait(10)
    held.close()
    for arguments, text in ((["--escape", "ab"], "--escape"),
                            (["--take-over", "--read-only"], "exclude")):
        status, _, err = host.ctl("console", "web", *arguments)
        equal(" ".join(arguments), (status, text in err), (2, True))


def test_a_log_that_cannot_be_written():
    host.ctl("stop", "web")
    first, second = log_files()
    folder = os.path.dirname(first)
    os.remove(first)
    os.mkdir(first)
    status, _, err = host.ctl("start", "web")
    equal("starts without a log", (status, err), (0, ""))
    match("and says so", "its console is not logged", host.log_text())
    host.ctl("stop", "web")
    os.rmdir(first)
    os.symlink("/dev/full", first)
    host.ctl("start", "web")
    equal("follows no link", host.vm("web")["state"], "running")
    host.ctl("stop", "web")
    os.remove(first)
    with open(second, "w", encoding="utf-8") as f:
        f.write("armvmd console log from 9999999999999999999999 boot 1\n")
    host.ctl("start", "web")
    equal("a damaged part is no part", log(), "null: VM web started\n")
    host.ctl("stop", "web")
    host.ctl("delete", "web")
    check("the log goes with the definition", not os.path.exists(folder))


def test_many_readers():
    """A reader too many is told so, in words."""
    host.ctl("create", "many", "--hypervisor", "null")
    host.ctl("start", "many")
    consoles = [host.console("many") for _ in range(16)]
    status, _, err = host.ctl("console", "many", input="")
    equal("17 readers", (status, "16 are attached already" in err), (6, True))
    done = []
    for c in consoles[1:]:
        t = threading.Thread(target=lambda c=c: done.append(
            c.expect("flood 0*1000\n", 20)))
        t.start()
    consoles[0].send("flood 1000\n")
    consoles[0].expect("flood 0*1000\n", 20)
    wait_for("all have read it", lambda: len(done) == 15)
    for c in consoles:
        c.close()


OPTIONS = ("--config", host.dir + "/armvmd.conf")
with open(OPTIONS[1], "w", encoding="utf-8") as conf:
    conf.write(f"console-log {2 * PART}\n")
host.start(*OPTIONS)
host.ctl("create", "web", "--hypervisor", "null")
guarded(test_log, test_follow, test_a_terminal_is_safe, test_one_types,
        test_over_websocket, test_on_two_terminals, test_through_pipes,
        test_without_the_daemon, test_bounded,
        test_a_log_that_cannot_be_written, test_many_readers)
report.end()
