#!/usr/bin/python3
"""Disks on the null backend: their size changes, and what follows when the host
fails."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import Host, RpcError, guarded, report, wait_for     # noqa: E402
from bootable import make_image                                 # noqa: E402
from http_client import Http                                    # noqa: E402

check, equal, match = report.check, report.equal, report.match
host = Host("armvm-disks-").start()
MIB = 1 << 20


def image(name, size=MIB):
    path = f"{host.dir}/{name}.raw"
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def refused(what, code, words, **params):
    try:
        host.call("disk.resize", **params)
        check(what, False, "it was accepted")
    except RpcError as e:
        equal(what, e.code, code)
        match(f"{what}: why", words, str(e))


def events(kind):
    return [e["detail"] for e in host.call("event.subscribe", since=0)
            ["events"] if e["kind"] == kind]


def define(name):
    boot = f"{host.dir}/boot-{name}.raw"
    make_image(boot)
    host.call("vm.define", config={
        "name": name, "hypervisor": "null", "memory": "128M",
        "disks": [{"path": boot, "id": "boot"}]})


def setup():
    define("web")
    for name, more in (("a", {}), ("b", {"readonly": True})):
        host.call("disk.add", name="web", disk={
            "path": image(name), "id": name, **more})


def test_at_rest():
    r = host.call("disk.resize", name="web", id="a", size="2MiB")
    equal("grown", r, {"id": "a", "size": 2 * MIB, "previous": MIB})
    equal("so is the file", os.path.getsize(host.dir + "/a.raw"), 2 * MIB)
    equal("an event tells", events("resize"), ['disk "a" has 2.0 MiB'])


def test_refusals():
    for what, code, words, params in (
            ("smaller", "invalid", "takes force", {"size": MIB}),
            ("not of sectors", "invalid", "multiple", {"size": 2 * MIB + 1}),
            ("nothing to do", "invalid", "either", {}),
            ("both", "invalid", "either", {"size": 3 * MIB, "rescan": True}),
            ("no such disk", "not-found", 'no disk "z"',
             {"id": "z", "size": 3 * MIB})):
        refused(what, code, words, **{"name": "web", "id": "a", **params})
    refused("read-only", "invalid", "read-only", name="web", id="b",
            size=2 * MIB)
    equal("nothing was touched", [os.path.getsize(f"{host.dir}/{n}.raw")
                                  for n in "ab"], [2 * MIB, MIB])
    equal("nor told", len(events("resize")), 1)


def test_running():
    host.call("vm.start", name="web")
    status, out, err = host.ctl("disk", "resize", "web", "a", "4M")
    equal("disk resize", (status, out, err),
          (0, "web: disk a has 4.0 MiB (2.0 MiB before)\n", ""))
    os.truncate(host.dir + "/b.raw", 3 * MIB)
    status, out, _ = host.ctl("disk", "resize", "web", "b", "--rescan")
    equal("--rescan", (status, "3.0 MiB" in out), (0, True))
    status, out, err = host.ctl("disk", "resize", "web", "a", "1M")
    match("smaller, by hand", "4.0 MiB; 1.0 MiB would cut off", err)
    status, out, _ = host.ctl("disk", "resize", "web", "a", "1M", "--force")
    equal("with --force", (status, os.path.getsize(host.dir + "/a.raw")),
          (0, MIB))
    status, _, err = host.ctl("disk", "resize", "web", "a")
    match("neither size nor --rescan", "either SIZE or --rescan", err)
    equal("over HTTP", Http(host.runtime + "/http.sock").ask(
        "POST", "/v1/vms/web/disks/a/resize",
        {"size": "2MiB"}).json()["size"], 2 * MIB)


def test_one_by_itself():
    """As a resource, and by its method; at rest it is the definition's."""
    def ask(path):
        r = Http(host.runtime + "/http.sock").ask("GET", "/v1/vms/" + path)
        return r.status, r.json()

    status, disk = ask("web/disks/a")
    equal("GET disks/ID", (status, disk["id"], disk["state"], disk["path"]),
          (200, "a", "active", host.dir + "/a.raw"))
    equal("as disk.get has it", host.call("disk.get", name="web", id="a"),
          disk)
    equal("and disk.list", disk in host.call("disk.list", name="web")["disks"],
          True)
    host.call("nic.add", name="other", nic={"tap": "none0", "id": "n"})
    equal("GET nics/ID", ask("other/nics/n")[1]["tap"], "none0")
    status, error = ask("web/disks/z")
    equal("no such disk", status, 404)
    match("and where to look", 'web has no disk "z"; see: armvmctl disk list',
          error["error"]["message"])
    equal("no such nic", ask("web/nics/a")[0], 404)
    equal("no such VM", ask("wbe/nics/a")[0], 404)
    equal("at rest", host.call("disk.get", name="other", id="boot")["state"],
          "defined")


