#!/usr/bin/python3
"""A guest that computes, writes to its disk and answers pings is saved and
restored, in the same daemon and in another one, with all sums intact."""
import base64
import os
import socket
import struct
import subprocess
import time
import zlib

from scene import BOOT_S, GUEST, Host, RpcError, address_of, boot, \
    define, guarded, image, report, shell_again, wait_for

FIRST, SECOND = Host(), Host()
FILE = FIRST.dir + "/vm.snapshot"
# One is served by the kernel, where it can be: its ring is a split one.
TAPS = {"tap-snap": "10.79.1", "tap-snap2": "10.79.2"}
PORT = 4000
guest = None

# Sums of memory and of what is written to the disk and read back, over and
# over; each round is counted, what is wrong is kept.
LOAD = r"""
dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
sum=$(sha256sum </tmp/data)
n=0
while :; do
	[ "$(sha256sum </tmp/data)" = "$sum" ] || echo memory $n >>/tmp/bad
	dd if=/tmp/data of=/dev/vda2 bs=1M conv=fsync 2>/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	[ "$(head -c 4194304 /dev/vda2 | sha256sum)" = "$sum" ] ||
		echo disk $n >>/tmp/bad
	n=$((n + 1)); echo $n >/tmp/rounds
done
"""
CLOCK = r"""
last=0
while :; do
	read now rest </proc/uptime; now=${now%.*}${now#*.}
	[ $now -ge $last ] || echo clock $last $now >>/tmp/bad
	last=$now
done
"""


WRITES = "while :; do echo x >>/mnt/writes; sync; sleep 0.2; done"


def script(name, text):
    """Run it in the guest's background."""
    coded = base64.b64encode(text.encode()).decode()
    for at in range(0, len(coded), 400):
        guest.run(f"echo -n {coded[at:at + 400]} >>/tmp/{name}.b64")
    guest.run(f"base64 -d /tmp/{name}.b64 >/tmp/{name}; "
              f"(sh /tmp/{name} >/dev/null 2>&1 &)")


def rounds():
    return int(guest.run("cat /tmp/rounds 2>/dev/null")[0] or 0)


def healthy(what, before):
    """The load went on, and nothing was ever wrong."""
    deadline = time.monotonic() + 60
    while rounds() < before + 2 and time.monotonic() < deadline:
        time.sleep(0.5)
    report.check(f"{what}: the load goes on", rounds() >= before + 2,
                 f"{before} {rounds()}")
    report.equal(f"{what}: all sums are right and time never goes back",
                 guest.run("cat /tmp/bad 2>/dev/null")[0], "")
    for tap, net in TAPS.items():
        ping = subprocess.run(["ping", "-c", "3", "-i", "0.3", "-w", "20",
                               f"{net}.2"], stdout=subprocess.PIPE, text=True,
                              check=False)
        report.check(f"{what}: the guest answers pings on {tap}",
                     ping.returncode == 0, ping.stdout)


def addresses():
    for tap, net in TAPS.items():
        subprocess.run(["ip", "addr", "replace", f"{net}.1/24", "dev", tap],
                       check=True)


def attach(host, name="vm"):
    """The console of a guest that has been restored: its shell waits."""
    global guest
    guest = shell_again(host.console(name))


def under_load():
    global guest
    FIRST.start()
    subprocess.run(["modprobe", "vhost_vsock"], check=True)
    first, second = TAPS
    define(FIRST, "vm", image(FIRST, "vm"), vcpus=2, memory="384MiB",
           kernel=f"{GUEST}/vmlinuz", initrd=f"{GUEST}/initrd.img",
           cmdline="quiet panic=-1", ring="packed", vsock={"cid": "auto"},
           buses={"rng": "mmio", "balloon": "mmio"},
           nics=[{"tap": first}, {"tap": second, "vhost": "off"}])
    guest = boot(FIRST, "vm")
    addresses()
    guest.run("; ".join(f"ip link set eth{i} up; ip addr add {net}.2/24 dev "
                        f"eth{i}" for i, net in enumerate(TAPS.values())))
    out, _ = guest.run("for d in /sys/bus/virtio/devices/*; do echo $(cat "
                       "$d/device) $(cut -c35 $d/features); done")
    report.check("its disk has a packed ring", "0x0002 1" in out, out)
    script("load", LOAD)
    script("clock", CLOCK)
    guest.run("echo in-memory >/tmp/mark")
    healthy("before", 0)


