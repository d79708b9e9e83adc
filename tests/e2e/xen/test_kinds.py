#!/usr/bin/python3
"""Guests of each kind: AArch32, the paravirtual console, both consoles, many
CPUs; packed kernels are in both/test_direct.py."""
import subprocess

from xen_scene import (Host, boot, boot32, define, finish, guarded,
                       nothing_is_left, report)

host = Host().start()


def aarch32():
    define(host, "a32", "32", arch="aarch32", vcpus=2)
    console = boot32(host, "a32")
    out, _ = console.run("uname -m; nproc")
    report.match("an AArch32 guest with 2 CPUs", r"armv[78]l\r?\n2", out)
    console.send("poweroff -f\n")
    host.wait_state("a32", "stopped", 60)
    report.match("turned itself off", r"powered off", host.vm("a32")["reason"])


def paravirtual_console():
    define(host, "pv", console="virtio", vcpus=4, cpu_weight=300,
           host_cpus="1")
    console = boot(host, "pv")
    out, _ = console.run("cat /sys/class/tty/console/active; nproc")
    report.match("hvc0 alone, and 4 CPUs", r"hvc0\r?\n4", out)
    report.match("its weight", r"pv +\d+ +768",
                 subprocess.run(["xl", "sched-credit2"], check=True, text=True,
                                stdout=subprocess.PIPE).stdout)
    rows = subprocess.run(["xl", "vcpu-list", "pv"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip().split("\n")
    report.equal("the CPU it is kept on (hard affinity)",
                 [row.split()[6] for row in rows[1:]], ["1"] * 4)
    host.call("vm.stop", name="pv")


def both_consoles():
    define(host, "both", console="both")
    console = boot(host, "both")
    out, _ = console.run("cat /proc/cmdline")
    report.match("pl011 is the one that is named", r"console=ttyAMA0", out)
    console.run("echo pa''ravirtual > /dev/hvc0")
    other = host.console("both", device="virtio")
    report.check("the other one speaks, too",
                 other.expect("paravirtual", 30) is not None)
    other.close()
    host.call("vm.stop", name="both")
    nothing_is_left(host, "all kinds")


guarded(aarch32, paravirtual_console, both_consoles)
finish(host)
