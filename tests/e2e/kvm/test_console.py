#!/usr/bin/python3
"""The virtio console beside pl011 and alone (PL-2), and the guest's agent on a
port of its own: addresses, freezing, shutdown without a power button."""
import subprocess
import time

from scene import (BOOT_S, Host, RpcError, boot, define, guarded, image,
                   report, wait_for)

host = Host().start()
disk = image(host, "web")
define(host, "web", disk, console="both", nics=[{"tap": "tap-web"}])
guest = None
SECTOR = 512


def unplug_the_power_button():
    """As in kernels that have no gpio-keys."""
    guest.run("echo gpio-keys >/sys/bus/platform/drivers/gpio-keys/unbind")


def make_file_system():
    """ext4 in the image's second partition."""
    with open(disk, "rb") as f:
        f.seek(2 * SECTOR + 128)
        entry = f.read(128)
    first = int.from_bytes(entry[32:40], "little")
    last = int.from_bytes(entry[40:48], "little")
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-O",
                    "^metadata_csum", "-E", f"offset={first * SECTOR}", disk,
                    f"{(last - first + 1) // 2}k"], check=True)


def both_consoles():
    global guest
    make_file_system()
    guest = boot(host, "web")
    out, _ = guest.run("cat /proc/device-tree/chosen/stdout-path; echo; "
                       "cat /sys/class/tty/console/active")
    report.match("with both, pl011 is named to the guest",
                 r"serial0.*ttyAMA0", out)
    virtio = host.console("web", device="virtio")
    virtio.ready(30)
    out, _ = virtio.run("tty")
    report.equal("hvc0 has a shell, too", out.strip(), "/dev/hvc0")
    # Linux's driver sends 16 bytes at a time and waits for each.
    out, _ = virtio.run("seq 1 1000", 60)
    report.check("output arrives whole", out == "".join(
        f"{i}\n" for i in range(1, 1001)), out[-200:])
    virtio.send("cat >/tmp/in <<END\n" + "".join(
        f"line {i}\n" for i in range(100)) + "END\n")
    out, _ = virtio.run("wc -l </tmp/in; tail -n 1 /tmp/in", 60)
    report.equal("input arrives whole", out.split("\n")[:2],
                 ["100", "line 99"])
    virtio.close()


def no_agent_yet():
    info = host.call("vm.guest", name="web")
    report.equal("no agent answers", info["agent"], False)
    report.match("and why", "qemu-guest-agent", info["reason"])
    try:
        host.call("vm.freeze", name="web")
        report.check("freeze without agent is refused", False)
    except RpcError as e:
        report.equal("freeze without agent is refused", e.code,
                     "not-supported")


def the_agent_tells_addresses():
    guest.run("ip link set eth0 up; ip addr add 10.77.0.2/24 dev eth0")
    out, status = guest.run("agent start")
    report.equal("the stock agent starts", status, 0)
    info = wait_for("the agent", lambda: (lambda i: i if i["agent"] else None)
                    (host.call("vm.guest", name="web")), 30)
    report.equal("host name", info["hostname"], "guest")
    addresses = {a["address"]: a["prefix"] for i in info["interfaces"]
                 for a in i["addresses"] if i["name"] == "eth0"}
    report.equal("address", addresses.get("10.77.0.2"), 24)
    macs = [i["mac"] for i in info["interfaces"] if i["name"] == "eth0"]
    report.equal("MAC", macs, [host.vm("web")["config"]["nics"][0]["mac"]])
    _, out, _ = host.ctl("show", "web")
    report.match("show has the address", r"eth0 +10\.77\.0\.2/24", out)


def freeze_and_thaw():
    guest.run("mkdir -p /data && mount -t ext4 /dev/vda2 /data")
    report.equal("freeze", host.ctl("freeze", "web")[:2],
                 (0, "web: 1 file system frozen\n"))
    guest.run("{ (echo x >/data/x; sync; echo written >/tmp/written) & }")
    time.sleep(1)
    out, _ = guest.run("cat /tmp/written 2>&1")
    report.match("a writer waits", "No such file", out)
    report.equal("thaw", host.ctl("thaw", "web")[:2],
                 (0, "web: 1 file system thawed\n"))
    guest.run("while [ ! -e /tmp/written ]; do sleep 0.1; done", 30)
    out, _ = guest.run("cat /data/x; umount /data")
    report.equal("and goes on", out.strip(), "x")


def reboot_by_the_agent():
    host.does("reboot", "web", "--timeout", "60s")
    guest.expect("armvm-guest: agent shutdown", 10)
    guest.ready(BOOT_S)
    status, _, err = host.ctl("reboot", "web")
    report.check("without an agent a reboot is refused", status != 0 and
                 "no qemu-guest-agent answers" in err and
                 "armvmctl reset web" in err, (status, err))
    report.equal("the stock agent starts again", guest.run("agent start")[1],
                 0)
    wait_for("the agent", lambda: host.call("vm.guest", name="web")["agent"])


def shutdown_by_the_agent():
    unplug_the_power_button()
    status, _, err = host.ctl("shutdown", "web", "--timeout", "60s")
    report.equal("shutdown without a power button", (status, err), (0, ""))
    guest.expect("armvm-guest: agent shutdown", 10)
    report.equal("stopped", host.vm("web")["state"], "stopped")
    guest.close()


def virtio_alone():
    global guest
    define(host, "hvc", image(host, "hvc"), console="virtio")
    host.call("vm.start", name="hvc")
    guest = host.console("hvc")
    guest.ready(BOOT_S)
    out, _ = guest.run("tty; ls /proc/device-tree/chosen")
    report.match("the console is hvc0", r"/dev/hvc0", out)
    report.check("no other is named to the guest", "stdout-path" not in out,
                 out)
    firmware = host.console("hvc", device="pl011")
    report.match("the firmware still speaks on pl011", r"UEFI|EDK|Bds",
                 firmware.expect("UEFI|EDK|Bds", 10))
    firmware.close()


def what_the_guest_lacked():
    unplug_the_power_button()
    status, _, err = host.ctl("shutdown", "hvc", "--timeout", "2s")
    report.equal("a timeout", status, 8)
    report.match("says what the guest lacked",
                 r"no driver for the power button.*no qemu-guest-agent", err)
    guest.close()
    host.ctl("stop", "hvc")


guarded(both_consoles, no_agent_yet, the_agent_tells_addresses,
        freeze_and_thaw, reboot_by_the_agent, shutdown_by_the_agent, virtio_alone,
        what_the_guest_lacked)
report.end()
