#!/usr/bin/python3
"""The firmware rewrites its whole block of variables to set one: a kill in
the middle of that loses none (FW-5)."""
import mmap
import os
import random
import re
import signal
import time

from scene import Host, boot, define, guarded, image, report

GUID = "12345678-1234-1234-1234-123456789abc"
BLOCK = 256 * 1024
FILL = 1000
COMMITS_MAX = 6  # header, its state, data, state; two to retire the old copy
SET = (f"{{ printf %08d $i; cat /tmp/fill; }} >/tmp/big; "
       f"uefivar set Big @/tmp/big {GUID}")
host = Host().start("--debug")
define(host, "one", image(host, "one"))
guest = None
kept = {}  # what the guest was told is set: name -> value
FILLED = "x" * FILL
big = 0  # the last number Big was set to


def stored():
    """What the store has of ours: name -> value."""
    return {v["name"]: bytes.fromhex(v["data"]).decode() for v in
            host.call("var.list", name="one")["variables"]
            if v["guid"] == GUID}


def big_value(i):
    return f"{i:08d}" + FILLED


def start():
    global guest
    guest = boot(host, "one")
    guest.run(f"head -c {FILL} /dev/zero | tr '\\0' x >/tmp/fill")


def keep(name, value):
    out, status = guest.run(f"uefivar set {name} {value} {GUID}")
    if report.check(f"the guest sets {name}", status == 0, out):
        kept[name] = value


def flash(pid):
    """The supervisor's variable flash, which outlives it through this map."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{fd}"
        if "armvm-nvram" in os.readlink(path):
            with open(path, "rb") as f:
                return mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
    raise RuntimeError(f"no variable store among the files of {pid}")


def erased(f):
    """Where the volume's signature belongs: status shows in other words."""
    return f[0x28:0x2c] == b"\xff" * 4


def filling(f):
    """The headers and Small are there; Big, far behind, is not."""
    return f[0x28:0x2c] == b"_FVH" and unfinished(f)


def unfinished(f):
    return f.find(FILLED.encode(), 0, BLOCK) < 0


def commits():
    return len(re.findall(r"variable store are stored", host.log_text()))


def few_commits():
    global big
    start()
    keep("Small", "alpha")
    for _ in range(3):
        big += 1
        before = commits()
        out, status = guest.run(f"i={big}; {SET}")
        n = commits() - before
        report.check("the guest sets 1008 bytes", status == 0, out)
        report.check(f"in at most {COMMITS_MAX} commits", 0 < n <= COMMITS_MAX,
                     n)
        report.note(f"commits for one SetVariable of 1008 bytes: {n}")
        report.equal("stored when it returns", stored().get("Big"),
                     big_value(big))
    kept["Big"] = big_value(big)


def kill_when(name, reached):
    """Kill the supervisor at that instant of a rewrite, judge the store."""
    global big
    first = big + 1
    keep("Before" + name, name)
    pid = host.vm("one")["pid"]
    guest.at = len(guest.seen)
    guest.send(f"i={first}; while {SET}; do echo \"ac\"\"k $i=\"; "
               "i=$((i+1)); done\n")
    guest.expect(f"ack {first + 1}=", 60)
    f = flash(pid)
    deadline = time.monotonic() + 60
    while not reached(f):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name}: no such instant seen")
    os.kill(pid, signal.SIGKILL)
    host.wait_state("one", "crashed")
    if reached in (erased, filling):
        report.check(f"{name}: killed in the middle of a rewrite",
                     unfinished(f), f[:64].hex())
    f.close()
    judge(name)


def acknowledged():
    """The last number the guest was told is set."""
    begin = guest.seen.rindex("while ")
    try:
        guest.expect("no such text", 5)
    except (ConnectionError, TimeoutError):
        pass
    return max([int(i) for i in re.findall(r"ack (\d+)=",
                                           guest.seen[begin:])],
               default=big)


def judge(name):
    global big
    have, told = stored(), acknowledged()
    report.note(f"{name}: {told - big} acknowledged before the kill")
    report.check(f"{name}: Big is the acknowledged one or the next",
                 have.get("Big") in (big_value(told), big_value(told + 1)),
                 f"told {told}, stored {str(have.get('Big'))[:8]}")
    kept["Big"] = have.get("Big", big_value(told))
    big = int(kept["Big"][:8])
    report.equal(f"{name}: nothing acknowledged is lost", have, kept)
    start()
    out, _ = guest.run(f"uefivar get Big {GUID}")
    report.equal(f"{name}: the firmware reads Big", out.strip(), kept["Big"])
    for small in sorted(set(kept) - {"Big"}):
        report.equal(f"{name}: the firmware reads {small}",
                     guest.run(f"uefivar get {small} {GUID}")[0].strip(),
                     kept[small])


def killed_when_erased():
    kill_when("Erased", erased)


def killed_while_filling():
    kill_when("Filling", filling)


def killed_at_random():
    kill_when("Random", lambda f: random.random() < 0.001)


guarded(few_commits, killed_when_erased, killed_while_filling,
        killed_at_random)
report.end()
