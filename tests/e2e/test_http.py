#!/usr/bin/python3
"""The API over HTTP, against an armvmd of its own with the null backend: REST,
JSON-RPC, events, consoles, metrics, TLS, and clients that mean harm."""
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import Host, guarded, report, wait_for                # noqa: E402
from http_client import Http                                       # noqa: E402

check, equal, match = report.check, report.equal, report.match
host = Host("armvm-http-")
SOCK = host.runtime + "/http.sock"


def ask(verb, path, body=None, **headers):
    http = Http(SOCK)
    try:
        return http.ask(verb, path, body, **headers)
    finally:
        http.close()


def test_resources():
    equal("health", ask("GET", "/healthz").body, b"ok\n")
    r = ask("POST", "/v1/vms", {"name": "web", "hypervisor": "null",
                                "memory": "1GiB"})
    equal("define: created, where, and its revision",
          (r.status, r.headers["location"], r.headers["etag"]),
          (201, "/v1/vms/web", '"1"'))
    r = ask("POST", "/v1/vms", {"name": "web", "hypervisor": "null"})
    equal("again: a conflict", (r.status, r.error()), (409, "exists"))
    r = ask("POST", "/v1/vms", {"name": "x", "memory": "12Q"})
    equal("a bad field: 400", (r.status, r.error()), (400, "invalid"))
    match("which names it", "memory", r.body.decode())
    equal("the list", [v["name"] for v in
                       ask("GET", "/v1/vms").json()["vms"]], ["web"])
    r = ask("GET", "/v1/vms/web", If_None_Match='"1"')
    equal("unchanged: 304 without a body", (r.status, r.body), (304, b""))
    equal("one VM", ask("GET", "/v1/vms/web").json()["config"]["memory"],
          1 << 30)
    equal("by a name with a code in it",
          ask("GET", "/v1/vms/w%65b").json()["name"], "web")
    r = ask("POST", "/v1/vms/web/start", If_Match='"7"')
    equal("another revision: not started", (r.status, host.vm("web")["state"]),
          (412, "stopped"))
    r = ask("POST", "/v1/vms/web/start", If_Match='"1"')
    equal("this revision: started", (r.status, r.json()["state"]),
          (200, "running"))
    r = ask("POST", "/v1/vms/web/start")
    equal("not twice", (r.status, r.error()), (409, "wrong-state"))
    r = ask("DELETE", "/v1/vms/web")
    equal("not deleted while it runs", r.status, 409)
    equal("variables", ask("GET", "/v1/vms/web/variables").json()["variables"],
          [])
    equal("the host", ask("GET", "/v1/host").json()["state_dir"], host.state)


def test_update():
    config = ask("GET", "/v1/vms/web").json()["config"]
    config["description"] = "changed"
    r = ask("PUT", "/v1/vms/web", config, If_Match='"9"')
    equal("update at another revision", (r.status, r.error()),
          (412, "conflict"))
    r = ask("PUT", "/v1/vms/web", config, If_Match='"1"')
    equal("update at this revision", (r.status, r.headers.get("etag"),
                                      r.json()["config"]["description"]),
          (200, '"2"', "changed"))
    ask("POST", "/v1/vms", {"name": "www", "hypervisor": "null",
                            "labels": {"tier": "a b"}})
    page = ask("GET", "/v1/vms?limit=1").json()
    equal("a page", ([v["name"] for v in page["vms"]], "cursor" in page),
          (["web"], True))
    equal("the next", [v["name"] for v in ask(
        "GET", f"/v1/vms?limit=1&cursor={page['cursor']}").json()["vms"]],
          ["www"])
    equal("by label", [v["name"] for v in ask(
        "GET", "/v1/vms?labels=%7B%22tier%22%3A%22a%20b%22%7D")
        .json()["vms"]], ["www"])
    equal("a clone", ask("POST", "/v1/vms/www/clone", {"new_name": "w3"})
          .json()["name"], "w3")
    for name in ("www", "w3"):
        equal(f"{name} deleted", ask("DELETE", f"/v1/vms/{name}").status, 200)


def test_precondition_in_one_turn():
    """A change that comes between the look at the revision and the call."""
    both = []
    for i in range(5):
        name = f"turn{i}"
        host.call("vm.define", config={"name": name, "hypervisor": "null"})
        clients = [Http(SOCK) for _ in range(3)]
        for c in clients:
            c.ask("GET", "/healthz")
        os.kill(host.proc.pid, signal.SIGSTOP)
        config = {"hypervisor": "null", "description": "one"}
        clients[0].send("PUT", f"/v1/vms/{name}", config)
        clients[1].send("DELETE", f"/v1/vms/{name}", If_Match='"2"')
        clients[2].send("PUT", f"/v1/vms/{name}",
                        dict(config, description="two"))
        os.kill(host.proc.pid, signal.SIGCONT)
        status = [c.response().status for c in clients]
        both.append(status[1] == 200 and status[2] == 200)
        for c in clients:
            c.close()
        if status[1] != 200:
            host.call("vm.delete", name=name)
    check("a delete of revision 2 is of revision 2", not any(both), both)
    host.call("vm.define", config={"name": "other", "hypervisor": "null"})
    equal("a revision that is none", ask("DELETE", "/v1/vms/other",
                                         If_Match='"x"').status, 412)
    equal("deleted at its revision", ask("DELETE", "/v1/vms/other",
                                         If_Match='"1"').status, 200)


