#!/usr/bin/python3
"""Memory given back to the host, by the balloon and by free page reporting; the
watchdog; pvpanic."""
import re
import time

from scene import BOOT_S, Host, RpcError, boot, define, guarded, image, report, wait_for

MIB = 1 << 20
host = Host().start()
define(host, "web", image(host, "web"), memory="768MiB",
       free_page_reporting=True)
guest = None


def rss():
    """Resident bytes of the supervisor."""
    with open(f"/proc/{host.vm('web')['pid']}/smaps_rollup",
              encoding="utf-8") as f:
        return int(re.search(r"^Rss: +(\d+) kB", f.read(), re.M)[1]) * 1024


def free():
    """Bytes the guest has free. Its MemTotal stays: what is in the balloon
    comes back when it runs out of memory."""
    out, _ = guest.run("grep MemFree /proc/meminfo")
    return int(out.split()[1]) * 1024


def events(kind):
    return [e for e in host.call("event.subscribe", since=0)["events"]
            if e["kind"] == kind]


def freed_pages_go_back():
    global guest
    guest = boot(host, "web")
    before = rss()
    guest.run("dd if=/dev/urandom of=/tmp/fill bs=1M count=256 2>/dev/null",
              120)
    filled = rss()
    report.check("memory the guest uses is the host's",
                 filled > 256 * MIB, f"{before} {filled}")
    guest.run("rm /tmp/fill; echo 3 >/proc/sys/vm/drop_caches")
    after = wait_for("pages given back", lambda: (
        lambda now: now if filled - now > 200 * MIB else 0)(rss()), 30)
    report.note(f"{before >> 20} MiB, filled {filled >> 20} MiB, freed "
                f"{after >> 20} MiB")
    report.check("what the guest freed went back to the host", True)


def the_balloon_takes_and_gives():
    guest.run("dd if=/dev/urandom of=/tmp/fill bs=1M count=128 2>/dev/null",
              120)
    have = free()
    status, out, err = host.ctl("balloon", "web", "320M")
    report.equal("balloon", (status, err), (0, ""))
    wait_for("the balloon is inflated", lambda: events("balloon"), 60)
    report.match("an event tells", r"320 MiB", events("balloon")[0]["detail"])
    now = free()
    report.check("the guest has that much less", abs(
        have - now - 448 * MIB) < 64 * MIB, f"{have} {now}")
    report.check("what it kept is whole", guest.run(
        "ls -l /tmp/fill")[0].split()[4] == str(128 * MIB))
    report.check("and the host holds no more than that",
                 rss() < 320 * MIB + 24 * MIB, rss())
    # More than it has without what is in the balloon.
    out, status = guest.run("dd if=/dev/zero of=/dev/null bs=400M count=1 "
                            "2>&1; dmesg | grep -c 'Out of memory'", 120)
    report.match("before the guest runs out of memory it takes some back",
                 r"1\+0 records out.*\n0\n", out)
    report.check("from the balloon", host.call("vm.stats", name="web")
                 ["stats"]["balloon"]["actual"] > 320 * MIB)
    host.ctl("balloon", "web", "768M")
    wait_for("the balloon is deflated", lambda: len(events("balloon")) == 2,
             60)
    report.check("the guest has it all again", abs(free() - have) < 64 * MIB)


def bad_targets_are_refused():
    for target in ("16MiB", "2GiB"):
        try:
            host.call("vm.balloon", name="web", target=target)
            report.check(f"a target of {target} is refused", False)
        except RpcError as e:
            report.match(f"a target of {target} is refused",
                         r"target.*MiB", str(e))


def the_watchdog_resets():
    out, _ = guest.run("cat /sys/class/watchdog/watchdog0/identity")
    report.match("Linux drives the watchdog", "sp805", out)
    guest.run("watchdog -F -T 4 -t 1 /dev/watchdog & echo $! >/tmp/wd")
    time.sleep(8)
    report.equal("it is kept alive", events("watchdog"), [])
    # A pause longer than its period is not the guest's fault.
    host.call("vm.pause", name="web")
    time.sleep(6)
    host.call("vm.resume", name="web")
    time.sleep(1)
    report.equal("a pause does not count", events("watchdog"), [])
    guest.send("kill -9 $(cat /tmp/wd)\n")
    wait_for("the watchdog to expire", lambda: events("watchdog"), 20)
    guest.ready(BOOT_S)
    report.check("and the guest is reset", events("reset"))


def a_panic_is_an_event():
    """Debian's kernel has no driver for it, so by hand what others do."""
    host.call("vm.update", name="web", config={
        **host.vm("web")["config"], "on_crash": "preserve"})
    out, status = guest.run(
        "for d in /sys/bus/pci/devices/*; do [ $(cat $d/vendor)$(cat "
        "$d/device) = 0x1b360x0011 ] || continue; echo 1 >$d/enable; "
        "set -- $(head -n 1 $d/resource); echo at $1; done")
    report.match("pvpanic is on PCI", r"at 0x[0-9a-f]+", out)
    guest.send(f"devmem {out.split()[-1]} 8 1\n")
    wait_for("the panic", lambda: events("panic"), 20)
    report.match("an event tells", "kernel panicked",
                 events("panic")[0]["detail"])
    host.wait_state("web", "paused", 20)
    report.check("on_crash: preserve pauses it", True)


guarded(freed_pages_go_back, the_balloon_takes_and_gives,
        bad_targets_are_refused, the_watchdog_resets, a_panic_is_an_event)
report.end()
