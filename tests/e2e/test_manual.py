#!/usr/bin/python3
"""What is written for people, held against the programs: manual pages and
--help, README's lines as they are printed, and every command's JSON. On the null
backend."""
import json
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import BIN, ROOT, Host, guarded, report               # noqa: E402
from bootable import make_image                                 # noqa: E402
from network import own_network                                 # noqa: E402

check, equal, match = report.check, report.equal, report.match
NETWORK = own_network()
host = Host("armvm-manual-")
OPTION = r"(?<![\w-])--[a-z][a-z-]*"
# Of every command, and those that a page tells of another command.
COMMON = {"--output", "--socket", "--help", "--version"}
OTHERS = {"snapshot save": {"--live", "--fs"}, "nic add": {"--nic"}}


def page(path):
    """Entries below COMMANDS or OPTIONS: {what stands first: all of it}."""
    with open(f"{ROOT}/{path}", encoding="utf-8") as f:
        text = f.read()
    text = re.sub(r"\\f[BIRP]", "", text).replace("\\-", "-")
    text = re.sub(r"^\.[BIR]+ ", "", text, flags=re.M).replace('"', "")
    entries, depth, key = {}, 0, None
    lines = iter(re.split(r"\.SH (?:COMMANDS|OPTIONS)\n", text, maxsplit=1)[1]
                 .split("\n.SH ")[0].split("\n"))
    for line in lines:
        depth += line.startswith(".RS") - line.startswith(".RE")
        if line == ".TP" and depth == 0:
            key = next(lines)
            entries[key] = key + "\n"
        elif key:
            entries[key] += line + "\n"
    return entries


def commands():
    text = host.ctl("help")[1].split("Commands:\n")[1].split("\n\n")[0]
    return re.findall(r"^  ([a-z]+(?: [a-z]+)?)(?= |$)", text, re.M)


def options_of(text):
    return set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, re.M))


def test_armvmctl_page():
    entries, known = page("cli/armvmctl.1"), commands()
    check("all commands are looked at", len(known) >= 45 and
          "nic add" in known and "disk resize" in known, known)
    for name in known:
        found = [e for e in entries if e == name or e.startswith(name + " ")]
        if not equal(f"{name}: one entry in armvmctl(1)", len(found), 1):
            continue
        text = entries[found[0]]
        usage = host.ctl(*name.split(), "--help")[1]
        own = usage.split("\nOptions of every command:")[0]
        options = options_of(own)
        equal(f"{name}: armvmctl(1) has its options",
              sorted(o for o in options if o not in text), [])
        equal(f"{name}: and no others", sorted(
            set(re.findall(OPTION, text)) - options - COMMON -
            OTHERS.get(name, set())), [])
        for letter, option in re.findall(r"^  (-\w), (--[a-z-]+)", own, re.M):
            match(f"{name}: {letter} is {option}", re.escape(letter) +
                  r"(, | or |\W)", text)
        match(f"{name} --help has examples", r"Examples:\n  .*armvmctl", usage)
        equal(f"{name} --help fits a terminal", [
            line for line in usage.splitlines() if len(line) > 110], [])
    with open(ROOT + "/api/API.md", encoding="utf-8") as f:
        used = {int(n) for n in re.findall(r"^\| `[a-z-]+` \| -\d+ \| \d+ \| "
                                           r"(\d+) \|$", f.read(), re.M)}
    with open(ROOT + "/cli/armvmctl.1", encoding="utf-8") as f:
        told = f.read().split(".SH EXIT STATUS\n")[1].split("\n.SH ")[0]
    equal("armvmctl(1) has the exit statuses of all errors",
          {int(n) for n in re.findall(r"\b(\d+) ", told)}, used | {0})
    equal("armvmctl(1) has no other commands", [
        e for e in entries if not any(
            e == n or e.startswith(n + " ") for n in known)], [])


