#!/usr/bin/python3
"""virtio over MMIO beside PCIe: the firmware boots from a disk on MMIO, and
both transports carry data; what a request costs."""
import hashlib
import os
import socket

from scene import Host, Trace, boot, define, guarded, image, report

host = Host().start()
guest = None
FILL = os.urandom(1 << 20)


def boots_from_mmio():
    global guest
    disk = image(host, "web")
    data = f"{host.dir}/data.raw"
    with open(data, "wb") as f:
        f.write(FILL)
        f.truncate(32 << 20)
    host.call("vm.define", config={
        "name": "web", "memory": "512MiB", "vcpus": 2,
        "disks": [{"path": disk, "id": "root", "bus": "mmio"},
                  {"path": data, "id": "data", "queues": 2}],
        "nics": [{"tap": "tap-mmio", "bus": "mmio"}]})
    guest = boot(host, "web")
    out, _ = guest.run("for d in /sys/block/vd*/device "
                       "/sys/class/net/eth0/device; do readlink -f $d; done")
    report.equal("disk and nic are on MMIO, the other disk on PCIe",
                 sorted(("mmio" if "virtio_mmio" in line else "pcie")
                        for line in out.split()), ["mmio", "mmio", "pcie"])
    out, _ = guest.run("cat /proc/device-tree/virtio_mmio@*/compatible"
                       " | tr '\\0' ' '")
    report.equal("each has a node", out.strip(), "virtio,mmio virtio,mmio")


def find(serial):
    """The guest's name of the disk with this serial."""
    out, _ = guest.run(f"grep -l -x {serial} /sys/block/vd*/serial")
    return "/dev/" + out.strip().split("/")[3]


def both_carry_data():
    root, data = find("root"), find("data")
    out, _ = guest.run(f"head -c 1048576 {data} | md5sum")
    report.equal("PCIe disk reads what was written", out.split()[0],
                 hashlib.md5(FILL).hexdigest())
    guest.run(f"head -c 1048576 {data} >/tmp/a; dd if=/tmp/a of={root}2 bs=64k "
              "conv=fsync 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches")
    out, _ = guest.run(f"head -c 1048576 {root}2 | md5sum")
    report.equal("MMIO disk reads back what it wrote", out.split()[0],
                 hashlib.md5(FILL).hexdigest())


def attribute(disk, name):
    return guest.run(f"cat /sys/block/{disk[5:]}/{name}")[0].strip()


def block_features():
    disk, path = find("data"), f"{host.dir}/data.raw"
    out, _ = guest.run(f"ls /sys/block/{disk[5:]}/mq | wc -l")
    report.equal("two queues", out.strip(), "2")
    report.equal("blocks of a page beneath sectors",
                 [attribute(disk, f"queue/{n}_block_size")
                  for n in ("logical", "physical")], ["512", "4096"])
    report.equal("zeroes need not travel",
                 attribute(disk, "queue/write_zeroes_max_bytes"),
                 str(32 << 20))
    with open(path, "r+b") as f:
        f.seek(8 << 20)
        f.write(FILL * 8)
        f.flush()
        os.fsync(f.fileno())
    before = os.stat(path).st_blocks
    _, status = guest.run(f"blkdiscard -o {9 << 20} -l {6 << 20} {disk}")
    report.equal("the guest may discard", status, 0)
    report.equal("discarded space is the host's again",
                 (before - os.stat(path).st_blocks) * 512, 6 << 20)


def one_sync_per_flush():
    disk, n = find("data"), 20
    report.equal("the cache writes back", attribute(disk, "cache_type"),
                 "write back")
    command = (f"for i in $(seq {n}); do dd if=/tmp/a of={disk} bs=4k count=1 "
               "oflag=direct conv=fsync 2>/dev/null; done")
    with Trace("io_uring/io_uring_submit_sqe", "opcode == 3") as trace:
        guest.run(command)
    report.equal("one fdatasync per flush, exactly", trace.count, n)
    guest.run(f"echo 'write through' >/sys/block/{disk[5:]}/cache_type")
    report.equal("the guest may have it write through",
                 attribute(disk, "cache_type"), "write through")
    with Trace("io_uring/io_uring_submit_sqe", "opcode == 3") as trace:
        guest.run(command)
    report.equal("then each write is synced, and no flush asked for",
                 trace.count, n)
    guest.run(f"echo 'write back' >/sys/block/{disk[5:]}/cache_type")


def frames_pass():
    os.system("ip addr add 192.168.77.1/24 dev tap-mmio")
    guest.run("ip addr add 192.168.77.2/24 dev eth0; ip link set eth0 up")
    server = socket.create_server(("192.168.77.1", 4000))
    server.settimeout(30)
    guest.send("head -c 1048576 /tmp/a | nc 192.168.77.1 4000\n")
    peer, _ = server.accept()
    peer.settimeout(30)
    got = b""
    while len(got) < len(FILL):
        part = peer.recv(65536)
        if not part:
            break
        got += part
    peer.close()
    report.check("1 MiB went out over TCP whole", got == FILL,
                 f"{len(got)} bytes")
    guest.run("true")
    guest.send("nc 192.168.77.1 4000 </dev/null | md5sum; "
               "echo in=d\"\"one\n")
    peer, _ = server.accept()
    before = frames_to_guest()
    peer.sendall(FILL)
    peer.close()
    report.match("1 MiB came in whole", hashlib.md5(FILL).hexdigest(),
                 guest.expect("in=done\n"))
    n = frames_to_guest() - before
    # How large depends on how fast the guest is; of Ethernet's own size there
    # would be more than 720.
    report.check(f"in {n} frames: the guest takes them large", n < 600, n)
    server.close()
    guest.run("true")


def frames_to_guest():
    """By the tap; /proc/self/net is that of our own network namespace."""
    with open("/proc/self/net/dev", encoding="ascii") as f:
        return int(f.read().split("tap-mmio:")[1].split()[9])


def what_a_request_costs():
    """Exits per 4 KiB read at queue depth 1, by transport. MMIO has no MSI:
    reading and acknowledging its interrupt are two exits by design."""
    for name, limit in (("root", 2.5), ("data", 1.0)):
        disk, n = find(name), 400
        exits = (exits_of_reads(disk, 400 + n) - exits_of_reads(disk, 400)) / n
        report.check(f"exits per 4 KiB read, {name}: {exits:.2f} <= {limit}",
                     exits <= limit)


def exits_of_reads(disk, n):
    """The console's own are in it; the caller takes a difference."""
    before = exits_to_user()
    guest.run(f"dd if={disk} of=/dev/null bs=4k count={n} iflag=direct "
              "2>/dev/null")
    return exits_to_user() - before


def exits_to_user():
    """Of all machines, as KVM counts them; only ours runs."""
    if not os.path.isdir("/sys/kernel/debug/kvm"):
        os.system("mount -t debugfs debugfs /sys/kernel/debug")
    with open("/sys/kernel/debug/kvm/mmio_exit_user", encoding="ascii") as f:
        return int(f.read())


def reboots():
    guest.send("reboot -f\n")
    guest.ready()
    both_carry_data()
    host.call("vm.stop", name="web")


guarded(boots_from_mmio, both_carry_data, block_features, one_sync_per_flush,
        frames_pass, what_a_request_costs, reboots)
report.end()
