"""One guest, run by us and by the peer: the same kernel, firmware, disk, memory
and CPUs, behind one interface."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

SRC = os.environ["ARMVM_SRC"]
GUEST = os.environ["ARMVM_GUEST"]
sys.path.insert(0, SRC + "/tests/e2e/lib")
# pylint: disable=wrong-import-position
from armvm import Console, Host     # noqa: E402

PEER = "/run/peer"
WORK = "/var/tmp/bench"
FIRMWARE = "/usr/share/AAVMF"
MEMORY = 512
VCPUS = 2
READY = 300


def sh(*command):
    subprocess.run(command, check=True)


def prepare():
    """The peer's root, with what it needs of ours inside."""
    os.makedirs(PEER, exist_ok=True)
    os.makedirs(WORK, exist_ok=True)
    sh("mount", "-L", "armpeer", PEER)
    for name in ("dev", "proc", "sys"):
        sh("mount", "--rbind", "/" + name, f"{PEER}/{name}")
    sh("mount", "--bind", WORK, PEER + "/tmp")
    for name in ("vmlinuz", "initrd.img", "debian.raw"):
        shutil.copyfile(f"{GUEST}/{name}", f"{WORK}/{name}")
    shutil.copyfile(f"{FIRMWARE}/AAVMF_CODE.fd", WORK + "/code.fd")
    shutil.copyfile(f"{SRC}/build/bench/load", WORK + "/load.raw")
    with open(WORK + "/load.raw", "r+b") as f:
        f.truncate(1 << 20)


def blank(name, mib):
    """A disk whose blocks are all there: neither side is to allocate."""
    path = f"{WORK}/{name}.raw"
    if not os.path.exists(path):
        with open(path, "wb") as f:
            for _ in range(mib):
                f.write(os.urandom(1 << 20))
    return path


def pss_without_guest(pid):
    """Kilobytes, but for the mapping that is the guest's memory."""
    total, mapping = 0, 0
    with open(f"/proc/{pid}/smaps", encoding="ascii") as f:
        for line in f:
            word = line.split()
            if "-" in word[0] and ":" not in word[0]:
                low, high = (int(x, 16) for x in word[0].split("-"))
                mapping = high - low
            elif word[0] == "Pss:" and mapping < MEMORY << 20:
                total += int(word[1])
    return total


class Ours:
    name = "ours"

    def __init__(self):
        self.host = Host().start()
        self.console, self.pid, self.made = None, 0, set()

    def define(self, name, disks, direct=False, nic=False, slots=8):
        config = {"name": name, "memory": f"{MEMORY}MiB", "vcpus": VCPUS,
                  "max_hotplug": slots,
                  "disks": [{"path": d} for d in disks]}
        if direct:
            config.update(kernel=WORK + "/vmlinuz", initrd=WORK +
                          "/initrd.img", cmdline="console=ttyAMA0 quiet")
        if nic:
            config["nics"] = [{"tap": "tap-ours"}]
            if nic == "plain":
                config["nics"][0]["vhost"] = "off"
        if name not in self.made:
            self.host.call("vm.define", config=config)
            self.made.add(name)

    def start(self, name):
        """When it was asked for; the console follows."""
        began = time.monotonic()
        self.host.call("vm.start", name=name)
        self.pid = self.host.vm(name)["pid"]
        self.running = name
        self.console = self.host.console(name)
        return began

    def before_attach(self, path, i):
        """What is no part of the attach."""

    def attach(self, path, _):
        self.host.call("disk.add", name=self.running, disk={"path": path})

    def stop(self):
        self.console.close()
        self.host.call("vm.stop", name=self.running)


class Qemu:
    """`tuned`: an iothread and io_uring, as the figures ask; else as it
    comes. Either way a disk has a queue for each CPU, its default and ours."""
    name = "peer"

    def __init__(self, tuned=True):
        self.tuned, self.console, self.pid = tuned, None, 0
        self.defined, self.process, self.qmp = {}, None, None
        if not tuned:
            self.name = "peer, default"

    def define(self, name, disks, direct=False, nic=False, slots=8):
        at = [d.replace(WORK, "/tmp") for d in disks]
        args = ["qemu-system-aarch64", "-M",
                "virt,gic-version=3,accel=kvm,acpi=off", "-cpu", "host",
                "-smp", str(VCPUS), "-m", str(MEMORY), "-nodefaults",
                "-display", "none", "-device", "virtio-rng-pci",
                "-object", "iothread,id=io"]
        for i in range(slots):
            args += ["-device", f"pcie-root-port,id=port{i},chassis={i + 1},"
                                f"slot={i + 1},bus=pcie.0,multifunction=on,"
                                f"addr={16 + i // 8:x}.{i % 8}"]
        for i, path in enumerate(at):
            drive = f"file={path},format=raw,if=none,id=d{i}"
            device = f"virtio-blk-pci,drive=d{i},serial=disk{i}"
            if self.tuned:
                drive += ",cache=writeback,aio=io_uring"
                device += ",iothread=io"
            args += ["-drive", drive, "-device", device]
        if nic:
            args += ["-netdev", "tap,id=n0,ifname=tap-peer,script=no,"
                     "downscript=no,vhost=" + ("on" if self.tuned and nic != "plain"
                                               else "off"),
                     "-device", "virtio-net-pci,netdev=n0,romfile="]
        if direct:
            args += ["-kernel", "/tmp/vmlinuz", "-initrd", "/tmp/initrd.img",
                     "-append", "console=ttyAMA0 quiet"]
        else:
            store = f"{WORK}/{name}-vars.fd"
            if name not in self.defined:
                shutil.copyfile(f"{FIRMWARE}/AAVMF_VARS.fd", store)
            args += ["-drive", "if=pflash,format=raw,readonly=on,"
                     "file=/tmp/code.fd", "-drive",
                     f"if=pflash,format=raw,file=/tmp/{name}-vars.fd"]
        self.defined[name] = args

    def start(self, name):
        ours, theirs = socket.socketpair()
        qmp, qmp_theirs = socket.socketpair()
        fds = (theirs.fileno(), qmp_theirs.fileno())
        began = time.monotonic()
        self.process = subprocess.Popen(
            ["chroot", PEER] + self.defined[name] +
            ["-chardev", f"socket,id=c,fd={fds[0]}", "-serial", "chardev:c",
             "-chardev", f"socket,id=q,fd={fds[1]}", "-mon",
             "chardev=q,mode=control"], pass_fds=fds)
        theirs.close()
        qmp_theirs.close()
        self.pid = self.process.pid     # chroot becomes it
        self.console = Console(ours.detach(), self.name)
        self.qmp = qmp.makefile("rw")
        self.say = None
        return began

    def command(self, execute, **arguments):
        import json
        if not self.say:
            self.qmp.readline()
            self.say = True
            self.command("qmp_capabilities")
        self.qmp.write(json.dumps({"execute": execute,
                                   "arguments": arguments}) + "\n")
        self.qmp.flush()
        while True:
            answer = json.loads(self.qmp.readline())
            if "return" in answer or "error" in answer:
                assert "return" in answer, answer
                return answer["return"]

    def before_attach(self, path, i):
        self.command("blockdev-add", **{
            "driver": "raw", "node-name": f"n{i}", "file": {
                "driver": "file", "filename": path.replace(WORK, "/tmp"),
                "aio": "io_uring"}})

    def attach(self, _, i):
        self.command("device_add", driver="virtio-blk-pci", drive=f"n{i}",
                     id=f"a{i}", bus=f"port{i}", iothread="io")

    def stop(self):
        self.console.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
