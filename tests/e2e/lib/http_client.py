"""A small HTTP client for the tests: over a Unix socket or TLS, one
connection, with raw access, and a WebSocket."""
import base64
import json
import os
import socket
import struct


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def error(self):
        return self.json()["error"]["code"]


class Http:
    def __init__(self, where, tls=None, timeout=20):
        if isinstance(where, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(where)
        else:
            self.sock = socket.create_connection(where, timeout)
        if tls:
            self.sock = tls.wrap_socket(self.sock)
        self.data = b""

    def close(self):
        self.sock.close()

    def _more(self):
        part = self.sock.recv(65536)
        if not part:
            raise ConnectionError("closed")
        self.data += part

    def send(self, verb, path, body=None, **headers):
        lines = [f"{verb} {path} HTTP/1.1", "Host: x"]
        lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
        if body is not None and not isinstance(body, bytes):
            body = (body if isinstance(body, str)
                    else json.dumps(body)).encode()
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        elif verb not in ("GET", "DELETE"):
            lines.append("Content-Length: 0")
        self.sock.sendall("\r\n".join(lines + ["", ""]).encode() +
                          (body or b""))

    def head(self):
        while b"\r\n\r\n" not in self.data:
            self._more()
        text, self.data = self.data.split(b"\r\n\r\n", 1)
        first, *rest = text.decode().split("\r\n")
        return int(first.split()[1]), {
            k.lower(): v.strip() for k, v in (r.split(":", 1) for r in rest)}

    def take(self, size):
        while len(self.data) < size:
            self._more()
        part, self.data = self.data[:size], self.data[size:]
        return part

    def response(self):
        status, headers = self.head()
        return Response(status, headers,
                        self.take(int(headers.get("content-length", 0))))

    def ask(self, verb, path, body=None, **headers):
        self.send(verb, path, body, **headers)
        return self.response()

    def event(self):
        """The next Server-Sent Event: (fields, data as JSON)."""
        while b"\n\n" not in self.data:
            self._more()
        text, self.data = self.data.split(b"\n\n", 1)
        fields = dict(line.split(": ", 1)
                      for line in text.decode().split("\n"))
        return fields, json.loads(fields["data"])

    def upgrade(self, path, **headers):
        self.send("GET", path, Connection="Upgrade", Upgrade="websocket",
                  Sec_WebSocket_Version="13", Sec_WebSocket_Key=base64.
                  b64encode(os.urandom(16)).decode(), **headers)
        return self.head()

    def frame(self):
        """One frame of the server: (opcode, payload)."""
        first, size = self.take(2)
        if size == 126:
            size = struct.unpack(">H", self.take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.take(8))[0]
        return first & 15, self.take(size)

    def send_frame(self, payload, opcode=2):
        mask = os.urandom(4)
        size = (bytes([0x80 | len(payload)]) if len(payload) < 126
                else b"\xfe" + struct.pack(">H", len(payload)))
        self.sock.sendall(bytes([0x80 | opcode]) + size + mask + bytes(
            b ^ mask[i % 4] for i, b in enumerate(payload)))
