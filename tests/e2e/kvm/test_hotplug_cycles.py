#!/usr/bin/python3
"""A hundred disks and interfaces come and go under load, and nothing leaks;
several leave when the guest starts over; a guest that panicked."""
import collections
import concurrent.futures
import os
import re
import socket
import subprocess
import threading
import time

from scene import GUEST, Host, blank, boot, guarded, report, wait_for

CYCLES = int(os.environ.get("ARMVM_HOTPLUG_CYCLES", "100"))
AT_ONCE = 8         # of each kind; while they leave others come
GUEST_KIB = 512 << 10
DISK_MIB = 8
TIMEOUT_MS = 100000  # less than a call of ours waits
ADDRESS = "10.9.9.2"
host = Host().start()
pool = concurrent.futures.ThreadPoolExecutor(8 * AT_ONCE)
guest = None


def at_once(calls):
    """Begin all of them."""
    return [pool.submit(host.call, m, name="cycles", timeout_ms=TIMEOUT_MS,
                        **p) for m, p in calls]


def finish(calls):
    for done in calls:
        done.result()


def path(kind, i):
    return f"{host.dir}/{kind}{i}.raw"


def attach(kind, n=AT_ONCE, nics=True):
    """Disks, and interfaces; those of a kind have names of their own."""
    calls = [("disk.add", {"live": True, "disk": {
        "path": path(kind, i), "id": f"d{kind}{i}"}}) for i in range(n)]
    if nics:
        calls += [("nic.add", {"live": True, "nic": {
            "tap": f"cy{kind}{i}", "id": f"n{kind}{i}"}}) for i in range(n)]
    finish(at_once(calls))


def detach(kind, n=AT_ONCE, nics=True):
    """Each second interface is not asked. Disks all are: Linux (6.1) looks for
    no answer to a request any more once it has seen its virtio-blk vanish, and
    waits for ever for one that came in between."""
    calls = [("disk.remove", {"id": f"d{kind}{i}"}) for i in range(n)]
    if nics:
        calls += [("nic.remove", {"id": f"n{kind}{i}", "force": i % 2 == 1})
                  for i in range(n)]
    return at_once(calls)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(child) for child in f.read().split()]


def held(pid):
    """What a process has: descriptors by kind, threads, mappings, KiB."""
    kinds = collections.Counter()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            kinds[re.sub(r"\d+", "", os.readlink(f"/proc/{pid}/fd/{fd}"))] += 1
        except FileNotFoundError:
            pass  # closed meanwhile
    with open(f"/proc/{pid}/smaps", encoding="ascii") as f:
        areas = [tuple(map(int, area)) for area in re.findall(
            r"^Size: +(\d+) kB.*?^Rss: +(\d+) kB", f.read(), re.M | re.S)]
    # The guest's own memory is another matter.
    maps, rss = len(areas), sum(rss for size, rss in areas if size < GUEST_KIB)
    return {"descriptors": dict(kinds), "maps": maps, "rss": rss,
            "threads": len(os.listdir(f"/proc/{pid}/task"))}


def files_open():
    """In the whole host: also those that KVM alone still refers to."""
    with open("/proc/sys/fs/file-nr", encoding="ascii") as f:
        return int(f.read().split()[0])


# The guest reads every second disk and writes the others, until they are gone;
# what it is asked by an interface it answers.
LOAD = ("diskload read $(ls -d /dev/vd[bdfhjlnprtvxz] 2>/dev/null); "
        "diskload write $(ls -d /dev/vd[cegikmoqsuwy] 2>/dev/null); "
        "for e in $(ls /sys/class/net | grep eth); do ifconfig $e up; done")
THERE = "ls /sys/block | grep -c vd; ls /sys/class/net | grep -c eth; true"


