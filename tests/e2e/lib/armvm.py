"""What the end-to-end tests share: a daemon of their own, its API, a guest's
console, and the report.

Everything a test starts lives below one temporary directory and is ended by
pid when the test ends.
"""
import array
import atexit
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
BIN = os.environ.get("ARMVM_BIN", os.path.join(ROOT, "build/native/bin"))

# A shell's background job starts with SIGINT ignored, and so would every
# program that is started here: `armvmctl events --follow` would never end.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Report:
    """One line per check, as tests/check reads them."""

    def __init__(self):
        self.failed = 0

    def check(self, name, good, detail=""):
        print(("ok " if good else "not ok ") + name, flush=True)
        if not good:
            self.failed += 1
            for line in str(detail).strip().split("\n")[-40:]:
                print(f"# {line}", flush=True)
        return good

    def equal(self, name, have, want):
        return self.check(name, have == want, f"have {have!r}\nwant {want!r}")

    def match(self, name, pattern, text):
        return self.check(name, re.search(pattern, text, re.S) is not None,
                          f"no match of {pattern!r} in:\n{text}")

    def skip(self, name, reason):
        print(f"ok {name} # SKIP {reason}", flush=True)

    def note(self, text):
        print(f"# {text}", flush=True)

    def end(self):
        sys.exit(1 if self.failed else 0)


report = Report()


# Waits end when what is awaited is there; how long that may take is for
# machines that are slow, or busy with something else.
PATIENCE = 60


def wait_for(what, predicate, timeout=PATIENCE, interval=0.05):
    """The predicate's first true value; a failure says what was awaited."""
    timeout = max(timeout, PATIENCE)
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(interval)


def eventually(predicate):
    """Whether it came true in time."""
    try:
        return wait_for("it", predicate, interval=0.2)
    except TimeoutError:
        return False


def alive(pid):
    """Whether the process runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill_process(pid):
    os.kill(pid, signal.SIGKILL)
    wait_for("its end", lambda: not alive(pid))


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(error.get("data", {}).get("detail") or
                         error.get("message"))
        self.code = error.get("data", {}).get("code")
        self.rpc_code = error.get("code")


class Rpc:
    """JSON-RPC over the Unix socket, one call at a time, with descriptors."""

    def __init__(self, path, timeout=120):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.data, self.fds, self.last, self.events = b"", [], 0, []

    def close(self):
        self.sock.close()

    def _line(self):
        while b"\n" not in self.data:
            part, control, _, _ = self.sock.recvmsg(65536, 1024)
            if not part:
                raise ConnectionError("the daemon closed the connection")
            for level, kind, data in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds = array.array("i")
                    fds.frombytes(data[:len(data) - len(data) % 4])
                    self.fds += list(fds)
            self.data += part
        line, self.data = self.data.split(b"\n", 1)
        return json.loads(line)

    def call(self, method, **params):
        self.last += 1
        self.sock.sendall(json.dumps(
            {"jsonrpc": "2.0", "id": self.last, "method": method,
             "params": params}).encode() + b"\n")
        while True:
            reply = self._line()
            if reply.get("id") == self.last:
                break
            if reply.get("method") == "event":
                self.events.append(reply["params"])
        if "error" in reply:
            raise RpcError(reply["error"])
        return reply["result"]

    def next_event(self):
        while not self.events:
            message = self._line()
            if message.get("method") == "event":
                self.events.append(message["params"])
        return self.events.pop(0)


class Console:
    """A guest's console: expect text, type, run commands in its shell."""
    PROMPT = "guest# "

    def __init__(self, fd, name="console"):
        self.sock = socket.socket(fileno=fd)
        self.name, self.seen, self.at = name, "", 0

    def close(self):
        self.sock.close()

    def _more(self, deadline, what):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{self.name}: {what}: not in time; it ends:\n"
                               + self.seen[-2000:])
        self.sock.settimeout(left)
        try:
            part = self.sock.recv(65536)
        except socket.timeout:
            part = None
        if part == b"":
            raise ConnectionError(f"{self.name}: closed while waiting for "
                                  f"{what}; it ends:\n{self.seen[-2000:]}")
        if part:
            self.seen += part.decode("utf-8", "replace").replace("\r", "")

    def expect(self, pattern, timeout=60):
        """Text up to and with the pattern, from where the last one ended."""
        deadline = time.monotonic() + timeout
        while True:
            m = re.compile(pattern, re.S).search(self.seen, self.at)
            if m:
                text = self.seen[self.at:m.end()]
                self.at = m.end()
                return text
            self._more(deadline, repr(pattern))

    def send(self, text):
        self.sock.sendall(text.encode())

    def ready(self, timeout=120):
        self.expect("armvm-guest ready", timeout)
        self.send("\n")
        self.expect(re.escape(self.PROMPT), 30)

    def run(self, command, timeout=60):
        """Run it in the guest's shell: (output, status)."""
        self.at = len(self.seen)
        # The echoed (and wrapped) command line never holds a whole mark.
        self.send(f"echo \"=be\"\"gin=\"; {command}; echo \"=en\"\"d=$?=\"\n")
        text = self.expect(r"=begin=\n.*?=end=(\d+)=\n", timeout)
        self.expect(re.escape(self.PROMPT), timeout)
        m = re.search(r"=begin=\n(.*?)=end=(\d+)=\n", text, re.S)
        return m.group(1), int(m.group(2))

    def says(self, command, timeout=60):
        """What it printed, trimmed, after a status that is not 0."""
        out, status = self.run(command, timeout)
        return out.strip() if status == 0 else f"[{status}] {out.strip()}"

    def until(self, command, want, timeout=PATIENCE):
        """What it says, once that is `want` or time is up."""
        deadline = time.monotonic() + timeout
        while True:
            have = self.says(command)
            if have == want or time.monotonic() > deadline:
                return have
            time.sleep(0.2)


