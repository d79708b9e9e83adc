#!/usr/bin/python3
"""Clients that misbehave or are many, on both sockets: half a frame, a byte a
second, 1 GiB, a million nested brackets, 10,000 that say nothing."""
import os
import resource
import select
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import BIN, Host, guarded, report, wait_for           # noqa: E402

check, equal, match = report.check, report.equal, report.match
GIB = 1 << 30
IDLE = 10000
# What sanitizers keep of memory that was freed.
BOUND_KIB = (400 if "san" in BIN else 32) * 1024
LINE = b'{"jsonrpc": "2.0", "id": 5, "method": "host.info"}\n'
HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int([l for l in f if l.startswith("VmRSS")][0].split()[1])


def connect(path, first=b""):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.settimeout(60)
    s.sendall(first)
    return s


def answer(s, until="\n"):
    """What comes, up to `until` or the end."""
    text = ""
    try:
        while until not in text:
            part = s.recv(65536).decode()
            if not part:
                break
            text += part
    except (ConnectionError, socket.timeout) as e:
        text += f"none: {e}"
    return text


class Drip(threading.Thread):
    """A request of which the first bytes come one a second."""
    SLOW = 5

    def __init__(self, path, text):
        super().__init__(daemon=True)
        self.sock, self.text, self.answer = connect(path), text, ""
        self.start()

    def run(self):
        try:
            for byte in self.text[:self.SLOW]:
                self.sock.sendall(bytes([byte]))
                time.sleep(1)
            self.sock.sendall(self.text[self.SLOW:])
            self.answer = answer(self.sock)
        except OSError as e:
            self.answer = f"none: {e}"


def flood(sock, whole):
    """1 GiB, or without `whole` until something is answered; how much went."""
    chunk, sent = b"[" * (1 << 20), 0
    try:
        while sent < GIB:
            readable, _, _ = select.select([] if whole else [sock], [sock],
                                           [], 60)
            if readable:
                break
            sent += sock.send(chunk)
    except (ConnectionError, socket.timeout):
        pass
    return sent


def one_socket(host, path, half, drip, start, whole):
    """`start` begins what is then 1 GiB long; `whole` are a million brackets
    as a request. What was answered to each, and how much was sent."""
    before = rss_kib(host.proc.pid)
    halves = [connect(path, half) for _ in range(50)]
    dripping = Drip(path, drip)
    greedy = connect(path, start)
    sent = flood(greedy, not start)
    began = time.monotonic()
    equal("others are served", host.call("vm.get", name="v")["name"], "v")
    check("at once", time.monotonic() - began < 5, time.monotonic() - began)
    grown = rss_kib(host.proc.pid) - before
    check("memory stays bounded", grown < BOUND_KIB,
          f"{grown} KiB after {sent >> 20} MiB")
    told = answer(greedy)
    deep = connect(path, whole)
    nested = answer(deep, "nesting")
    dripping.join(60)
    for s in [greedy, deep, dripping.sock] + halves:
        s.close()
    grown = rss_kib(host.proc.pid) - before
    check("nor does anything stay", grown < BOUND_KIB, f"{grown} KiB")
    return sent, told, nested, dripping.answer


def test_flood():
    host = Host("armvm-flood-").start()
    host.call("vm.define", config={"name": "v", "hypervisor": "null",
                                   "memory": "128M"})
    sent, told, nested, dripped = one_socket(
        host, host.socket, LINE[:20], LINE, b"", b"[" * 1000000 + b"\n")
    check("1 GiB is taken and thrown away", sent >= GIB, sent)
    match("with a clear error", "at most 1 MiB", told)
    match("a million brackets: a clear error", "-32700.*nesting", nested)
    match("a byte a second is a request, too", r'"id": ?5', dripped)
    sent, told, nested, dripped = one_socket(
        host, host.runtime + "/http.sock", HEAD[:20], HEAD, POST % GIB,
        POST % 1000000 + b"[" * 1000000)
    check("HTTP: 1 GiB does not go anywhere", sent < GIB, sent)
    match("HTTP: a clear error", "^HTTP/1.1 413 |^none: .*reset|^none: .*pipe",
          told)
    match("HTTP: a million brackets", "-32700.*nesting", nested)
    match("HTTP: a byte a second is a request, too", "^HTTP/1.1 200 ", dripped)


def hold(host, what, path, first):
    """10,000 that were accepted, and say nothing from then on."""
    held = []
    for _ in range(IDLE):
        held.append(connect(path, first))
    if first:
        for s in held:
            head = answer(s, "\r\n\r\n")
            if not head.startswith("HTTP/1.1 200"):
                raise RuntimeError(head)
    wait_for("all are accepted", lambda: len(os.listdir(
        f"/proc/{host.proc.pid}/fd")) > IDLE, 120)
    began = time.monotonic()
    rpc = host.rpc()
    rpc.call("host.info")
    check(f"{IDLE} idle connections are held: {what}",
          time.monotonic() - began < 10, time.monotonic() - began)
    rpc.close()
    return held


def test_idle():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The daemon, which inherits it, keeps a quarter for VMs.
    if hard < IDLE * 4 // 3 + 100:
        report.skip("10,000 idle connections",
                    f"no more than {hard} descriptors are allowed here")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    host = Host("armvm-idle-").start()
    held = hold(host, "JSON-RPC", host.socket, b"")
    held[0].sendall(LINE)
    match("and the first still served", '"result"', answer(held[0]))
    for s in held:
        s.close()
    held = hold(host, "HTTP", host.runtime + "/http.sock",
                b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    host.call("vm.define", config={"name": "first",
                                   "hypervisor": "null"})
    match("and the first still served, with events", '"name": ?"first"',
          answer(held[0], "first"))
    for s in held:
        s.close()
    wait_for("nothing of them stays", lambda: len(os.listdir(
        f"/proc/{host.proc.pid}/fd")) < 100, 120)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


guarded(test_flood, test_idle)
report.end()