def under_load(kind):
    """Every one of its disks has been read or written."""
    def requests(d):
        return sum(d.get(op, {}).get("requests", 0) for op in ("read", "write"))

    def disks():
        return {d["id"]: requests(d) for d in
                host.call("vm.stats", name="cycles")["stats"]["disks"]
                if d["id"].startswith("d" + kind)}

    before = disks()
    guest.says(LOAD)
    return wait_for("I/O of every disk", lambda: (lambda now: all(
        now[d] > before[d] + 2 for d in before))(disks()))


class Asking:
    """ARP requests for the guest's address to all taps, over and over."""
    ETH_P_ARP = 0x806

    def __init__(self, names):
        mac, none = b"\x02\0\0\0\0\x09", bytes(6)
        self.frame = (b"\xff" * 6 + mac + b"\x08\x06"
                      b"\0\1\x08\0\x06\x04\0\1" + mac +
                      socket.inet_aton("10.9.9.1") + none +
                      socket.inet_aton(ADDRESS)).ljust(60, b"\0")
        self.sockets, self.answers, self.end = [], 0, False
        for name in names:
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                              socket.htons(self.ETH_P_ARP))
            s.bind((name, 0))
            s.setblocking(False)
            self.sockets.append(s)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.end:
            for s in self.sockets:
                try:
                    s.send(self.frame)
                    while True:
                        self.answers += s.recv(100)[20:22] == b"\0\2"
                except OSError:
                    pass  # no more of them, or no more tap
            time.sleep(0.1)

    def stop(self):
        self.end = True
        self.thread.join()
        for s in self.sockets:
            s.close()


def starts():
    global guest
    host.call("vm.define", config={
        "name": "cycles", "memory": "512MiB", "kernel": f"{GUEST}/vmlinuz",
        "initrd": f"{GUEST}/initrd.img", "cmdline": "quiet panic=-1",
        "disks": [{"path": blank(host.dir + "/cy.raw", 1)}],
        "max_hotplug": 4 * AT_ONCE})
    guest = boot(host, "cycles")
    for kind in "ab":
        for i in range(AT_ONCE):
            blank(path(kind, i), DISK_MIB)
    guest.says(f"ip addr add {ADDRESS}/24 dev lo; ip link set lo up")


def cycles(n, answers):
    """While those of one kind are let go of, the others are attached."""
    asking, leaving = None, []
    for i in range(n):
        kind, began = "ab"[i % 2], time.monotonic()
        attach(kind)
        there = time.monotonic() - began
        finish(leaving)
        gone = time.monotonic() - began
        if asking:
            asking.stop()
            answers.append(asking.answers)
        asking = Asking([f"cy{kind}{i}" for i in range(AT_ONCE)])
        under_load(kind)
        wait_for("an answer", lambda a=asking: a.answers)
        leaving = detach(kind)
        report.note(f"{AT_ONCE} of each there after {there:.1f} s, those before "
                    f"gone after {gone:.1f} s, under load after "
                    f"{time.monotonic() - began:.1f} s")
    finish(leaving)
    asking.stop()
    answers.append(asking.answers)


def why():
    """What the guest waits for."""
    try:
        print(guest.says("echo w >/proc/sysrq-trigger; dmesg | tail -n 60"))
    except TimeoutError as e:
        report.note(e)


