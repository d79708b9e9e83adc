"""A supervisor process of one's own, and the daemon's end of its wire protocol
(lib/wire/messages.h), so that tests can be a daemon, a bad one, or none."""
import array
import atexit
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

from armvm import BIN, report, wait_for

SUPERVISOR = os.path.join(BIN, "armvm-supervisor")
# Built-in leak checks need to trace and to read /proc; the sandbox forbids it.
SANITIZED = os.path.basename(os.path.dirname(BIN)) in ("san", "tsan")
UID = 1900000007
CONTROL_FD = 3
STORE_SIZE = 65536


# Occupied here, the number is free for dup2() in every child: neither our
# sockets nor subprocess's own pipe can be in its place.
while os.open("/dev/null", os.O_RDONLY) < CONTROL_FD:
    pass


def memfd(size=STORE_SIZE):
    fd = os.memfd_create("nvram", os.MFD_CLOEXEC)
    os.ftruncate(fd, size)
    return fd


def parse_spill(data):
    """[(seq, offset, bytes)] of whole records."""
    records, at = [], 0
    while at + 32 <= len(data) and data[at:at + 4] == b"AVSP":
        seq, offset, size = struct.unpack_from("<QQQ", data, at + 8)
        records.append((seq, offset, data[at + 32:at + 32 + size]))
        at += 32 + size
    return records


class Daemon:
    """One connection to a supervisor's control socket."""

    def __init__(self, path, hello=True):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(60)
        self.sock.connect(path)
        self.id, self.seen, self.fds = 0, [], []
        if hello:
            self.hello = self.request("hello", version=1)

    def close(self):
        self.sock.close()
        for fd in self.fds:
            os.close(fd)

    def send_raw(self, data, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                   array.array("i", fds))] if fds else []
        self.sock.sendmsg([data], rights)

    def receive(self):
        """The next message, or None when the supervisor closed."""
        try:
            data, rights, _, _ = self.sock.recvmsg(65536, 1024)
        except ConnectionResetError:
            return None
        for level, kind, packed in rights:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds = array.array("i")
                fds.frombytes(packed[:len(packed) - len(packed) % 4])
                self.fds += list(fds)
        return json.loads(data) if data else None

    def send(self, kind, fds=(), **fields):
        self.send_raw(json.dumps({"type": kind, **fields}).encode(), fds)

    def request(self, kind, fds=(), **fields):
        """The reply; what comes before it is kept for await_message()."""
        self.id += 1
        self.send(kind, fds, id=self.id, **fields)
        while True:
            message = self.receive()
            if message is None:
                raise ConnectionError(f"closed instead of answering {kind}")
            if message["type"] == "reply" and message["id"] == self.id:
                return message
            self.seen.append(message)

    def await_message(self, message_type, timeout=60, **fields):
        """The first message of that type with those fields."""
        deadline = time.monotonic() + timeout
        at = 0
        while True:
            while at < len(self.seen):
                m = self.seen[at]
                if m["type"] == message_type and all(m.get(k) == v
                                             for k, v in fields.items()):
                    del self.seen[at]
                    return m
                at += 1
            self.sock.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                message = self.receive()
            except socket.timeout:
                message = None
            self.sock.settimeout(60)
            if message is None:
                raise TimeoutError(f"no {message_type} {fields}; seen: {self.seen}")
            self.seen.append(message)


class Supervisor:
    """The process, with a listening socket as the daemon would bind it."""

    def __init__(self, name="web", program=SUPERVISOR, extra=(), as_user=None):
        self.dir = tempfile.mkdtemp(prefix="armvm-supervisor-")
        atexit.register(self.remove)
        self.name, self.path = name, self.dir + "/control"
        self.log = self.dir + "/log"
        os.chmod(self.dir, 0o755)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(self.path)
        os.chmod(self.path, 0o777)
        listener.listen(4)
        self.terminal, self.spill, self.nvram = None, None, None
        self.proc = None

        def settle():
            if as_user:
                os.setgroups([])
                os.setresgid(as_user, as_user, as_user)
                os.setresuid(as_user, as_user, as_user)
            os.dup2(listener.fileno(), CONTROL_FD, inheritable=True)
        with open(self.log, "w", encoding="utf-8") as log:
            self.proc = subprocess.Popen(
                [program, "--control-fd", "3", "--uid", str(UID), "--name",
                 name, *extra], close_fds=False, preexec_fn=settle,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        listener.close()

    def remove(self):
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def daemon(self, **kw):
        return Daemon(self.path, **kw)

    def config(self, **fields):
        return {"name": self.name, "hypervisor": "null", "memory": 1 << 28,
                "vcpus": 1, **fields}

    def configure(self, daemon, config=None, roles=(), fds=(), **fields):
        return daemon.request("configure", config=config or self.config(),
                              roles=list(roles), fds=fds,
                              nvram_size=STORE_SIZE, **fields)

    def start(self, daemon, spill_path=None):
        """Configured with a variable store and a console, and running."""
        self.nvram = memfd()
        self.spill = os.open(spill_path or self.dir + "/spill",
                             os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        reply = self.configure(daemon, roles=["nvram", "spill"],
                               fds=[self.nvram, self.spill])
        assert reply["ok"], reply
        self.open_terminal(daemon)
        reply = daemon.request("start")
        assert reply["ok"], reply
        daemon.await_message("state", state="running")
        self.expect("started\n")

    def open_terminal(self, daemon):
        ours, theirs = socket.socketpair()
        reply = daemon.request("console", fds=[theirs.fileno()],
                               want="take-over")
        assert reply["ok"], reply
        theirs.close()
        self.terminal, self.text = ours, ""

    def type(self, text):
        self.terminal.sendall(text.encode())

    def expect(self, text, timeout=10):
        """Console output up to and with `text`, which is then consumed."""
        self.terminal.settimeout(timeout)
        while text not in self.text:
            part = self.terminal.recv(4096)
            if not part:
                raise ConnectionError(f"no {text!r} in {self.text!r}")
            self.text += part.decode()
        head, self.text = self.text.split(text, 1)
        return head + text

    def silent(self, text, seconds=0.3):
        """Whether `text` does not appear on the console for a while."""
        try:
            self.expect(text, timeout=seconds)
            return False
        except (socket.timeout, ConnectionError):
            return True

    def spilled(self):
        with open(self.dir + "/spill", "rb") as f:
            return parse_spill(f.read())

    def status(self, timeout=10):
        return self.proc.wait(timeout)

    def descriptors(self):
        """What they are; nothing to see for a user who may not look (the
        process is not dumpable)."""
        links = []
        if os.geteuid() != 0:
            return links
        for fd in os.listdir(f"/proc/{self.proc.pid}/fd"):
            try:
                links.append(os.readlink(f"/proc/{self.proc.pid}/fd/{fd}"))
            except FileNotFoundError:
                pass
        return links

    def output(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    def end(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        if self.terminal:
            self.terminal.close()
        for fd in (self.spill, self.nvram):
            if fd is not None:
                os.close(fd)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def wait_gone(self):
        wait_for("the supervisor to end", lambda: self.proc.poll() is not None)
        return self.proc.returncode


def run_tests(names):
    """Every test_*() among a module's globals; one that breaks is a failure
    and does not keep the others from running."""
    for name, test in list(names.items()):
        if not name.startswith("test_"):
            continue
        try:
            test()
        except Exception as why:  # pylint: disable=broad-except
            report.check(name, False, repr(why))
    report.note(f"{report.failed} failed")
    report.end()