def saved_it_runs_on():
    before = rounds()
    began = time.monotonic()
    result = FIRST.call("snapshot.save", name="vm", path=FILE)
    report.note(f"{result['bytes'] >> 20} MiB in "
                f"{time.monotonic() - began:.1f} s")
    report.equal("it runs on", FIRST.vm("vm")["state"], "running")
    healthy("saved", before)


def back(host, what):
    """Restore, look around."""
    status, out, err = host.ctl("snapshot", "restore", FILE)
    report.equal(f"{what}: restored", (status, err), (0, ""))
    report.note(out.strip())
    addresses()
    report.equal(f"{what}: the guest's neighbours have the addresses they had",
                 [address_of(tap) for tap in TAPS],
                 ["fe" + nic["mac"][2:]
                  for nic in host.vm("vm")["config"]["nics"]])
    attach(host)
    report.equal(f"{what}: memory is there",
                 guest.run("cat /tmp/mark")[0], "in-memory\n")
    healthy(what, rounds())


def cid():
    return FIRST.vm("vm")["config"]["vsock"]["cid"]


def connect():
    """A connection to who listens in the guest."""
    def attempt():
        s = socket.socket(socket.AF_VSOCK)
        s.settimeout(30)
        if s.connect_ex((cid(), PORT)) == 0:
            return s
        s.close()
        return None

    return wait_for("the guest listens", attempt, 30)


def its_connections_are_reset(old):
    """5.10.6.7: the other end of each is in the kernel it was saved on."""
    ended = "[ -e /tmp/ended ] && cat /tmp/ended"
    out = wait_for("the guest's end", lambda: guest.run(ended)[0], 30)
    report.check("a connection from before is reset", out.strip() != "",
                 guest.run("cat /tmp/heard")[0])
    old.close()
    guest.run(f"echo from the guest >/tmp/said; (vsock listen {PORT} "
              "</tmp/said >/tmp/heard2) & true")
    new = connect()
    new.sendall(b"anew\n")
    new.shutdown(socket.SHUT_WR)
    said = b""
    while part := new.recv(100):
        said += part
    new.close()
    report.equal("a new one carries data", (said, guest.run(
        "sleep 0.2; cat /tmp/heard2")[0]), (b"from the guest\n", "anew\n"))


def restored_in_the_same_daemon():
    # Its input never ends.
    guest.run("mkfifo /tmp/fifo; (vsock listen "
              f"{PORT} <>/tmp/fifo >/tmp/heard; echo $? >/tmp/ended) & true")
    old = connect()
    old.sendall(b"before\n")
    wait_for("data", lambda: guest.run("cat /tmp/heard")[0] == "before\n", 30)
    before = rounds()
    began = time.monotonic()
    status, out, err = FIRST.ctl("snapshot", "save", "vm", FILE, "--stop",
                                 "--overwrite", "--compress")
    report.equal("save --stop", (status, err), (0, ""))
    report.note(f"{out.strip()} after {time.monotonic() - began:.1f} s")
    report.equal("it is stopped", FIRST.vm("vm")["state"], "stopped")
    back(FIRST, "the same daemon")
    report.check("it went on where it stood", rounds() >= before)
    its_connections_are_reset(old)


def abi_is_checked():
    """Its first CPU's MIDR_EL1, as recorded, is another: of no host."""
    FIRST.call("snapshot.save", name="vm", path=FILE, stop=True,
               overwrite=True)
    path = FIRST.dir + "/other-cpu"
    with open(FILE, "rb") as f:
        data = bytearray(f.read())
    at = 64
    while struct.unpack_from("<H", data, at + 4)[0] != 4:
        at += 48 + struct.unpack_from("<Q", data, at + 16)[0]
    length, = struct.unpack_from("<Q", data, at + 16)
    reg = data.find(struct.pack("<Q", 0x603000000013c000), at + 48)
    report.check("MIDR_EL1 is recorded", 0 < reg < at + 48 + length)
    data[reg + 8] ^= 0x0f
    struct.pack_into("<I", data, at + 12, zlib.crc32(
        data[at + 48:at + 48 + length]))
    struct.pack_into("<I", data, at + 40, zlib.crc32(data[at:at + 40]))
    with open(path, "wb") as f:
        f.write(data)
    try:
        FIRST.call("snapshot.restore", path=path)
        report.check("another CPU is refused", False)
    except RpcError as e:
        report.equal("another CPU is refused", e.code, "not-supported")
        report.match("naming the register", "MIDR_EL1 differs: recorded 0x",
                     str(e))
    report.equal("it is stopped as before", FIRST.vm("vm")["state"],
                 "stopped")
    os.unlink(path)


