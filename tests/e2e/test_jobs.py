#!/usr/bin/python3
"""Jobs on the null backend: asynchronous calls, waiting, cancelling, keys by
which a repeated request is known, and what a killed daemon makes of them."""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import Host, RpcError, guarded, report, wait_for     # noqa: E402

check, equal, match = report.check, report.equal, report.match
host = Host("armvm-jobs-")


def define(name, **more):
    return host.call("vm.define", config={
        "name": name, "hypervisor": "null", "memory": "128M"}, **more)


def refused(what, code, method, **params):
    try:
        host.call(method, **params)
        check(what, False, "it was accepted")
    except RpcError as e:
        equal(what, e.code, code)
        return str(e)
    return ""


def ctl(name, *arguments, status=0):
    have, out, err = host.ctl(*arguments)
    check(name, have == status, f"[{have}]\n{out}\n{err}")
    return out + err


def test_async():
    define("a")
    job = host.call("vm.start", name="a", **{"async": True})
    equal("a job at once", (job["method"], job["vm"], job["state"]),
          ("vm.start", "a", "running"))
    done = host.call("job.wait", id=job["id"])
    equal("and its end", (done["state"], done["progress"],
                          done["result"]["state"]), ("done", 100, "running"))
    equal("job.get agrees", host.call("job.get", id=job["id"]), done)
    job = host.call("vm.start", name="a", **{"async": True})
    done = host.call("job.wait", id=job["id"])
    equal("a job that fails says why", (done["state"], done["error"]["code"]),
          ("failed", "wrong-state"))
    host.call("vm.stop", name="a")
    listed = host.call("job.list")["jobs"]
    refused("a VM that is not there", "not-found", "vm.start", name="nobody")
    equal("which is no job", host.call("job.list")["jobs"], listed)
    equal("all are listed, newest first",
          [(j["method"], j["state"]) for j in listed],
          [("vm.stop", "done"), ("vm.start", "failed"), ("vm.start", "done")])
    equal("pages", [j["id"] for j in host.call(
        "job.list", before=listed[1]["id"], limit=1)["jobs"]],
        [listed[2]["id"]])
    equal("none runs", host.call("job.list", running=True)["jobs"], [])
    refused("no such job", "not-found", "job.get", id=10 ** 6)
    refused("a list is no job", "invalid", "vm.list", **{"async": True})
    refused("a deadline that is none", "invalid", "vm.start", name="a",
            deadline_ms="soon")
    host.call("vm.delete", name="a")


def test_cancel_and_deadline():
    define("c")
    host.call("vm.start", name="c")
    console = host.console("c")
    console.send("ignore\n")
    console.expect("ignore\n")
    job = host.call("vm.shutdown", name="c", timeout_ms=600000,
                    **{"async": True})
    waiting = host.call("job.wait", id=job["id"], timeout_ms=50)
    equal("waiting gives up first", waiting["state"], "running")
    gone = host.call("job.cancel", id=job["id"])
    equal("cancelled", (gone["state"], gone["error"]["code"]),
          ("cancelled", "cancelled"))
    equal("the VM goes on", host.vm("c")["state"], "running")
    text = refused("a deadline", "timeout", "vm.shutdown", name="c",
                   timeout_ms=600000, deadline_ms=100)
    match("the deadline says so", "not done in time", text)
    job = cut_off("vm.shutdown", 30, name="c", timeout_ms=1500)
    equal("a shutdown cut off is waited for again", (
        job["state"], job["error"]["code"], host.vm("c")["pid"] > 0),
          ("failed", "timeout", True))
    refused("an ended job is not cancelled", "wrong-state", "job.cancel",
            id=job["id"])
    console.close()
    if host.vm("c")["state"] != "stopped":
        host.call("vm.stop", name="c")
    host.call("vm.delete", name="c")


def deaf(name):
    """A VM whose guest does not listen to its power button."""
    define(name)
    host.call("vm.start", name=name)
    console = host.console(name)
    console.send("ignore\n")
    console.expect("ignore\n")
    console.close()


def test_fallback():
    deaf("f")
    last = host.call("event.subscribe", since=-1)["last"]
    vm = host.call("vm.shutdown", name="f", timeout_ms=300, fallback="stop")
    equal("a shutdown with a fallback ends it", (vm["state"], vm["reason"]),
          ("stopped", "the guest did not shut down within 0.3 s and was "
           "stopped"))
    equal("in these steps", [e["state"] for e in host.call(
        "event.subscribe", since=last)["events"] if e["kind"] == "state"],
          ["shutting-down", "stopping", "stopped"])
    deaf("f2")
    text = refused("none is none", "timeout", "vm.shutdown", name="f2",
                   timeout_ms=300, fallback="none")
    match("and says what the guest lacked", "still running", text)
    refused("another fallback", "invalid", "vm.shutdown", name="f2",
            timeout_ms=300, fallback="burn")
    text = refused("one without a deadline", "invalid", "vm.shutdown",
                   name="f2", fallback="stop")
    match("says so", "timeout_ms", text)
    equal("neither was taken", host.vm("f2")["state"], "running")
    job = host.call("vm.shutdown", name="f2", timeout_ms=600000,
                    fallback="stop", **{"async": True})
    refused("another's shorter patience", "timeout", "vm.shutdown", name="f2",
            timeout_ms=100)
    equal("does not cut the first one short", (
        host.call("job.get", id=job["id"])["state"], host.vm("f2")["state"]),
          ("running", "shutting-down"))
    host.call("job.cancel", id=job["id"])
    equal("a cancelled one stops nothing", host.vm("f2")["state"], "running")
    job = host.call("vm.shutdown", name="f2", timeout_ms=3000,
                    fallback="stop", **{"async": True})
    wait_for("the guest was asked", lambda: host.vm("f2")["state"] !=
             "running")
    host.kill()
    host.start()
    vm = host.wait_state("f2", "stopped")
    equal("after kill -9 the fallback follows, too", vm["reason"],
          "the guest did not shut down within 3 s and was stopped")
    equal("and the job says so", host.call("job.wait", id=job["id"])["state"],
          "done")
    deaf("f3")
    match("armvmctl shutdown --fallback stop",
          "^f3: stopped: the guest did not shut down within 0.3 s", ctl(
              "shutdown", "shutdown", "f3", "--timeout", "300ms",
              "--fallback", "stop"))
    for name in ("f", "f2", "f3"):
        host.call("vm.delete", name=name)


