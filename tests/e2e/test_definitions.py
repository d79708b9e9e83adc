#!/usr/bin/python3
"""Definitions and what the daemon does by them, on the null backend: update,
rename, clone, kept variables, lists, policies, autostart, events."""
import json
import os
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import Host, RpcError, guarded, report, wait_for     # noqa: E402
from http_client import Http                                    # noqa: E402

check, equal, match = report.check, report.equal, report.match
host = Host("armvm-def-")


def define(name, **config):
    return host.call("vm.define", config=dict(
        {"name": name, "hypervisor": "null", "memory": "128M"}, **config))


def refused(what, code, method, **params):
    try:
        host.call(method, **params)
        check(what, False, "it was accepted")
    except RpcError as e:
        equal(what, e.code, code)
        return str(e)
    return ""


def ctl(name, *arguments, status=0, **options):
    have, out, err = host.ctl(*arguments, **options)
    check(name, have == status, f"[{have}]\n{out}\n{err}")
    return out + err


def supervisor_of(name):
    return host.vm(name)["pid"]


def test_update():
    vm = define("u1", labels={"role": "web"})
    equal("labels are shown", vm["labels"], {"role": "web"})
    config = dict(vm["config"], vcpus=3)
    new = host.call("vm.update", name="u1", revision=vm["revision"],
                    config=config)
    equal("update", (new["revision"], new["vcpus"]), (2, 3))
    text = refused("a stale revision is a conflict", "conflict", "vm.update",
                   name="u1", revision=1, config=config)
    match("the conflict says what to do", "revision 2, not 1", text)
    refused("another uuid", "invalid", "vm.update", name="u1",
            config=dict(config, uuid="11111111-1111-4111-8111-111111111111"))
    refused("a new name needs rename", "invalid", "vm.update", name="u1",
            config=dict(config, name="u2"))
    refused("a bad definition", "invalid", "vm.update", name="u1",
            config=dict(config, memory="12Q"))
    refused("labels that are none", "invalid", "vm.update", name="u1",
            config=dict(config, labels={"a b": "c"}))
    host.call("vm.start", name="u1")
    refused("memory of a running VM", "wrong-state", "vm.update", name="u1",
            config=dict(config, memory="256M"))
    new = host.call("vm.update", name="u1",
                    config=dict(config, description="runs"))
    equal("the description of a running VM",
          (new["state"], new["config"]["description"]), ("running", "runs"))
    refused("rename of a running VM", "wrong-state", "vm.rename", name="u1",
            new_name="u9")
    host.call("vm.stop", name="u1")
    equal("rename", host.call("vm.rename", name="u1", new_name="u9")["name"],
          "u9")
    refused("the old name is free", "not-found", "vm.get", name="u1")
    define("u1")
    refused("rename to a name that is taken", "exists", "vm.rename",
            name="u1", new_name="u9")
    for name in ("u1", "u9"):
        host.call("vm.delete", name=name)


def test_vsock():
    def cid(name):
        return host.vm(name)["config"]["vsock"]["cid"]
    define("v1", vsock={"cid": "auto"})
    define("v2", vsock={"cid": "auto"})
    equal("free cids are chosen", (cid("v1"), cid("v2")), (3, 4))
    define("v3", vsock={"cid": 100})
    text = refused("a cid of another VM", "exists", "vm.define", config={
        "name": "v4", "hypervisor": "null", "vsock": {"cid": 100}})
    match("it names that VM", '"v3"', text)
    host.call("vm.clone", name="v3", new_name="v4")
    equal("a clone has its own", cid("v4"), 101)
    config = host.vm("v3")["config"]
    host.call("vm.update", name="v3",
              config=dict(config, vsock={"cid": "auto"}))
    equal("auto keeps the one it has", cid("v3"), 100)
    host.call("vm.start", name="v3")
    refused("not while it runs", "wrong-state", "vm.update", name="v3",
            config=dict(config, vsock={"cid": 7}))
    host.call("vm.stop", name="v3")
    host.call("vm.update", name="v3", config=dict(config, vsock={"cid": 7}))
    equal("another", cid("v3"), 7)
    match("show tells it", "Vsock +CID 7", ctl("show v3", "show", "v3"))
    for name in ("v1", "v2", "v3", "v4"):
        host.call("vm.delete", name=name)


