#!/usr/bin/python3
"""What Xen, or this host, cannot do is refused in one line, and nothing is
made."""
import os
import subprocess

from xen_scene import (GUEST, Host, define, domains, finish, guarded,
                       host_ends, image, nothing_is_left, report, settled, sh)

host = Host().start()
KERNEL = ["--kernel", f"{GUEST}/vmlinuz", "--memory", "256M"]


def what_xen_lacks():
    for name, arguments, words in (
            ("a firmware's guest", ["--disk", image(host, "web")],
             ["UEFI", "kernel"]),
            ("vsock", KERNEL + ["--vsock"], ["vsock", "virtio"]),
            ("a folder", KERNEL + ["--fs", "work=/usr"], ["virtio"]),
            ("MTE", KERNEL + ["--feature", "mte=on"], ["features.mte"]),
            ("more memory than there is",
             ["--kernel", f"{GUEST}/vmlinuz", "--memory", "64G"],
             ["64 GiB", "too much"]),
            ("KVM", KERNEL + ["--hypervisor", "kvm"], ["/dev/kvm"])):
        status, _, err = host.ctl("create", "bad", *arguments)
        report.check(f"{name}: refused", status not in (0, 1), (status, err))
        for word in words:
            report.check(f"{name}: says \"{word}\"", word in err, err)
    report.equal("nothing was defined", host.call("vm.list")["vms"], [])


def no_memory_left():
    define(host, "big", memory="1536MiB")
    define(host, "bigger", memory="1536MiB")
    started = 0
    for name in ("big", "bigger"):
        status, _, err = host.ctl("start", name)
        started += status == 0
        if status:
            report.match("no memory: what there is and what it takes",
                         r"Xen has .* to give away, and the VM takes 1\.\d "
                         r"GiB", err)
    report.check("not both", started < 2)
    for name in ("big", "bigger"):
        host.ctl("stop", name)
    nothing_is_left(host, "no memory")


def no_snapshots():
    define(host, "web")
    host.call("vm.start", name="web")
    status, _, err = host.ctl("snapshot", "save", "web", host.dir + "/s")
    report.equal("exit status of what cannot be", status, 10)
    report.match("a snapshot: and why", "Xen on ARM neither saves nor restores",
                 err)
    report.check("no file", not os.path.exists(host.dir + "/s"))
    report.equal("it runs on", host.vm("web")["state"], "running")
    host.call("vm.stop", name="web")


def refused_to_start(what, name, *words):
    status, _, err = host.ctl("start", name)
    report.check(f"{what}: refused", status not in (0, 1), (status, err))
    report.check(f"{what}: in one line that says why",
                 all(word in err for word in words)
                 and err.count("\n") == 1, err)
    report.equal(f"{what}: {name} has not started", host.vm(name)["state"],
                 "stopped")


def disk_in_use():
    """By a domain of xl's, which locks nothing."""
    path = "/var/tmp/shared.raw"
    with open(path, "wb") as f:
        f.truncate(16 << 20)
    define(host, "second", disks=[{"path": path}])
    config = host.dir + "/theirs.cfg"
    loop = sh(f"losetup -f --show {path}")
    with open(config, "w", encoding="ascii") as f:
        f.write('name = "theirs"\ntype = "pvh"\nmemory = 64\n'
                f'kernel = "{GUEST}/vmlinuz"\n'
                f'disk = ["format=raw,vdev=xvda,access=rw,target={loop}"]\n')
    sh(f"xl create -p {config}")
    before = host_ends()
    refused_to_start("a disk of xl's", "second", "disk0", "in use by domain",
                     "theirs")
    report.equal("nothing is made", settled(before), before)
    sh("xl destroy theirs")
    sh(f"losetup -d {loop}")
    host.call("vm.start", name="second")
    host.call("vm.stop", name="second")
    os.unlink(path)
    nothing_is_left(host, "disks in use")


def probe(program):
    out = subprocess.run([program, "--probe"], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, check=False)
    return out.returncode, out.stdout


def no_privileges():
    program = os.environ["ARMVM_BIN"] + "/armvm-supervisor-xen"
    status, out = probe(program)
    report.equal("root may", (status, '"version":' in out), (0, True))
    done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups",
                           program, "--probe"], stdout=subprocess.PIPE,
                          text=True, check=False)
    report.check("another user may not", done.returncode != 0)
    report.match("and reads why", "no privileges to control Xen", done.stdout)
    report.equal("nothing runs", domains(), {})


guarded(what_xen_lacks, no_memory_left, disk_in_use, no_snapshots,
        no_privileges)
finish(host)
