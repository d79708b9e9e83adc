#!/usr/bin/python3
"""Networking: taps of several queues, with vhost and without, offloads, MTU,
links; user-mode networking through passt; host ends that vanish."""
import hashlib
import os
import socket
import subprocess
import threading

from scene import (GUEST, Host, RpcError, Trace, boot, guarded, report,
                   wait_for)

HOST_IP, OWN_IP = "192.168.80.1", "192.168.81.1"
FILL = os.urandom(1 << 20) * 4
FRAMES = 1500  # half of what 4 MiB are in segments that fit the MTU
SUM = hashlib.md5(FILL).hexdigest()
host = Host().start()
guest = None


def addressed(dev, address):
    os.system(f"ip addr add {address}/24 dev {dev}")


def starts():
    global guest
    host.call("vm.define", config={
        "name": "web", "memory": "512MiB", "vcpus": 2,
        "kernel": f"{GUEST}/vmlinuz", "initrd": f"{GUEST}/initrd.img",
        "cmdline": "console=ttyAMA0 quiet",
        "nics": [{"tap": "tap-vhost", "queues": 2, "mtu": 1400},
                 {"tap": "tap-own", "queues": 2, "vhost": "off",
                  "on_error": "pause"},
                 {"user": True, "forward": [
                     {"address": "127.0.0.1", "host_port": 8080,
                      "guest_port": 80}]}]})
    guest = boot(host, "web")
    addressed("tap-vhost", HOST_IP)
    addressed("tap-own", OWN_IP)
    configure()
    threads = os.popen("ps -e -o comm").read()
    report.equal("each pair that vhost serves has a kernel thread",
                 threads.count(f"vhost-{host.vm('web')['pid']}"), 2)


def configure():
    guest.run("ip addr add 192.168.80.2/24 dev eth0; ip link set eth0 up; "
              "ip addr add 192.168.81.2/24 dev eth1; ip link set eth1 up")
    wait_for("the guest's carrier", lambda: carrier(0) == carrier(1) == "1")


def carrier(nic):
    return guest.run(f"cat /sys/class/net/eth{nic}/carrier")[0].strip()


def guest_sees():
    for dev in ("eth0", "eth1"):
        out, _ = guest.run(f"nic {dev}")
        for feature in ("tx-checksum", "rx-checksum", "tso", "gso", "gro"):
            report.match(f"{dev}: {feature}", f"{feature} on\n", out)
        report.match(f"{dev}: two channels", "combined [12] of 2\n", out)
    out, _ = guest.run("cat /sys/class/net/eth0/mtu /sys/class/net/eth1/mtu "
                       "/sys/class/net/eth2/mtu")
    report.equal("MTU: told, own choice, passt's", out.split(),
                 ["1400", "1500", "65520"])
    report.match("the tap has it, too", " mtu 1400 ",
                 os.popen("ip -o link show tap-vhost").read())


def receive(server, sums):
    peer, _ = server.accept()
    total, digest = 0, hashlib.md5()
    while True:
        part = peer.recv(1 << 18)
        if not part:
            break
        total += len(part)
        digest.update(part)
    peer.close()
    sums.append((total, digest.hexdigest()))


def frames(dev, way):
    """Of a tap: "rx" is what the guest sent."""
    with open("/proc/self/net/dev", encoding="ascii") as f:
        fields = f.read().split(dev + ":")[1].split()
    return int(fields[{"rx": 1, "tx": 9}[way]])


