#!/usr/bin/python3
"""Disks and network interfaces of VMs at rest and running, with armvmctl and
the API, on the null backend: definition, slots, deadlines, a daemon that is
restarted half-way."""
import json
import os
import re
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import Host, RpcError, guarded, report, wait_for      # noqa: E402
from bootable import make_image                                 # noqa: E402

host = Host("armvm-hotplug-").start()


def blank(name):
    path = f"{host.dir}/{name}.raw"
    with open(path, "wb") as f:
        f.truncate(1 << 20)
    return path


def ok(name, *arguments):
    status, out, err = host.ctl(*arguments)
    report.check(name, status == 0 and err == "", f"[{status}]\n{out}\n{err}")
    return out


def fails(name, want, pattern, *arguments):
    status, out, err = host.ctl(*arguments)
    report.check(name, status == want and out == "" and err.count("\n") == 1
                 and re.search(pattern, err), f"[{status}]\n{out}\n{err}")


def disks(name="web"):
    return {d["id"]: d for d in host.call("disk.list", name=name)["disks"]}


def defined(name="web"):
    return [(d["id"], d["slot"]) for d in
            host.vm(name)["config"].get("disks", [])]


def say(text, want=None):
    console = host.console("web")
    console.send(text + "\n")
    console.expect(re.escape(want or text), 60)
    console.close()


def at_rest():
    host.call("vm.define", config={"name": "web", "hypervisor": "null",
                                   "max_hotplug": 3})
    report.equal("a new VM has none", disks(), {})
    fails("what it could not boot from", 14, "nothing to boot from", "disk",
          "add", "web", blank("a"))
    make_image(host.dir + "/boot.raw")
    out = ok("disk add", "disk", "add", "web", host.dir + "/boot.raw",
             "--serial", "root")
    report.equal("says when it is there", out,
                 "web: root added; it is there at the next start\n")
    ok("another", "disk", "add", "web", blank("b"), "--readonly")
    report.equal("both are defined, in slots of their own", defined(),
                 [("root", 1), ("disk1", 2)])
    report.equal("a change is a revision", host.vm("web")["revision"], 3)
    report.match("disk list", r"root +defined +1 +- +root +yes +/.*boot.raw\n"
                 r"disk1 +defined +2 +- +disk1 +yes",
                 ok("disk list", "disk", "list", "web"))
    fails("the same file twice", 2, "already the path", "disk", "add", "web",
          host.dir + "/boot.raw")
    fails("a file that is not there", 3, "cannot open disk .*/none.raw",
          "disk", "add", "web", host.dir + "/none.raw")
    fails("no guest to change", 5, "leave out --live", "disk", "add", "web",
          blank("c"), "--live")
    fails("what is not there", 3, 'no disk "nope"; see: armvmctl disk list',
          "disk", "remove", "web", "nope")
    fails("a disk is no nic", 3, 'no nic "root"', "nic", "remove", "web",
          "root")
    ok("a third", "disk", "add", "web", host.dir + "/a.raw")
    out = ok("disk remove", "disk", "remove", "web", "disk1")
    report.equal("says so", out, "web: disk1 removed from the definition\n")
    report.equal("the others keep their slots", defined(),
                 [("root", 1), ("disk2", 3)])
    ok("the third", "disk", "remove", "web", "disk2")
    ok("the hole is filled", "disk", "add", "web", host.dir + "/b.raw",
       "--id", "disk1")
    fails("a VM that is not there", 3, 'did you mean "web"', "disk", "list",
          "wbe")