def test_errors():
    for verb, path, status in (
            ("GET", "/", 404), ("GET", "/v1/vms/", 404),
            ("GET", "/v1/vms/nobody", 404), ("GET", "/v1/vms/web/x", 404),
            ("PUT", "/rpc", 405), ("DELETE", "/v1/vms", 405),
            ("OPTIONS", "/v1/vms", 405), ("GET", "/v1/vms?wat=1", 400),
            ("GET", "/v1/vms/web?name=web", 400),
            ("GET", "/v1/vms/web/console", 426),
            ("GET", "/v1/events?since=x", 400)):
        r = ask(verb, path)
        equal(f"{verb} {path}", r.status, status)
        check(f"{verb} {path} says why", r.json()["error"]["message"], r.body)
    equal("405 says what is allowed",
          ask("DELETE", "/v1/vms").headers["allow"], "POST, GET")
    equal("no JSON", ask("POST", "/v1/vms", "{").error(), "parse-error")
    equal("another site's page is not served",
          ask("POST", "/v1/vms/web/stop", Origin="https://evil").status, 403)


def test_rpc():
    call = {"jsonrpc": "2.0", "id": 1, "method": "vm.get",
            "params": {"name": "web"}}
    http = Http(SOCK)
    equal("a call", http.ask("POST", "/rpc", call).json()["result"]["name"],
          "web")
    equal("a batch, on the same connection",
          len(http.ask("POST", "/rpc", [call, call]).json()), 2)
    equal("a notification: no content", http.ask(
        "POST", "/rpc", {"jsonrpc": "2.0", "method": "vm.list"}).status, 204)
    r = http.ask("POST", "/rpc", dict(call, params={"name": "nobody"}))
    equal("an error is in the reply", (r.status, r.json()["error"]["data"]),
          (200, {"code": "not-found"}))
    equal("no JSON", http.ask("POST", "/rpc", "{").json()["error"]["code"],
          -32700)
    equal("a console has no descriptor here",
          http.ask("POST", "/rpc", dict(call, method="vm.console"))
          .json()["error"]["data"]["code"], "not-supported")
    http.close()


def test_documents():
    api = ask("GET", "/openapi.json").json()
    rpc = ask("GET", "/openrpc.json").json()
    ids = {op["operationId"] for item in api["paths"].values()
           for op in item.values()}
    names = {m["name"] for m in rpc["methods"]}
    check("every route is a method", ids <= names, ids - names)
    equal("every method has a route", names - ids, set())
    define = api["paths"]["/v1/vms"]["post"]
    schema = define["requestBody"]["content"]["application/json"]["schema"]
    check("the definition is described", "vcpus" in schema["properties"])
    text = ask("GET", "/metrics").body.decode()
    match("metrics: states", r'armvmd_vms_active\{state="running"\} 1', text)
    for line in text.splitlines():
        if not line.startswith("#"):
            match(f"metrics: {line}",
                  r'^[a-z_]+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [0-9.]+$', line)


def test_events():
    http = Http(SOCK)
    http.send("GET", "/v1/events?since=0")
    status, headers = http.head()
    equal("events: a stream", (status, headers["content-type"]),
          (200, "text/event-stream"))
    fields, event = http.event()
    equal("from the first", (fields["id"], event["kind"]), ("1", "defined"))
    last = 1
    while True:
        fields, event = http.event()
        equal(f"event {event['seq']} follows", event["seq"], last + 1)
        last = event["seq"]
        if event["kind"] == "deleted" and event["name"] == "w3":
            break
    ask("POST", "/v1/vms/web/pause")
    equal("a new one comes by itself", http.event()[1]["state"], "paused")
    http.close()
    ask("POST", "/v1/vms/web/resume")
    again = Http(SOCK)
    again.send("GET", "/v1/events", Last_Event_ID=str(last))
    again.head()
    equal("Last-Event-ID goes on where it broke", again.event()[1]["seq"],
          last + 1)
    again.close()


