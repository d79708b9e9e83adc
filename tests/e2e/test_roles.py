#!/usr/bin/python3
"""Who may do what on the Unix sockets: processes of other uids and groups
(root only, as it takes them), the audit lines, and strangers who crowd."""
import grp
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import Host, guarded, report                          # noqa: E402

check, equal, match = report.check, report.equal, report.match
if os.geteuid() != 0:
    report.skip("roles", "takes root, to become others")
    report.end()
NOBODY, PLAIN = 65534, 59999
host = Host("armvm-roles-")
os.chmod(host.dir, 0o755)

# Runs as somebody else: one call on the socket, the reply on stdout.
CALL = """
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
if sys.argv[1].endswith("http.sock"):
    s.sendall(b"GET /v1/vms HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    print(s.recv(65536).split()[1].decode())
else:
    s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": sys.argv[2],
                          "params": json.loads(sys.argv[3])}).encode() + b"\\n")
    print(s.makefile().readline())
"""


def call_as(uid, group, method, where=None, **params):
    r = subprocess.run(
        ["setpriv", f"--reuid={uid}", f"--regid={PLAIN}",
         f"--groups={group}" if group else "--clear-groups", sys.executable,
         "-c", CALL, where or host.socket, method, json.dumps(params)],
        stdout=subprocess.PIPE, text=True, check=True)
    return r.stdout.strip() if where else json.loads(r.stdout)


def outcome(*arguments, **params):
    reply = call_as(*arguments, **params)
    return reply.get("error", {}).get("data", {}).get("code", "done")


def make_group(name):
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        subprocess.run(["groupadd", "--system", name], check=True)
        made.append(name)
        return grp.getgrnam(name).gr_gid


made = []


def test_roles():
    groups = {role: make_group("armvm-" + role)
              for role in ("viewer", "operator", "admin")}
    host.start()
    host.call("vm.define", config={"name": "web", "hypervisor": "null"})
    allowed = {None: set(), "viewer": {"vm.list"},
               "operator": {"vm.list", "vm.start", "vm.stop"},
               "admin": {"vm.list", "vm.start", "vm.stop", "vm.delete"}}
    for role, may in allowed.items():
        gid = groups.get(role)
        for method, params in (("vm.list", {}), ("vm.start", {"name": "web"}),
                               ("vm.stop", {"name": "web"}),
                               ("vm.delete", {"name": "web"})):
            equal(f"{role}: {method}", outcome(NOBODY, gid, method, **params),
                  "done" if method in may else "denied")
        equal(f"{role}: over HTTP", call_as(
            NOBODY, gid, "", where=host.runtime + "/http.sock"),
              "200" if may else "403")
    error = call_as(NOBODY, None, "vm.list")["error"]["message"]
    match("a stranger is told why", f"uid {NOBODY} may do nothing here: it "
          "takes membership of the group armvm-viewer", error)
    both = call_as(NOBODY, f"{groups['viewer']},{groups['operator']}",
                   "vm.start", name="nobody")
    equal("the highest of two roles counts",
          both["error"]["data"]["code"], "not-found")


def test_keys_are_their_callers():
    """The answer to an idempotency key is not another caller's."""
    gid = make_group("armvm-operator")
    config = {"name": "keyed", "hypervisor": "null", "memory": "128M"}
    host.call("vm.define", config=config)
    equal("operators may start", outcome(NOBODY, gid, "vm.start", name="keyed",
                                         idempotency_key="same"), "done")
    equal("the same again: as before", outcome(
        NOBODY, gid, "vm.start", name="keyed", idempotency_key="same"), "done")
    equal("another caller's is another request", outcome(
        PLAIN, gid, "vm.start", name="keyed", idempotency_key="same"),
        "wrong-state")
    host.call("vm.stop", name="keyed")
    host.call("vm.delete", name="keyed")


def test_audit():
    log = host.log_text()
    match("done is audited", rf"web: audit: vm.start by uid {NOBODY} "
          r"\(operator\): done", log)
    match("so is refused", rf"web: audit: vm.start by uid {NOBODY} "
          r"\(viewer\): uid \d+ is a viewer; this takes role operator", log)
    check("reading is not", "audit: vm.list" not in log)


def test_strangers():
    crowd = subprocess.Popen(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={PLAIN}", "--clear-groups",
         sys.executable, "-c", """
import socket, sys, time
held = []
for path in sys.argv[1:] * 400:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    try:
        s.connect(path)
    except OSError:
        pass
    held.append(s)
for s in held:
    s.setblocking(False)
# Those that are too many are closed when it is their turn.
for _ in range(200):
    alive = 0
    for s in held:
        try:
            alive += s.recv(1) != b""
        except BlockingIOError:
            alive += 1
        except OSError:
            pass
    if alive <= 32:
        break
    time.sleep(0.1)
print(alive, flush=True)
sys.stdin.read()
""", host.socket, host.runtime + "/http.sock"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True)
    alive = int(crowd.stdout.readline())
    check("few of 800 strangers are held", 0 < alive <= 32, alive)
    equal("others are served", host.call("vm.list")["vms"], [])
    crowd.communicate("")
    equal("and strangers again, once those have gone",
          outcome(NOBODY, None, "vm.list"), "denied")


def test_option():
    host.stop()
    host.start("--group", "daemon")
    gid = grp.getgrnam("daemon").gr_gid
    equal("--group names the admins", outcome(NOBODY, gid, "vm.list"), "done")
    equal("in place of armvm-admin", outcome(
        NOBODY, make_group("armvm-admin"), "vm.list"), "denied")
    host.stop()
    host.start("--group", "no-such-group", wait=False)
    equal("a group that is not there", host.proc.wait(60), 2)
    host.proc = None
    match("is said", 'there is no group "no-such-group"', host.log_text())


try:
    guarded(test_roles, test_keys_are_their_callers, test_audit,
            test_strangers, test_option)
finally:
    for name in made:
        subprocess.run(["groupdel", name], check=False)
report.end()
