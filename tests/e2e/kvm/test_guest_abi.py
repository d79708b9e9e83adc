#!/usr/bin/python3
"""What a definition asks of the host: CPUs, memory, features; what it gets, and
how it is told what is not there (PL-1, PL-3)."""
import os
import re

from scene import GUEST, Host, RpcError, boot, guarded, image, report

host = Host().start()


def define(name, **more):
    return host.call("vm.define", config={
        "name": name, "kernel": f"{GUEST}/vmlinuz",
        "initrd": f"{GUEST}/initrd.img", "cmdline": "quiet panic=-1", **more})


def free_huge_pages():
    with open("/proc/meminfo", encoding="utf-8") as f:
        return int(re.search(r"HugePages_Free:\s+(\d+)", f.read()).group(1))


def the_host_says_what_it_can():
    guest = host.call("host.info")["guest"]
    report.equal("a GICv3 with ITS",
                 (guest["gic_v3"], guest["its"]), (True, True))
    report.check("many vCPUs, much memory", guest["vcpus_max"] > 8 and
                 guest["memory_max"] >= 1 << 34, guest)
    code, out, _ = host.ctl("host", "info")
    report.match("the command shows it", r"guests +up to \d+ vCPUs and .*GICv3",
                 out)
    report.equal("host info: exit status", code, 0)
    return guest


def what_it_cannot_is_refused():
    can = host.call("host.info")["guest"]
    disk = image(host, "refused")
    asked = [("aarch32", ["--arch", "aarch32"], "AArch32 at EL1"),
             ("gic_v2", ["--gic", "v2"], "use v3"),
             ("sve", ["--feature", "sve=on"], "features.sve"),
             ("mte", ["--feature", "mte=on"], "features.mte")]
    for cap, arguments, words in asked:
        if can[cap]:
            report.skip(f"{cap} is refused", "this host has it")
            continue
        code, _, err = host.ctl("create", "bad", "--kernel", f"{GUEST}/vmlinuz",
                                *arguments)
        report.check(f"{cap} is refused with the reason",
                     code != 0 and words in err, err)
    code, _, err = host.ctl("create", "bad", "--disk", disk, "--vcpus", "9",
                            "--gic", "v2")
    report.check("9 vCPUs on a GICv2: the nearest value",
                 code == 2 and "use 8" in err, err)


def eight_vcpus_and_memory_above_4_gib():
    define("many", vcpus=8, memory="5GiB", memory_backing="memfd")
    guest = boot(host, "many")
    out, _ = guest.run("nproc; grep -c . /proc/interrupts; free -m")
    report.match("8 vCPUs", r"^8\n", out)
    total = int(re.search(r"Mem:\s+(\d+)", out).group(1))
    report.check("5 GiB of memory", 4800 < total <= 5120, out)
    out, _ = guest.run("grep 'System RAM' /proc/iomem")
    report.match("some of it above 4 GiB", r"-17fffffff : System RAM", out)
    out, _ = guest.run("dmesg | grep -i -E 'stolen|perfevents'")
    can = host.call("host.info")["guest"]
    report.equal("stolen time, when the host can tell", "stolen time" in out,
                 can["steal_time"])
    report.equal("a PMU, when the host has one", "pmuv3" in out.lower(),
                 can["pmu"])
    if can["steal_time"] and os.cpu_count() < 8:
        out, _ = guest.run("for i in 1 2 3 4 5 6 7 8; do timeout 2 sh -c 'while "
                           ":; do :; done' & done; wait; "
                           "awk '/^cpu / { print $9 }' /proc/stat")
        report.check("stolen is what others had", int(out) > 10, out)
    guest.run("dd if=/dev/zero bs=1M count=64 of=/tmp/a; echo mark > /tmp/b")
    guest.send("reboot -f\n")
    guest.ready(120)
    out, _ = guest.run("nproc; ls /tmp")
    report.equal("after a reboot all 8 again, and nothing of before",
                 out.strip(), "8")
    host.call("vm.stop", name="many")