def bad_input():
    for name, config, pattern in (
            ("more slots than there are", {"max_hotplug": 33},
             "max_hotplug.*32"),
            ("two devices in a slot",
             {"disks": [{"path": "/a", "slot": 3}, {"path": "/b", "slot": 3}]},
             "slot: both .* are in 3; 1 to 80"),
            ("a slot beyond the last", {"disks": [{"path": "/a",
                                                   "slot": 81}]}, "80")):
        try:
            host.call("vm.define", config={"name": "bad",
                                           "hypervisor": "null", **config})
            report.check(name + " is refused", False)
        except RpcError as e:
            report.match(name + " is refused", pattern, str(e))
    for name, params in (("no path", {"disk": {}}),
                         ("no object", {"disk": 7}),
                         ("an unknown field", {"disk": {"path": "/x",
                                                        "size": 1}}),
                         ("a year", {"disk": {"path": "/x"},
                                     "timeout_ms": 31536000000})):
        try:
            host.call("disk.add", name="web", **params)
            report.check(f"disk.add with {name} is refused", False)
        except RpcError as e:
            report.equal(f"disk.add with {name} is refused", e.code,
                         "invalid")
    fails("--timeout 0", 2, "no time", "disk", "add", "web", "/x",
          "--timeout", "0")
    fails("--live and --persistent", 2, "exclude", "disk", "remove", "web",
          "x", "--live", "--persistent")
    fails("a nic connected to nothing", 2, "nic user", "nic", "add", "web",
          "mac=52:54:00:00:00:01")


def running():
    ok("start", "start", "web")
    out = ok("disk add", "disk", "add", "web", host.dir + "/a.raw",
             "--serial", "data1")
    report.match("tells the steps", r"^web: data1 offered … acknowledged by "
                 r"the guest … active on null:3 as null \(\d\.\d s\)\n$", out)
    report.equal("it is defined, too", defined(), [("root", 1), ("disk1", 2),
                                                    ("data1", 3)])
    ok("live only", "disk", "add", "web", host.dir + "/c.raw", "--live",
       "--id", "disk2")
    report.equal("is not", len(defined()), 3)
    have = disks()
    report.equal("all are listed", sorted(have),
                 ["data1", "disk1", "disk2", "root"])
    report.equal("as they are", [(have[d]["state"], have[d]["slot"],
                                  have[d]["persistent"]) for d in sorted(have)],
                 [("active", 3, True), ("active", 2, True),
                  ("active", 4, False), ("active", 1, True)])
    out = ok("as JSON", "disk", "remove", "web", "disk2", "-o", "json")
    report.equal("the disk as it was", json.loads(out)["state"], "released")
    ok("remove live only", "disk", "remove", "web", "data1", "--live")
    report.equal("defined, and not there", disks()["data1"]["state"],
                 "defined")
    ok("then from the definition", "disk", "remove", "web", "data1")
    report.equal("only one is left", sorted(disks()),
                 ["disk1", "root"])
    ok("by force", "disk", "remove", "web", "disk1", "--force")
    report.equal("none but the first is left", list(disks()), ["root"])


def slots_run_out():
    for i in range(4):
        host.call("disk.add", name="web", live=True,
                  disk={"path": blank(f"s{i}"), "id": f"s{i}"})
    fails("all slots taken", 9, "all 5 slots are taken; a greater "
          "max_hotplug", "disk", "add", "web", blank("s4"))
    for i in range(4):
        host.call("disk.remove", name="web", id=f"s{i}", live=True)
    try:
        host.call("disk.add", name="web", disk={"path": "/none"})
        report.check("a disk that cannot be opened", False)
    except RpcError as e:
        report.equal("a disk that cannot be opened", e.code, "not-found")


def events_of(ident):
    rpc = host.rpc()
    events = rpc.call("event.subscribe", since=0)["events"]
    rpc.close()
    return [e["state"] for e in events
            if e["kind"] == "device" and e["device"] == ident]


