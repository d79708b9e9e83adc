#!/usr/bin/python3
"""The API on the system bus: methods, properties, signals, errors, hostile
callers, and a bus that comes, goes or hangs."""
import json
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import Host, guarded, report, wait_for                # noqa: E402
from dbus_wire import Bus, DBusError                             # noqa: E402
from dbus_scene import (ERROR, INTROSPECTABLE, MANAGER, NAME,    # noqa: E402
                        OBJECTS, PATH, PROPERTIES, VM, daemon, define,
                        error_of, host, manager, on_bus, prop)

check, equal, match = report.check, report.equal, report.match


def test_methods():
    host.start()
    bus = Bus(daemon.path)
    wait_for("the name", lambda: on_bus(bus))
    web = define(bus, name="web", labels={"role": "web"}, memory="512MiB")
    equal("an object by the uuid", web.rsplit("/", 1)[1].replace("_", "-"),
          host.vm("web")["uuid"])
    equal("found by name", manager(bus, "GetVM", "s", "web"), web)
    started = json.loads(bus.call(NAME, web, VM, "Start"))
    equal("started", (started["state"], host.vm("web")["state"]),
          ("running", "running"))
    everything = bus.call(NAME, web, PROPERTIES, "GetAll", "s", VM)
    have = host.vm("web")
    equal("properties", [everything[n] for n in (
        "Name", "State", "Memory", "VCPUs", "PID", "Labels", "Revision",
        "Autostart")], ["web", "running", 512 << 20, 1, have["pid"],
                        {"role": "web"}, 1, False])
    equal("the definition", json.loads(everything["Definition"]),
          have["config"])
    equal("one alone", prop(bus, web, "State"), "running")
    equal("of the manager", bus.call(NAME, PATH, PROPERTIES, "GetAll", "s",
                                     MANAGER),
          {"Version": "0.1.0", "Hypervisor": "null", "VMCount": 1})
    call = bus.call(NAME, web, VM, "Shutdown", "a{sv}",
                    {"timeout_ms": ("t", 20000), "async": ("b", True)})
    job = json.loads(call)
    equal("a job, asked for among the options",
          (job["method"], job["state"]), ("vm.shutdown", "running"))
    job = json.loads(manager(bus, "JobWait", "x", job["id"]))
    equal("which ends", job["state"], "done")
    equal("any method by Call", json.loads(manager(
        bus, "Call", "ss", "vm.get", '{"name": "web"}'))["state"], "stopped")
    path = bus.call(NAME, web, VM, "Clone", "s", "copy")
    equal("a clone is an object", prop(bus, path, "Name"), "copy")
    bus.call(NAME, path, VM, "Rename", "s", "twin")
    equal("which a new name does not move", prop(bus, path, "Name"), "twin")
    vms, cursor = manager(bus, "ListVMs", "a{sv}", {
        "limit": ("u", 1), "labels": ("a{ss}", {"role": "web"})})
    equal("a page of a list", (vms, bool(cursor)),
          ([(path, "twin", "stopped")], True))
    vms, cursor = manager(bus, "ListVMs", "a{sv}", {"cursor": ("s", cursor)})
    equal("and the next", (vms, cursor), ([(web, "web", "stopped")], ""))
    bus.call(NAME, path, VM, "Undefine")
    equal("gone", error_of(bus.call, NAME, path, VM, "Start"),
          ERROR + "NotFound")
    bus.close()


def test_console():
    bus = Bus(daemon.path)
    web = manager(bus, "GetVM", "s", "web")
    equal("no console of what is stopped",
          error_of(bus.call, NAME, web, VM, "OpenConsole"),
          ERROR + "WrongState")
    bus.call(NAME, web, VM, "Start")
    index, about = bus.call(NAME, web, VM, "OpenConsole")
    equal("an index, and about it", (index, json.loads(about)["vm"]),
          (0, host.vm("web")["uuid"]))
    with socket.socket(fileno=bus.fds.pop(0)) as console:
        console.sendall(b"hello\n")
        console.settimeout(20)
        check("a descriptor of its console", console.recv(100))
    equal("not through Call", error_of(
        manager, bus, "Call", "ss", "vm.console", '{"name": "web"}'),
          ERROR + "NotSupported")
    bus.call(NAME, web, VM, "Stop")
    bus.close()


