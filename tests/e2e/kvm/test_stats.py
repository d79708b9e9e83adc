#!/usr/bin/python3
"""Statistics of a real guest: CPU time, exits, disk and network counters with
latencies, what its balloon knows."""
import json
import os
import time

from scene import GUEST, Host, boot, guarded, report

host = Host().start()
disk = host.dir + "/data.raw"
with open(disk, "wb") as f:
    f.truncate(64 << 20)
host.call("vm.define", config={
    "name": "web", "memory": "512MiB", "vcpus": 2,
    "kernel": f"{GUEST}/vmlinuz", "initrd": f"{GUEST}/initrd.img",
    "cmdline": "console=ttyAMA0 quiet", "disks": [{"path": disk, "id": "data"}]})
guest = None


def stats():
    return host.call("vm.stats", name="web")["stats"]


def mmio(s, device):
    return {m["device"]: m.get("reads", 0) + m.get("writes", 0)
            for m in s["mmio"]}.get(device, 0)


def what_a_boot_costs():
    global guest
    guest = boot(host, "web")
    host.call("vm.pause", name="web")    # so that nothing moves meanwhile
    s = stats()
    host.call("vm.resume", name="web")
    vcpus = s["vcpus"]
    report.note(json.dumps({**s, "disks": len(s["disks"])}))
    report.equal("both vCPUs", len(vcpus), 2)
    report.check("have run", all(v["cpu_ns"] > 10 ** 6 for v in vcpus), vcpus)
    report.check("their time is of the process", sum(
        v["cpu_ns"] for v in vcpus) <= s["cpu_ns"], s)
    report.equal("every exit has a reason", sum(v["exits"] for v in vcpus),
                 sum(s["exits"].values()))
    report.check("accesses are those of the devices", sum(
        m.get("reads", 0) + m.get("writes", 0) for m in s["mmio"])
        + s["unanswered"] == s["exits"]["mmio"] + s["exits"]["undecoded"]
        + s.get("late_writes", 0), s)
    report.check("the console was written", mmio(s, "pl011") > 10, s["mmio"])
    report.check("KVM counts, too", all(
        v["kvm_exits"] >= v["mmio_user"] > 0 and v["wfi"] > 0
        for v in vcpus[:1]), vcpus)


def a_disk_is_counted():
    before = stats()["disks"][0]
    guest.run("dd if=/dev/zero of=/dev/vda bs=64k count=16 conv=fsync "
              "2>/dev/null; dd if=/dev/vda of=/dev/null bs=64k count=16 "
              "iflag=direct 2>/dev/null", 60)
    now = stats()["disks"][0]

    def added(op, field):
        return now.get(op, {}).get(field, 0) - before.get(op, {}).get(field, 0)
    report.equal("written", added("write", "bytes"), 1 << 20)
    report.equal("read", added("read", "bytes") >= 1 << 20, True)
    report.check("flushed", added("flush", "requests") >= 1, now)
    report.equal("no errors", (now["in_flight"], added("read", "errors"),
                               added("write", "errors")), (0, 0, 0))
    for op in ("read", "write", "flush"):
        report.equal(f"each {op} has its latency", sum(
            now[op]["latency"]), now[op]["requests"])


def the_balloon_tells():
    status, out, err = host.ctl("stats", "web")
    report.equal("armvmctl stats", (status, err), (0, ""))
    report.note(out.replace("\n", "\n# "))
    report.match("what the guest has free", r"In guest +\d.* free", out)
    report.match("a histogram", r"< \d+ \S+ +\d+ +█", out)
    before = stats()["balloon"]
    time.sleep(1)
    have = stats()["balloon"]
    report.check("in bytes", 256 << 20 < have["total"] < 512 << 20, have)
    report.check("each question is answered",
                 have["guest_ns"] > before["guest_ns"], (before, have))


def asking_costs_the_guest_little():
    """And nothing when nobody asks: an idle guest stays out of user space."""
    stats()
    time.sleep(3)
    a = stats()
    time.sleep(10)
    b = stats()
    exits = [sum(v["exits"] for v in s["vcpus"]) for s in (a, b)]
    report.note(f"{exits[1] - exits[0]} exits in 10 idle seconds")
    report.check("idle", exits[1] - exits[0] <= 8, (a["mmio"], b["mmio"]))


def counters_outlive_a_reset():
    before = stats()
    host.call("vm.reset", name="web")
    guest.ready()
    now = stats()
    report.check("vCPUs go on", all(
        n["exits"] >= v["exits"] and n["cpu_ns"] >= v["cpu_ns"]
        for n, v in zip(now["vcpus"], before["vcpus"])), (before, now))
    report.check("devices, too", mmio(now, "pl011") > mmio(before, "pl011"))
    report.check("time moves on", now["time_ns"] > before["time_ns"])


assert os.path.exists(GUEST)
guarded(what_a_boot_costs, a_disk_is_counted, the_balloon_tells,
        asking_costs_the_guest_little, counters_outlive_a_reset)
report.end()
