#!/usr/bin/python3
"""virtio over MMIO beside PCIe: every kind of device on MMIO, among them the
disk the firmware boots from; both transports carry data; what a request costs.
"""
import hashlib
import os
import socket
import subprocess

from scene import Host, Trace, boot, guarded, image, report, wait_for

host = Host().start()
guest = None
FILL = os.urandom(1 << 20)
# VIRTIO 1.2, 5: all there are, as the guest has them.
MMIO = {"0x0001", "0x0002", "0x0003", "0x0004", "0x0005", "0x0013", "0x001a"}
PORT = 4001


def boots_from_mmio():
    global guest
    disk = image(host, "web")
    data = f"{host.dir}/data.raw"
    with open(data, "wb") as f:
        f.write(FILL)
        f.truncate(32 << 20)
    subprocess.run(["modprobe", "vhost_vsock"], check=True)
    os.mkdir(host.dir + "/share")
    host.call("vm.define", config={
        "name": "web", "memory": "512MiB", "vcpus": 2, "console": "both",
        "buses": {"rng": "mmio", "console": "mmio", "balloon": "mmio",
                  "vsock": "mmio"}, "vsock": {"cid": "auto"},
        "filesystems": [{"tag": "share", "path": host.dir + "/share",
                         "bus": "mmio"}],
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
    report.equal("each has a node", out.split(), ["virtio,mmio"] * len(MMIO))
    out, _ = guest.run("for d in /sys/bus/virtio/devices/*; do echo $(cat "
                       "$d/device) $(cut -c29,30,33 $d/features) "
                       "$(readlink -f $d); done")
    devices = [line.split() for line in out.strip().split("\n")]
    report.equal("every kind of device is on MMIO",
                 {d[0] for d in devices if "virtio_mmio" in d[2]}, MMIO)
    # What is offered to the balloon's driver, too, it does not always take.
    report.equal("with indirect descriptors, event index and VIRTIO 1",
                 {d[0]: d[1] for d in devices if d[0] != "0x0005"},
                 {d: "111" for d in MMIO if d != "0x0005"})


def what_is_built_in_works_on_mmio():
    out, status = guest.run("dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc "
                            "-c; cat /sys/class/misc/hw_random/rng_current")
    report.match("entropy", r"^64\nvirtio_rng", out)
    second = host.console("web", device="virtio")
    second.send("\n")
    second.expect("guest# ", 60)
    out, _ = second.run("tty; seq 300 | tail -n 1")
    report.equal("a console", out, "/dev/hvc0\n300\n")
    second.close()
    guest.run(f"mkdir -p /mnt; mount -t vfat -o ro {find('root')}1 /mnt && tar "
              "-C / -xf /mnt/agent.tar; umount /mnt; agent start")
    wait_for("the agent", lambda: host.call("vm.guest", name="web")["agent"])
    report.check("the agent's port", True)
    host.call("vm.balloon", name="web", target="384MiB")
    wait_for("the balloon", lambda: host.call("vm.stats", name="web")
             ["stats"]["balloon"]["actual"] == 384 << 20)
    host.call("vm.balloon", name="web", target="512MiB")
    wait_for("the balloon", lambda: host.call("vm.stats", name="web")
             ["stats"]["balloon"]["actual"] == 512 << 20)
    report.check("the balloon, down and up", True)
    out, status = guest.run("mkdir -p /tmp/s; mount -t virtiofs share /tmp/s "
                            "&& echo from-the-guest >/tmp/s/file; sync")
    report.equal("a folder is mounted", (out, status), ("", 0))
    with open(host.dir + "/share/file", encoding="ascii") as f:
        report.equal("and written", f.read(), "from-the-guest\n")
    guest.run("umount /tmp/s")


def sockets_on_mmio():
    cid = host.vm("web")["config"]["vsock"]["cid"]
    guest.run(f"head -c 300000 /dev/urandom >/tmp/v; (vsock listen {PORT} "
              "</tmp/v >/tmp/w) & true")

    def connect():
        s = socket.socket(socket.AF_VSOCK)
        s.settimeout(60)
        if s.connect_ex((cid, PORT)) == 0:
            return s
        s.close()
        return None

    s = wait_for("the guest listens", connect)
    s.sendall(b"hello\n")
    s.shutdown(socket.SHUT_WR)
    said = b""
    while part := s.recv(65536):
        said += part
    s.close()
    wait_for("what was said", lambda: guest.run("cat /tmp/w")[0] == "hello\n")
    out, _ = guest.run("md5sum </tmp/v")
    report.equal("sockets, both ways", out.split()[0],
                 hashlib.md5(said).hexdigest())


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
    out, status = guest.run(f"zero {disk} {8 << 20} {1 << 20}")
    report.equal("the guest may have zeroes written", (out, status), ("", 0))
    with open(path, "rb") as f:
        f.seek(8 << 20)
        report.check("just there", f.read(8 << 20) == bytes(1 << 20) +
                     FILL * 7)
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


guarded(boots_from_mmio, what_is_built_in_works_on_mmio, sockets_on_mmio,
        both_carry_data, block_features, one_sync_per_flush,
        frames_pass, what_a_request_costs, reboots)
report.end()