def test_clone_and_kept():
    vm = define("c1", nics=[{"tap": "tapc1"}])
    host.call("vm.rename", name="c1", new_name="c0")
    copy = host.call("vm.clone", name="c0", new_name="c2")
    check("a clone is another VM", copy["uuid"] != vm["uuid"] and
          copy["config"]["nics"][0]["mac"] != vm["config"]["nics"][0]["mac"],
          copy)
    refused("clone to a name that is taken", "exists", "vm.clone", name="c0",
            new_name="c2")
    host.call("vm.delete", name="c0", keep_variables=True)
    refused("it is no VM any more", "not-found", "vm.get", name="c0")
    refused("nor by its uuid", "not-found", "vm.get", name=vm["uuid"])
    kept = host.call("var.kept")["kept"]
    equal("its variable store is kept", [(k["uuid"], k["name"]) for k in kept],
          [(vm["uuid"], "c0")])
    match("var kept", vm["uuid"] + " +c0", ctl("var kept", "var", "kept"))
    again = define("c3", uuid=vm["uuid"])
    equal("and picked up again", (again["name"],
                                  host.call("var.kept")["kept"]), ("c3", []))
    ctl("delete --keep-variables", "delete", "c3", "--keep-variables")
    ctl("var forget", "var", "forget", vm["uuid"])
    ctl("var forget again", "var", "forget", vm["uuid"], status=3)
    host.call("vm.delete", name="c2")


def test_lists():
    for i in range(25):
        define(f"l{i:02}", labels={"n": str(i % 5), "all": "yes"})
    names, cursor, pages = [], None, 0
    while True:
        page = host.call("vm.list", limit=10,
                         **({"cursor": cursor} if cursor else {}))
        names += [v["name"] for v in page["vms"]]
        cursor, pages = page.get("cursor"), pages + 1
        if not cursor:
            break
    equal("pages", (pages, names), (3, [f"l{i:02}" for i in range(25)]))
    page = host.call("vm.list", labels={"n": "3", "all": "yes"})
    equal("by label", [v["name"] for v in page["vms"]],
          ["l03", "l08", "l13", "l18", "l23"])
    host.call("vm.start", name="l07")
    equal("by state", [v["name"] for v in
                       host.call("vm.list", state="running")["vms"]], ["l07"])
    refused("no such state", "invalid", "vm.list", state="dancing")
    equal("armvmctl list --state --label",
          ctl("list", "list", "--names", "--state", "stopped", "--label",
              "n=2"), "l02\nl12\nl17\nl22\n")
    host.call("vm.stop", name="l07")
    for i in range(25):
        host.call("vm.delete", name=f"l{i:02}")


def test_set_and_edit():
    define("e1")
    ctl("set", "set", "e1", "--memory", "256M", "--label", "role=db",
        "--autostart", "yes", "--description", "the database")
    vm = host.vm("e1")
    equal("set took", (vm["memory"], vm["labels"], vm["autostart"],
                       vm["config"]["description"]),
          (256 << 20, {"role": "db"}, True, "the database"))
    match("set of nothing", "needs what to change", ctl(
        "set of nothing is a mistake", "set", "e1", status=2))
    ctl("set takes away", "set", "e1", "--label", "role=", "--autostart", "no")
    vm = host.vm("e1")
    equal("set took away", (vm["labels"], vm["autostart"]), ({}, False))
    os.environ["TMPDIR"] = host.dir  # what is refused is kept there
    os.environ["EDITOR"] = "sed -i s/the.database/edited/"
    match("edit", "e1: revision 4", ctl("edit", "edit", "e1"))
    equal("edit took", host.vm("e1")["config"]["description"], "edited")
    os.environ["EDITOR"] = "true"
    match("edit of nothing", "not changed", ctl("edit 2", "edit", "e1"))
    os.environ["EDITOR"] = "sed -i s/edited/x/;false"
    ctl("an editor that fails", "edit", "e1", status=12)
    os.environ["EDITOR"] = "sed -i s/268435456/17/"
    match("edit: refused, nothing lost", "what you wrote is in .*memory",
          ctl("edit 3", "edit", "e1", status=2))
    os.environ["EDITOR"] = (f"sh -c '{sys.executable} {__file__} --touch "
                            f"{host.socket}; sed -i s/edited/late/ $0'")
    match("edit: somebody was faster", "changed in the meantime",
          ctl("edit 4", "edit", "e1", status=15))
    equal("and was not overwritten", host.vm("e1")["labels"], {"by": "other"})
    ctl("rename", "rename", "e1", "e2")
    ctl("clone", "clone", "e2", "e3")
    for name in ("e2", "e3"):
        ctl("delete " + name, "delete", name)


