#!/usr/bin/python3
"""Devices whose rings someone else serves: sockets between host and guest
(vhost-vsock)."""
import hashlib
import os
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
    both_ways("one", 5003)
    status, _, err = host.ctl(
        "create", "three", "--kernel", f"{GUEST}/vmlinuz",
        f"--vsock={cid('two')}")
    report.check("a cid that is taken is refused", status != 0 and
                 '"two"' in err, err)


def they_survive_a_reboot():
    guests["one"].send("reboot -f\n")
    guests["one"].ready(120)
    both_ways("one", 5004)
    both_ways("two", 5005)
    host.call("vm.reset", name="two")
    guests["two"].ready(120)
    both_ways("two", 5006)


def a_foreign_cid_is_named():
    """Of a program that is none of our VMs."""
    import fcntl
    import struct
    host.call("vm.stop", name="two")
    host.wait_state("two", "stopped")
    with open("/dev/vhost-vsock", "r+b", buffering=0) as other:
        fcntl.ioctl(other, 0x4008af60, struct.pack("Q", cid("two")))
        status, _, err = host.ctl("start", "two")
        report.check("a cid in use by others is refused", status != 0 and
                     "in use on this host" in err, err)
    status, _, err = host.ctl("start", "two")
    report.equal("and starts when they are gone", (status, err), (0, ""))
    host.call("vm.stop", name="two")


guarded(without_the_module_nothing_starts, sockets_carry_data,
        a_second_guest_has_its_own, they_survive_a_reboot,
        a_foreign_cid_is_named)
report.end()
