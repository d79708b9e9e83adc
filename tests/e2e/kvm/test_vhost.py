#!/usr/bin/python3
"""Devices whose rings someone else serves: sockets between host and guest
(vhost-vsock), folders of the host (virtio-fs, by virtiofsd)."""
import hashlib
import os
import signal
import socket
import subprocess
import threading

from scene import GUEST, Host, boot, guarded, report, wait_for

MIB = 1 << 20
HOST_CID = 2
host = Host().start()
guests = {}


def create(name, *options):
    status, out, err = host.ctl(
        "create", name, "--kernel", f"{GUEST}/vmlinuz", "--initrd",
        f"{GUEST}/initrd.img", "--cmdline", "quiet panic=-1", "--memory",
        "256M", *options)
    report.equal(f"create {name}", (status, err), (0, ""))


def cid(name):
    return host.vm(name)["config"]["vsock"]["cid"]


class Listener:
    """Takes one connection: reads all of it, answers with bytes of its own."""

    def __init__(self, port):
        self.sock = socket.socket(socket.AF_VSOCK)
        self.sock.bind((socket.VMADDR_CID_ANY, port))
        self.sock.listen()
        self.sock.settimeout(60)
        self.answer, self.got, self.peer = os.urandom(2 * MIB), b"", None
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        sock, self.peer = self.sock.accept()
        sock.settimeout(60)
        self.got = read_all(sock)
        sock.sendall(self.answer)
        sock.close()

    def end(self):
        self.thread.join(60)
        self.sock.close()
        return self


def read_all(sock):
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def sha(data):
    return hashlib.sha256(data).hexdigest()


def both_ways(name, port):
    """The guest calls the host, then the host the guest."""
    guest = guests[name]
    there = Listener(port)
    out, status = guest.run(
        f"head -c 2097152 /dev/urandom >/tmp/a; vsock connect {HOST_CID} "
        f"{port} </tmp/a >/tmp/b; echo r=$?; sha256sum </tmp/a; sha256sum "
        "</tmp/b", 90)
    sums = out.split()
    there.end()
    report.check(f"{name}: what the guest sent is what came", sha(there.got)
                 in sums, f"{status} {out} {len(there.got)}")
    report.check(f"{name}: and the other way round",
                 sha(there.answer) in sums, out)
    report.equal(f"{name}: its address", there.peer and there.peer[0],
                 cid(name))
    guest.run(f"(vsock listen {port} </tmp/b >/tmp/c) & sleep 1")
    sock = socket.socket(socket.AF_VSOCK)
    sock.settimeout(60)
    sock.connect((cid(name), port))
    data = os.urandom(MIB)
    # Both at once: neither end reads before it has written.
    sender = threading.Thread(target=lambda: (
        sock.sendall(data), sock.shutdown(socket.SHUT_WR)), daemon=True)
    sender.start()
    report.equal(f"{name}: the host calls the guest", sha(read_all(sock)),
                 sha(there.answer))
    sender.join(60)
    out, _ = guest.run("wait; sha256sum </tmp/c", 60)
    report.check(f"{name}: and sends", sha(data) in out, out)


def without_the_module_nothing_starts():
    create("one", "--vsock")
    subprocess.run(["modprobe", "-r", "vhost_vsock"], check=False)
    if os.path.exists("/dev/vhost-vsock"):
        report.skip("a host without vhost-vsock", "it is built in")
        return
    status, _, err = host.ctl("start", "one")
    report.check("a host without vhost-vsock refuses", status != 0 and
                 "vhost_vsock" in err, err)
    report.equal("and nothing runs", host.vm("one")["state"], "stopped")


def sockets_carry_data():
    subprocess.run(["modprobe", "vhost_vsock"], check=True)
    wait_for("/dev/vhost-vsock",
             lambda: os.path.exists("/dev/vhost-vsock"), 10)
    guests["one"] = boot(host, "one")
    out, _ = guests["one"].run("vsock cid")
    report.equal("the guest knows its cid", int(out), cid("one"))
    both_ways("one", 5001)


def a_second_guest_has_its_own():
    create("two", f"--vsock={cid('one') + 41}")
    guests["two"] = boot(host, "two")
    both_ways("two", 5002)
    status, _, err = host.ctl(
        "create", "three", "--kernel", f"{GUEST}/vmlinuz",
        f"--vsock={cid('two')}")
    report.check("a cid that is taken is refused", status != 0 and
                 '"two"' in err, err)


def they_survive_a_reboot():
    guests["one"].send("reboot -f\n")
    guests["one"].ready(120)
    both_ways("one", 5004)