def test_errors():
    bus = Bus(daemon.path)
    web = manager(bus, "GetVM", "s", "web")

    def bad(*arguments):
        return error_of(bus.call, NAME, *arguments)

    unknown = "org.freedesktop.DBus.Error.Unknown"
    equal("no such method", bad(web, VM, "Fly"), unknown + "Method")
    equal("no such interface", bad(web, "org.armvmd1.Fly", "Start"),
          unknown + "Method")
    equal("no such object", bad(PATH + "/vm/web", VM, "Start"),
          unknown + "Object")
    equal("no such property", bad(web, PROPERTIES, "Get", "ss", VM, "Fly"),
          unknown + "Property")
    equal("no such interface of properties",
          bad(web, PROPERTIES, "GetAll", "s", "org.armvmd1.Fly"),
          unknown + "Interface")
    equal("properties are not set", bad(
        web, PROPERTIES, "Set", "ssv", VM, "Name", ("s", "x")),
          "org.freedesktop.DBus.Error.PropertyReadOnly")
    equal("an interface need not be given", error_of(
        bus.call, NAME, web, None, "Pause"), ERROR + "WrongState")
    for name, arguments, text in (
            ("arguments of another type", ("u", 1), "Start takes arguments"),
            ("an unknown option", ("a{sv}", {"fly": ("b", True)}), "fly"),
            ("an option of another type", ("a{sv}", {"async": ("s", "x")}),
             "async"),
            ("an option twice", ("a{sv}", [("async", ("b", 0)),
                                           ("async", ("b", 0))]), "twice"),
            ("what JSON has not", ("a{sv}", {"deadline_ms": ("d", 1e400)}),
             "finite"),
            ("a path where text belongs", ("a{sv}", {
                "idempotency_key": ("ay", [1, 2])}), "idempotency_key")):
        try:
            bus.call(NAME, web, VM, "Start", *arguments)
            check(name, False)
        except DBusError as e:
            check(name, e.name == ERROR + "Invalid" and text in e.text, e)
    deep = ("s", "x")
    for _ in range(40):
        deep = ("v", deep)
    equal("what is too deep", bad(web, VM, "Start", "a{sv}", {"x": deep}),
          ERROR + "Invalid")
    equal("what is too much", bad(web, VM, "Start", "a{sv}", {
        "x": ("ai", [0] * 20000)}), ERROR + "Invalid")
    for name, text in (("no JSON", "{"), ("no object", "[1]")):
        equal(f"Call: {name}", error_of(manager, bus, "Call", "ss", "vm.list",
                                        text) in (ERROR + "ParseError",
                                                  ERROR + "Invalid"), True)
    equal("Call: no method", error_of(manager, bus, "Call", "ss", "vm.fly",
                                      ""), ERROR + "NoMethod")
    equal("a definition that is none", error_of(manager, bus, "Define", "s",
                                                '{"name": 1}'),
          ERROR + "Invalid")
    equal("a name twice", error_of(define, bus, name="web"), ERROR + "Exists")
    equal("nothing of that happened", host.vm("web")["state"], "stopped")
    bus.close()


def test_signals():
    bus = Bus(daemon.path)
    bus.match(f"type='signal',sender='{NAME}'")
    path = define(bus, name="sig")
    equal("VMAdded", bus.signal("VMAdded").body, ("sig", path))
    added = bus.signal("InterfacesAdded").body
    equal("InterfacesAdded", (added[0], added[1][VM]["Name"]), (path, "sig"))
    event = bus.signal("Event")
    equal("Event", (json.loads(event.body[1])["kind"],
                    json.loads(event.body[1])["seq"]),
          ("defined", event.body[0]))
    host.call("vm.start", name="sig")
    job = bus.signal("JobNew", lambda m: m.body[1] == "vm.start").body
    equal("JobNew", job[1:], ("vm.start", "sig"))
    equal("StateChanged", bus.signal(
        "StateChanged", lambda m: m.path == path).body,
          ("starting", "stopped", ""))
    changed = bus.signal("PropertiesChanged", lambda m: m.body[1].get(
        "State") == "running")
    equal("PropertiesChanged", (changed.path, changed.body[2]),
          (path, ["PID", "StartedMSec"]))
    equal("JobRemoved comes last", bus.signal("JobRemoved").body,
          (*job, "done"))
    check("after the job's last event", any(
        m.member == "StateChanged" and m.body[0] == "running"
        for m in bus.signals), bus.signals)
    host.call("vm.stop", name="sig")
    host.call("vm.update", name="sig", config={
        "name": "sig", "hypervisor": "null", "memory": "256MiB"})
    equal("a definition that changed", bus.signal(
        "PropertiesChanged", lambda m: "Memory" in m.body[1]).body[1]
          ["Memory"], 256 << 20)
    host.call("vm.delete", name="sig")
    equal("VMRemoved", bus.signal("VMRemoved").body, ("sig", path))
    equal("InterfacesRemoved", bus.signal("InterfacesRemoved").body,
          (path, [VM]))
    replay = json.loads(manager(bus, "ReplayEvents", "x", event.body[0]))
    equal("and what was missed can be had", replay["events"][0]["seq"],
          event.body[0] + 1)
    bus.close()


