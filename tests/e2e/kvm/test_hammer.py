#!/usr/bin/python3
"""A guest that does nothing but a million accesses all over the map
(hammer_map.c): it gets to its end, and another VM, the daemon and the host do
not notice."""
import os
import time

from scene import GUEST, SRC, Host, RpcError, boot, guarded, image, report

HAMMER = f"{SRC}/build/{os.environ.get('ARMVM_VARIANT', 'aarch64')}/guest/" \
    "hammer_map.img"
LIMIT_S = int(os.environ.get("ARMVM_HAMMER_S", "600"))
host = Host().start()
disk = image(host, "good")
guests = {}


def a_good_guest_runs():
    host.call("vm.define", config={
        "name": "good", "memory": "256MiB", "kernel": f"{GUEST}/vmlinuz",
        "initrd": f"{GUEST}/initrd.img", "cmdline": "quiet panic=-1",
        "disks": [{"path": disk, "readonly": True}]})
    guests["good"] = boot(host, "good")
    out, _ = guests["good"].run("head -c 4194304 /dev/vda | sha256sum", 60)
    guests["sum"] = out
    report.match("it reads its disk", r"^[0-9a-f]{64}", out)


def define(gic):
    host.call("vm.define", config={
        "name": f"bad-{gic}", "memory": "256MiB", "kernel": HAMMER,
        "gic": gic, "disks": [{"path": image(host, f"bad-{gic}")}],
        "nics": [{"tap": f"tap-bad-{gic}"}], "console": "both",
        "buses": {"rng": "mmio", "balloon": "mmio"},
        "max_hotplug": 2, "on_watchdog": "ignore", "on_crash": "stop"})


def look(name, pid):
    """One look at all who must not notice; what was wrong, and the VM."""
    began = time.monotonic()
    vm = host.vm(name)
    wrong = []
    if time.monotonic() - began > 5:
        wrong.append(f"the daemon took {time.monotonic() - began:.1f} s")
    out, _ = guests["good"].run("head -c 4194304 /dev/vda | sha256sum", 60)
    if out != guests["sum"]:
        wrong.append(f"the good guest read {out}")
    if vm["pid"] not in (0, pid):
        wrong.append("another process")
    return wrong, vm


def a_million_accesses_harm_nobody():
    gic = "v3" if "v3" in host.call("host.info").get("gic", ["v3"]) else "v2"
    name = f"bad-{gic}"
    define(gic)
    began = time.monotonic()
    pid = host.call("vm.start", name=name)["pid"]
    wrong, looks, exits = [], 0, 0
    while time.monotonic() - began < LIMIT_S:
        found, vm = look(name, pid)
        wrong, looks = wrong + found, looks + 1
        if vm["state"] == "running":
            try:
                stats = host.call("vm.stats", name=name)
                exits = max(exits, stats["stats"]["exits"]["mmio"])
            except RpcError as e:    # it ended between the two calls
                if e.code != "wrong-state":
                    raise
        else:
            break
    report.note(f"{looks} looks in {time.monotonic() - began:.0f} s; at least "
                f"{exits} exits; it ended: {vm['state']}, {vm['reason']}")
    report.check("it came to its end and switched itself off",
                 (vm["state"], vm["reason"]) ==
                 ("stopped", "the guest powered off"),
                 f"{vm}\n{host.log_text()[-3000:]}")
    report.equal("nobody else noticed", wrong, [])
    report.check("was looked at meanwhile", looks > 3, looks)
    log = host.log_text()
    report.check("nothing died", "signal" not in log, log[-3000:])


def it_can_be_deleted():
    for vm in host.call("vm.list")["vms"]:
        if vm["pid"]:
            host.call("vm.stop", name=vm["name"])
        host.call("vm.delete", name=vm["name"])
    report.equal("nothing is left", host.supervisors(), [])


guarded(a_good_guest_runs, a_million_accesses_harm_nobody, it_can_be_deleted)
report.end()
