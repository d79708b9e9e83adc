#!/usr/bin/python3
"""Statistics on the null backend: one VM, pages of many, Prometheus text, the
command line; a supervisor that does not answer, one that tells nonsense."""
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import BIN, Host, RpcError, guarded, report          # noqa: E402
from http_client import Http                                    # noqa: E402

check, equal, match = report.check, report.equal, report.match
host = Host("armvm-stats-").start()


def define(name, **more):
    return host.call("vm.define", config={
        "name": name, "hypervisor": "null", "memory": "128M", **more})


def start(name, **more):
    define(name, **more)
    host.call("vm.start", name=name)


def test_one():
    disk = host.dir + "/disk.raw"
    with open(disk, "wb") as f:
        f.truncate(1 << 20)
    define("web", vcpus=3)
    try:
        host.call("vm.stats", name="web")
        check("a stopped VM has none", False)
    except RpcError as e:
        match("a stopped VM has none", "web is stopped; statistics", str(e))
    host.call("vm.start", name="web")
    host.call("disk.add", name="web", disk={"path": disk, "id": "data"})
    a = host.call("vm.stats", name="web")
    equal("who it is", (a["name"], a["state"], a["vcpus"], a["memory"]),
          ("web", "running", 3, 128 << 20))
    check("its process", 1 << 20 < a["resident"] < 1 << 30, a["resident"])
    s = a["stats"]
    equal("a figure for each vCPU", len(s["vcpus"]), 3)
    equal("and each disk", s["disks"], [{"id": "data", "in_flight": 0}])
    check("time of a monotonic clock",
          abs(s["time_ns"] - time.monotonic_ns()) < 10 * 10 ** 9, s)
    with_input = host.console("web")
    with_input.expect("started")
    with_input.send("12345\n")
    with_input.expect("12345\n")
    b = host.call("vm.stats", name="web")["stats"]
    equal("counters grow", b["vcpus"][0]["exits"] - s["vcpus"][0]["exits"], 6)
    equal("accesses by device", b["mmio"],
          [{"device": "console", "reads": 6}])
    check("so does time", b["time_ns"] > s["time_ns"] and
          b["cpu_ns"] >= s["cpu_ns"] > 0, (s, b))
    with_input.close()
    equal("over HTTP", Http(host.runtime + "/http.sock").ask(
        "GET", "/v1/vms/web/stats").json()["name"], "web")


def test_many():
    for name in ("a", "b", "c"):
        start(name, labels={"role": "db"} if name == "b" else {})
    host.call("vm.pause", name="c")
    all_vms = host.call("stats.list")
    equal("all active ones, by name", [(v["name"], v["state"])
                                       for v in all_vms["vms"]],
          [("a", "running"), ("b", "running"), ("c", "paused"),
           ("web", "running")])
    check("each with its figures", all("stats" in v for v in all_vms["vms"]))
    check("that was all", "cursor" not in all_vms)
    page = host.call("stats.list", limit=3)
    equal("a page", [v["name"] for v in page["vms"]], ["a", "b", "c"])
    rest = host.call("stats.list", limit=3, cursor=page["cursor"])
    equal("and the rest", ([v["name"] for v in rest["vms"]], "cursor" in rest),
          (["web"], False))
    equal("by label", [v["name"] for v in host.call(
        "stats.list", labels={"role": "db"})["vms"]], ["b"])
    equal("over HTTP", len(Http(host.runtime + "/http.sock").ask(
        "GET", "/v1/stats?limit=2").json()["vms"]), 2)


def test_metrics():
    text = Http(host.runtime + "/http.sock").ask("GET", "/metrics")
    equal("what it is", text.headers["content-type"],
          "text/plain; version=0.0.4; charset=utf-8")
    body = text.body.decode()
    for pattern in (
            r'^armvmd_vm_vcpu_seconds_total\{name="web",vcpu="2"\} 0\.0+$',
            r'^armvmd_vm_exits_total\{name="web",kind="mmio"\} 6$',
            r'^armvmd_vm_mmio_total\{name="web",device="console",'
            r'op="read"\} 6$',
            r'^armvmd_vm_disk_latency_seconds_bucket\{name="web",'
            r'disk="data",op="read",le="\+Inf"\} 0$',
            r'^armvmd_vm_balloon_actual_bytes\{name="c"\} 134217728$'):
        match(f"/metrics has {pattern}", "(?m)" + pattern, body)
    kinds = [l.split()[2] for l in body.splitlines() if l[:6] == "# TYPE"]
    equal("each series is described once", len(kinds), len(set(kinds)))


def test_silent_supervisor():
    """It is stopped by us: the others are not held up for longer than it may
    take, and it is named."""
    pid = host.vm("a")["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        before = time.monotonic()
        vms = {v["name"]: v for v in host.call("stats.list")["vms"]}
        took = time.monotonic() - before
    finally:
        os.kill(pid, signal.SIGCONT)
    check("bounded", took < 8, took)
    match("the one that hangs is named", "did not answer",
          vms["a"].get("error", ""))
    check("the others are there", "stats" in vms["b"] and "stats" in vms["c"])
    check("and it, too, afterwards", "stats" in host.call("vm.stats", name="a"))


def test_command_line():
    status, out, err = host.ctl("stats", "web")
    equal("stats", (status, err), (0, ""))
    for pattern in (r"VM +web, running", r"Memory +128 MiB defined, .* resident",
                    r"VCPU +CPU +EXITS", r"console +6 +0", r"DISK +REQUESTS"):
        match(f"stats shows {pattern}", pattern, out)
    status, out, _ = host.ctl("stats", "web", "--output", "json")
    equal("json is the API's", set(json.loads(out)),
          {"name", "uuid", "state", "vcpus", "memory", "resident", "stats"})
    status, _, err = host.ctl("stats", "nobody")
    equal("no such VM", status, 3)
    status, _, err = host.ctl("stats", "web", "--watch", "--interval", "1ms")
    match("an interval that is too short", "shorter than 100ms", err)
    with subprocess.Popen(
            [BIN + "/armvmctl", "--socket", host.socket, "stats", "web",
             "--watch", "--interval", "200ms", "--output", "jsonl"],
            stdout=subprocess.PIPE, text=True) as watch:
        lines = [json.loads(watch.stdout.readline()) for _ in range(3)]
        watch.terminate()
    check("--watch goes on", lines[0]["stats"]["time_ns"] <
          lines[1]["stats"]["time_ns"] < lines[2]["stats"]["time_ns"])
    with subprocess.Popen(
            [BIN + "/armvmctl", "--socket", host.socket, "stats", "web",
             "--watch", "--interval", "200ms"],
            stdout=subprocess.PIPE, text=True) as watch:
        host.call("vm.stop", name="web")
        watch.wait(20)
        equal("and ends with the VM", watch.returncode, 5)


guarded(test_one, test_many, test_metrics, test_silent_supervisor,
        test_command_line)
report.end()
