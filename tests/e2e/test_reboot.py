#!/usr/bin/python3
"""A guest is asked to start over, on the null backend: one that follows, one
that does not, and what else may happen meanwhile."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import Host, RpcError, guarded, report, wait_for     # noqa: E402

check, equal, match = report.check, report.equal, report.match
host = Host("armvm-reboot-")


def started(name, line=None, **more):
    host.call("vm.define", config={"name": name, "hypervisor": "null",
                                   "memory": "128M", **more})
    host.call("vm.start", name=name)
    if line:
        console = host.console(name)
        console.send(line + "\n")
        console.expect(line + "\n")
        console.close()


def seen(name, last):
    """What has happened to it, in the order it did."""
    return [e.get("state", e["kind"]) for e in
            host.call("event.subscribe", since=last)["events"]
            if e["kind"] in ("state", "reset") and e.get("name") == name]


def last_event():
    return host.call("event.subscribe", since=-1)["last"]


def refused(what, code, **params):
    try:
        host.call("vm.reboot", **params)
        check(what, False, "it was accepted")
    except RpcError as e:
        equal(what, e.code, code)
        return str(e)
    return ""


def test_a_guest_that_follows():
    started("a")
    pid, last = host.vm("a")["pid"], last_event()
    equal("armvmctl reboot", host.ctl("reboot", "a"), (0, "a: rebooted\n", ""))
    equal("the same process", (host.vm("a")["state"], host.vm("a")["pid"]),
          ("running", pid))
    equal("all that happened is a reset", seen("a", last), ["reset"])
    status, out, _ = host.ctl("reboot", "a", "--timeout", "0")
    check("without waiting", status == 0 and "was asked to reboot" in out, out)
    vm = host.call("vm.reboot", name="a", timeout_ms=20000)
    equal("the call answers with the VM", (vm["name"], vm["state"]),
          ("a", "running"))
    job = host.call("vm.reboot", name="a", timeout_ms=20000, **{"async": True})
    equal("as a job", host.call("job.wait", id=job["id"])["state"], "done")


def test_one_that_does_not():
    started("b", "ignore")
    status, _, err = host.ctl("reboot", "b", "--timeout", "200ms")
    equal("a timeout", status, 8)
    match("says what can be done", r"b did not reboot within 0\.2 s: .*still "
          r"running.*armvmctl reset b", err)
    last = last_event()
    equal("--fallback reset", host.ctl("reboot", "b", "--timeout", "200ms",
                                       "--fallback", "reset"),
          (0, "b: rebooted\n", ""))
    equal("is a reset", seen("b", last), ["reset"])
    text = refused("a fallback without a deadline", "invalid", name="b",
                   fallback="reset")
    match("says so", "timeout_ms", text)
    refused("another fallback", "invalid", name="b", timeout_ms=200,
            fallback="stop")
    job = host.call("vm.reboot", name="b", timeout_ms=600000,
                    **{"async": True})
    gone = host.call("job.cancel", id=job["id"])
    equal("it can be cancelled", (gone["state"], host.vm("b")["state"]),
          ("cancelled", "running"))


def test_states():
    host.call("vm.define", config={"name": "c", "hypervisor": "null",
                                   "memory": "128M"})
    refused("a stopped VM", "wrong-state", name="c")
    host.call("vm.start", name="c")
    host.call("vm.pause", name="c")
    refused("a paused one", "wrong-state", name="c")
    host.call("vm.delete", name=host.call("vm.stop", name="c")["name"])


def test_on_reboot():
    started("d", on_reboot="stop")
    status, out, _ = host.ctl("reboot", "d")
    check("on_reboot: stop ends it, and that is the answer",
          status == 0 and out.startswith("d: stopped: "), out)
    equal("it is", host.vm("d")["state"], "stopped")


def test_it_ends_instead():
    started("e", "ignore")
    job = host.call("vm.reboot", name="e", timeout_ms=600000,
                    **{"async": True})
    host.call("vm.stop", name="e")
    done = host.call("job.wait", id=job["id"])
    equal("stopped meanwhile: answered with that",
          (done["state"], done["result"]["state"]), ("done", "stopped"))


def test_no_reset_is_possible():
    started("g", "ignore")
    jobs = [host.call("vm.reboot", name="g", timeout_ms=1000,
                      fallback="reset", **{"async": True}) for _ in "12"]
    host.call("vm.pause", name="g")
    equal("paused meanwhile: neither waits for a reset for ever",
          [host.call("job.wait", id=j["id"])["error"]["code"] for j in jobs],
          ["wrong-state"] * 2)
    equal("it is paused", host.vm("g")["state"], "paused")


def test_the_daemon_is_killed():
    started("f", "ignore")
    job = host.call("vm.reboot", name="f", timeout_ms=600000,
                    **{"async": True})
    host.kill()
    host.start()
    done = wait_for("the job's end", lambda: (
        lambda j: j if j["state"] != "running" else None)(
            host.call("job.get", id=job["id"])))
    check("it does not claim to have been done", done["state"] != "done", done)
    equal("the guest runs on", host.vm("f")["state"], "running")


host.start()
guarded(test_a_guest_that_follows, test_one_that_does_not, test_states,
        test_on_reboot, test_it_ends_instead, test_no_reset_is_possible,
        test_the_daemon_is_killed)
for vm_name in "abdefg":
    host.ctl("stop", vm_name)
host.cleanup()
report.end()
