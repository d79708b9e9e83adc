#!/usr/bin/python3
"""armvmctl, every command, against an armvmd of its own with the null
backend: what it prints, its exit statuses, its console on a terminal."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import BIN, ROOT, Host, guarded, report, wait_for     # noqa: E402
from bootable import make_image                                 # noqa: E402
from terminal import Terminal                                   # noqa: E402

check, equal, match = report.check, report.equal, report.match
host = Host("armvm-cli-")
nobody = Host("armvm-cli-none-")
CTL = BIN + "/armvmctl"


def ok(name, *arguments, **options):
    """Runs armvmctl, which must succeed silently on stderr; its output."""
    status, out, err = host.ctl(*arguments, **options)
    check(name, status == 0 and err == "", f"[{status}]\n{out}\n{err}")
    return out


def fails(name, status, pattern, *arguments, at=host):
    """Exit status, one line on stderr that says why, nothing on stdout."""
    have, out, err = at.ctl(*arguments)
    check(name, have == status and re.search(pattern, err) and out == ""
          and err.count("\n") == 1, f"[{have}, want {status}]\n{out}\n{err}")


def test_without_daemon():
    no = nobody.socket
    for command in ("list", "show x", "start x", "events", "host info",
                    "delete x --force"):
        fails(f"no daemon: {command}", 11, "armvmd is not running .no answer "
              f"on {no}.; start it with: systemctl start armvmd, or: armvmd",
              *command.split(), at=nobody)
    _, _, err = nobody.ctl("-o", "json", "list")
    equal("no daemon, as JSON", json.loads(err)["error"]["code"], "no-daemon")
    env = dict(os.environ, ARMVM_SOCKET=no + "2")
    r = subprocess.run([CTL, "list"], env=env, stderr=subprocess.PIPE,
                       text=True, check=False)
    match("ARMVM_SOCKET is heard", re.escape(no + "2"), r.stderr)


def test_help():
    overview = ok("help", "help")
    commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?) .*  [A-Z]", overview, re.M)
    check("help lists the commands", len(commands) >= 16, commands)
    for command in commands:
        text = ok(f"{command} --help", *command.split(), "--help")
        match(f"{command} --help has examples", r"Examples:\n  \S+", text)
        equal(f"help {command} is the same", ok("help of it", "help",
                                                *command.split()), text)
    match("--version", r"^armvmctl \d+\.\d+", ok("version", "--version"))
    fails("mistyped command", 2, 'did you mean "create"', "creat")


def test_define_and_look():
    equal("list of nothing", host.ctl("list", "-o", "json")[1].strip(),
          "[\n]")
    status, out, err = host.ctl("list")
    check("list of nothing says how to go on", status == 0 and "NAME" in out
          and "armvmctl create" in err, out + err)
    disk = host.dir + "/disk.raw"
    make_image(disk)
    match("image check passes", "Boots AArch64: yes",
          ok("image check", "image", "check", disk))
    out = ok("create", "create", "web", "--hypervisor", "null", "--memory",
             "1G", "--vcpus", "2", "--disk", disk + ",serial=root",
             "--description", "for people")
    match("create says what is next", r"web created \(uuid [0-9a-f-]{36}\)\. "
          r"Start it with: armvmctl start web", out)
    fails("create again", 4, "web", "create", "web", "--hypervisor", "null")
    equal("list", [line.split() for line in
                   ok("list", "list").splitlines()],
          [["NAME", "STATE", "HYPERVISOR", "VCPUS", "MEMORY", "DISKS", "NICS",
            "UPTIME"], ["web", "stopped", "null", "2", "1.0", "GiB", "1", "0",
                        "-"]])
    equal("list --names", ok("names", "list", "--names"), "web\n")
    row = json.loads(ok("jsonl", "list", "-o", "jsonl"))
    equal("list as JSON", (row["name"], row["memory"]), ("web", 1 << 30))
    out = ok("show", "show", "web")
    match("show has the disk", r"Disk +\S+ +" + re.escape(disk) +
          " +serial root", out)
    fails("show of a wrong name", 3, 'did you mean "web"', "show", "wbe")
    match("the beginning of a name", r"web", ok("prefix", "show", "we"))
    ok("another", "create", "wed", "--hypervisor", "null")
    fails("a beginning of two names", 3, "several begin so: web, wed", "show",
          "we")
    fails("no beginning is deleted", 3, "we", "delete", "we")
    ok("delete it", "delete", "wed")
    out = ok("var list", "var", "list", "web")
    match("var list of a new VM", r"^NAME +GUID +ATTRIBUTES +SIZE\n$", out)
    equal("var list as JSON",
          json.loads(ok("vars", "var", "list", "web", "-o", "json"))
          ["variables"], [])
    match("host info", r"null +available", ok("host", "host", "info"))


def test_definition_from_json():
    vm = json.loads(ok("show as JSON", "show", "web", "-o", "json"))
    ok("create --from -", "create", "copy", "--from", "-", "--vcpus", "3",
       input=json.dumps(vm["config"]))
    copy = host.vm("copy")
    equal("the copy is another VM with its own CPUs",
          (copy["vcpus"], copy["memory"], copy["uuid"] == vm["uuid"]),
          (3, vm["memory"], False))
    match("delete", "copy deleted", ok("delete", "delete", "copy"))
    cwd = os.getcwd()
    os.chdir(host.dir)
    ok("create with a relative path", "create", "rel", "--hypervisor", "null",
       "--disk", "disk.raw")
    os.chdir(cwd)
    equal("the path was made absolute",
          host.vm("rel")["config"]["disks"][0]["path"], host.dir + "/disk.raw")
    ok("delete it", "delete", "rel")


def test_bad_definitions():
    text = host.dir + "/notes.txt"
    with open(text, "w", encoding="utf-8") as f:
        f.write("no image\n" * 1000)
    base = ("create", "bad", "--hypervisor", "null")
    for name, status, pattern, more in (
            ("no GPT", 14, "notes.txt.*image check", ["--disk", text]),
            ("no file", 3, "missing.raw", ["--disk", "/missing.raw"]),
            ("directory", 2, "directory", ["--disk", host.dir]),
            ("little memory", 2, "memory", ["--memory", "1M"]),
            ("memory is no size", 2, "--memory", ["--memory", "much"]),
            ("firmware missing", 3, "/no/fw", ["--firmware", "/no/fw"]),
            ("disk key", 2, "serial=", ["--disk", text + ",colour=red"]),
            ("nic to nothing", 2, "tap=IF", ["--nic", "id=x"])):
        fails(f"create: {name}", status, pattern, *base, *more)
    fails("create: name", 2, "name", "create", "../x", "--hypervisor", "null")
    fails("create: no KVM here", 10, "KVM", "create", "k", "--hypervisor",
          "kvm") if not os.path.exists("/dev/kvm") else None
    equal("nothing was defined", ok("names", "list", "--names"), "web\n")
    status, out, err = host.ctl("image", "check", text)
    check("image check fails", status == 14 and "IMG-1" in out, out + err)
    fails("image check of nothing", 3, "/missing", "image", "check",
          "/missing")
    report_json = json.loads(host.ctl("image", "check", text, "-o", "json")[1])
    equal("image check as JSON", report_json["bootable_aarch64"], False)


def test_life():
    for command, pattern, state in (
            ("start web", r"web: running after \d+\.\d s\n", "running"),
            ("pause web", "web: paused\n", "paused"),
            ("resume web", "web: running\n", "running"),
            ("reset web", "web: reset\n", "running"),
            ("stop web", "web: stopped\n", "stopped"),
            ("start web", "web: running", "running"),
            ("shutdown web", "web: stopped\n", "stopped"),
            ("start web -o json", '"state": "running"', "running")):
        match(command, pattern, ok(command, *command.split()))
        equal(f"state after {command}", host.vm("web")["state"], state)
    fails("start of a running VM", 5, "web is running", "start", "web")
    fails("delete of a running VM", 5, "web is running.*--force stops it first",
          "delete", "web")
    fails("shutdown that takes too long", 8, "web", "shutdown", "web",
          "--timeout", "5ms")
    host.ctl("stop", "web")
    host.wait_state("web", "stopped")
    fails("stop of a stopped VM", 5, "web is stopped", "stop", "web")


def connected(proc):
    """It has its connection to the daemon."""
    def there():
        try:
            return any(os.readlink(f"/proc/{proc.pid}/fd/{fd}").startswith(
                "socket:") for fd in os.listdir(f"/proc/{proc.pid}/fd"))
        except OSError:
            return False
    return wait_for("a connection", there)


def test_wait():
    equal("wait for what rests", ok("wait", "wait", "web"), "")
    ok("start", "start", "web")
    match("start --if-stopped of what runs", "web: running",
          ok("again", "start", "--if-stopped", "web"))
    fails("without it", 5, "web is running", "start", "web")
    waiting = subprocess.Popen([CTL, "--socket", host.socket, "wait", "web"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    connected(waiting)
    host.kill()
    host.start()
    time.sleep(1)
    check("it waits on over a killed daemon", waiting.poll() is None)
    ok("stop", "stop", "web")
    equal("and sees the end", (waiting.communicate(timeout=60),
                               waiting.returncode), (("", ""), 0))
    ok("start", "start", "web")
    waiting = subprocess.Popen([CTL, "--socket", host.socket, "wait", "web"],
                               stderr=subprocess.PIPE, text=True)
    connected(waiting)
    os.kill(host.vm("web")["pid"], signal.SIGKILL)
    match("a crash is told", "web crashed: ",
          waiting.communicate(timeout=60)[1])
    equal("and its status", waiting.returncode, 5)
    fails("wait for nobody", 3, 'no VM named "nobody"', "wait", "nobody")


def test_events():
    lines = ok("events", "events").splitlines()
    match("events", r"^SEQ +WHEN +NAME +KIND +WHAT", lines[0])
    match("an event", r"^\d+ +\d{4}-\d\d-\d\d [\d:]+ +web +state +running",
          "\n".join(l for l in lines if "state     running" in l))
    match("a job begins", r"^\d+ .* web +job +\d+ vm.start running$",
          next(l for l in lines if " job " in l))
    match("a job that failed says why", r"web +job +\d+ vm.start failed "
          r"\(web is running; start is possible", "\n".join(lines))
    all_events = [json.loads(line) for line in
                  ok("jsonl", "events", "-o", "jsonl").splitlines()]
    last = all_events[-1]["seq"]
    equal("events --since", ok("since", "events", "-o", "jsonl", "--since",
                               str(last)), "")
    p = subprocess.Popen([CTL, "--socket", host.socket, "events", "--follow",
                          "-o", "jsonl", "--since", str(last - 1)],
                         stdout=subprocess.PIPE, text=True)
    first = json.loads(p.stdout.readline())
    host.ctl("start", "web")
    seen = [json.loads(p.stdout.readline()) for _ in range(4)]
    p.send_signal(signal.SIGINT)
    p.wait(10)
    p.stdout.close()
    equal("events --follow replays, then follows", [first["seq"]] +
          [(e["seq"], e["kind"], e["state"]) for e in seen],
          [last, (last + 1, "job", "running"), (last + 2, "state", "starting"),
           (last + 3, "state", "running"), (last + 4, "job", "done")])
    equal("a job's end", [seen[-1][k] for k in ("method", "progress",
                                                "name")],
          ["vm.start", 100, "web"])


def test_console_through_pipes():
    status, out, err = host.ctl("console", "web", input="poweroff\n",
                                timeout=30)
    check("console: output from before, exit at the guest's end",
          status == 0 and "null: VM web started" in out, f"{out}\n{err}")
    match("console says why it closed",
          "Connected to the console of web.*is stopped", err)
    fails("console of a stopped VM", 5, "web is stopped", "console", "web")


def test_console_on_a_terminal():
    with Terminal(host, "start", "web", "--console") as t:
        t.expect("null: VM web started")
        check("the terminal is raw", t.raw())
        t.type(b"hello\x03\r")
        t.expect("hello\x03")
        check("Ctrl-C goes to the guest", t.proc.poll() is None)
        t.type(b"\x1d.")
        t.expect("Left the console of web")
        equal("Ctrl-] . leaves", t.proc.wait(60), 0)
        check("the terminal is as before", t.restored())
    equal("the VM goes on", host.vm("web")["state"], "running")
    for sig in (signal.SIGTERM, signal.SIGHUP):
        with Terminal(host, "console", "web") as t:
            t.expect("Connected to the console of web. Ctrl-] . leaves")
            wait_for("raw mode", t.raw)
            t.proc.send_signal(sig)
            equal(f"{sig.name} ends it", t.proc.wait(60), -sig)
            check(f"the terminal is as before, after {sig.name}",
                  t.restored())
    with Terminal(host, "console", "web") as t:
        wait_for("raw mode", t.raw)
        host.ctl("stop", "web")
        t.expect("The console of web was closed: it is stopped")
        equal("console at stop", t.proc.wait(60), 0)
        check("the terminal is as before, after stop", t.restored())


def test_progress():
    """Of what takes long: the guest does not listen to its power button."""
    host.ctl("start", "web")
    console = host.console("web")
    console.send("ignore\n")
    console.expect("ignore\n")
    with Terminal(host, "shutdown", "web", columns=100) as t:
        t.expect("web: waiting for the guest to shut down [######")
        t.expect(" ... 0 s")
        host.call("vm.stop", name="web")
        t.expect("web: stopped")
        equal("shutdown with progress", t.proc.wait(60), 0)
    host.ctl("start", "web")
    console = host.console("web")
    console.send("ignore\n")
    console.expect("ignore\n")
    status, out, err = host.ctl("shutdown", "web", "--wait", "--timeout", "1s")
    equal("too long: its status", (status, out), (8, ""))
    match("plain lines elsewhere", r"^web: waiting for the guest to shut down:"
          r" (asked|heard)\narmvmctl: ", err)
    status, out, err = host.ctl("shutdown", "web", "--timeout", "1s")
    match("without --wait none", "^armvmctl: ", err)
    out = ok("shutdown --no-wait", "shutdown", "web", "--no-wait",
             "--timeout", "10m")
    match("--no-wait tells the job", r"^job \d+ began", out)
    ok("stop", "stop", "web")
    ok("the job saw it", "job", "wait", out.split()[1])


def test_output_that_cannot_be_written():
    for command in ("list", "list -o json", "show web", "events"):
        with open("/dev/full", "w", encoding="utf-8") as full:
            r = subprocess.run([CTL, "--socket", host.socket,
                                *command.split()], stdout=full, text=True,
                               stderr=subprocess.PIPE, check=False)
        check(f"{command} >/dev/full fails", r.returncode == 1 and
              "No space left" in r.stderr, r.stderr)


def test_delete():
    host.ctl("start", "web")
    match("delete --force", "web deleted",
          ok("delete --force", "delete", "web", "--force"))
    fails("it is gone", 3, "web", "show", "web")
    fails("delete --force of nothing", 3, "web", "delete", "web", "--force")


def test_daemon_that_goes_away():
    host.ctl("create", "left", "--hypervisor", "null")
    p = subprocess.Popen([CTL, "--socket", host.socket, "events", "--follow"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True)
    p.stdout.readline()
    time.sleep(0.2)
    host.stop()
    _, err = p.communicate(timeout=60)
    check("a follower is told that the daemon went", p.returncode == 11 and
          "closed the connection" in err, f"[{p.returncode}] {err}")


test_without_daemon()
host.start()
guarded(test_help, test_define_and_look, test_definition_from_json,
        test_bad_definitions, test_life, test_wait, test_events,
        test_console_through_pipes, test_console_on_a_terminal,
        test_progress, test_output_that_cannot_be_written,
        test_delete, test_daemon_that_goes_away)
report.end()