def cycles_leak_nothing():
    before_any, pid = guest.says(THERE), host.vm("cycles")["pid"]
    answers = []
    try:
        cycles(2, [])   # what is made once is not what is looked for
        wait_for("all are gone", lambda: guest.says(THERE) == before_any)
        before, daemon = held(pid), held(host.proc.pid)
        files, began = files_open(), time.monotonic()
        cycles(-(-CYCLES // AT_ONCE), answers)
    except Exception:
        why()
        raise
    report.note(f"{len(answers) * AT_ONCE} cycles of a disk and an interface "
                f"in {time.monotonic() - began:.1f} s; interfaces answered "
                f"{sum(answers)} times")
    report.check("under load, each time", all(answers), answers)
    wait_for("all are gone", lambda: guest.says(THERE) == before_any)
    report.check("the guest has what it began with", True)
    after, daemon_after = held(pid), held(host.proc.pid)
    report.equal("descriptors as before", after["descriptors"],
                 before["descriptors"])
    # The kernel's workers for a disk come and go.
    report.check("threads as before", after["threads"] <=
                 before["threads"] + 3,
                 f"{before['threads']}, then {after['threads']}")
    report.check("mappings as before", after["maps"] <= before["maps"] + 8,
                 f"{before['maps']}, then {after['maps']}")
    report.check("memory as before", after["rss"] < before["rss"] + 1024,
                 f"{before['rss']} KiB, then {after['rss']} KiB")
    report.equal("the daemon's descriptors, too",
                 daemon_after["descriptors"], daemon["descriptors"])
    report.check("and its memory", daemon_after["rss"] < daemon["rss"] + 2048,
                 f"{daemon['rss']} KiB, then {daemon_after['rss']} KiB")
    # One eventfd left with KVM for each of them would be hundreds.
    report.check("nothing is left open in the kernel",
                 files_open() < files + CYCLES,
                 f"{files} files, then {files_open()}")
    report.equal("no tap is left", [n for n in os.listdir("/sys/class/net")
                                    if n.startswith("cy")], [])
    report.equal("no process is left", children(host.proc.pid), [pid])


def states():
    return {d["id"]: d["state"] for d in
            host.call("disk.list", name="cycles")["disks"]}


def resets_since(last):
    return sum(e["kind"] == "reset" for e in
               host.call("event.subscribe", since=last)["events"])


def many_leave_when_the_guest_starts_over():
    """Each of them closes what it had open while the machine is made anew."""
    attach("a", nics=False)
    under_load("a")
    last = host.call("event.subscribe", since=-1)["last"]
    leaving = detach("a", nics=False)
    wait_for("all were asked", lambda: all(
        s == "releasing" for d, s in states().items() if d != "disk0"))
    host.call("vm.reset", name="cycles")
    finish(leaving)
    guest.ready()
    report.equal("a machine that is made anew has none of them",
                 (list(states()), host.vm("cycles")["state"],
                  resets_since(last)), (["disk0"], "running", 1))


def a_guest_that_panicked():
    """What is asked of it ends in time, says why, and can be forced."""
    attach("a", 1, nics=False)
    guest.send("echo 0 >/proc/sys/kernel/panic; echo c >/proc/sysrq-trigger\n")
    guest.expect("Kernel panic", 30)
    for what, arguments, words in (
            ("add", [path("b", 0), "--live", "--id", "more"],
             r"did not take disk .* within 2 s \(the guest.*It is not attach"),
            ("remove", ["da0"],
             r"did not release disk .* within 2 s \(the guest.*still attach")):
        began = time.monotonic()
        status, _, err = host.ctl("disk", what, "cycles", *arguments,
                                  "--timeout", "2s")
        report.equal(f"disk {what}: a timeout", status, 8)
        report.match(f"disk {what}: with the likely reason", words, err)
        report.check(f"disk {what}: at the deadline",
                     2 <= time.monotonic() - began < 10)
    report.equal("nothing changed", states(),
                 {"disk0": "active", "da0": "active"})
    forced = pool.submit(host.call, "disk.remove", name="cycles", id="da0",
                         force=True, timeout_ms=TIMEOUT_MS)
    wait_for("it leaves", lambda: states().get("da0") != "active")
    host.call("vm.reset", name="cycles")
    forced.result()
    guest.ready()
    report.equal("by force it left, and the next system runs",
                 (states(), guest.says(THERE)), ({"disk0": "active"}, "1\n0"))
    log = host.log_text()
    report.check("no supervisor complained of its guest", "signal" not in log,
                 log[-3000:])
    host.call("vm.stop", name="cycles")


guarded(starts, cycles_leak_nothing, many_leave_when_the_guest_starts_over,
        a_guest_that_panicked)
report.end()