def carries(dev, address):
    server = socket.create_server((address, 0))
    server.settimeout(60)
    port = server.getsockname()[1]
    sums, n = [], 4 << 20
    thread = threading.Thread(target=receive, args=(server, sums))
    thread.start()
    before = frames(dev, "rx")
    out, _ = guest.run(f"tcp {address} {port} {n}", 60)
    thread.join(60)
    pattern = bytes((i * 31 + (i >> 8)) & 255 for i in range(1 << 18))
    report.equal(f"{dev}: 4 MiB go out whole", sums,
                 [(n, hashlib.md5(pattern * 16).hexdigest())])
    sent = frames(dev, "rx") - before
    report.check(f"{dev}: in {sent} frames: the host cuts segments",
                 sent < FRAMES)
    report.note(f"{dev} out: {out.strip()}")
    guest.send(f"tcp {address} {port} | md5sum; echo in=d\"\"one\n")
    peer, _ = server.accept()
    before = frames(dev, "tx")
    peer.sendall(FILL)
    peer.close()
    text = guest.expect("in=done\n")
    report.match(f"{dev}: 4 MiB come in whole", SUM, text)
    got = frames(dev, "tx") - before
    report.check(f"{dev}: in {got} frames: the guest takes them large",
                 got < FRAMES)
    report.note(f"{dev} in: " + [line for line in text.split("\n")
                                 if "bytes in" in line][0])
    server.close()
    guest.run("true")


def data_passes():
    carries("tap-vhost", HOST_IP)
    carries("tap-own", OWN_IP)
    stats = host.call("vm.stats", name="web")["stats"]
    nics = {n["id"]: n for n in stats["nics"]}
    for nic, who in (("nic0", "vhost moves"), ("nic1", "we move")):
        report.check(f"frames that {who} are counted",
                     nics[nic]["rx"]["bytes"] > 4 << 20
                     and nics[nic]["tx"]["bytes"] > 4 << 20, nics[nic])
    own = nics["nic1"]
    # What was filtered had no time, and what waits has none yet.
    report.check("frames that we move have their times", all(
        0 < sum(own[way]["latency"]) <= own[way]["frames"] + 1
        for way in ("rx", "tx")), own)
    report.check("of what vhost moves it is said that nobody takes them",
                 nics["nic0"]["kernel"] and not any(
                     "latency" in nics["nic0"][way] for way in ("rx", "tx")),
                 nics["nic0"])
    _, out, _ = host.ctl("stats", "web")
    report.match("armvmctl stats shows both", r"nic0 .*kernel \(vhost\), which "
                 r"takes no times.*nic1 +receive[^\n]*µs[^\n]*\n +<", out)


def what_a_frame_costs():
    """System calls of the thread that moves frames, without vhost."""
    pid, n = host.vm("web")["pid"], 4 << 20
    server = socket.create_server((OWN_IP, 0))
    server.settimeout(60)
    thread = threading.Thread(target=receive, args=(server, []))
    thread.start()
    before = frames("tap-own", "rx") + frames("tap-own", "tx")
    with Trace("raw_syscalls/sys_enter", f"common_pid == {pid}") as trace:
        guest.run(f"tcp {OWN_IP} {server.getsockname()[1]} {n}", 60)
    thread.join(60)
    server.close()
    moved = frames("tap-own", "rx") + frames("tap-own", "tx") - before
    report.note(f"{trace.count} system calls for {moved} frames, out")


def several_queues():
    for dev, tap, address in (("eth0", "tap-vhost", HOST_IP),
                              ("eth1", "tap-own", OWN_IP)):
        out, status = guest.run(f"nic {dev} combined 2")
        report.equal(f"{dev}: the guest may use two", (out, status),
                     ("combined 2 of 2\n", 0))
        before = interrupts(dev)
        server = socket.create_server((address, 0))
        port, peers = server.getsockname()[1], []
        for i in range(8):
            guest.send(f"(tcp {address} {port} >/tmp/in{i} 2>/dev/null; "
                       f"echo flow=d\"\"one) &\n")
            peer, _ = server.accept()
            peer.sendall(FILL[:1 << 17])
            peers.append(peer)
        for peer in peers:
            peer.close()
        for _ in peers:
            guest.expect("flow=done")
        guest.run("true")
        server.close()
        out, _ = guest.run("cat /tmp/in? | wc -c")
        report.equal(f"{dev}: eight flows come in whole", out.strip(),
                     str(8 << 17))
        used = [a - b for a, b in zip(interrupts(dev), before)]
        report.check(f"{dev}: by both queues ({used} interrupts)",
                     len(used) == 2 and min(used) > 0)


