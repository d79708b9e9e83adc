"""Counting kernel events, the same for every process measured: tracepoints by
perf_event_open(2), and the time of the first of a kind by tracefs."""
import ctypes
import fcntl
import os
import struct

TRACING = "/sys/kernel/tracing"
TRACEPOINT = 2          # PERF_TYPE_TRACEPOINT
NR_OPEN = 241           # perf_event_open on arm64
SET_FILTER = 0x40082406     # _IOW('$', 6, char *): the text itself
libc = ctypes.CDLL(None, use_errno=True)


def mount_tracing():
    if not os.path.exists(TRACING + "/events"):
        os.system(f"mount -t tracefs tracefs {TRACING}")


class Counter:
    """How often a tracepoint was passed, on all CPUs, from now on."""

    def __init__(self, event, condition=None):
        with open(f"{TRACING}/events/{event}/id", encoding="ascii") as f:
            number = int(f.read())
        # struct perf_event_attr: type, size, config, and no more.
        attr = struct.pack("<IIQ", TRACEPOINT, 128, number).ljust(128, b"\0")
        self.fds = []
        for cpu in range(os.cpu_count()):
            fd = libc.syscall(NR_OPEN, attr, -1, cpu, -1, 8)
            if fd < 0:
                raise OSError(ctypes.get_errno(), f"perf_event_open {event}")
            self.fds.append(fd)
            if condition:
                fcntl.ioctl(fd, SET_FILTER, condition.encode() + b"\0")
        self.start()

    def _sum(self):
        return sum(struct.unpack("Q", os.read(fd, 8))[0] for fd in self.fds)

    def start(self):
        self.base = self._sum()

    def read(self):
        return self._sum() - self.base

    def close(self):
        for fd in self.fds:
            os.close(fd)


def threads(pid):
    return [int(t) for t in os.listdir(f"/proc/{pid}/task")]


def syscalls_of(pid):
    return Counter("raw_syscalls/sys_enter", " || ".join(
        f"common_pid == {t}" for t in threads(pid)))


class First:
    """The time (of CLOCK_MONOTONIC) an event first came since this was made."""

    def __init__(self, event):
        self.event = f"{TRACING}/events/{event}"
        self._write("trace_clock", "mono")
        self._write("trace", "")
        with open(self.event + "/trigger", "w", encoding="ascii") as f:
            f.write("traceoff:1")
        self._write("tracing_on", "1")
        with open(self.event + "/enable", "w", encoding="ascii") as f:
            f.write("1")

    @staticmethod
    def _write(name, text):
        with open(f"{TRACING}/{name}", "w", encoding="ascii") as f:
            f.write(text)

    def end(self):
        with open(self.event + "/enable", "w", encoding="ascii") as f:
            f.write("0")
        with open(self.event + "/trigger", "w", encoding="ascii") as f:
            f.write("!traceoff:1")
        with open(TRACING + "/trace", encoding="ascii") as f:
            for line in f:
                if not line.startswith("#"):
                    return float(line.split(": ")[0].split()[-1])
        raise RuntimeError(f"{self.event} never came")
