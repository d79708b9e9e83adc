#!/usr/bin/python3
"""What people get wrong, on every hypervisor: one line that names the thing and
what to do, a status, and nothing left behind."""
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "kvm"))
# pylint: disable=wrong-import-position
from scene import (GUEST, Host, blank, eventually, guarded, host_ends, report,
                   supervisors)

host = Host().start()
disk = blank(host.dir + "/data.raw")


def state():
    return (supervisors(), sorted(os.listdir(host.runtime)), host_ends(),
            [(v["name"], v["state"]) for v in host.call("vm.list")["vms"]])


def refused(*cases):
    """Of each: its name, the command, its status, words of the reason."""
    before = state()
    for name, arguments, status, *words in cases:
        code, out, err = host.ctl(*arguments)
        report.equal(f"{name}: exit status", code, status)
        report.equal(f"{name}: one line", (out, err.count("\n")), ("", 1))
        for word in words:
            report.check(f"{name}: says {word!r}", word in err, err)
    report.check("nothing is left of " + ", ".join(c[0] for c in cases),
                 eventually(lambda: state() == before),
                 f"{before}\n{state()}")


def create(name, *arguments, memory="256M"):
    return ["create", name, "--kernel", f"{GUEST}/vmlinuz", "--initrd",
            f"{GUEST}/initrd.img", "--memory", memory, *arguments]


def memory():
    refused(("too little memory", create("bad", memory="64M"), 2, "memory",
             "64 MiB"),
            ("no size", create("bad", memory="12Q"), 2, "memory", "12Q", "2G"))


def names():
    host.does(*create("taken", "--disk", disk))
    refused(("a name in use", create("taken"), 4, "taken", "exists"),
            ("a typo", ["start", "takne"], 3, "takne", "did you mean",
             "taken"),
            ("a bad name", create("a/b"), 2, "a/b"))


def disks():
    twin = host.dir + "/twin.raw"
    os.link(disk, twin)
    refused(("one file by two paths", create("bad", "--disk", disk, "--disk",
                                             twin), 2,
             "twin.raw", "data.raw", "the same file", "readonly"),
            ("a missing disk", create("bad", "--disk", "/nowhere.raw"), 3,
             "/nowhere.raw", "No such file"),
            ("a directory", create("bad", "--disk", host.dir), 2, host.dir,
             "directory"))


def in_use():
    host.does(*create("other", "--disk", disk))
    host.does("start", "taken")
    refused(("a disk in use", ["start", "other"], 6, disk),
            ("start of a running VM", ["start", "taken"], 5, "taken"),
            ("delete of a running VM", ["delete", "taken"], 5, "taken"))
    host.does("stop", "taken")
    report.check("no process left", eventually(lambda: not supervisors()))


def what_it_needs_is_gone():
    host.does(*create("net", "--nic", "bridge=br-none"))
    os.rename(disk, disk + ".away")
    refused(("a disk gone at start", ["start", "taken"], 3, "data.raw"),
            ("a bridge that is not there", ["start", "net"], 3, "br-none",
             "ip link add"))


def no_daemon():
    host.stop()
    code, out, err = host.ctl("list")
    report.equal("no daemon: exit status", code, 11)
    report.check("no daemon: one line with the way on", out == "" and
                 err.count("\n") == 1 and "armvmd is not running" in err, err)
    shutil.rmtree(host.runtime, ignore_errors=True)


guarded(memory, names, disks, in_use, what_it_needs_is_gone, no_daemon)
report.end()
