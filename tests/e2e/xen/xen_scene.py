"""The scene of the Xen tests: that of the KVM tests, and what is only here."""
import ctypes
import glob
import os
import shutil
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "kvm"))
# pylint: disable=wrong-import-position,unused-import
from scene import (BOOT_S, GUEST, Host, RpcError, alive, blank, boot, busy,
                   checksum, eventually, filled, guarded, host_ends, image,
                   kill_process, report, settled, sh, supervisors, wait_for)


def define(host, name, suffix="", cmdline="quiet", **more):
    """A VM that boots directly; no hypervisor is named."""
    return host.call("vm.define", config={
        "name": name, "memory": "256MiB", "kernel": f"{GUEST}/vmlinuz{suffix}",
        "initrd": f"{GUEST}/initrd{suffix}.img", "cmdline": cmdline, **more})


def boot32(host, name):
    """boot() of a guest in AArch32, each of its vCPUs on a CPU of its own from
    before there is a user space: what an emulated host gets wrong else is in
    the README of tests/host."""
    host.call("vm.start", name=name)
    for n in range(host.vm(name)["config"].get("vcpus", 1)):
        subprocess.run(["xl", "vcpu-pin", name, str(n),
                        str((n + 1) % os.cpu_count())], check=True)
    console = host.console(name)
    console.ready(BOOT_S)
    return console


def guest_reboots(console):
    """What was printed before comes first, so ready() alone would see that."""
    console.send("\nreboot -f\n")
    console.expect("reboot: Restarting system", 60)
    console.ready(BOOT_S)


def domains():
    """Names of the domains Xen has besides its own, by domid."""
    out = subprocess.run(["xl", "list"], check=True, stdout=subprocess.PIPE,
                         text=True).stdout
    rows = [line.split() for line in out.split("\n")[1:] if line]
    return {int(row[1]): row[0] for row in rows if row[1] != "0"}


def flags(name):
    """What xl list says of its state, as "-b----"; "" for none."""
    out = subprocess.run(["xl", "list"], check=True, stdout=subprocess.PIPE,
                         text=True).stdout
    rows = [line.split() for line in out.split("\n")[1:] if line]
    return "".join(row[-2] for row in rows if row[0] == name)


def domid(name):
    return next(number for number, its in domains().items() if its == name)


def hypervisor():
    """Xen's library of hypercalls, and a handle for it."""
    xc = ctypes.CDLL(glob.glob("/usr/lib/aarch64-linux-gnu/libxenctrl.so.*")[0])
    xc.xc_interface_open.restype = ctypes.c_void_p
    return xc, ctypes.c_void_p(xc.xc_interface_open(None, None, 0))


def crash(number):
    """What Xen does with a domain that cannot go on."""
    xc, handle = hypervisor()
    crashed = 3  # SHUTDOWN_crash
    if xc.xc_domain_shutdown(handle, ctypes.c_uint32(number), crashed) != 0:
        raise OSError("xc_domain_shutdown failed")


def running_domains():
    """How many there are besides dom0, asked of the hypervisor alone."""
    xc, handle = hypervisor()
    room = ctypes.create_string_buffer(1 << 16)
    return xc.xc_domain_getinfo(handle, ctypes.c_uint32(1), 64, room)


def living_domains():
    """Numbers of those that can run, asked of the hypervisor alone: one that is
    dying stays for as long as dom0 has a page of its."""
    xc, handle = hypervisor()
    number, found = 1, []
    while True:
        room = ctypes.create_string_buffer(4096)
        if xc.xc_domain_getinfo(handle, ctypes.c_uint32(number), 1, room) != 1:
            return found
        # xc_dominfo_t: domid, ssidref, then bits, the first of which is dying.
        number, _, bits = struct.unpack_from("III", room)
        if not bits & 1:
            found.append(number)
        number += 1


def nodes(path):
    out = subprocess.run(["xenstore-list", path], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, check=False)
    return out.stdout.split()


class Call(threading.Thread):
    """One call of the API under way."""

    def __init__(self, host, method, **params):
        super().__init__()
        self.host, self.what = host, (method, params)
        self.error, self.done = "", False
        self.start()

    def run(self):
        method, params = self.what
        try:
            self.host.call(method, **params)
            self.done = True
        except (RpcError, OSError) as e:
            self.error = str(e) or type(e).__name__


def nothing_is_left(host, when):
    """No domain, no node in xenstore, no supervisor, no loop device, no vif."""
    try:
        wait_for("no domain", lambda: not domains(), 60)
    except TimeoutError:
        pass
    report.equal(f"{when}: no domain is left", domains(), {})
    report.equal(f"{when}: nor in xenstore", nodes("/local/domain"), ["0"])
    backends = "/local/domain/0/backend"
    report.equal(f"{when}: nor a backend",
                 [f"{kind}/{number}" for kind in nodes(backends)
                  for number in nodes(f"{backends}/{kind}")], [])
    report.check(f"{when}: nor a process",
                 eventually(lambda: not supervisors() and
                            not host.supervisors()),
                 f"{supervisors()}, known {host.supervisors()}")
    report.equal(f"{when}: nor a device's end in dom0", settled(([], [], [])),
                 ([], [], []))


def finish(host, *folders):
    """What failed leaves nothing to the next file."""
    host.cleanup()
    for number in domains() if running_domains() else ():
        subprocess.run(["xl", "destroy", str(number)], check=False)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    report.end()
