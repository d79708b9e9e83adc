#!/usr/bin/python3
"""define, list, show, start, shutdown, stop, console, delete with armvmctl, as
an operator types them; the supervisor's sandbox."""
import json
import os
import re

from scene import BOOT_S, Host, guarded, image, report

host = Host().start()
disk = image(host, "web")


def proc_status(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return dict(line.split(":\t", 1) for line in f.read().split("\n")
                    if ":\t" in line)


def create_list_show():
    status, out, err = host.ctl("create", "web", "--disk", disk, "--memory",
                                "512M", "--vcpus", "1")
    report.equal("create", (status, err), (0, ""))
    report.match("offers the next step", r"armvmctl start web", out)
    status, out, _ = host.ctl("list")
    report.match("list shows it", r"web\s+stopped", out)
    status, out, _ = host.ctl("show", "web", "--output", "json")
    report.equal("show as JSON", json.loads(out)["config"]["memory"],
                 512 << 20)


def start_and_sandbox():
    status, out, err = host.ctl("start", "web")
    report.equal("start", (status, err), (0, ""))
    pid = host.vm("web")["pid"]
    status = proc_status(pid)
    uids = set(status["Uid"].split())
    report.check("a uid of its own", uids.isdisjoint({"0"})
                 and len(uids) == 1, uids)
    report.equal("no_new_privs", status["NoNewPrivs"].strip(), "1")
    report.equal("seccomp filter", status["Seccomp"].strip(), "2")
    report.equal("no capabilities", int(status["CapEff"], 16)
                 | int(status["CapPrm"], 16) | int(status["CapBnd"], 16), 0)
    report.check("its own network namespace",
                 os.readlink(f"/proc/{pid}/ns/net")
                 != os.readlink("/proc/self/ns/net"))
    report.equal("an empty root", os.listdir(f"/proc/{pid}/root"), [])
    with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
        maps = f.read()
    for library in ("sqlite", "systemd"):
        report.check(f"does not link {library}", library not in maps)


def graceful_shutdown():
    console = host.console("web")
    console.ready(BOOT_S)
    status, out, err = host.ctl("shutdown", "web", "--timeout", "60s")
    report.equal("shutdown", (status, err), (0, ""))
    report.equal("stopped", host.vm("web")["state"], "stopped")
    console.close()


def shutdown_that_is_not_answered():
    host.ctl("start", "web")
    # In its firmware the guest has no driver for the button.
    status, _, err = host.ctl("shutdown", "web", "--timeout", "2s")
    report.equal("exit status of a timeout", status, 8)
    report.match("says what to do", r"armvmctl stop web", err)
    report.equal("still running", host.vm("web")["state"], "running")


def pause_and_resume():
    console = host.console("web")
    console.ready(BOOT_S)
    host.call("vm.pause", name="web")
    report.equal("paused", host.vm("web")["state"], "paused")
    console.send("echo pa''used\n")
    try:
        console.expect("paused", 2)
        report.check("a paused guest is silent", False)
    except TimeoutError:
        report.check("a paused guest is silent", True)
    host.call("vm.resume", name="web")
    console.expect("paused", 30)
    report.check("resumed, it answers", True)
    host.call("vm.reset", name="web")
    console.ready(BOOT_S)
    report.check("reset: it boots again", True)
    console.close()


def console_shows_what_was_printed():
    console = host.console("web")
    report.match("a late reader sees the firmware's words", r"UEFI|EDK|Bds",
                 console.expect("ready", 10))
    console.close()


def stop_and_delete():
    pid = host.vm("web")["pid"]
    status, _, err = host.ctl("delete", "web")
    report.equal("a running VM is not deleted", status, 5)
    report.match("and it says why", r"web.*running", err)
    status, _, err = host.ctl("stop", "web")
    report.equal("stop", (status, err), (0, ""))
    report.check("its process is gone", not os.path.exists(f"/proc/{pid}"))
    report.equal("delete", host.ctl("delete", "web")[0], 0)
    report.equal("nothing is listed", host.call("vm.list")["vms"], [])
    left = [n for n in os.listdir(host.runtime) if n.endswith(".sock")
            and n not in ("armvmd.sock", "http.sock")]
    report.equal("no socket left", left, [])
    report.equal("no file left", os.listdir(host.state + "/vms"), [])


def events_tell_the_story():
    _, out, _ = host.ctl("events", "--since", "0", "--output", "jsonl")
    kinds = [json.loads(line) for line in out.split("\n") if line]
    states = [e["state"] for e in kinds if e["kind"] == "state"]
    report.check("each state change is an event",
                 re.search("starting,running,shutting-down,stopped",
                           ",".join(states)), states)
    seqs = [e["seq"] for e in kinds]
    report.equal("in sequence, without gaps", seqs,
                 list(range(seqs[0], seqs[0] + len(seqs))))


guarded(create_list_show, start_and_sandbox, graceful_shutdown,
        shutdown_that_is_not_answered, pause_and_resume,
        console_shows_what_was_printed, stop_and_delete,
        events_tell_the_story)
report.end()