def interrupts(dev):
    """Of its receive queues, summed over the CPUs."""
    out, _ = guest.run(f"d=$(basename $(readlink /sys/class/net/{dev}/device))"
                       "; grep $d-input /proc/interrupts")
    return [sum(int(n) for n in line.split()[1:3])
            for line in out.strip().split("\n")]


def links():
    status, out, err = host.ctl("nic", "set", "web", "nic1", "--link", "down")
    report.equal("the cable is pulled", (status, out),
                 (0, "web: the link of nic1 is down\n"))
    wait_for("no carrier", lambda: carrier(1) == "0")
    report.equal("only that one", carrier(0), "1")
    nics = host.call("nic.list", name="web")["nics"]
    report.equal("as listed", [n.get("link", "up") for n in nics],
                 ["up", "down", "up"])
    report.equal("and in the definition",
                 host.vm("web")["config"]["nics"][1].get("link"), "down")
    host.call("nic.set", name="web", id="nic0", link="down", live=True)
    wait_for("no carrier", lambda: carrier(0) == "0")
    report.equal("--live leaves the definition alone",
                 host.vm("web")["config"]["nics"][0].get("link", "up"), "up")
    for nic in ("nic0", "nic1"):
        host.call("nic.set", name="web", id=nic, link="up")
    wait_for("carriers", lambda: carrier(0) == carrier(1) == "1")
    for address in (HOST_IP, OWN_IP):
        _, status = guest.run(f"ping -c 1 -W 10 {address}")
        report.equal(f"{address} is reached again", status, 0)
    try:
        host.call("nic.set", name="web", id="nic9", link="up")
        report.check("no such nic", False)
    except RpcError as e:
        report.match("no such nic", 'web has no nic "nic9"', str(e))


def passts():
    return [int(p) for p in os.listdir("/proc") if p.isdigit()
            and read(f"/proc/{p}/comm").startswith("passt")]


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


DHCP = ('printf \'#!/bin/sh\\n[ "$1" = bound ] || exit 0\\n'
        'ip addr add $ip/$mask dev $interface\\n'
        'ip route add default via $router\\n\' >/tmp/dhcp; '
        'chmod +x /tmp/dhcp; ip link set eth2 up; '
        'udhcpc -i eth2 -n -q -t 5 -s /tmp/dhcp')


def fetch():
    out, _ = guest.run("wget -q -O - http://10.0.2.2:8000/file | md5sum", 60)
    return out.split()[0]


def user_mode():
    report.equal("one passt", len(passts()), 1)
    uid = [line.split()[1] for line in
           read(f"/proc/{passts()[0]}/status").split("\n")
           if line.startswith("Uid:")]
    report.check(f"under the VM's uid ({uid[0]})", int(uid[0]) >= 1900000000)
    out, status = guest.run(DHCP, 60)
    report.check("the guest gets an address", status == 0, out)
    folder = f"{host.dir}/www"
    os.makedirs(folder)
    with open(folder + "/file", "wb") as f:
        f.write(FILL)
    subprocess.Popen(["/usr/bin/python3", "-m", "http.server", "8000", "-b",
                      "127.0.0.1", "-d", folder], stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)
    wait_for("the web server", lambda: socket.socket().connect_ex(
        ("127.0.0.1", 8000)) == 0)
    report.equal("it fetches a file from the host", fetch(), SUM)
    guest.run("mkdir /tmp/www; echo hello >/tmp/www/x; httpd -h /tmp/www")
    text = wait_for("a forwarded port", forwarded)
    report.match("a port of the host leads to it", "200 OK.*\nhello\n", text)


def forwarded():
    try:
        with socket.create_connection(("127.0.0.1", 8080), 5) as s:
            s.settimeout(5)
            s.sendall(b"GET /x HTTP/1.0\r\n\r\n")
            text = b""
            while part := s.recv(1000):
                text += part
            return text.decode()
    except OSError:
        return None


def outlives_the_daemon():
    before = passts()
    host.kill()
    host.start()
    host.wait_state("web", "running")
    report.equal("passt outlives the daemon", passts(), before)
    report.equal("and still serves", fetch(), SUM)