def test_introspection():
    bus = Bus(daemon.path)
    web = manager(bus, "GetVM", "s", "web")
    xml = bus.call(NAME, PATH, INTROSPECTABLE, "Introspect")
    for what in ('<interface name="org.armvmd1.Manager">', 'name="Define"',
                 'name="Call"', '<property name="VMCount" type="t"',
                 '<signal name="VMAdded">', '<node name="vm"/>',
                 'name="GetManagedObjects"'):
        check(f"the manager shows {what}", what in xml, xml)
    xml = bus.call(NAME, web, INTROSPECTABLE, "Introspect")
    for member in ("Start", "Shutdown", "Stop", "Reset", "Pause", "Resume",
                   "Undefine", "AttachDisk", "DetachDisk", "AttachNIC",
                   "DetachNIC", "OpenConsole", "Update", "Clone", "Rename"):
        check(f"a VM has {member}", f'<method name="{member}">' in xml, xml)
    xml = bus.call(NAME, PATH + "/vm", INTROSPECTABLE, "Introspect")
    check("VMs are children", f'<node name="{web.rsplit("/", 1)[1]}"/>' in xml,
          xml)
    for i in range(600):
        host.call("vm.define", config={"name": f"n{i}", "hypervisor": "null"})
    objects = bus.call(NAME, PATH, OBJECTS, "GetManagedObjects")
    equal("managed objects, of several pages", len(objects), 601)
    equal("each with its properties", objects[web][VM]["Name"], "web")
    xml = bus.call(NAME, PATH + "/vm", INTROSPECTABLE, "Introspect")
    equal("and children, too", xml.count("<node name="), 601)
    bus.close()


def define_many(first, end):
    rpc = host.rpc()
    for at in range(first, end, 100):
        n = min(end, at + 100) - at
        rpc.sock.sendall(b"".join(json.dumps({
            "jsonrpc": "2.0", "id": i, "method": "vm.define", "params": {
                "config": {"name": f"n{i}", "hypervisor": "null"}}
        }).encode() + b"\n" for i in range(at, at + n)))
        for _ in range(n):
            rpc._line()  # pylint: disable=protected-access
    rpc.close()


def test_too_many():
    """More objects than a message can hold: told so, and there is a way on."""
    define_many(600, 10000)
    bus = Bus(daemon.path, timeout=120)
    count = prop(bus, PATH, "VMCount", MANAGER)
    check("there are more than 10,000", count > 10000, count)
    try:
        bus.call(NAME, PATH, OBJECTS, "GetManagedObjects")
        check("too many objects: refused", False)
    except DBusError as e:
        check("too many objects: refused, with the way on", e.name ==
              "org.freedesktop.DBus.Error.LimitsExceeded" and "ListVMs" in
              e.text, e)
    names, cursor = [], None
    while cursor != "":
        options = {"limit": ("u", 1000)}
        if cursor:
            options["cursor"] = ("s", cursor)
        page, cursor = manager(bus, "ListVMs", "a{sv}", options)
        names += [name for _, name, _ in page]
    equal("ListVMs has them all, once", (len(names), len(set(names))),
          (count, count))
    xml = bus.call(NAME, PATH + "/vm", INTROSPECTABLE, "Introspect")
    check("introspection says that there are more", "ListVMs" in xml)
    rpc = host.rpc()
    for i in range(600, 10000):
        rpc.sock.sendall(json.dumps({
            "jsonrpc": "2.0", "id": i, "method": "vm.delete",
            "params": {"name": f"n{i}"}}).encode() + b"\n")
        if i % 100 == 99:
            for _ in range(100):
                rpc._line()  # pylint: disable=protected-access
    rpc.close()
    bus.close()


