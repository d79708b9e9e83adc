#!/usr/bin/python3
"""What a supervisor has given up by the time it is spoken to, and whom it
does not listen to."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import ROOT, report                           # noqa: E402
from supervisor import (SANITIZED, SUPERVISOR, UID,      # noqa: E402
                        Daemon, Supervisor, run_tests)

check, equal = report.check, report.equal


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f
                    if ":\t" in line)


def check_confined(s, status):
    equal("sandbox: own uid", status["Uid"].split(), [str(UID)] * 4)
    equal("sandbox: own gid", status["Gid"].split(), [str(UID)] * 4)
    equal("sandbox: no groups", status["Groups"].strip(), "")
    equal("sandbox: no capabilities",
          {int(status[c], 16) for c in ("CapInh", "CapPrm", "CapEff",
                                        "CapBnd", "CapAmb")}, {0})
    for ns in ("mnt", "net", "ipc", "uts"):
        check(f"sandbox: own {ns} namespace",
              os.readlink(f"/proc/{s.proc.pid}/ns/{ns}")
              != os.readlink(f"/proc/self/ns/{ns}"))
    root = f"/proc/{s.proc.pid}/root"
    equal("sandbox: the root is empty", os.listdir(root), [])
    with open(f"/proc/{s.proc.pid}/mounts", encoding="utf-8") as f:
        mounts = [line.split() for line in f]
    check("sandbox: and the only mount, read-only",
          mounts[-1][1] == "/" and "ro" in mounts[-1][3].split(",")
          and all(m[1] == "/" for m in mounts), mounts)


def test_sandbox():
    """On the unsanitized program: sanitizers need what the sandbox forbids."""
    program = os.path.join(ROOT, "build/native/bin/armvm-supervisor") \
        if SANITIZED else SUPERVISOR
    if not os.path.exists(program):
        report.skip("sandbox", f"{program} is not built")
        return
    ours = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(ours, True)
    with Supervisor(program=program) as s:
        os.close(ours)
        d = s.daemon()
        s.start(d)
        status = status_of(s.proc.pid)
        equal("sandbox: no new privileges", status["NoNewPrivs"], "1")
        equal("sandbox: system call filter", status["Seccomp"], "2")
        if os.geteuid() == 0:
            check_confined(s, status)
            check("sandbox: no descriptor is inherited",
                  os.path.abspath(__file__) not in s.descriptors(), s.descriptors())
        else:
            report.skip("sandbox: uid, capabilities, namespaces",
                        "only root can give these up")
            check("sandbox: said that it is partial",
                  "not started by root" in s.output(), s.output())
        d.request("stop")
        d.close()
        equal("sandbox: a VM's life fits in it", s.wait_gone(), 0)


def test_strangers():
    if os.geteuid() != 0:
        report.skip("strangers are turned away", "needs two users")
        return
    with Supervisor() as s:
        d = s.daemon()
        s.start(d)
        d.close()
        pid = os.fork()
        if pid == 0:
            os.setresgid(12345, 12345, 12345)
            os.setresuid(12345, 12345, 12345)
            stranger = Daemon(s.path, hello=False)
            try:
                stranger.send("stop", id=1)
                got = stranger.receive()
            except OSError:
                got = None
            os._exit(0 if got is None else 1)
        _, status = os.waitpid(pid, 0)
        equal("strangers are turned away", status, 0)
        d = s.daemon()
        equal("and leave no trace", d.hello["state"], "running")
        d.request("stop")
        d.close()
        s.wait_gone()


run_tests(globals())
