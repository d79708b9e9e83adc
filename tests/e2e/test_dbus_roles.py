#!/usr/bin/python3
"""Who may do what over the system bus: roles by uid and groups, a polkit that
answers as it is told, or does not, and who is sent signals."""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
import dbus_wire                                                 # noqa: E402
from armvm import ROOT, guarded, report, wait_for                # noqa: E402
from dbus_wire import Bus                                        # noqa: E402
from dbus_scene import (INTROSPECTABLE, MANAGER, NAME,           # noqa: E402
                        OBJECTS, PATH, PLAIN, PROPERTIES, VM, become,
                        begin_as, call_as, daemon, define, host, manager,
                        on_bus)

check, equal, match = report.check, report.equal, report.match
host.start()
first = Bus(daemon.path)
wait_for("the name", lambda: on_bus(first))
define(first, name="web")
first.close()


def test_roles():
    bus = Bus(daemon.path)
    web = manager(bus, "GetVM", "s", "web")
    op = subprocess.run(["id", "-u", "armvm-test-op"], check=True,
                        stdout=subprocess.PIPE, text=True).stdout.strip()
    denied = r"^org\.armvmd1\.Error\.Denied: "
    match("a stranger may not start", denied + f"uid {PLAIN} at .* may do "
          "nothing here: it takes membership of the group armvm-viewer.*"
          "consent to org.armvmd1.operate",
          call_as(PLAIN, web, VM, "Start"))
    match("nor read a property", denied, call_as(
        PLAIN, web, PROPERTIES, "Get", "ss", VM, "State"))
    match("nor list", denied, call_as(PLAIN, PATH, MANAGER, "ListVMs"))
    match("nor see all objects", denied, call_as(
        PLAIN, PATH, OBJECTS, "GetManagedObjects"))
    xml = call_as(PLAIN, PATH + "/vm", INTROSPECTABLE, "Introspect")
    check("nor which there are", "<node name=" not in xml and
          "Introspectable" in xml, xml)
    match("an operator by their group may", "^done", call_as(
        op, web, VM, "Start"))
    match("and stop", "^done", call_as(op, web, VM, "Stop"))
    match("but not delete", denied + ".* is a operator; this takes role admin",
          call_as(op, web, VM, "Undefine"))
    log = host.log_text()
    match("the audit names the caller", rf"web: audit: vm.start by uid {op} "
          r"at :1\.\d+ \(operator\): done", log)
    match("also of what was refused", rf"web: audit: vm.start by uid {PLAIN} "
          r"at :1\.\d+ \(none\): ", log)
    bus.close()


def receives(uid, what):
    """Whether a process of that uid is sent our signals."""
    listener = subprocess.Popen(
        [*become(uid), sys.executable, "-c", """
import sys, time
sys.path.insert(0, sys.argv[1])
from dbus_wire import Bus
bus = Bus(sys.argv[2])
bus.match("type='signal',interface='org.armvmd1.Manager'")
print("listening", flush=True)
try:
    print(bus.signal("Event").member)
except TimeoutError:
    print("nothing")
""".replace("Bus(sys.argv[2])", "Bus(sys.argv[2], timeout=3)"),
         ROOT + "/tests/e2e/lib", daemon.path], stdout=subprocess.PIPE,
        text=True)
    listener.stdout.readline()
    host.call("vm.update", name="web", config={
        "name": "web", "hypervisor": "null", "description": what})
    return listener.communicate()[0].strip()