def test_armvmd_pages():
    usage = subprocess.run([BIN + "/armvmd", "--help"], check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    told = set(re.findall(OPTION, usage.split("\nExample")[0]))
    check("armvmd --help has options", len(told) >= 10, told)
    text = "\n".join(page("daemon/armvmd.8").values())
    equal("armvmd(8) has them all, and no others",
          sorted(told ^ set(re.findall(OPTION, text))), [])
    with open(ROOT + "/daemon/conf.c", encoding="utf-8") as f:
        keys = set(re.findall(r'^\t\{"([a-z-]+)", \w+, ', f.read(), re.M))
    check("armvmd.conf has keys", len(keys) >= 7, keys)
    with open(ROOT + "/daemon/armvmd.conf.5", encoding="utf-8") as f:
        conf = f.read().replace("\\-", "-").split(".SH")
    have = {k for k in keys for s in conf
            if re.search(rf"^\.TP\n\.BI? {k}\b", s, re.M)}
    equal("armvmd.conf(5) has them all", have, keys)


def test_event_kinds():
    """All that the daemon announces stand in the API's description."""
    with open(ROOT + "/api/API.md", encoding="utf-8") as f:
        table = f.read().split("\n## Events\n")[1].split("\n## ")[0]
    told = set(re.findall(r"^\| `([a-z-]+)` \|", table, re.M))
    said = set()
    for name in os.listdir(ROOT + "/daemon"):
        if name.endswith(".c"):
            with open(f"{ROOT}/daemon/{name}", encoding="utf-8") as f:
                text = f.read()
            said |= set(re.findall(r'\b(?:vm|manager)_event\([^;"]*?"([a-z-]+)"',
                                   text))
    check("the daemon announces events", len(said) >= 18, said)
    equal("each kind is described", sorted(said - told), [])
    host.call("vm.define", config={"name": "e", "hypervisor": "null"})
    host.call("vm.start", name="e")
    console = host.console("e")
    console.send("panic\n")
    host.wait_state("e", "crashed")
    console.close()
    host.call("vm.rename", name="e", new_name="e2")
    host.call("vm.delete", name="e2")
    fields = {k: set(re.split(", ", h)) for k, h in re.findall(
        r"^\| `([a-z-]+)` \| ([^|]*) \|", table, re.M)}
    common = {"seq", "time_ms", "kind", "vm", "name", "labels"}
    wrong = [e for e in host.call("event.subscribe", since=0)["events"]
             if set(e) - common - fields.get(e["kind"], set())]
    equal("events have what is told of them", wrong, [])


def sh(line, **options):
    return subprocess.run(["bash", "-c", line], cwd=host.dir, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False, env=ENV, **options)


def endless(line, pattern):
    """Until it has printed that."""
    p = subprocess.Popen(["bash", "-c", "exec " + line], cwd=host.dir, env=ENV,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    seen = ""
    while not re.search(pattern, seen):
        text = p.stdout.readline()
        if not text:
            break
        seen += text
    p.send_signal(signal.SIGINT)
    p.stdin.close()
    p.stdout.close()
    p.wait(60)
    match(f"README: {line}", pattern, seen)


ENDLESS = {"console web": "VM web started", "log web -f": "VM web started",
           "top": "web", "stats web --watch": "CPU|cpu"}


def readme(title):
    with open(ROOT + "/README.md", encoding="utf-8") as f:
        section = f.read().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [re.split(r"\s+#", line[6:])[0].replace("/tmp/", host.dir + "/")
             for line in section.splitlines() if line.startswith("    $ ")]
    check(f"README has lines: {title}", len(lines) >= 4, lines)
    for line in lines:
        if line == "armvmd &":  # it runs, in directories of its own
            continue
        if line.startswith("armvmctl create"):
            line += " --hypervisor null"
        if re.search("bridge|br0", line) and not NETWORK:
            report.skip(f"README: {line}", "no bridge can be made here")
            continue
        for what, pattern in ENDLESS.items():
            if line == "armvmctl " + what:
                endless(line, pattern)
                break
        else:
            r = sh(line)
            check(f"README: {line}", r.returncode == 0, r.stdout + r.stderr)


def test_readme():
    make_image(host.dir + "/debian.raw")
    readme("By hand")
    equal("what is left", host.ctl("list", "--names")[1], "web2\n")
    host.ctl("delete", "web2")
    for name in ("web", "db", "fw"):
        make_image(f"{host.dir}/{name}.raw")
    readme("Networking")
    for name in ("web", "db", "fw"):
        host.ctl("delete", name)


# Every command that answers, in an order in which each can.
JSON = """create j --hypervisor null
list
list --state stopped
show j
set j --description x
rename j k
clone k j
start j
log j
stats j
top -n 1
pause j
resume j
reboot j --timeout 20s
reset j
disk add j {dir}/debian.raw --id d
disk list j
disk resize j d --rescan
disk remove j d --force
nic list j
var list j
var kept
snapshot save j {dir}/j.{form} --stop
snapshot show {dir}/j.{form}
snapshot restore {dir}/j.{form}
shutdown j --timeout 20s
job list
job show 1
job wait 1
events
host info
image check {dir}/debian.raw
start k --no-wait
stop k
delete j
delete k"""


def parsed(text, lines):
    try:
        return [json.loads(t) for t in (text.splitlines() if lines
                                        else [text])]
    except ValueError:
        return []


def test_json():
    for form in ("json", "jsonl"):
        for line in JSON.splitlines():
            words = line.format(dir=host.dir, form=form).split()
            status, out, err = host.ctl("-o", form, *words)
            many = form == "jsonl" or words[0] == "top"
            check(f"-o {form} {line}", status == 0 and err == "" and
                  (parsed(out, many) or
                                many and out == "" and words[0] in (
                                    "list", "var", "nic")),
                  f"[{status}] {out[:500]!r}\n{err}")
        status, out, err = host.ctl("-o", form, "show", "nobody")
        equal(f"-o {form}: an error", (status, out, json.loads(err)["error"]
                                       ["code"]), (3, "", "not-found"))


host.start()
ENV = dict(os.environ, ARMVM_SOCKET=host.socket, ARMVM_GUEST=host.dir,
           EDITOR="true", PATH=BIN + ":" + os.environ["PATH"])
guarded(test_armvmctl_page, test_armvmd_pages, test_readme, test_json,
        test_event_kinds)
report.end()