def test_idempotency():
    first = define("i", idempotency_key="k-1")
    equal("the same request: the same answer",
          define("i", idempotency_key="k-1"), first)
    refused("without the key it runs", "exists", "vm.define",
            config={"name": "i", "hypervisor": "null", "memory": "128M"})
    refused("the key of another request", "conflict", "vm.delete", name="i",
            idempotency_key="k-1")
    refused("a failure is remembered, too", "not-found", "vm.delete",
            name="nobody", idempotency_key="k-2")
    host.call("vm.define", config={"name": "nobody", "hypervisor": "null"})
    refused("as a failure", "not-found", "vm.delete", name="nobody",
            idempotency_key="k-2")
    rpcs = [host.rpc() for _ in range(8)]
    for rpc in rpcs:
        rpc.sock.sendall(json.dumps({
            "jsonrpc": "2.0", "id": 1, "method": "vm.start", "params": {
                "name": "i", "idempotency_key": "k-3"}}).encode() + b"\n")
    answers = [rpc._line() for rpc in rpcs]  # pylint: disable=W0212
    equal("eight at once: one start, eight answers",
          [a.get("result", a)["state"] for a in answers], ["running"] * 8)
    equal("by one job", len([j for j in host.call("job.list")["jobs"]
                             if j["method"] == "vm.start" and
                             j["vm"] == "i"]), 1)
    for rpc in rpcs:
        rpc.close()
    host.kill()
    host.start()
    equal("known after kill -9", define("i", idempotency_key="k-1"), first)
    host.wait_state("i", "running")
    equal("a start is not repeated after kill -9",
          host.call("vm.start", name="i", idempotency_key="k-3")["name"], "i")
    host.call("vm.stop", name="i")
    for name in ("i", "nobody"):
        host.call("vm.delete", name=name)


def cut_off(method, at_ms, **params):
    """Begin a job and kill the daemon; the job after the restart."""
    job = host.call(method, **params, **{"async": True})
    time.sleep(at_ms / 1000)
    host.kill()
    host.start()
    return wait_for("the job is settled", lambda: (
        lambda j: j if j["state"] != "running" else None)(
            host.call("job.get", id=job["id"])), 20)


def test_cut_off():
    define("x")
    seen = set()
    moments = [0, 0, 1, 2, 4, 8, 16, 30, 60]
    for at_ms in moments:
        job = cut_off("vm.start", at_ms, name="x")
        state = host.vm("x")["state"]
        good = (job["state"] == "done" and state == "running") or (
            job["state"] == "failed" and state == "stopped" and
            "it was undone: x is stopped" in job["error"]["message"])
        check(f"start cut off after {at_ms} ms: {job['state']}", good,
              f"{job}\n{host.vm('x')}")
        seen.add(job["state"])
        if state == "running":
            host.call("vm.stop", name="x")
        # However slow this machine is.
        if at_ms == moments[-1] and "done" not in seen and at_ms < 10000:
            moments.append(2 * at_ms)
    check("both ends were seen, or only resumed ones",
          "done" in seen, seen)
    host.call("vm.start", name="x")
    job = cut_off("vm.stop", 0, name="x")
    equal("stop cut off is finished", (job["state"], host.vm("x")["state"]),
          ("done", "stopped"))
    host.call("vm.delete", name="x")


def test_ctl():
    define("t")
    out = ctl("start --no-wait", "start", "t", "--no-wait")
    match("it says how to wait", r"job \d+ began. Wait for it with: armvmctl "
          r"job wait \d+", out)
    number = out.split()[1]
    match("job wait", "State +done", ctl("wait", "job", "wait", number))
    match("job show", "Request +vm.start t", ctl("show", "job", "show",
                                                 number))
    match("job list", rf"{number} +vm.start +t +done", ctl("list", "job",
                                                          "list"))
    ctl("job wait of nothing", "job", "wait", "999999", status=3)
    ctl("job cancel of one that ended", "job", "cancel", number, status=5)
    job = host.call("vm.start", name="t", **{"async": True})
    ctl("job wait has the job's exit status", "job", "wait", str(job["id"]),
        status=5)
    host.call("vm.stop", name="t")
    host.call("vm.delete", name="t")


host.start()
guarded(test_async, test_cancel_and_deadline, test_fallback,
        test_idempotency, test_cut_off,
        test_ctl)
report.end()
