#!/usr/bin/python3
"""Network interfaces in the control plane, on the null backend: links, and
what becomes of a NIC with "user" when passt is there, fails or is missing."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
# pylint: disable=wrong-import-position
from armvm import Host, RpcError, guarded, report, wait_for

folder = None
host = Host()


def passt(script):
    """The program of that name that the daemon finds."""
    with open(folder + "/passt", "w", encoding="ascii") as f:
        f.write("#!/bin/sh\n" + script)
    os.chmod(folder + "/passt", 0o755)


def refused(what, words, method, **params):
    try:
        host.call(method, **params)
        report.check(what, False, "it was not refused")
    except RpcError as e:
        report.match(what, words, str(e))


def define(name, **nic):
    host.call("vm.define", config={"name": name, "hypervisor": "null",
                                   "memory": "128MiB",
                                   "nics": [{"user": True, **nic}]})


def begins():
    global folder
    folder = host.dir + "/bin"
    os.mkdir(folder)
    os.environ["PATH"] = folder
    host.start()
    define("web", forward=[{"host_port": 8080, "guest_port": 80},
                           {"address": "::1", "protocol": "udp",
                            "host_port": 53}])


def without_passt():
    refused("a missing passt is one clear error",
            'nic "nic0": .* the package "passt"$', "vm.start", name="web")
    report.equal("and nothing is started", host.vm("web")["state"], "stopped")


def passt_fails():
    passt("echo first >&2; echo No such thing >&2; exit 1\n")
    refused("its last words are the reason", "^passt: No such thing$",
            "vm.start", name="web")
    host.wait_state("web", "stopped")
    passt("exit 3\n")
    refused("or else its status", "passt ended with status 3", "vm.start",
            name="web")
    host.wait_state("web", "stopped")


def passt_serves():
    passt(f'echo "$@" >{folder}/args; [ -S /dev/fd/3 ] || exit 9\n')
    host.call("vm.start", name="web")
    with open(folder + "/args", encoding="ascii") as f:
        args = f.read()
    report.match("it is told what it plays",
                 "^--quiet --fd 3 --address 10.0.2.15 --netmask 24 --gateway "
                 "10.0.2.2 --mac-addr [0-9a-f:]* --mtu 65520 ", args)
    report.match("and which ports lead in", "-t 8080:80 -u ::1/53:53\n$", args)
    if os.geteuid() == 0:
        report.match("it runs as its VM does", "--runas 19000000", args)


def links():
    status, out, _ = host.ctl("nic", "set", "web", "nic0", "--link", "down")
    report.equal("down", (status, out),
                 (0, "web: the link of nic0 is down\n"))
    report.equal("as listed",
                 host.call("nic.list", name="web")["nics"][0]["link"], "down")
    report.equal("and defined",
                 host.vm("web")["config"]["nics"][0]["link"], "down")
    host.call("nic.set", name="web", id="nic0", link="up", live=True)
    report.check("up, live only", "link" not in
                 host.call("nic.list", name="web")["nics"][0])
    report.equal("the definition stays",
                 host.vm("web")["config"]["nics"][0]["link"], "down")
    rpc = host.rpc()
    events = [(e["device"], e["link"]) for e in
              rpc.call("event.subscribe", since=0)["events"]
              if e["kind"] == "nic-link"]
    rpc.close()
    report.equal("each is an event", events, [("nic0", "down"),
                                              ("nic0", "up")])
    refused("no such nic", 'web has no nic "nic7"', "nic.set", name="web",
            id="nic7", link="up")
    refused("no such link", "link", "nic.set", name="web", id="nic0",
            link="sideways")
    status, _, err = host.ctl("nic", "set", "web", "nic0")
    report.check("nothing to set", status == 2 and "--link" in err, err)


def failed():
    rpc = host.rpc()
    events = [e["detail"] for e in
              rpc.call("event.subscribe", since=0)["events"]
              if e["kind"] == "nic-failed"]
    rpc.close()
    return events


def host_ends_that_vanish():
    """One is told; one, attached live, also pauses."""
    passt("exit 0\n")
    refused("no such policy", "report, pause", "nic.add", name="web",
            nic={"user": True, "on_error": "ignore"})
    status, _, err = host.ctl("nic", "add", "web", "user,on_error=pause",
                              "--id", "strict", "--live")
    report.equal("on_error=pause", (status, err), (0, ""))
    console = host.console("web")
    console.send("lose nic0\n")
    wait_for("the event", lambda: len(failed()) == 1)
    report.equal("by default it runs on", host.vm("web")["state"], "running")
    console.send("lose strict\n")
    vm = host.wait_state("web", "paused")
    report.equal("by policy it is paused, with the reason", vm["reason"],
                 'nic "strict": its host end is gone; its link is down')
    report.equal("which is an event", failed()[1:], [vm["reason"]])
    host.call("vm.resume", name="web")
    report.equal("and goes on", host.vm("web")["state"], "running")
    console.close()
    host.call("nic.remove", name="web", id="strict", force=True)


def links_at_rest():
    host.call("vm.stop", name="web")
    result = host.call("nic.set", name="web", id="nic0", link="up")
    report.equal("at rest in the definition", result["link"], "up")
    report.check("there", "link" not in host.vm("web")["config"]["nics"][0])
    refused("not live", "no running guest", "nic.set", name="web", id="nic0",
            link="up", live=True)
    refused("no such nic", 'web has no nic "nic7"', "nic.set", name="web",
            id="nic7", link="up")


def one_address_one_vm():
    """By definition, live, while it is being added; freed by a crash."""
    mac = "52:54:00:00:00:0a"
    for name in ("first", "second"):
        define(name, mac=mac)
    host.call("vm.start", name="first")
    refused("an address in use by a running VM",
            f'^nic "nic0": mac {mac} is in use by VM "first", which is '
            "running; give this one another, or stop that VM$", "vm.start",
            name="second")
    report.equal("it is not started", host.vm("second")["state"], "stopped")
    host.call("vm.update", name="second", config=dict(
        host.vm("second")["config"], nics=[]))
    host.call("vm.start", name="second")
    nic = {"user": True, "id": "late"}
    refused("nor added to one that runs", f"mac {mac} is in use by", "nic.add",
            name="second", nic=dict(nic, mac=mac.upper()))
    report.equal("which has none then",
                 host.call("nic.list", name="second")["nics"], [])
    other = "52:54:00:00:00:0b"
    host.call("nic.add", name="second", nic=dict(nic, mac=other), live=True)
    refused("nor one that was added live", f'{other} is in use by VM "second"',
            "nic.add", name="first", nic=dict(nic, mac=other))
    refused("also by that VM", f'{other} is in use by VM "second"',
            "nic.add", name="second", nic={"user": True, "mac": other})
    host.kill()
    host.start()
    wait_for("adopted", lambda: host.vm("second")["state"] == "running")
    refused("also after a restart", f'{other} is in use by VM "second"',
            "nic.add", name="first", nic=dict(nic, mac=other))
    passt("sleep 3\n")
    third = "52:54:00:00:00:0c"
    rpc = host.rpc()
    rpc.last += 1
    rpc.sock.sendall(json.dumps({
        "jsonrpc": "2.0", "id": rpc.last, "method": "nic.add", "params": {
            "name": "second", "nic": {"user": True, "id": "slow",
                                      "mac": third}}}).encode() + b"\n")
    wait_for("it is on its way", lambda: "requested" in json.dumps([
        e for e in host.call("event.subscribe", since=0)["events"]
        if e.get("device") == "slow"]))
    refused("nor one that is being added", f'{third} is in use by VM "second"',
            "nic.add", name="first", nic=dict(nic, mac=third))
    rpc._line()  # pylint: disable=protected-access
    rpc.close()
    passt("exit 0\n")
    os.kill(host.vm("first")["pid"], 9)
    host.wait_state("first", "crashed")
    report.equal("a crash frees it", host.call(
        "nic.add", name="second", nic={"user": True, "mac": mac})["mac"], mac)
    host.call("vm.stop", name="second")


def added_live():
    host.call("vm.start", name="web")
    passt("echo Port taken >&2; exit 1\n")
    refused("a passt that fails is no NIC", "^passt: Port taken$", "nic.add",
            name="web", nic={"user": True})
    report.equal("and leaves none", len(host.call(
        "nic.list", name="web")["nics"]), 1)
    passt("exit 0\n")
    nic = host.call("nic.add", name="web", nic={"user": True, "id": "more"})
    report.equal("one that serves is", nic["state"], "active")
    host.call("nic.remove", name="web", id="more")
    passt("sleep 5\n")
    rpc = host.rpc()
    rpc.sock.settimeout(20)
    rpc.last += 1
    rpc.sock.sendall(b'{"jsonrpc":"2.0","id":1,"method":"nic.add","params":'
                     b'{"name":"web","nic":{"user":true}}}\n')
    wait_for("passt is waited for", lambda: os.path.exists(folder + "/passt"))
    host.call("vm.stop", name="web")
    reply = rpc._line()  # pylint: disable=protected-access
    report.check("a stop does not wait for it", "error" in reply, reply)
    rpc.close()


guarded(begins, without_passt, passt_fails, passt_serves, links,
        host_ends_that_vanish, links_at_rest, one_address_one_vm,
        added_live)
report.end()