def test_who_hears():
    op = int(subprocess.run(["id", "-u", "armvm-test-op"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout)
    equal("signals go to members of the groups", receives(op, "one"), "Event")
    equal("and to no stranger", receives(PLAIN, "two"), "nothing")


def polkit(bus):
    """Answers as it is told and keeps what it was asked."""
    asked, told = [], {"answer": (False, False, {}), "quiet": False}

    def serve(m):
        asked.append(m)
        if m.member != "CheckAuthorization" or told["quiet"]:
            return None
        return "(bba{ss})", [told["answer"]]

    bus.serve = serve
    bus.bus("RequestName", "su", "org.freedesktop.PolicyKit1", 0)
    return asked, told


def asks(bus, *arguments, **options):
    """The same call while `bus` answers for polkit."""
    process = begin_as(*arguments, **options)
    while process.poll() is None:
        bus.receive(time.monotonic() + 0.05)
    return process.communicate()[0].strip()


def test_polkit():
    bus, own = Bus(daemon.path), Bus(daemon.path)
    web = manager(own, "GetVM", "s", "web")
    asked, told = polkit(bus)
    told["answer"] = (True, False, {})
    match("polkit says yes", "^done", asks(bus, PLAIN, web, VM, "Start"))
    subject, action, details, flags, cancel = asked[0].body
    equal("asked of the caller on the bus", subject[0], "system-bus-name")
    match("by their name there", r"^:1\.\d+$", subject[1]["name"])
    equal("for the action", action, "org.armvmd1.operate")
    equal("of this method and VM", details, {
        "method": "vm.start", "vm": "web", "uuid": host.vm("web")["uuid"]})
    equal("without a dialog", flags, 0)
    check("which could be cancelled", cancel.startswith("armvmd-"))
    match("the audit says by whom", rf"vm.start by uid {PLAIN} at :1\.\d+, by "
          r"polkit \(operator\): done", host.log_text())
    told["answer"] = (False, False, {})
    match("polkit says no", "Error.Denied: .*consent to org.armvmd1.operate: "
          "it refused", asks(bus, PLAIN, web, VM, "Stop"))
    told["answer"] = (False, True, {})
    match("polkit would ask",
          "^org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
          asks(bus, PLAIN, web, VM, "Stop"))
    told["answer"] = (True, False, {})
    match("the caller lets it", "^done", asks(
        bus, PLAIN, web, VM, "Stop", flags=dbus_wire.INTERACTIVE))
    equal("and so it may", asked[-1].body[3], 1)
    for member, action, arguments in (
            ("ListVMs", "view", ()), ("HostInfo", "view", ()),
            ("Define", "admin", ("s", '{"name": "p", "hypervisor": "null"}'))):
        match(f"{member} by polkit", "^done", asks(
            bus, PLAIN, PATH, MANAGER, member, *arguments))
        equal(f"is org.armvmd1.{action}", asked[-1].body[1],
              "org.armvmd1." + action)
    equal("of the VM to be", asked[-1].body[2]["vm"], "p")
    match("a property, too", "^done stopped", asks(
        bus, PLAIN, web, PROPERTIES, "Get", "ss", VM, "State"))
    equal("Call names what it calls", (asks(
        bus, PLAIN, PATH, MANAGER, "Call", "ss", "vm.delete",
        '{"name": "p"}')[:4], asked[-1].body[2]["method"]),
          ("done", "vm.delete"))
    count = len(asked)
    manager(own, "ListVMs")
    equal("root is not asked about", len(asked), count)
    bus.close()
    match("without polkit: no", "Error.Denied: .*it is not there",
          call_as(PLAIN, web, VM, "Start"))
    own.close()


def test_polkit_is_silent():
    bus, own = Bus(daemon.path), Bus(daemon.path)
    web = manager(own, "GetVM", "s", "web")
    asked, told = polkit(bus)
    told["quiet"] = True
    waiting = begin_as(PLAIN, web, VM, "Start")
    wait_for("the question", lambda: bus.receive(time.monotonic() + 0.1) or
             asked)
    equal("others are served meanwhile", json.loads(own.call(
        NAME, web, VM, "Get"))["name"], "web")
    equal("on the socket, too", host.vm("web")["state"], "stopped")
    check("and does not wait for it", waiting.poll() is None)
    while waiting.poll() is None:
        bus.receive(time.monotonic() + 0.1)
    match("without an answer: no", "Error.Denied: .*it did not answer",
          waiting.communicate()[0])
    wait_for("the dialog is closed", lambda: any(
        m.member == "CancelCheckAuthorization" for m in asked) or
             bus.receive(time.monotonic() + 0.1) and False)
    equal("nothing was started", host.vm("web")["state"], "stopped")
    bus.close()
    own.close()


guarded(test_roles, test_who_hears, test_polkit, test_polkit_is_silent)
if report.failed:
    report.note(host.log_text()[-3000:])
report.end()