def test_host_cpus():
    one = max(os.sched_getaffinity(0))
    define("c1", host_cpus=str(one))
    host.call("vm.start", name="c1")
    pid = host.vm("c1")["pid"]
    equal("all its threads stay on that CPU of the host",
          {frozenset(os.sched_getaffinity(int(tid)))
           for tid in os.listdir(f"/proc/{pid}/task")}, {frozenset({one})})
    match("show has it", rf"Host CPUs +{one}\n", ctl("show", "show", "c1"))
    host.call("vm.stop", name="c1")
    ctl("another CPU", "set", "c1", "--host-cpus", "1023")
    refused("a CPU the host has not", "invalid", "vm.start", name="c1")
    equal("has not started", host.vm("c1")["state"], "stopped")
    ctl("delete c1", "delete", "c1")


def test_transient_and_restart():
    define("t1", transient=True)
    host.call("vm.start", name="t1")
    host.call("vm.stop", name="t1")
    refused("a transient VM is gone when stopped", "not-found", "vm.get",
            name="t1")
    define("r1", on_crash="restart")
    host.call("vm.start", name="r1")
    first = supervisor_of("r1")
    os.kill(first, signal.SIGKILL)
    pid = wait_for("restart", lambda: supervisor_of("r1") not in (0, first)
                   and host.vm("r1")["state"] == "running" and
                   supervisor_of("r1"), 10)
    check("a crashed VM is started again", pid)
    host.call("vm.stop", name="r1")
    time.sleep(0.4)
    equal("a stopped one is not", host.vm("r1")["state"], "stopped")
    host.call("vm.update", name="r1", config=dict(
        host.vm("r1")["config"], on_crash="stop", on_reboot="stop"))
    host.call("vm.start", name="r1")
    console = host.console("r1")
    console.send("reboot\n")
    host.wait_state("r1", "stopped", 60)
    check("on_reboot stop", True)
    console.close()
    host.call("vm.update", name="r1", config=dict(
        host.vm("r1")["config"], on_crash="preserve", on_reboot="restart"))
    host.call("vm.start", name="r1")
    host.call("vm.reset", name="r1")
    console = host.console("r1")
    console.send("panic\n")
    host.wait_state("r1", "paused", 60)
    check("on_crash preserve pauses a panicked guest", True)
    console.close()
    host.call("vm.stop", name="r1")
    host.call("vm.update", name="r1", config=dict(
        host.vm("r1")["config"], on_crash="stop"))
    host.call("vm.start", name="r1")
    console = host.console("r1")
    console.send("panic\n")
    vm = host.wait_state("r1", "crashed", 60)
    match("on_crash stop: a panic is a crash", "panicked", vm["reason"])
    console.close()
    host.call("vm.delete", name="r1")


def test_restart_limit():
    define("r2", on_crash="restart")
    host.call("vm.start", name="r2")
    rpc = host.rpc()
    rpc.sock.settimeout(40)
    rpc.call("event.subscribe", since=-1)
    os.kill(supervisor_of("r2"), signal.SIGKILL)
    starts = 0
    while True:
        event = rpc.next_event()
        if event["kind"] == "restart-limit":
            break
        if event.get("state") == "running":
            starts += 1
            os.kill(supervisor_of("r2"), signal.SIGKILL)
    equal("restarts are limited", (starts, host.vm("r2")["state"]),
          (5, "crashed"))
    rpc.close()
    host.call("vm.delete", name="r2")


def test_autostart():
    define("a2", autostart=True, autostart_order=2)
    define("a1", autostart=True, autostart_order=1, autostart_delay_ms=300)
    define("a0")
    host.stop()
    host.start()
    time.sleep(0.3)
    equal("no autostart without a boot", host.vm("a1")["state"], "stopped")
    host.stop()
    os.unlink(host.runtime + "/autostarted")
    host.start()
    host.wait_state("a2", "running")
    one, two = host.vm("a1"), host.vm("a2")
    check("autostart in order, with the delay",
          two["started_ms"] - one["started_ms"] >= 250, f"{one}\n{two}")
    equal("others are left alone", host.vm("a0")["state"], "stopped")
    for name in ("a1", "a2"):
        host.call("vm.stop", name=name)
    for name in ("a0", "a1", "a2"):
        host.call("vm.delete", name=name)


