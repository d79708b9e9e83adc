"""What tests do on the host beside armvmd: commands, files for disks, and a
look at what the kernel has of VMs' devices."""
import glob
import hashlib
import os
import subprocess
import time

from armvm import alive


def sh(command):
    """What it printed, trimmed; it has to succeed."""
    return subprocess.run(command, shell=True, check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


def blank(path, mib=16):
    """A sparse file."""
    with open(path, "wb") as f:
        f.truncate(mib << 20)
    return path


def filled(path, mib=16):
    """A file like no other."""
    with open(path, "wb") as f:
        f.write(os.urandom(mib << 20))
    return path


def checksum(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def supervisors():
    """Their processes, whichever daemon's, and if it knows of them or not."""
    out = subprocess.run(["pgrep", "-x", "armvm-superviso"], check=False,
                         stdout=subprocess.PIPE, text=True).stdout
    return [int(pid) for pid in out.split() if alive(int(pid))]


def host_ends():
    """The host's ends of VMs' devices: loop devices with a file, taps and
    Xen's interfaces, backends of Xen's."""
    net = "/sys/class/net"
    return (sorted(line.split(":")[0]
                   for line in sh("losetup -a").split("\n") if line),
            sorted(name for name in os.listdir(net) if name.startswith("vif")
                   or os.path.exists(f"{net}/{name}/tun_flags")),
            sorted(os.path.basename(p)
                   for p in glob.glob("/sys/bus/xen-backend/devices/*")))


def settled(want, timeout=60):
    """host_ends(), once they are `want` or time is up: the kernel lets go of
    files a moment after it has said so."""
    deadline = time.monotonic() + timeout
    while host_ends() != want and time.monotonic() < deadline:
        time.sleep(0.1)
    return host_ends()
