"""The scene of the KVM tests: a daemon, images of their own, started guests."""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))
# pylint: disable=wrong-import-position,unused-import
from armvm import Host, Console, RpcError, alive, guarded, report, wait_for

GUEST = os.environ["ARMVM_GUEST"]
SRC = os.environ["ARMVM_SRC"]
BOOT_S = 240  # a UEFI boot takes 15 to 30 s on a quiet machine


def image(host, name):
    """A copy of the guest image this test may write to."""
    path = f"{host.dir}/{name}.raw"
    shutil.copyfile(f"{GUEST}/debian.raw", path)
    return path


def define(host, name, disk, **more):
    config = {"name": name, "memory": "512MiB", "vcpus": 1,
              "disks": [{"path": disk}], **more}
    return host.call("vm.define", config=config)


def boot(host, name, timeout=BOOT_S):
    """Start it and wait for the shell of its operating system."""
    host.call("vm.start", name=name)
    console = host.console(name)
    console.ready(timeout)
    return console
