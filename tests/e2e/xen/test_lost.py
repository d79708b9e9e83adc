#!/usr/bin/python3
"""xenstored dies, which no host survives: what is shown is true, and nobody
goes on alone. The last of all tests of a boot, for nothing works after it."""
import os
import signal
import subprocess
import tempfile

from xen_scene import (Host, alive, boot, define, finish, guarded, report,
                       running_domains, wait_for)

host = Host().start()
WORK = tempfile.mkdtemp(dir="/var/tmp")


def xenstored_dies():
    path = f"{WORK}/root.raw"
    with open(path, "wb") as f:
        f.truncate(16 << 20)
    define(host, "web", disks=[{"path": path}])
    boot(host, "web").close()
    pid = host.vm("web")["pid"]
    report.equal("one domain", running_domains(), 1)
    store = int(subprocess.run(["pidof", "xenstored"], check=True, text=True,
                               stdout=subprocess.PIPE).stdout)
    os.kill(store, signal.SIGKILL)
    host.wait_state("web", "crashed", 120)
    report.match("it says why", "the connection to Xen was lost",
                 host.vm("web")["reason"])
    wait_for("the supervisor's end", lambda: not alive(pid), 30)
    report.equal("no process is left", host.supervisors(), [])
    report.equal("no domain runs unattended", running_domains(), 0)


def nothing_is_started():
    status, _, err = host.ctl("start", "web")
    report.check("a start is refused", status not in (0, 1), (status, err))
    report.match("naming xenstore", "xenstore", err)
    report.equal("no process", host.supervisors(), [])
    report.equal("no domain", running_domains(), 0)


guarded(xenstored_dies, nothing_is_started)
finish(host, WORK)