def test_states_survive():
    define("s1")
    host.call("vm.start", name="s1")
    host.call("vm.pause", name="s1")
    pid = supervisor_of("s1")
    rpc = host.rpc()
    last = rpc.call("event.subscribe", since=-1)["last"]
    rpc.close()
    host.kill()
    host.start()
    vm = host.wait_state("s1", "paused")
    equal("the same process, in the state it was", vm["pid"], pid)
    time.sleep(0.2)
    events = host.call("event.subscribe", since=last)["events"]
    equal("nothing happened to it", events, [])
    os.kill(pid, signal.SIGKILL)
    vm = host.wait_state("s1", "crashed", 30)
    host.stop()
    host.start()
    equal("why it crashed is still known", host.vm("s1")["reason"],
          vm["reason"])
    host.call("vm.delete", name="s1")


def test_events_replay():
    rpc = host.rpc()
    first = rpc.call("event.subscribe", since=-1)["last"]
    n, other = 1200, host.rpc()
    for i in range(n):
        other.sock.sendall(json.dumps({
            "jsonrpc": "2.0", "method": "vm.define", "params": {"config": {
                "name": f"x{i}", "hypervisor": "null"}}}).encode() + b"\n")
        other.sock.sendall(json.dumps({
            "jsonrpc": "2.0", "method": "vm.delete",
            "params": {"name": f"x{i}"}}).encode() + b"\n")
    live = [rpc.next_event()["seq"] for _ in range(2 * n)]
    equal("live: each once, in order", live,
          list(range(first + 1, first + 2 * n + 1)))
    since, seen, pages = first, [], 0
    while True:
        page = other.call("event.subscribe", since=since)
        seen += [e["seq"] for e in page["events"]]
        since, pages = page["last"], pages + 1
        if not page["more"]:
            break
    equal("replayed in pages: the same", (seen, pages), (live, 3))
    host.call("vm.define", config={"name": "after", "hypervisor": "null"})
    equal("and then live", other.next_event()["seq"], first + 2 * n + 1)
    host.call("vm.delete", name="after")
    gap = host.call("event.subscribe", since=10 ** 9)
    equal("numbers nobody had are a gap", gap["gap"],
          {"from": gap["last"] + 1, "to": 10 ** 9})
    rpc.close()
    other.close()


def test_events_trimmed():
    """History is bounded; who asks for what is gone is told which."""
    old = Host("armvm-def-old-").start()
    for i in range(20):
        old.call("vm.define", config={"name": f"o{i}", "hypervisor": "null"})
    last = old.call("event.subscribe", since=-1)["last"]
    old.stop()
    kept = 100000
    with sqlite3.connect(old.state + "/armvmd.sqlite") as db:
        db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'event'",
                   (kept + 9,))
    db.close()
    old.start()
    old.call("vm.delete", name="o0")
    page = old.call("event.subscribe", since=0)
    equal("the gap is told", page["gap"], {"from": 1, "to": 10})
    equal("and what is kept comes, once",
          [e["seq"] for e in page["events"]],
          [*range(11, last + 1), kept + 10])
    equal("a part of it, to who knows some",
          old.call("event.subscribe", since=4)["gap"], {"from": 5, "to": 10})
    check("none, to who knows the rest",
          "gap" not in old.call("event.subscribe", since=10))
    match("armvmctl events says so", "events 1 to 10 are no longer kept",
          old.ctl("events", "--since", "0")[2])
    http = Http(old.runtime + "/http.sock")
    http.send("GET", "/v1/events?since=0")
    http.head()
    fields, event = http.event()
    equal("and so does a stream", (fields.get("event"), event["from"],
                                   event["to"]), ("gap", 1, 10))
    http.close()


if len(sys.argv) == 3 and sys.argv[1] == "--touch":
    host.socket = sys.argv[2]
    host.call("vm.update", name="e1", config=dict(
        host.vm("e1")["config"], labels={"by": "other"}))
    os._exit(0)

host.start()
guarded(test_update, test_vsock, test_clone_and_kept, test_lists, test_set_and_edit,
        test_host_cpus, test_transient_and_restart, test_restart_limit, test_autostart,
        test_states_survive, test_events_replay, test_events_trimmed)
report.end()
