"""What the stories of `make demo` are told with: commands shown as they are
typed, and consoles as they are seen."""
import os
import re
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/e2e/lib"))
from armvm import Console, Host  # pylint: disable=wrong-import-position

GUEST = os.environ["ARMVM_GUEST"]
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[^\[()])|"
                     r"\x07|\x00")
UNFINISHED = re.compile(r"\x1b(?:\[[0-9;?=]*|[()]?)\Z")
BOOT_S = 300
shown = []


def say(text):
    print(f"\n\033[1m{text}\033[0m", flush=True)


class LiveConsole(Console):
    """A console whose text is shown as it comes, indented."""
    at_start = True

    def __init__(self, fd, name):
        super().__init__(fd, name)
        self.printed = 0
        self.last_text = time.monotonic()
        self.quiet = threading.Event()
        threading.Thread(target=self.tick, daemon=True).start()

    def tick(self):
        """Never silent for long."""
        while not self.quiet.wait(1):
            if time.monotonic() - self.last_text > 4:
                print("  |  ...", flush=True)
                self.last_text = time.monotonic()

    def _more(self, deadline, what):
        super()._more(deadline, what)
        text = self.seen[self.printed:]
        cut = UNFINISHED.search(text)  # the rest comes with the next part
        text = text[:cut.start()] if cut else text
        self.printed += len(text)
        text = ESCAPES.sub("", text)
        for char in text:
            if self.at_start and char != "\n":
                sys.stdout.write("  |  ")
                self.at_start = False
            if char == "\n" and self.at_start:
                continue
            sys.stdout.write(char)
            self.at_start = char == "\n"
        sys.stdout.flush()
        self.last_text = time.monotonic()

    def type(self, line, expected, timeout=60):
        """Typed at the guest's prompt, as a person would."""
        self.send(line + "\n")
        self.expect(r"\n" + expected, timeout)
        self.expect("guest# ", timeout)

    def close(self):
        self.quiet.set()
        if not self.at_start:
            print(flush=True)
        super().close()


def command(host, *arguments):
    """Shown as it would be typed, and run."""
    print("\n$ armvmctl " + " ".join(arguments), flush=True)
    status, out, err = host.ctl(*arguments)
    print(out + err, end="", flush=True)
    if status != 0:
        raise RuntimeError(f"armvmctl {arguments[0]} ended with {status}")
    return out


def live(host, name):
    print(f"\n$ armvmctl console {name}", flush=True)
    rpc = host.rpc()
    rpc.call("vm.console", name=name)
    console = LiveConsole(rpc.fds.pop(0), name)
    rpc.close()
    return console


def tell(story, go_on):
    """The whole of it: a daemon, the story's parts in order, what was shown.
    The exit status."""
    host = Host("armvm-demo-")
    say("Start armvmd.")
    print(f"\n$ armvmd --state-dir {host.state} --runtime-dir {host.runtime} &")
    host.start()
    command(host, "host", "info")
    try:
        for part in story:
            part(host)
    except (RuntimeError, TimeoutError, ConnectionError,
            subprocess.TimeoutExpired) as e:
        print(f"\nThe demo failed: {e}\n\narmvmd's log:\n{host.log_text()}")
        return 1
    say("What was shown")
    for line in shown:
        print(f"  ✓ {line}")
    print("\n" + go_on, flush=True)
    return 0