def test_console():
    http = Http(SOCK)
    equal("no such VM is told in HTTP or on closing", http.upgrade(
        "/v1/vms/nobody/console")[0] in (101, 404), True)
    opcode, payload = http.frame()
    equal("closed with the status", (opcode, payload[:2]),
          (8, (4404).to_bytes(2, "big")))
    http.close()
    http = Http(SOCK)
    equal("not every path", http.upgrade("/v1/vms/web")[0], 400)
    http.close()
    http = Http(SOCK)
    equal("a console", http.upgrade("/v1/vms/web/console")[0], 101)
    http.send_frame(b"hello")
    seen = b""
    while b"hello" not in seen:
        opcode, payload = http.frame()
        seen += payload
    equal("what is typed is echoed by the null VM", opcode, 2)
    ask("POST", "/v1/vms/web/stop")
    while opcode != 8:
        opcode, payload = http.frame()
    equal("its end closes it", payload, (1000).to_bytes(2, "big"))
    http.close()
    host.call("vm.start", name="web")


def test_hostile():
    for name, raw in (
            ("no HTTP", b"\x16\x03\x01 hello\r\n\r\n"),
            ("an endless header", b"GET / HTTP/1.1\r\nX: " + b"y" * 100000),
            ("a negative length",
             b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n"),
            ("a length that is none",
             b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: a\r\n\r\n"),
            ("chunks", b"POST /rpc HTTP/1.1\r\nHost: x\r\n"
             b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            ("1 GiB", b"POST /rpc HTTP/1.1\r\nHost: x\r\n"
             b"Content-Length: 1073741824\r\n\r\n"),
            ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            ("h2c", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
             b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"),
            ("dots", b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"),
            ("a NUL", b"GET /v1/vms/we%00b HTTP/1.1\r\nHost: x\r\n\r\n")):
        http = Http(SOCK)
        try:
            http.sock.sendall(raw)
            status = http.response().status
        except (ConnectionError, socket.timeout) as e:
            status = type(e).__name__
        check(f"{name}: refused", status in (
            400, 403, 404, 413, "ConnectionError", "ConnectionResetError",
            "BrokenPipeError"), status)
        http.close()
    equal("too large says so",
          ask("POST", "/rpc", b"x" * ((1 << 20) + 1)).status, 413)
    http = Http(SOCK)
    http.sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    equal("pipelined requests are answered in turn",
          [http.response().status for _ in range(50)], [200] * 50)
    http.close()
    post = (b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    for name, first in (("GET", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
                        ("POST", post)):
        http = Http(SOCK)
        http.sock.sendall(first + post)
        equal(f"a body behind a {name} that is not answered yet: the {name} is",
              http.response().status, 200)
        equal("and the connection ends", http.sock.recv(10), b"")
        http.close()
    equal("nobody else notices", ask("GET", "/healthz").status, 200)
    slow = [Http(SOCK) for _ in range(100)]
    for s in slow:
        s.sock.sendall(b"GET /heal")
    begin = time.monotonic()
    equal("with 100 half requests open", ask("GET", "/healthz").status, 200)
    check("others are not slower", time.monotonic() - begin < 10)
    slow[0].sock.sendall(b"thz HTTP/1.1\r\nHost: x\r\n\r\n")
    equal("a slow one is answered", slow[0].response().status, 200)
    deep = Http(SOCK)
    equal("a million brackets", deep.ask("POST", "/rpc", b"[" * 1000000)
          .json()["error"]["code"], -32700)
    for s in slow + [deep]:
        s.close()
    gone = [Http(SOCK) for _ in range(20)]
    for g in gone:
        g.send("POST", "/v1/vms/web/shutdown", {"timeout_ms": 300})
        g.close()
    equal("clients that go while their calls run harm nobody",
          ask("GET", "/healthz").status, 200)
    wait_for("the VM is idle", lambda: host.vm("web")["state"] in
             ("running", "stopped", "shutting-down"))


def make_certificates(folder):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test ca")
    for name, subject in (("server", "/CN=localhost"),
                          ("ops", "/O=Example/CN=ops"),
                          ("view", "/O=Example/CN=view"),
                          ("team", "/CN=team"),
                          ("liar", "/O=CN=ops,O=Example/CN=liar")):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout",
                name + ".key", "-out", name + ".csr", "-subj", subject)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem",
                "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out",
                name + ".pem")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-keyout", "alien.key", "-out", "alien.pem", "-subj",
            "/O=Example/CN=ops")


def test_tls():
    folder = host.dir
    make_certificates(folder)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with open(folder + "/conf", "w", encoding="utf-8") as f:
        f.write(f"http-listen 127.0.0.1:{port}   # TLS\n"
                f'tls-cert "{folder}/server.pem"\n'
                f"tls-key {folder}/server.key\n"
                f"tls-client-ca {folder}/ca.pem\n"
                'client "CN=ops,O=Example" operator\n'
                'client "CN=view,O=Example" viewer\n'
                'client CN=team operator team=red "env=a b"\n')
    host.stop()
    host.start("--config", folder + "/conf")

    def connect(name):
        tls = ssl.create_default_context(cafile=folder + "/ca.pem")
        tls.check_hostname = False
        if name:
            tls.load_cert_chain(f"{folder}/{name}.pem",
                                f"{folder}/{name}.key")
        return Http(("127.0.0.1", port), tls)

    def status(name, verb, path, body=None):
        try:
            http = connect(name)
            code = http.ask(verb, path, body).status
            http.close()
            return code
        except (OSError, ConnectionError) as e:
            return type(e).__name__

    equal("an operator reads", status("ops", "GET", "/v1/vms"), 200)
    check("and runs", status("ops", "POST", "/v1/vms/web/stop") in (200, 409))
    equal("but defines nothing", status("ops", "POST", "/v1/vms",
                                        {"name": "y"}), 403)
    equal("a viewer reads", status("view", "GET", "/v1/vms"), 200)
    equal("and stops nothing", status("view", "POST", "/v1/vms/web/stop"), 403)
    equal("a subject that contains another's is not it",
          status("liar", "GET", "/v1/vms"), 403)
    for name in (None, "alien"):
        check(f"certificate {name}: no connection", isinstance(
            status(name, "GET", "/healthz"), str))
    http = connect("view")
    equal("an upgrade is judged, too",
          http.upgrade("/v1/vms/web/console")[0], 403)
    http.close()
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        plain.settimeout(10)
        try:
            data = plain.recv(100)
        except ConnectionError:
            data = b""
        check("no plain HTTP on TCP", b"200" not in data, data)
    match("audited with the subject", "audit: vm.stop by CN=ops,O=Example "
          r"\(operator\)", host.log_text())
    for name, labels in (("red", {"team": "red", "env": "a b"}),
                         ("half", {"team": "red"}), ("none", {})):
        host.call("vm.define", config={"name": name, "hypervisor": "null",
                                       "labels": labels})
    http = connect("team")
    equal("labels: one's own are listed", [v["name"] for v in http.ask(
        "GET", "/v1/vms").json()["vms"]], ["red"])
    equal("other filters are on top", http.ask(
        "GET", "/v1/vms?labels=%7B%22env%22%3A%22x%22%7D").json()["vms"], [])
    equal("one's own are started",
          http.ask("POST", "/v1/vms/red/start").status, 200)
    for verb, path in (("GET", "/v1/vms/half"), ("GET", "/v1/vms/web"),
                       ("POST", "/v1/vms/none/start"),
                       ("GET", "/v1/vms/half/variables"),
                       ("GET", "/v1/vms/nobody")):
        r = http.ask(verb, path)
        equal(f"labels: {verb} {path}", (r.status, "no VM named" in
                                         r.json()["error"]["message"]),
              (404, True))
    equal("what is about no one VM is denied",
          http.ask("GET", "/v1/kept-variables").status, 403)
    equal("nor by JSON-RPC", http.ask("POST", "/rpc", {
        "jsonrpc": "2.0", "id": 1, "method": "vm.get",
        "params": {"name": "half"}}).json()["error"]["data"]["code"],
          "not-found")
    match("metrics are of one's own", r'state="running"\} 1\n',
          http.ask("GET", "/metrics").body.decode())
    http.send("GET", "/v1/events?since=0")
    http.head()
    seen = [http.event()[1] for _ in range(3)]
    host.call("vm.stop", name="red")
    while seen[-1].get("state") != "stopped":
        seen.append(http.event()[1])
    equal("so are events, past and new", {e["name"] for e in seen}, {"red"})
    http.close()
    http = connect("ops")
    http.send("GET", "/v1/events?since=0")
    http.head()
    equal("events over TLS", http.event()[1]["seq"], 1)
    http.close()


def test_end():
    equal("armvmd ends well", host.stop(), 0)
    log = host.log_text()
    check("and clean", "ERROR" not in log and "runtime error" not in log, log)
    for options, pattern in (
            (["--http-listen", "localhost:1", "--config", host.dir + "/conf"], "no address to listen on"),
            (["--http-listen", "127.0.0.1:1"], "takes tls-cert"),
            (["--config", "/nonexistent"], "cannot read /nonexistent")):
        r = host.start(*options, wait=False)
        r.proc.wait(60)
        check(f"{options}: does not start", r.proc.returncode not in (0, -6))
        match("and says why", pattern, host.log_text())
        host.proc = None


host.start()
guarded(test_resources, test_update, test_errors, test_rpc, test_documents,
        test_events, test_console, test_hostile, test_precondition_in_one_turn,
        test_tls, test_end)
report.end()