class Host:
    """One armvmd with directories of its own."""
    LOG_LINES = 100     # shown of its log when a check failed

    def __init__(self, prefix="armvm-test-"):
        self.dir = tempfile.mkdtemp(prefix=prefix)
        self.state, self.runtime = self.dir + "/state", self.dir + "/run"
        self.socket = self.runtime + "/armvmd.sock"
        self.log = self.dir + "/armvmd.log"
        self.proc = None
        atexit.register(self.cleanup)

    def start(self, *options, wait=True):
        with open(self.log, "a", encoding="utf-8") as log:
            self.proc = subprocess.Popen(
                [BIN + "/armvmd", "--state-dir", self.state, "--runtime-dir",
                 self.runtime, *options], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        if wait:
            wait_for("armvmd answers", self.answers, 30)
        return self

    def answers(self):
        if self.proc.poll() is not None:
            raise RuntimeError("armvmd ended:\n" + self.log_text())
        try:
            Rpc(self.socket).close()
            return True
        except OSError:
            return False

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, sig=signal.SIGTERM):
        if self.proc:
            self.proc.send_signal(sig)
            status = self.proc.wait(30)
            self.proc = None
            return status
        return None

    def kill(self):
        return self.stop(signal.SIGKILL)

    def rpc(self):
        return Rpc(self.socket)

    def call(self, method, **params):
        rpc = self.rpc()
        try:
            return rpc.call(method, **params)
        finally:
            rpc.close()

    def vm(self, name):
        return self.call("vm.get", name=name)

    def wait_state(self, name, state, timeout=30):
        return wait_for(f"{name} {state}",
                        lambda: (lambda v: v if v["state"] == state else None)
                        (self.vm(name)), timeout)

    def ctl(self, *arguments, input=None, timeout=180):
        """armvmctl: (status, stdout, stderr)."""
        r = subprocess.run([BIN + "/armvmctl", "--socket", self.socket,
                            *arguments], input=input, timeout=timeout,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, errors="replace")
        return r.returncode, r.stdout, r.stderr

    def does(self, *arguments):
        """armvmctl, which has to succeed; what it printed."""
        status, out, err = self.ctl(*arguments)
        report.equal(" ".join(arguments[:2]), (status, err), (0, ""))
        return out

    def device(self, name, ident, kind="disk"):
        """What the list of a VM's disks, or nics, has of one, or None."""
        devices = self.call(f"{kind}.list", name=name)[f"{kind}s"]
        return next((d for d in devices if d["id"] == ident), None)

    def kill_supervisor(self, name):
        """kill -9; the process it was."""
        pid = self.vm(name)["pid"]
        kill_process(pid)
        return pid

    def another_supervisor(self, name, pid, state="running"):
        """Wait for one that is not this process, and for the VM's state."""
        wait_for("another supervisor", lambda: self.vm(name)["pid"] not in
                 (0, None, pid))
        self.wait_state(name, state)

    def console(self, name, **device):
        rpc = self.rpc()
        rpc.call("vm.console", name=name, **device)
        console = Console(rpc.fds.pop(0), name)
        rpc.close()
        return console

    def supervisors(self):
        """Processes of supervisors of this daemon's VMs."""
        try:
            return [v["pid"] for v in self.call("vm.list")["vms"] if v["pid"]]
        except (OSError, ConnectionError):
            return []

    def stop_vms(self):
        """By request, for what is killed may be started again by policy."""
        pids = []
        for vm in self.call("vm.list", limit=1000)["vms"]:
            if not vm["pid"]:
                continue
            pids.append(vm["pid"])
            try:
                self.call("vm.stop", name=vm["name"])
            except RpcError as e:
                report.note(f"cleanup: {vm['name']}: {e}")
        return pids

    def cleanup(self):
        pids = []
        try:
            if self.proc is None and os.path.exists(self.state):
                self.start()
            if self.proc:
                pids = self.stop_vms()
            self.stop()
        except (OSError, RuntimeError, TimeoutError, RpcError) as e:
            report.note(f"cleanup: {e}")
        if self.proc:
            self.proc.kill()
            self.proc.wait()
        for pid in pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        if report.failed and os.path.exists(self.log):
            for line in self.log_text().split("\n")[-self.LOG_LINES:]:
                report.note(f"{self.log}: {line}")
        shutil.rmtree(self.dir, ignore_errors=True)


def guarded(*tests):
    """Run test functions; an exception fails that test alone."""
    for test in tests:
        name = test.__name__.replace("_", " ")
        try:
            test()
        except Exception as e:  # pylint: disable=broad-except
            import traceback
            report.check(name, False, f"{e}\n{traceback.format_exc()}")
