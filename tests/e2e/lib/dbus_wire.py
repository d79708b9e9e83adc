"""A small D-Bus of the tests' own: a private bus (dbus-daemon), and a client
that speaks the protocol by hand, so that it can also say what no library
would (D-Bus Specification, "Message Protocol")."""
import array
import collections
import os
import select
import socket
import struct
import subprocess
import time

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
INTERACTIVE = 4
FIELDS = {1: "path", 2: "interface", 3: "member", 4: "error", 5: "reply",
          6: "destination", 7: "sender", 8: "signature", 9: "fds"}
CODES = {name: code for code, name in FIELDS.items()}
TYPES = {"path": "o", "interface": "s", "member": "s", "error": "s",
         "reply": "u", "destination": "s", "sender": "s", "signature": "g",
         "fds": "u"}
NUMBERS = {"y": ("B", 1), "b": ("I", 4), "n": ("h", 2), "q": ("H", 2),
           "i": ("i", 4), "u": ("I", 4), "x": ("q", 8), "t": ("Q", 8),
           "d": ("d", 8), "h": ("I", 4)}
ALIGN = {"s": 4, "o": 4, "g": 1, "a": 4, "(": 8, "{": 8, "v": 1}

Message = collections.namedtuple(
    "Message", "type flags serial body signature fds path interface member "
    "error reply destination sender")


def one(signature):
    """The first complete type of a signature."""
    if signature[0] == "a":
        return "a" + one(signature[1:])
    if signature[0] in "({":
        depth = 0
        for i, c in enumerate(signature):
            depth += (c in "({") - (c in ")}")
            if depth == 0:
                return signature[:i + 1]
    return signature[0]


def split(signature):
    parts = []
    while signature:
        parts.append(one(signature))
        signature = signature[len(parts[-1]):]
    return parts


def align_of(kind):
    return NUMBERS[kind][1] if kind in NUMBERS else ALIGN[kind[0]]


def pad(data, n):
    data += b"\0" * (-len(data) % n)


def put(data, kind, value):
    pad(data, align_of(kind))
    if kind in NUMBERS:
        data += struct.pack("<" + NUMBERS[kind][0], value)
    elif kind in "so":
        text = value.encode() if isinstance(value, str) else value
        data += struct.pack("<I", len(text)) + text + b"\0"
    elif kind == "g":
        data += bytes([len(value)]) + value.encode() + b"\0"
    elif kind == "v":
        put(data, "g", value[0])
        put(data, value[0], value[1])
    elif kind[0] == "a":
        at = len(data)
        data += b"\0\0\0\0"
        pad(data, align_of(kind[1:]))
        start = len(data)
        for item in value.items() if isinstance(value, dict) else value:
            put(data, kind[1:], item)
        struct.pack_into("<I", data, at, len(data) - start)
    else:
        for part, item in zip(split(kind[1:-1]), value):
            put(data, part, item)


class Reader:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def get(self, kind):
        self.at += -self.at % align_of(kind)
        if kind in NUMBERS:
            code, size = NUMBERS[kind]
            self.at += size
            value = struct.unpack_from("<" + code, self.data,
                                       self.at - size)[0]
            return bool(value) if kind == "b" else value
        if kind in "sog":
            size = self.get("y" if kind == "g" else "u")
            self.at += size + 1
            return bytes(self.data[self.at - size - 1:self.at - 1]).decode()
        if kind == "v":
            return self.get(self.get("g"))
        if kind[0] == "a":
            size = self.get("u")
            self.at += -self.at % align_of(kind[1:])
            end, items = self.at + size, []
            while self.at < end:
                items.append(self.get(kind[1:]))
            return dict(items) if kind[1] == "{" else items
        return tuple(self.get(part) for part in split(kind[1:-1]))


class DBusError(Exception):
    def __init__(self, message):
        text = message.body[0] if message.body else ""
        super().__init__(f"{message.error}: {text}")
        self.name, self.text = message.error, text


