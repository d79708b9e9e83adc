#!/usr/bin/python3
"""Features of the CPU in a guest: seen exactly when they were asked for, and
refused where the host has none. Says most on a host with a CPU that has all:
--cpu max,pauth-impdef=on --mte."""
import os

from scene import GUEST, Host, RpcError, boot, guarded, report, shell_again

host = Host().start()
# What /proc/cpuinfo calls them.
WORDS = {"pauth": {"paca", "pacg"}, "sve": {"sve"}, "mte": {"mte"}}
# Without a word of the definition: as the host has it, but for mte.
AUTO = {"pauth": True, "sve": True, "mte": False}


def define(name, **features):
    host.call("vm.define", config={
        "name": name, "memory": "256MiB", "kernel": f"{GUEST}/vmlinuz",
        "initrd": f"{GUEST}/initrd.img", "cmdline": "quiet panic=-1",
        "features": features})


def seen(name):
    guest = boot(host, name)
    out, _ = guest.run("grep -m1 Features /proc/cpuinfo")
    host.call("vm.stop", name=name)
    host.call("vm.delete", name=name)
    have = set(out.split(":", 1)[1].split())
    return {f: bool(words & have) for f, words in WORDS.items()}


def exactly_what_was_asked_for():
    can = host.call("host.info")["guest"]
    has = {f: can[f] for f in WORDS}
    report.note(f"this host has: {[f for f in has if has[f]] or 'none'}")
    for f in WORDS:
        if has[f]:
            continue
        try:
            define("refused", **{f: "on"})
            report.check(f"{f} is refused", False, can)
        except RpcError as e:
            report.check(f"{f} is refused, with its name",
                         f"features.{f}" in str(e), e)
    if not any(has.values()):
        report.skip("in a guest", "this host has none of them")
        return
    define("on", **{f: "on" for f in WORDS if has[f]})
    report.equal("asked for: all the host has", seen("on"), has)
    define("off", **{f: "off" for f in WORDS})
    report.equal("declined: none", seen("off"), {f: False for f in WORDS})
    define("auto")
    report.equal("left to us", seen("auto"),
                 {f: has[f] and AUTO[f] for f in WORDS})


def vectors_are_in_a_snapshot():
    """Several processes, each with values of its own in all registers."""
    if not host.call("host.info")["guest"]["sve"]:
        report.skip("scalable vectors in a snapshot", "this host has none")
        return
    define("wide", sve="on")
    guest = boot(host, "wide")
    guest.run("sve /tmp/enough >/tmp/said 2>&1 & sleep 3")
    path = host.dir + "/wide.snapshot"
    host.call("snapshot.save", name="wide", path=path, stop=True)
    guest.close()
    host.call("snapshot.restore", path=path)
    guest = shell_again(host.console("wide"))
    out, _ = guest.run("sleep 3; touch /tmp/enough; wait; cat /tmp/said")
    report.match("after a restore every process has its vectors",
                 r"^sve: vectors of \d+ bytes, 0 of 3 wrong", out)
    report.note(out)
    host.call("vm.stop", name="wide")


def tags_are_in_a_snapshot():
    if not host.call("host.info")["guest"]["mte"]:
        report.skip("memory tags in a snapshot", "this host has none")
        return
    define("tagged", mte="on")
    guest = boot(host, "tagged")
    guest.send("mte 512\n")
    guest.expect("mte: tagged", 60)
    path = host.dir + "/tagged.snapshot"
    host.call("snapshot.save", name="tagged", path=path, stop=True)
    report.note(f"a snapshot of {os.path.getsize(path) >> 20} MiB")
    guest.close()
    host.call("snapshot.restore", path=path)
    guest = host.console("tagged")
    guest.send("\n")
    report.match("after a restore every granule has its tag", "mte: 0 of 131072"
                 " wrong", guest.expect(r"mte: \d+ of \d+ wrong", 60))
    report.match("and a wrong one faults", "mte: a wrong tag faults",
                 guest.expect("mte: a wrong tag [a-z ]*\n", 60))
    # Saved while it runs, it goes on with its tags, too.
    shell_again(guest)
    guest.send("mte 16\n")
    guest.expect("mte: tagged", 60)
    host.call("snapshot.save", name="tagged", path=path, overwrite=True,
              compress=True)
    guest.send("\n")
    report.match("who goes on has them still", "mte: 0 of 4096 wrong",
                 guest.expect(r"mte: \d+ of \d+ wrong", 60))
    host.call("vm.stop", name="tagged")


guarded(exactly_what_was_asked_for, vectors_are_in_a_snapshot, tags_are_in_a_snapshot)
report.end()
