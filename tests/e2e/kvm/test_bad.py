#!/usr/bin/python3
"""Bad input to what KVM alone has, images to boot from and firmware (the rest
is in both/test_mistakes.py): one line that names the thing and what to do, a
status, and nothing left behind."""
import os
import subprocess

from scene import Host, guarded, image, report, supervisors, wait_for

host = Host().start()
disk = image(host, "good")
dir_ = host.dir


def taps():
    out = subprocess.run(["ip", "-o", "link"], stdout=subprocess.PIPE,
                         text=True, check=True).stdout
    return sorted(line.split(":")[1].strip() for line in out.splitlines())


def refused(name, arguments, status, *words):
    before = (taps(), supervisors(), sorted(os.listdir(host.runtime)),
              host.call("vm.list"))
    code, out, err = host.ctl(*arguments)
    report.equal(f"{name}: exit status", code, status)
    report.equal(f"{name}: one line", (out, err.count("\n")), ("", 1))
    for word in words:
        report.check(f"{name}: says {word!r}", word in err, err)
    report.equal(f"{name}: nothing left",
                 (taps(), supervisors(), sorted(os.listdir(host.runtime)),
                  host.call("vm.list")), before)


def create(*arguments, disk_path=None):
    return ["create", "bad", "--disk", disk_path or disk, "--memory", "512M",
            *arguments]


def images():
    notes = f"{dir_}/notes.txt"
    with open(notes, "w", encoding="utf-8") as f:
        f.write("hello\n" * 1000)
    refused("no partition table", create(disk_path=notes), 14, "notes.txt",
            "GUID partition table", "IMG-1", "armvmctl image check")
    no_esp = f"{dir_}/no-esp.raw"
    with open(no_esp, "wb") as f:
        f.truncate(64 << 20)
    subprocess.run(["sgdisk", "-n1:0:0", "-t1:8300", no_esp], check=True,
                   stdout=subprocess.DEVNULL)
    refused("no EFI system partition", create(disk_path=no_esp), 14,
            "no-esp.raw", "EFI System Partition")
    os.symlink("/dev/zero", f"{dir_}/zero")
    refused("a character device", create(disk_path=f"{dir_}/zero"), 2,
            "block device")


def one_file_twice():
    refused("one path twice", create("--disk", disk), 2, "disks[1].path",
            "readonly")
    refused("more slots than the bus holds", create("--max-hotplug", "33"), 2,
            "max_hotplug", "33", "0 to 32")


def firmware():
    small = f"{dir_}/small.fd"
    with open(small, "wb") as f:
        f.write(b"x" * 12345)
    refused("firmware of a wrong size", create("--firmware", small), 2,
            "small.fd", "12345", "64 KiB")
    refused("missing firmware", create("--firmware", f"{dir_}/none.fd"), 3,
            "none.fd")


def no_kvm():
    """The daemon has a /dev of its own, without kvm."""
    other = Host()
    script = ("mkdir /run/dev.$$ && mount -t tmpfs dev /run/dev.$$ && "
              "cd /run/dev.$$ && cp -a /dev/null /dev/urandom /dev/net . && "
              "mount --move /run/dev.$$ /dev && cd / && rmdir /run/dev.$$ && "
              "exec \"$@\"")
    log = open(other.log, "a", encoding="utf-8")
    other.proc = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script, "sh",
         os.environ["ARMVM_BIN"] + "/armvmd", "--state-dir", other.state,
         "--runtime-dir", other.runtime], stdout=log, stderr=log)
    wait_for("armvmd answers", other.answers, 30)
    code, _, err = other.ctl("create", "web", "--disk", disk)
    if code == 0:
        code, _, err = other.ctl("start", "web")
    report.equal("no KVM: exit status", code, 10)
    report.check("no KVM: says so", "/dev/kvm" in err and err.count("\n") == 1,
                 err)
    other.stop()


guarded(images, one_file_twice, firmware, no_kvm)
report.end()
