"""armvmctl on a terminal of its own."""
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios

from armvm import BIN, wait_for


class Terminal:
    """armvmctl on a terminal of its own, ended with the block."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __init__(self, host, *arguments, rows=24, columns=80):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.proc = subprocess.Popen(
            [BIN + "/armvmctl", "--socket", host.socket, *arguments], stdin=slave,
            stdout=slave, stderr=slave, start_new_session=True)
        self.slave, self.seen = slave, ""

    def read(self):
        """All that has come so far is in `seen`."""
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536).decode("utf-8",
                                                            "replace")

    def expect(self, text):
        def there():
            self.read()
            return text in self.seen
        try:
            wait_for(repr(text), there, 60)
        except TimeoutError as e:
            raise TimeoutError(f"{e}; seen: {self.seen!r}") from e

    def type(self, data):
        os.write(self.master, data)

    def raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        os.close(self.master)
        os.close(self.slave)