def as_much_as_there_can_be():
    """Most of it never touched: the kernel is told to leave it alone."""
    can = host.call("host.info")["guest"]
    most = {"vcpus": can["vcpus_max"], "memory": can["memory_max"]}
    for field, unit in (("vcpus", 1), ("memory", 1 << 20)):
        try:
            define("beyond", **{**most, field: most[field] + unit})
            report.check(f"more {field} are refused", False)
        except RpcError as e:
            report.match(f"more {field} are refused, with what there can be",
                         rf"{field}.*(at most|1 to {can['vcpus_max']})",
                         str(e))
    define("most", cmdline="quiet panic=-1 maxcpus=4 mem=512M", **most)
    guest = boot(host, "most")
    # Of more CPUs than the kernel was built for it takes note in the tree.
    out, _ = guest.run("ls -d /proc/device-tree/cpus/cpu@* | wc -l; nproc; "
                       "od -An -v -tx1 /proc/device-tree/memory@*/reg")
    cpus, online, reg = out.split("\n", 2)
    report.equal("as many vCPUs as KVM allows", (cpus, online),
                 (str(most["vcpus"]), "4"))
    report.equal("as much memory as there are addresses",
                 int("".join(reg.split()[8:16]), 16), most["memory"])
    host.call("vm.stop", name="most")


def transparent_huge_pages():
    with open("/sys/kernel/mm/transparent_hugepage/enabled",
              encoding="ascii") as f:
        if "[never]" in f.read():
            report.skip("transparent huge pages", "the host has none")
            return
    with open(f"/proc/{host.vm('plain')['pid']}/smaps_rollup",
              encoding="ascii") as f:
        kib = int(re.search(r"AnonHugePages: +(\d+)", f.read()).group(1))
    report.check("memory is in transparent huge pages", kib >= 8192,
                 f"{kib} KiB")


def features_off():
    define("plain", memory="256MiB", on_watchdog="pause",
           features={"pmu": "off", "steal_time": "off", "pauth": "off"})
    guest = boot(host, "plain")
    out, _ = guest.run("dmesg | grep -i -c -E 'stolen|perfevents'; "
                       "ls /proc/device-tree | grep -c pmu; "
                       "grep -c paca /proc/cpuinfo")
    report.equal("no PMU, no stolen time, no pointer authentication",
                 out.split(), ["0", "0", "0"])
    transparent_huge_pages()
    guest.run("watchdog -F -T 2 -t 1 /dev/watchdog & sleep 1; kill -9 $!")
    host.wait_state("plain", "paused")
    report.check("its watchdog pauses it, by policy", any(
        e["kind"] == "watchdog" for e in
        host.call("event.subscribe", since=0)["events"]))
    host.call("vm.stop", name="plain")


def huge_pages():
    define("huge", memory="256MiB", memory_backing="hugepages")
    code, _, err = host.ctl("start", "huge")
    report.check("none set aside: says how many, and what to do", code != 0 and
                 "128 free huge pages" in err and "vm.nr_hugepages" in err, err)
    with open("/proc/sys/vm/nr_hugepages", "w", encoding="utf-8") as f:
        f.write("140\n")
    before = free_huge_pages()
    if before < 128:
        report.skip("huge pages", f"only {before} can be had")
        return
    guest = boot(host, "huge")
    report.check("its memory comes from them", free_huge_pages() < before,
                 f"{before} free before and {free_huge_pages()} after")
    guest.send("reboot -f\n")
    guest.ready(120)
    host.call("vm.stop", name="huge")
    report.equal("all are given back", free_huge_pages(), before)


guarded(the_host_says_what_it_can, what_it_cannot_is_refused,
        eight_vcpus_and_memory_above_4_gib, as_much_as_there_can_be,
        features_off, huge_pages)
report.end()