class Bus:
    """One connection. `serve` answers calls made to it: a function of the
    message that returns (signature, values), raises, or returns None."""

    def __init__(self, path, timeout=20, hello=True):
        self.timeout, self.serial = timeout, 0
        self.data, self.fds = bytearray(), []
        self.signals, self.serve = [], None
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        uid = str(os.geteuid()).encode().hex()
        self.sock.sendall(b"\0AUTH EXTERNAL " + uid.encode() + b"\r\n")
        self._line(b"OK")
        self.sock.sendall(b"NEGOTIATE_UNIX_FD\r\n")
        self._line(b"AGREE")
        self.sock.sendall(b"BEGIN\r\n")
        self.name = self.bus("Hello") if hello else None

    def _line(self, want):
        line = b""
        while not line.endswith(b"\r\n"):
            line += self.sock.recv(1)
        if not line.startswith(want):
            raise ConnectionError(line)

    def close(self):
        self.sock.close()

    def bus(self, member, signature="", *values):
        return self.call("org.freedesktop.DBus", "/org/freedesktop/DBus",
                         "org.freedesktop.DBus", member, signature, *values)

    def match(self, rule):
        self.bus("AddMatch", "s", rule)

    def packed(self, kind, signature="", values=(), flags=0, **fields):
        self.serial += 1
        body = bytearray()
        for part, value in zip(split(signature), values):
            put(body, part, value)
        if signature:
            fields["signature"] = signature
        head = bytearray(b"l" + bytes([kind, flags, 1]) +
                         struct.pack("<II", len(body), self.serial))
        put(head, "a(yv)", [(CODES[k], (TYPES[k], v))
                            for k, v in fields.items() if v is not None])
        pad(head, 8)
        return bytes(head + body)

    def send(self, *arguments, **fields):
        self.sock.sendall(self.packed(*arguments, **fields))
        return self.serial

    def begin(self, destination, path, interface, member, signature="",
              *values, flags=0):
        return self.send(CALL, signature, values, flags, path=path,
                         interface=interface, member=member,
                         destination=destination)

    def call(self, *arguments, **options):
        return self.result(self.begin(*arguments, **options))

    def result(self, serial):
        reply = self.reply(serial)
        if reply.type == ERROR:
            raise DBusError(reply)
        if len(reply.body) == 1:
            return reply.body[0]
        return reply.body or None

    def reply(self, serial):
        deadline = time.monotonic() + self.timeout
        while True:
            m = self.receive(deadline)
            if m is None:
                raise TimeoutError(f"no reply to {serial}")
            if m.type in (RETURN, ERROR) and m.reply == serial:
                return m

    def signal(self, member, want=lambda m: True):
        """The next signal of that name that is wanted, of all received."""
        deadline = time.monotonic() + self.timeout
        while True:
            for i, m in enumerate(self.signals):
                if m.member == member and want(m):
                    return self.signals.pop(i)
            if self.receive(deadline) is None:
                raise TimeoutError(f"no signal {member}")

    def receive(self, deadline):
        """The next message; calls and signals are also dealt with."""
        m = self._message(deadline)
        if m and m.type == SIGNAL:
            self.signals.append(m)
        elif m and m.type == CALL and self.serve:
            self._answer(m)
        return m

    def _answer(self, m):
        answer = self.serve(m)
        if answer and answer[0] == "error":
            self.send(ERROR, "s", [answer[2]], error=answer[1],
                      reply=m.serial, destination=m.sender)
        elif answer:
            self.send(RETURN, *answer, reply=m.serial, destination=m.sender)

    def _fill(self, size, deadline):
        while len(self.data) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                return False
            part, control, _, _ = self.sock.recvmsg(65536, 1024)
            if not part:
                raise ConnectionError("the bus closed the connection")
            for level, kind, data in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds = array.array("i")
                    fds.frombytes(data[:len(data) - len(data) % 4])
                    self.fds += list(fds)
            self.data += part
        return True

    def _message(self, deadline):
        if not self._fill(16, deadline):
            return None
        body, _, fields = struct.unpack_from("<III", self.data, 4)
        start = 16 + fields + (-fields % 8)
        if not self._fill(start + body, deadline):
            return None
        data = bytes(self.data[:start + body])
        del self.data[:start + body]
        have = {FIELDS[k]: v for k, v in Reader(data, 12).get("a(yv)")
                if k in FIELDS}
        reader = Reader(data[start:])
        have["body"] = tuple(reader.get(k)
                             for k in split(have.get("signature", "")))
        return Message(**{**dict.fromkeys(Message._fields), **have,
                          "type": data[1], "flags": data[2],
                          "serial": struct.unpack_from("<I", data, 8)[0]})


CONFIG = """<!DOCTYPE busconfig PUBLIC
 "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
 <type>system</type>
 <listen>unix:path={path}</listen>
 <auth>EXTERNAL</auth>
 <policy context="default">
  <allow user="*"/>
  <deny own="*"/>
  <deny send_type="method_call"/>
  <allow send_type="signal"/>
  <allow send_requested_reply="true" send_type="method_return"/>
  <allow send_requested_reply="true" send_type="error"/>
  <allow receive_type="method_call"/>
  <allow receive_type="method_return"/>
  <allow receive_type="error"/>
  <allow receive_type="signal"/>
  <allow send_destination="org.freedesktop.DBus"/>
 </policy>
 <policy user="root">
  <allow own="org.freedesktop.PolicyKit1"/>
 </policy>
 <policy context="default">
  <allow send_destination="org.freedesktop.PolicyKit1"/>
 </policy>
 <include>{include}</include>
</busconfig>
"""


class Daemon:
    """A bus of its own, with the system bus's rules and the given policy."""

    def __init__(self, directory, include):
        self.path = directory + "/bus"
        self.config = directory + "/bus.conf"
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(path=self.path, include=include))
        self.proc = None

    def start(self):
        with open(self.path + ".log", "a", encoding="utf-8") as log:
            self.proc = subprocess.Popen(
                ["dbus-daemon", f"--config-file={self.config}", "--nofork",
                 "--nopidfile", "--print-address"], stdout=subprocess.PIPE,
                stderr=log)
        self.proc.stdout.readline()
        os.chmod(self.path, 0o666)

    def stop(self):
        if self.proc:
            self.proc.terminate()
            self.proc.wait(10)
            self.proc.stdout.close()
            self.proc = None
            if os.path.exists(self.path):
                os.unlink(self.path)