def a_foreign_cid_is_named():
    """Of a program that is none of our VMs."""
    import fcntl
    import struct
    for name in ("one", "two"):
        host.call("vm.stop", name=name)
        host.wait_state(name, "stopped")
    with open("/dev/vhost-vsock", "r+b", buffering=0) as other:
        fcntl.ioctl(other, 0x4008af60, struct.pack("Q", cid("two")))
        status, _, err = host.ctl("start", "two")
        report.check("a cid in use by others is refused", status != 0 and
                     "in use on this host" in err, err)
    status, _, err = host.ctl("start", "two")
    report.equal("and starts when they are gone", (status, err), (0, ""))
    host.call("vm.stop", name="two")


def servers():
    """Processes of virtiofsd, the one that waits and the one that works."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if f.read().startswith(b"virtiofsd\0"):
                    found.append(int(pid))
        except OSError:
            pass
    return found


def events(kind):
    return [e for e in host.call("event.subscribe", since=0)["events"]
            if e["kind"] == kind]


def mount_and_check(guest, name):
    """Both directions, by checksum, and what a guest writes is there."""
    out, status = guest.run("mkdir -p /tmp/w /tmp/r; mount -t virtiofs both "
                            "/tmp/w && mount -t virtiofs look /tmp/r", 60)
    report.equal(f"{name}: both are mounted", (out, status), ("", 0))
    data = os.urandom(3 * MIB)
    for folder in ("both", "look"):
        with open(f"{host.dir}/{folder}/{name}", "wb") as f:
            f.write(data)
    out, _ = guest.run(f"sha256sum /tmp/w/{name} /tmp/r/{name}", 60)
    report.equal(f"{name}: the guest reads what the host wrote",
                 out.count(sha(data)), 2)
    out, _ = guest.run(f"head -c 2097152 /dev/urandom >/tmp/w/{name}.g; "
                       f"sync; sha256sum </tmp/w/{name}.g", 60)
    with open(f"{host.dir}/both/{name}.g", "rb") as f:
        report.equal(f"{name}: the host reads what the guest wrote",
                     sha(f.read()), out.split()[0])
    out, status = guest.run(f"echo x >/tmp/r/new; rm /tmp/r/{name}; chmod "
                            f"777 /tmp/r/{name}; mkdir /tmp/r/d")
    report.equal(f"{name}: what is read-only stays as it is",
                 (out.count("Read-only file system"), os.listdir(
                     f"{host.dir}/look")), (4, [name]))
    os.unlink(f"{host.dir}/look/{name}")


def folders_carry_data():
    for folder in ("both", "look"):
        os.mkdir(f"{host.dir}/{folder}")
    create("files", "--fs", f"both={host.dir}/both", "--fs",
           f"look={host.dir}/look,ro", "--vsock")
    report.equal("its memory can be shared",
                 host.vm("files")["config"]["memory_backing"], "memfd")
    guests["files"] = boot(host, "files")
    report.check("each has its server", len(servers()) >= 2, servers())
    mount_and_check(guests["files"], "first")


def they_are_there_after_a_reboot_and_without_a_daemon():
    before = servers()
    host.kill()
    host.start()
    guest = guests["files"]
    out, _ = guest.run("sha256sum </tmp/w/first.g")
    with open(f"{host.dir}/both/first.g", "rb") as f:
        report.equal("a daemon that was killed is not missed",
                     out.split()[0], sha(f.read()))
    report.equal("the servers went on", servers(), before)
    guest.send("reboot -f\n")
    guest.ready(120)
    mount_and_check(guest, "second")


def a_dead_server_is_replaced():
    guest = guests["files"]
    for pid in servers():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # went with the one that waited for it
    lost = wait_for("the events", lambda: (lambda e: e if len(e) >= 2 else
                                           None)(events("filesystem-lost")),
                    20)
    report.check("an event tells of each", all(
        "filesystem" in e["detail"] for e in lost), lost)
    report.check("and that the device is out of order",
                 events("device-failed"))
    out, _ = guest.run("echo alive; vsock cid")
    report.match("the guest goes on", f"alive\n{cid('files')}", out)
    wait_for("new servers", lambda: len(servers()) >= 2, 20)
    # Its own reboot would sync first, and wait for the dead one for ever.
    host.call("vm.reset", name="files")
    guest.ready(120)
    mount_and_check(guest, "third")


def packed_rings_carry_data():
    """Disk, network and console, each by its own driver; bit 34."""
    disk = host.dir + "/packed.raw"
    data = os.urandom(4 * MIB)
    with open(disk, "wb") as f:
        f.write(data)
        f.truncate(16 * MIB)
    subprocess.run("ip tuntap add tap-p mode tap vnet_hdr; ip link set tap-p "
                   "up; ip addr add 192.168.79.1/24 dev tap-p", shell=True,
                   check=True)
    create("packed", "--ring", "packed", "--disk", disk, "--nic",
           "tap=tap-p,vhost=off", "--console", "both")
    guest = boot(host, "packed")
    out, _ = guest.run("for d in /sys/bus/virtio/devices/*; do echo $(cat "
                       "$d/device) $(cut -c35 $d/features); done")
    have = dict(line.split() for line in out.split("\n") if line.strip())
    report.equal("all drivers took packed rings", have, {
        f"0x{kind:04x}": "1" for kind in (1, 2, 3, 4, 5)})
    out, _ = guest.run("head -c 4194304 /dev/vda | sha256sum", 60)
    report.equal("the disk is read", out.split()[0], sha(data))
    out, _ = guest.run("head -c 8388608 /dev/urandom >/tmp/d; dd if=/tmp/d "
                       "of=/dev/vda bs=64k seek=128 conv=fsync 2>/dev/null; "
                       "sha256sum </tmp/d", 60)
    with open(disk, "rb") as f:
        f.seek(8 * MIB)
        report.equal("and written", sha(f.read()), out.split()[0])
    guest.run("ip addr add 192.168.79.2/24 dev eth0; ip link set eth0 up")
    server = socket.create_server(("192.168.79.1", 7000))
    server.settimeout(60)
    guest.send("nc 192.168.79.1 7000 </tmp/d >/tmp/n; echo do\"\"ne\n")
    peer, _ = server.accept()
    peer.settimeout(60)
    sender = threading.Thread(target=peer.sendall, args=(data,), daemon=True)
    sender.start()
    got = b""
    while len(got) < 8 * MIB and (part := peer.recv(65536)):
        got += part
    sender.join(60)
    # Not before: the guest's nc ends with the first direction that does.
    peer.shutdown(socket.SHUT_WR)
    guest.expect("done\n", 60)
    out, _ = guest.run("sha256sum </tmp/d; sha256sum </tmp/n", 60)
    report.equal("the network carries data, both ways",
                 [line.split()[0] for line in out.strip().split("\n")],
                 [sha(got), sha(data)])
    r = subprocess.run("ping -c 100 -i 0.01 -q 192.168.79.2", shell=True,
                       stdout=subprocess.PIPE, text=True, check=False)
    report.match("and answers", "100 received", r.stdout)
    second = host.console("packed", device="virtio")
    second.send("\n")
    second.expect("guest# ", 30)
    out, _ = second.run("seq 20000 | tail -n 3000 | sha256sum; seq 3000")
    report.match("the console carries text", r"\n2999\n3000\n", out)
    guest.send("reboot -f\n")
    guest.ready(120)
    out, _ = guest.run("head -c 4194304 /dev/vda | sha256sum", 60)
    report.equal("after a reboot, too", out.split()[0], sha(data))
    host.call("vm.stop", name="packed")


def nothing_is_left_after_a_crash():
    os.kill(host.vm("files")["pid"], signal.SIGKILL)
    host.wait_state("files", "crashed", 20)
    wait_for("the servers to end", lambda: not servers(), 20)
    report.check("no server is left after kill -9 of the supervisor", True)
    report.equal("no socket either", [
        n for n in os.listdir(host.runtime) if n.startswith("fs-")], [])


def a_bad_folder_is_named():
    status, _, err = host.ctl("create", "bad", "--kernel", f"{GUEST}/vmlinuz",
                              "--fs", "x=/nonexistent")
    report.check("a folder that is not there is refused", status != 0 and
                 "/nonexistent" in err, err)
    host.ctl("create", "bad", "--kernel", f"{GUEST}/vmlinuz", "--fs",
             f"x,socket={host.dir}/none.sock")
    status, _, err = host.ctl("start", "bad")
    report.check("a server that is not there, too", status != 0 and
                 "none.sock" in err, err)
    report.equal("and nothing runs", host.vm("bad")["state"], "stopped")


guarded(without_the_module_nothing_starts, sockets_carry_data,
        a_second_guest_has_its_own, they_survive_a_reboot,
        a_foreign_cid_is_named, folders_carry_data,
        they_are_there_after_a_reboot_and_without_a_daemon,
        a_dead_server_is_replaced, nothing_is_left_after_a_crash,
        a_bad_folder_is_named, packed_rings_carry_data)
report.end()
