"""What the tests of the API on the bus share: a bus of their own with the
policy that is installed, a daemon on it, and users for it to judge."""
import atexit
import grp
import json
import os
import subprocess
import sys

import dbus_wire
from armvm import ROOT, Host, report
from dbus_wire import Bus, DBusError

if os.geteuid() != 0:
    report.skip("D-Bus", "takes root, to own a name and to become others")
    report.end()
NAME, PATH = "org.armvmd1", "/org/armvmd1"
MANAGER, VM = "org.armvmd1.Manager", "org.armvmd1.VM"
PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
OBJECTS = "org.freedesktop.DBus.ObjectManager"
ERROR = "org.armvmd1.Error."
PLAIN = 65534
made = []


def make_groups():
    for role in ("viewer", "operator", "admin"):
        try:
            grp.getgrnam("armvm-" + role)
        except KeyError:
            subprocess.run(["groupadd", "--system", "armvm-" + role],
                           check=True)
            made.append("armvm-" + role)
    subprocess.run(["useradd", "--no-create-home", "-G", "armvm-operator",
                    "armvm-test-op"], check=True)


def drop_groups():
    subprocess.run(["userdel", "armvm-test-op"], check=False)
    for name in made:
        subprocess.run(["groupdel", name], check=False)


make_groups()
atexit.register(drop_groups)
host = Host("armvm-dbus-")
os.chmod(host.dir, 0o755)
daemon = dbus_wire.Daemon(host.dir, ROOT + "/units/org.armvmd1.conf")
daemon.start()
atexit.register(daemon.stop)
os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=" + daemon.path


def manager(bus, member, *arguments, **options):
    return bus.call(NAME, PATH, MANAGER, member, *arguments, **options)


def error_of(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except DBusError as e:
        return e.name


def on_bus(bus):
    return NAME in bus.bus("ListNames")


def define(bus, **config):
    return manager(bus, "Define", "s", json.dumps(
        {"hypervisor": "null", **config}))


def prop(bus, path, name, interface=VM):
    return bus.call(NAME, path, PROPERTIES, "Get", "ss", interface, name)


# Runs as somebody else: one call, its result or error on stdout.
CALLER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from dbus_wire import Bus, DBusError
bus = Bus(sys.argv[2], timeout=60)
try:
    print("done", bus.call("org.armvmd1", sys.argv[3], sys.argv[4],
                           sys.argv[5], *json.loads(sys.argv[6]),
                           flags=int(sys.argv[7])))
except DBusError as e:
    print(e)
"""


def become(uid):
    if uid == PLAIN:
        return ["setpriv", f"--reuid={uid}", f"--regid={uid}",
                "--clear-groups"]
    return ["setpriv", f"--reuid={uid}", "--regid=armvm-test-op",
            "--init-groups"]


def begin_as(uid, path, interface, member, *arguments, flags=0):
    return subprocess.Popen(
        [*become(uid), sys.executable, "-c", CALLER, ROOT + "/tests/e2e/lib", daemon.path,
         path, interface, member, json.dumps(arguments), str(flags)],
        stdout=subprocess.PIPE, text=True)


def call_as(*arguments, **options):
    return begin_as(*arguments, **options).communicate()[0].strip()