def restored_in_another_daemon():
    SECOND.start()
    back(SECOND, "another daemon")
    try:
        FIRST.call("snapshot.restore", path=FILE, changed_disks=True)
        report.check("its disk is in use", False)
    except RpcError as e:
        report.equal("its disk is in use", e.code, "busy")
    report.equal("the first daemon's VM is as before",
                 FIRST.vm("vm")["state"], "stopped")


def and_again_and_rebooted():
    disk = SECOND.dir + "/data.raw"
    with open(disk, "wb") as f:
        f.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-O",
                    "^metadata_csum", disk], check=True)
    SECOND.call("disk.add", name="vm", disk={"path": disk, "id": "data"},
                live=True)
    report.equal("hotplug works after a restore", guest.run(
        "ls /sys/block | grep vdb")[0], "vdb\n")
    out, status = guest.run("agent start; mount -t ext4 /dev/vdb /mnt")
    report.check("with a file system on it", status == 0, out)
    script("writes", WRITES)
    wait_for("a write", lambda: guest.run("cat /mnt/writes")[0], 30)
    SECOND.call("snapshot.save", name="vm", path=FILE, stop=True,
                overwrite=True, freeze=True)
    r = subprocess.run(["e2fsck", "-fn", disk], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, check=False)
    report.check("frozen, it is whole on the disk, without its journal",
                 r.returncode == 0 and "recover" not in r.stdout, r.stdout)
    back(SECOND, "again, frozen, with a disk that was added live")
    report.equal("which is there, live only as before", [
        (d["id"], d["state"], d["persistent"]) for d in
        SECOND.call("disk.list", name="vm")["disks"]],
        [("disk0", "active", True), ("data", "active", False)])
    written = "wc -l </mnt/writes"
    have = int(guest.run(written)[0])
    report.check("its file system is thawed", wait_for(
        "a write", lambda: int(guest.run(written)[0]) > have, 60))
    SECOND.call("snapshot.save", name="vm", path=FILE, overwrite=True,
                freeze=True, compress=True)
    have = int(guest.run(written)[0])
    report.check("and after one that it goes on from", wait_for(
        "a write", lambda: int(guest.run(written)[0]) > have, 60))
    report.equal("the file says so", SECOND.call(
        "snapshot.show", path=FILE)["snapshot"]["frozen"], True)
    guest.send("reboot -f\n")
    guest.ready(120)
    report.check("it reboots", True)
    guest.send("poweroff -f\n")
    SECOND.wait_state("vm", "stopped", 60)


def in_the_firmware():
    """Saved while the firmware is at work: its flash, its variables."""
    global guest
    define(SECOND, "fw", image(SECOND, "fw"))
    SECOND.call("vm.start", name="fw")
    guest = SECOND.console("fw")
    guest.expect("UEFI|BdsDxe", 120)
    SECOND.call("snapshot.save", name="fw", path=FILE, stop=True,
                overwrite=True)
    guest.close()
    # What the host has of its variables since is forgotten.
    SECOND.call("vm.delete", name="fw")
    SECOND.call("snapshot.restore", path=FILE)
    guest = SECOND.console("fw")
    guest.ready(BOOT_S)
    report.check("a guest saved in its firmware boots", True)
    out, status = guest.run("uefivar set Mark here; uefivar get Mark")
    report.equal("it can write variables", (out.strip()[-4:], status),
                 ("here", 0))
    report.check("they are stored", "Mark" in [
        v["name"] for v in SECOND.call("var.list", name="fw")["variables"]])
    SECOND.call("vm.stop", name="fw")


guarded(under_load, saved_it_runs_on, restored_in_the_same_daemon,
        abi_is_checked, restored_in_another_daemon, and_again_and_rebooted,
        in_the_firmware)
report.end()