def comes_and_goes():
    host.call("nic.add", name="web", live=True, timeout_ms=30000,
              nic={"user": True, "id": "late"})
    report.equal("a second passt", len(passts()), 2)
    host.call("nic.remove", name="web", id="late", force=True)
    wait_for("one less", lambda: len(passts()) == 1)
    try:
        host.call("nic.add", name="web", nic={
            "user": True, "forward": [{"address": "127.0.0.1",
                                       "host_port": 8000}]})
        report.check("a port that is taken is refused", False)
    except RpcError as e:
        report.match("a port that is taken is refused",
                     "passt: Failed to bind .*8000", str(e))
    host.call("nic.add", name="web", live=True, timeout_ms=30000,
              nic={"tap": "tap-late", "id": "late"})
    host.call("nic.remove", name="web", id="late", force=True)
    wait_for("the tap goes", lambda: "tap-late" not in read("/proc/net/dev"))


def reboots():
    guest.send("reboot -f\n")
    guest.ready()
    configure()
    carries("tap-vhost", HOST_IP)
    carries("tap-own", OWN_IP)


def failures():
    rpc = host.rpc()
    rpc.call("event.subscribe", since=0)
    events = [e for e in rpc.call("event.subscribe", since=0)["events"]
              if e["kind"] == "nic-failed"]
    rpc.close()
    return [e["detail"] for e in events]


def vanishing():
    pid = host.vm("web")["pid"]
    guest.run("ip link set eth2 up")
    report.equal("nothing failed so far", failures(), [])
    for n, (tap, nic) in enumerate((("tap-own", 1), ("tap-vhost", 0))):
        os.system(f"ip link del {tap}")
        detail = wait_for("the event", lambda: failures()[n:])[0]
        report.match(f"{tap} vanished: an event", f'nic "nic{nic}": .*gone',
                     detail)
        if nic == 1:
            vm = host.wait_state("web", "paused")
            report.equal("and a pause, by policy, with the reason",
                         vm["reason"], detail)
            host.call("vm.resume", name="web")
        report.equal(f"{tap} vanished: it runs", host.vm("web")["state"],
                     "running")
        wait_for("no carrier", lambda: carrier(nic) == "0")
        guest.run(f"ping -c 2 -W 1 192.168.8{nic}.1", 30)
    os.kill(passts()[0], 9)
    detail = wait_for("the event", lambda: failures()[2:])[0]
    report.match("passt was killed: an event", 'nic "nic2": .*gone', detail)
    wait_for("no carrier", lambda: carrier(2) == "0")
    ticks = cpu(pid)
    guest.run("sleep 2")
    report.check("nothing spins", cpu(pid) - ticks < 40,
                 f"{cpu(pid) - ticks} ticks in 2 s")
    for nic in ("nic0", "nic1", "nic2"):
        host.call("nic.remove", name="web", id=nic, force=True)
    report.equal("all can be removed", host.call("nic.list", name="web"),
                 {"nics": []})
    report.equal("the VM went on", (host.vm("web")["state"],
                                    host.vm("web")["pid"]), ("running", pid))


def cpu(pid):
    """Ticks of its first thread, which moves frames."""
    fields = read(f"/proc/{pid}/task/{pid}/stat").rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def refusals():
    host.call("vm.stop", name="web")
    os.system("ip link add br-small type bridge; ip link set br-small up; "
              "ip tuntap add dev tap-one mode tap")
    for nic, words in (
            ({"bridge": "br-small", "mtu": 9000},
             "mtu is 9000, but br-small carries 1500"),
            ({"tap": "tap-one", "queues": 2}, "tap-one has one queue"),
            ({"tap": "tap-one", "mtu": 9000}, "tap-one carries 1500")):
        host.call("vm.define", config={
            "name": "odd", "memory": "128MiB", "nics": [nic],
            "kernel": f"{GUEST}/vmlinuz"})
        try:
            host.call("vm.start", name="odd")
            report.check(words, False)
        except RpcError as e:
            report.match(words, words, str(e))
        host.call("vm.delete", name="odd")


guarded(starts, guest_sees, data_passes, what_a_frame_costs, several_queues,
        links, user_mode, outlives_the_daemon, comes_and_goes, reboots,
        vanishing, refusals)
report.end()
