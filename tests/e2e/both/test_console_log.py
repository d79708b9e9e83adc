#!/usr/bin/python3
"""A guest's console under stress: what it prints without end is bounded on the
host's disk, a full disk costs the log alone, and of two clients one types."""
import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "kvm"))
# pylint: disable=wrong-import-position
from scene import GUEST, Console, Host, boot, guarded, report, wait_for

HYPERVISOR = os.environ["ARMVM_HYPERVISOR"]
PART = 8 << 10  # each byte of pl011 is two exits
host = Host()
with open(host.dir + "/armvmd.conf", "w", encoding="utf-8") as conf:
    conf.write(f"console-log {2 * PART}\n")
host.start("--config", host.dir + "/armvmd.conf")
vm = host.call("vm.define", config={
    "name": "web", "memory": "256MiB", "kernel": f"{GUEST}/vmlinuz",
    "initrd": f"{GUEST}/initrd.img", "cmdline": "quiet"})
folder = f"{host.state}/vms/{vm['uuid']}"
guest = None


def log(*options):
    status, out, err = host.ctl("log", "web", *options)
    report.equal("log " + " ".join(options), (status, err), (0, ""))
    return out


def sizes():
    return [os.stat(f).st_size for f in glob.glob(folder + "/console.*.log")]


def the_log_has_the_boot():
    global guest
    os.makedirs(folder)
    # A small disk of its own, nearly full.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k,mode=0700",
                    "tmpfs", folder], check=True)
    guest = boot(host, "web")
    report.match("log", r"armvm-guest ready", log("--since", "boot"))
    report.equal("on what \"auto\" came to", host.vm("web")["hypervisor"],
                 HYPERVISOR)


def a_flood_is_bounded():
    guest.send("yes abcdefghijklmnopqrstuvwxyz | head -c 20000; echo; echo en''d\n")
    seen = []

    def over():
        seen.append(sum(sizes()))
        return re.search(r"\nend\r?\n", host.ctl("log", "web")[1])

    wait_for("the flood's end", over, 120, 1)
    report.check("never more than both parts", max(seen) <= 2 * PART, seen)
    report.check("and both were used", max(seen) > PART, seen)
    out, status = guest.run("echo fine")
    report.equal("the guest goes on", (out.strip(), status), ("fine", 0))


def a_full_disk_costs_the_log_alone():
    """While the log has not had all its space yet; later it would need none."""
    rpc = host.rpc()
    rpc.call("event.subscribe", since=-1)
    filler = os.open(folder + "/filler", os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(filler, bytes(4096))
    except OSError:
        os.close(filler)
    guest.send("yes 0123456789 | head -c 10000; echo; echo ful''l\n")

    def told():
        while True:
            event = rpc.next_event()
            if event["kind"] == "console-log":
                return event["detail"]

    report.match("one event says so", r"No space left", told())
    guest.expect(r"\nfull\n", 60)
    report.equal("the guest does not notice", guest.run("echo fine")[1], 0)
    os.remove(folder + "/filler")

    def printed():
        guest.run("echo again")
        return re.search(r"\nagain\r?\n", host.ctl("log", "web")[1])

    wait_for("it is written again", printed, 30, 1)
    report.match("and says what is missing", r"written again; \d+ bytes",
                 told())
    report.match("in the log, too", r"bytes of output are missing here", log())
    rpc.close()


def one_types():
    rpc = host.rpc()
    seat = rpc.call("vm.console", name="web")
    other = Console(rpc.fds.pop(0), "other")
    report.equal("the second reads", seat["writes"], False)
    other.send("echo not ty''ped\n")
    guest.run("echo he''re")
    other.expect(r"\nhere\n", 30)
    report.check("what it sends is not typed",
                 "not typed" not in other.seen, other.seen[-500:])
    rpc.call("vm.console_take", name="web", session=seat["session"])
    out, _ = other.run("echo mi''ne")
    report.equal("until it takes over", out.strip(), "mine")
    guest.expect("mine", 30)
    host.kill()
    host.start("--config", host.dir + "/armvmd.conf")
    report.equal("the VM runs on, also for a new daemon",
                 wait_for("adopted", lambda: host.vm("web")["hypervisor"]
                          == HYPERVISOR and host.vm("web")["state"]),
                 "running")
    host.call("vm.stop", name="web")
    subprocess.run(["umount", folder], check=True)


guarded(the_log_has_the_boot, a_full_disk_costs_the_log_alone,
        a_flood_is_bounded, one_types)
report.end()