def a_guest_that_does_not_follow():
    say("hotplug off")
    fails("attach: timeout", 8, r"did not take disk \"deaf\" within 0.3 s "
          r"\(.*told not to listen.*\)\. It is not attached", "disk", "add",
          "web", host.dir + "/a.raw", "--id", "deaf", "--timeout", "300ms")
    report.equal("nothing changed", (list(disks()), defined()),
                 (["root"], [("root", 1)]))
    report.equal("each step is an event", events_of("deaf"),
                 ["requested", "offered", "failed"])
    say("hotplug on")
    ok("listening again", "disk", "add", "web", host.dir + "/a.raw", "--id",
       "kept")
    say("hotplug off")
    fails("detach: timeout", 8, r"did not release disk \"kept\" within 0.3 s "
          r".*still attached; use --force", "disk", "remove", "web", "kept",
          "--timeout", "300ms")
    report.equal("still there", (disks()["kept"]["state"], defined()),
                 ("active", [("root", 1), ("kept", 2)]))
    report.equal("all is told", events_of("kept"),
                 ["requested", "offered", "acknowledged", "active",
                  "releasing", "failed"])


def one_at_a_time_and_force():
    result = {}
    thread = threading.Thread(target=lambda: result.update(
        ctl=host.ctl("disk", "remove", "web", "kept", "--timeout", "30s")))
    thread.start()
    wait_for("asked", lambda: disks()["kept"]["state"] == "releasing")
    fails("a second request", 6, "being added or removed already", "disk",
          "remove", "web", "kept")
    ok("force goes ahead", "disk", "remove", "web", "kept", "--force")
    thread.join(10)
    report.equal("the first one is told", result["ctl"][0], 12)
    report.equal("gone", (list(disks()), defined()),
                 (["root"], [("root", 1)]))


def the_vm_ends_half_way():
    result = {}
    thread = threading.Thread(target=lambda: result.update(
        ctl=host.ctl("disk", "add", "web", host.dir + "/a.raw", "--id", "x",
                     "--timeout", "30s")))
    thread.start()
    wait_for("offered", lambda: "x" in disks())
    host.call("vm.stop", name="web")
    thread.join(10)
    report.equal("the request fails with it", result["ctl"][0], 12)
    report.equal("not defined", defined(), [("root", 1)])
    host.call("vm.start", name="web")


def the_daemon_is_restarted():
    host.call("disk.add", name="web", live=True,
              disk={"path": host.dir + "/a.raw", "id": "before"})
    say("hotplug off")
    thread = threading.Thread(target=host.ctl, args=(
        "disk", "add", "web", host.dir + "/b.raw", "--id", "late",
        "--timeout", "2s"))
    thread.start()
    wait_for("offered", lambda: "late" in disks())
    host.kill()
    thread.join(10)
    host.start()
    host.wait_state("web", "running")
    have = disks()
    report.equal("what was added live is known",
                 (have["before"]["state"], have["before"]["path"]),
                 ("active", host.dir + "/a.raw"))
    wait_for("the deadline holds without the daemon that set it",
             lambda: "late" not in disks(), 10)
    report.check("an operation ends at its deadline all the same", True)
    say("hotplug on")
    ok("and can be removed", "disk", "remove", "web", "before")
    host.call("vm.stop", name="web")


def nics():
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        report.skip("nics", "needs root and /dev/net/tun")
        return
    try:
        host.call("vm.start", name="web")
        out = ok("nic add", "nic", "add", "web",
                 "tap=armvmhp0,mac=52:54:00:11:22:33")
        report.match("tells the steps", r"^web: nic0 offered .* active", out)
        report.match("nic list", r"nic0 +active +\d +null:\d "
                     r"+52:54:00:11:22:33 +up +yes +tap armvmhp0",
                     ok("nic list", "nic", "list", "web"))
        ok("nic remove", "nic", "remove", "web", "nic0")
        report.equal("none is left",
                     host.call("nic.list", name="web")["nics"], [])
    finally:
        host.call("vm.stop", name="web")


guarded(at_rest, bad_input, running, slots_run_out,
        a_guest_that_does_not_follow, one_at_a_time_and_force,
        the_vm_ends_half_way, the_daemon_is_restarted, nics)
report.end()