def test_hostile():
    bus = Bus(daemon.path)
    web = manager(bus, "GetVM", "s", "web")
    # Calls nobody waits for an answer to, and a caller who has gone.
    for flags in (0, 1):
        for _ in range(100):
            bus.begin(NAME, web, VM, "Get", flags=flags)
    bus.close()
    bus = Bus(daemon.path)
    # More at once than one may have under way: the rest is told so.
    job = start_job(bus, web)
    waiting = {bus.begin(NAME, PATH, MANAGER, "JobWait", "xa{sv}", job,
                         {"timeout_ms": ("t", 1000)}) for _ in range(100)}
    names = []
    while waiting:
        m = bus.receive(time.monotonic() + 20)
        if m.reply in waiting:
            waiting.remove(m.reply)
            names.append(m.error)
    limit = "org.freedesktop.DBus.Error.LimitsExceeded"
    equal("every call of many is answered", len(names), 100)
    check("those over the limit by saying so", set(names) <= {None, limit},
          names)
    # A message that is no message ends at the bus; one that is, but whose
    # body lies, too: the daemon hears of neither.
    for junk in (b"l\1\0\1" + b"\xff" * 12, b"\0" * 4096):
        other = Bus(daemon.path)
        other.sock.sendall(junk)
        other.close()
    other = Bus(daemon.path)
    packed = bytearray(other.packed(1, "s", ["x"], path=PATH, member="Define",
                                    interface=MANAGER, destination=NAME))
    packed[-6:-2] = struct.pack("<I", 0x7fffffff)
    other.sock.sendall(packed)
    other.close()
    equal("the daemon is there", json.loads(bus.call(
        NAME, web, VM, "Get"))["name"], "web")
    equal("on its socket, too", host.vm("web")["name"], "web")
    bus.close()


def start_job(bus, web):
    json.loads(bus.call(NAME, web, VM, "Start"))
    return json.loads(bus.call(NAME, web, VM, "Shutdown", "a{sv}", {
        "timeout_ms": ("t", 20000), "async": ("b", True)}))["id"]


def test_bus_restart():
    host.call("vm.define", config={"name": "r", "hypervisor": "null"})
    daemon.stop()
    equal("without the bus all goes on", host.call("vm.start",
                                                   name="r")["state"],
          "running")
    daemon.start()
    bus = Bus(daemon.path)
    wait_for("the name is back", lambda: on_bus(bus))
    equal("and so are the objects", prop(bus, manager(bus, "GetVM", "s", "r"),
                                         "State"), "running")
    bus.match(f"type='signal',sender='{NAME}'")
    second = Host("armvm-dbus-2-")
    second.start()
    match("a second daemon stands in line", "in line behind it", wait_for(
        "its word", lambda: "system bus" in second.log_text() and
        second.log_text()))
    host.stop()
    wait_for("and takes over", lambda: on_bus(bus) and error_of(
        manager, bus, "GetVM", "s", "r") == ERROR + "NotFound")
    second.stop()
    bus.close()


def test_waits_for_a_bus():
    daemon.stop()
    host.start()
    daemon.start()
    bus = Bus(daemon.path)
    wait_for("the name, once there is a bus", lambda: on_bus(bus))
    host.stop()
    config = host.dir + "/armvmd.conf"
    with open(config, "w", encoding="utf-8") as f:
        f.write("dbus off\n")
    host.start("--config", config)
    time.sleep(0.5)
    check("off is off", not on_bus(bus))
    bus.close()


def test_stuck_bus():
    """A bus that accepts and then says nothing costs nobody anything."""
    host.stop()
    path = host.dir + "/stuck"
    with socket.socket(socket.AF_UNIX) as stuck:
        stuck.bind(path)
        stuck.listen(1)
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=" + path
        host.start()
        stuck.settimeout(20)
        peer = stuck.accept()[0]
        before = time.monotonic()
        host.call("vm.define", config={"name": "s", "hypervisor": "null"})
        equal("a start beside a stuck bus", host.call(
            "vm.start", name="s")["state"], "running")
        host.call("vm.stop", name="s")
        check("takes no longer", time.monotonic() - before < 5)
        equal("nor does the end", host.stop(), 0)
        peer.close()


guarded(test_methods, test_console, test_errors, test_signals,
        test_introspection, test_too_many, test_hostile, test_bus_restart,
        test_waits_for_a_bus, test_stuck_bus)
if report.failed:
    report.note(host.log_text()[-3000:])
report.end()