def test_failures():
    console = host.console("web")
    console.expect("started")
    console.send("io-error\n")
    wait_for("the event", lambda: events("io-error"))
    equal("an error the guest was told of", (
        events("io-error"), host.vm("web")["state"]),
        (['disk "null": write failed: No space left on device'], "running"))
    console.send("io-held\n")
    vm = host.wait_state("web", "paused")
    match("one it waits for: paused, and why", "No space left", vm["reason"])
    equal("an event, too", len(events("io-error")), 2)
    host.call("vm.resume", name="web")
    equal("and on", (host.vm("web")["state"], host.vm("web")["reason"]),
          ("running", ""))
    console.close()


def test_policy_is_of_the_definition():
    define("other")
    try:
        host.call("disk.add", name="other", disk={
            "path": image("c"), "on_error": "ignore"})
        check("another policy is refused", False)
    except RpcError as e:
        match("another policy is refused", "enospc, report, pause", str(e))
    status, _, err = host.ctl("create", "made", "--hypervisor", "null",
                              "--disk", host.dir + "/boot-web.raw," +
                              "on_error=pause")
    equal("create --disk on_error=", (status, host.vm("made")["config"]
                                      ["disks"][0]["on_error"]), (0, "pause"))
    status, _, err = host.ctl("disk", "add", "other", image("e"), "--id", "e",
                              "--on-error", "report")
    equal("--on-error", (status, err), (0, ""))
    equal("is kept", [d.get("on_error") for d in host.vm("other")["config"]
                      ["disks"]], [None, "report"])


def test_one_file():
    """By whatever path; only readers share one."""
    file = image("file")
    os.symlink(file, host.dir + "/link.raw")
    os.link(file, host.dir + "/twin.raw")
    boot = f"{host.dir}/boot-twice.raw"
    make_image(boot)
    for n, (other, how) in enumerate((("file", "already the path"),
                                      ("link", "the same file"),
                                      ("twin", "the same file"))):
        disks = [{"path": boot}, {"path": file, "readonly": True},
                 {"path": f"{host.dir}/{other}.raw"}]
        config = {"name": f"twice{n}", "hypervisor": "null",
                  "memory": "128M", "disks": disks}
        try:
            host.call("vm.define", config=config)
            check(f"{other}: refused", False)
        except RpcError as e:
            equal(f"{other}: refused", e.code, "invalid")
            match(f"{other}: why, and the way on", f"{other}.raw.*{how}.*"
                  "both readonly", str(e))
        disks[2]["readonly"] = True
        host.call("vm.define", config=config)
        host.call("vm.start", name=f"twice{n}")
        equal(f"{other}: two readers", host.vm(f"twice{n}")["state"],
              "running")
        host.call("vm.stop", name=f"twice{n}")


guarded(setup, test_at_rest, test_refusals, test_running,
        test_failures, test_policy_is_of_the_definition, test_one_by_itself,
        test_one_file)
report.end()
