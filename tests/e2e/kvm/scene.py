"""The scene of the KVM tests: a daemon, images of their own, started guests."""
import base64
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))
# pylint: disable=wrong-import-position,unused-import
from armvm import (Host, Console, RpcError, alive, eventually, guarded,
                   kill_process, report, wait_for)
from host_side import (blank, checksum, filled, host_ends, settled, sh,
                       supervisors)

GUEST = os.environ["ARMVM_GUEST"]
SRC = os.environ["ARMVM_SRC"]
BOOT_S = 240  # a UEFI boot takes 15 to 30 s on a quiet machine


def image(host, name, source="debian.raw"):
    """A copy of the guest image this test may write to."""
    path = f"{host.dir}/{name}.raw"
    shutil.copyfile(f"{GUEST}/{source}", path)
    return path


def define(host, name, disk, **more):
    config = {"name": name, "memory": "512MiB", "vcpus": 1,
              "disks": [{"path": disk}], **more}
    return host.call("vm.define", config=config)


def _pin(pid, cpus, threads=""):
    """Every thread of the process whose name begins so, to these CPUs; their
    ids."""
    pinned = set()
    for tid in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{tid}/comm", encoding="utf-8") as f:
                if f.read().startswith(threads):
                    os.sched_setaffinity(int(tid), cpus)
                    pinned.add(tid)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it just ended
    return pinned


def pin_vcpus(host, name, cpu=0):
    """vCPU n to CPU cpu + n; their threads, which are others after a reset."""
    vm, pinned = host.vm(name), set()
    for n in range(vm["config"].get("vcpus", 1)):
        pinned |= _pin(vm["pid"], {(cpu + n) % os.cpu_count()}, f"vcpu{n}")
    return pinned


def start32(host, name, cpu=0, snapshot=None):
    """Start a VM in AArch32, or restore it from this file, with vCPU 0 on this
    CPU and the others on those that follow, where the host is emulated: QEMU keeps the SPSR of a guest's
    current mode in the CPU and forgets it when the guest goes on elsewhere or
    another guest in AArch32 ran there (README of tests/host)."""
    def start():
        if snapshot:
            host.call("snapshot.restore", path=snapshot)
        else:
            host.call("vm.start", name=name)

    if os.environ.get("ARMVM_HOST") == "emulated":
        # What is started inherits it; a second vCPU sleeps until much later.
        _pin(host.proc.pid, {cpu})
        start()
        pin_vcpus(host, name, cpu)
        _pin(host.proc.pid, set(range(os.cpu_count())))
    else:
        start()
    return host.console(name)


def shell_again(console):
    """The console of a guest that was restored: its shell waits."""
    console.send("\n")
    console.expect(re.escape(console.PROMPT), 60)
    return console


def boot(host, name, timeout=BOOT_S):
    """Start it and wait for the shell of its operating system."""
    host.call("vm.start", name=name)
    console = host.console(name)
    console.ready(timeout)
    return console


def busy(disk):
    """The guest's command that keeps writing to a disk, until /tmp/busy is no
    more there."""
    return (f"touch /tmp/busy; while [ -e /tmp/busy ]; do dd if=/dev/zero "
            f"of=/dev/{disk} bs=64k count=64 conv=fsync 2>/dev/null; done & "
            "sleep 0.3")


def address_of(interface):
    shown = subprocess.run(["ip", "-o", "link", "show", interface],
                           check=True, capture_output=True, text=True).stdout
    return re.search(r"link/ether (\S+)", shown)[1]


def save_tree(guest, name):
    """The guest's device tree in build/check, for tests/e2e/device_tree."""
    text, status = guest.run("base64 /sys/firmware/fdt", 60)
    report.equal("the device tree can be read", status, 0)
    path = f"{SRC}/build/check/{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(base64.b64decode(text))
    # The kernel's EFI stub adds its own to /chosen; what is judged is ours.
    out = subprocess.run(["fdtget", "-p", path, "/chosen"], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    for prop in out.split():
        if prop.startswith(("linux,uefi-", "linux,initrd-")):
            subprocess.run(["fdtput", "-d", path, "/chosen", prop], check=True)
    return path


class Trace:
    """Counts one event of the host's kernel."""
    DIR = "/sys/kernel/tracing"

    def __init__(self, event, condition):
        if not os.path.isdir(self.DIR + "/events"):
            os.system(f"mount -t tracefs tracefs {self.DIR}")
        self.event = f"{self.DIR}/events/{event}"
        self.condition, self.count = condition, 0

    def put(self, path, text):
        with open(path, "w", encoding="ascii") as f:
            f.write(text)

    def __enter__(self):
        self.put(self.event + "/filter", self.condition)
        self.put(self.DIR + "/trace", "")
        self.put(self.event + "/enable", "1")
        return self

    def __exit__(self, *_):
        self.put(self.event + "/enable", "0")
        with open(self.DIR + "/trace", encoding="utf-8") as f:
            self.count = sum(not line.startswith("#") for line in f)
