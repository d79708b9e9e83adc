#!/usr/bin/python3
"""What of a VM's life is Xen's own; the rest is tests/e2e/both/test_story.py."""
import os

from xen_scene import (BOOT_S, GUEST, Host, alive, crash, domains, domid,
                       finish, guarded, nothing_is_left, report)

host = Host().start()


def host_info():
    out = host.does("host", "info")
    report.match("Xen and its version", r"xen +available, version 4\.17", out)
    report.match("no KVM, and why", r"kvm +not available: .*/dev/kvm", out)
    report.match("what guests may have", r"guests +up to 128 vCPUs.*GICv[23]",
                 out)


def create_and_start():
    host.does("create", "web", "--kernel", f"{GUEST}/vmlinuz", "--initrd",
              f"{GUEST}/initrd.img", "--cmdline", "quiet panic=-1 armvm=1",
              "--memory", "256M", "--vcpus", "2")
    host.does("start", "web")
    report.match("auto took Xen", r"web +running +xen", host.does("list"))
    report.equal("one domain", list(domains().values()), ["web"])


def consoles_name():
    console = host.console("web")
    console.ready(BOOT_S)
    out, _ = console.run("cat /proc/cmdline; nproc; cat /sys/hypervisor/type")
    report.match("its command line, with the console's name",
                 r"armvm=1 console=ttyAMA0", out)
    report.match("2 vCPUs under Xen", r"\n2\r?\nxen", out)
    console.close()


def sandbox():
    pid = host.vm("web")["pid"]
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        status = dict(line.split(":\t", 1) for line in f if ":\t" in line)
    report.equal("no_new_privs", status["NoNewPrivs"].strip(), "1")
    report.equal("seccomp filter", status["Seccomp"].strip(), "2")
    report.equal("no capability but for the network (CAP_NET_ADMIN)",
                 int(status["CapEff"], 16) | int(status["CapPrm"], 16)
                 | int(status["CapBnd"], 16), 1 << 12)
    report.equal("a root of what it needs",
                 sorted(os.listdir(f"/proc/{pid}/root")),
                 ["dev", "proc", "run", "sys", "var"])


def reset():
    number = domid("web")
    host.does("reset", "web")
    host.console("web").expect("armvm-guest ready.*armvm-guest ready", BOOT_S)
    report.equal("one domain, as before, but another",
                 (list(domains().values()), domid("web") == number),
                 (["web"], False))


def graceful_reboot():
    number = domid("web")
    report.match("armvmctl reboot", r"^web: rebooted$",
                 host.does("reboot", "web", "--timeout", "60s"))
    console = host.console("web")
    console.expect("reboot: Restarting system.*armvm-guest ready", BOOT_S)
    console.close()
    report.check("is another domain", domid("web") != number)


def deadlines():
    """A guest that has no time to follow."""
    host.call("vm.start", name="web")
    status, out, err = host.ctl("reboot", "web", "--timeout", "1ms",
                                "--fallback", "reset")
    report.equal("reboot --fallback reset", (status, out, err),
                 (0, "web: rebooted\n", ""))
    report.equal("one domain", list(domains().values()), ["web"])
    status, out, err = host.ctl("shutdown", "web", "--timeout", "1ms",
                                "--fallback", "stop")
    report.check("shutdown --fallback stop", status == 0 and
                 out.startswith("web: stopped: "), (status, out, err))
    nothing_is_left(host, "stopped by the fallback")


def graceful_shutdown():
    pid = host.vm("web")["pid"]
    host.does("shutdown", "web", "--timeout", "60s")
    report.equal("stopped, and why", (host.vm("web")["state"],
                                      host.vm("web")["reason"]),
                 ("stopped", "the guest powered off"))
    report.check("its process is gone", not alive(pid))
    report.match("its last words are in the log", r"power button|Power down",
                 host.does("log", "web"))
    nothing_is_left(host, "shut down")


def crash_is_seen():
    """Linux on ARM does not tell Xen of a panic; what Xen ends it for, it
    does."""
    host.call("vm.start", name="web")
    host.console("web").ready(BOOT_S)
    crash(domid("web"))
    host.wait_state("web", "crashed", 60)
    report.match("and why", r"the guest crashed", host.vm("web")["reason"])
    nothing_is_left(host, "crashed")


def crash_can_be_kept():
    host.does("set", "web", "--on-crash", "preserve")
    host.call("vm.start", name="web")
    number = domid("web")
    crash(number)
    host.wait_state("web", "paused", 60)
    report.equal("preserved, to be looked at", domid("web"), number)
    status, _, err = host.ctl("resume", "web")
    report.check("it cannot go on", status != 0 and "crashed" in err, err)
    host.does("stop", "web")
    nothing_is_left(host, "a crash that was kept")


def crash_is_followed_by_a_start():
    host.does("set", "web", "--on-crash", "restart")
    host.call("vm.start", name="web")
    number, pid = domid("web"), host.vm("web")["pid"]
    crash(number)
    host.another_supervisor("web", pid)
    report.check("another domain, with another supervisor",
                 list(domains().values()) == ["web"] and
                 domid("web") != number, domains())
    host.does("stop", "web")
    nothing_is_left(host, "a crash that was followed by a start")


guarded(host_info, create_and_start, consoles_name, sandbox, reset,
        graceful_reboot, graceful_shutdown, deadlines, crash_is_seen, crash_can_be_kept,
        crash_is_followed_by_a_start)
finish(host)
