"""A network namespace of a test's own: what is in it, the test made."""
import os
import socket
import subprocess
import sys

from armvm import alive

BRIDGE = "armvmtest0"
INSIDE = "ARMVM_OWN_NETWORK"


def own_network():
    """This very program again, in a namespace of its own with a bridge. False
    where that is not allowed, or taps are not."""
    if INSIDE not in os.environ:
        if os.geteuid() != 0 or subprocess.run(
                ["unshare", "-n", "true"], stderr=subprocess.DEVNULL,
                check=False).returncode:
            return False
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "-n", *sys.argv])
    for command in (["link", "add", BRIDGE, "type", "bridge"],
                    ["tuntap", "add", "try0", "mode", "tap"],
                    ["link", "delete", "try0"]):
        if subprocess.run(["ip", *command], stderr=subprocess.DEVNULL,
                          check=False).returncode:
            return False
    return True


def interfaces():
    """All there are but loopback and the bridge."""
    return [name for _, name in socket.if_nameindex()
            if name not in ("lo", BRIDGE)]


def processes():
    """Those of our network, by pid: what was started in here. Supervisors are
    not among them, for they have none."""
    ours, found = os.readlink("/proc/self/ns/net"), {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/ns/net") == ours and alive(pid):
                with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                    found[int(pid)] = f.read().strip()
        except OSError:
            continue
    return found
