"""libvirt, measured beside armvmd: Debian's libvirtd with the QEMU driver, in a
mount namespace and directories of its own, so that nothing of the machine's
libvirt is touched. Only definitions: no guest is started.

Needs root, libvirt-daemon, libvirt-clients, python3-libvirt and a
qemu-system-aarch64; start() says what is missing.
"""
import os
import shutil
import subprocess
import tempfile
import threading
import time

ROOT = ("etc/libvirt", "var/lib/libvirt", "var/cache/libvirt",
        "var/log/libvirt", "run/libvirt")
ENTER = """
d=$1; shift
for x in %s; do mkdir -p "/$x"; mount --bind "$d/$x" "/$x"; done
mount --bind "$d/passwd" /etc/passwd; mount --bind "$d/group" /etc/group
exec "$@"
""" % " ".join(ROOT)
XML = ("<domain type='qemu'><name>{}</name><memory unit='MiB'>256</memory>"
       "<vcpu>1</vcpu><os><type arch='aarch64' machine='virt'>hvm</type></os>"
       "<devices><interface type='bridge'><source bridge='br0'/></interface>"
       "</devices></domain>")


class Missing(Exception):
    pass


def _append(source, target, line):
    with open(source, encoding="utf-8") as f, \
            open(target, "w", encoding="utf-8") as out:
        out.write(f.read() + line + "\n")


class Libvirt:
    def __init__(self):
        self.proc, self.dir = None, None

    def start(self):
        """The daemon, in new directories; Missing says why not."""
        if os.geteuid() != 0:
            raise Missing("needs root")
        for program in ("libvirtd", "virsh", "unshare", "qemu-system-aarch64"):
            if not shutil.which(program):
                raise Missing(f"{program} is not here")
        try:
            import libvirt  # pylint: disable=import-outside-toplevel
        except ImportError as e:
            raise Missing("python3-libvirt is not here") from e
        self.api = libvirt
        libvirt.registerErrorHandler(lambda *_: None, None)
        self.dir = tempfile.mkdtemp(prefix="armvm-peer-")
        for part in ROOT:
            os.makedirs(f"{self.dir}/root/{part}")
        with open(f"{self.dir}/root/etc/libvirt/qemu.conf", "w",
                  encoding="utf-8") as f:
            f.write('user = "root"\ngroup = "root"\n'
                    'security_driver = "none"\n')
        _append("/etc/passwd", f"{self.dir}/root/passwd",
                "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin")
        _append("/etc/group", f"{self.dir}/root/group",
                "libvirt-qemu:x:64055:\nkvm:x:64056:")
        with open(f"{self.dir}/conf", "w", encoding="utf-8") as f:
            f.write(f'auth_unix_rw = "none"\nunix_sock_dir = "{self.dir}"\n'
                    "max_clients = 5000\nmax_anonymous_clients = 5000\n"
                    f'log_outputs = "4:file:{self.dir}/log"\n')
        self.uri = ("qemu+unix:///system?socket=" + self.dir +
                    "/libvirt-sock")
        self.launch()
        return self

    def launch(self):
        """Start or restart: milliseconds until a VM's question is answered
        (the first start also asks QEMU what it can, which is kept)."""
        began = time.perf_counter()
        self.proc = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", ENTER,
             "sh", f"{self.dir}/root", "libvirtd", "-f", f"{self.dir}/conf"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        while True:
            try:
                c = self.connect()
                try:
                    c.lookupByName("p0")
                except self.api.libvirtError as e:
                    if e.get_error_code() != self.api.VIR_ERR_NO_DOMAIN:
                        raise
                c.close()
                return (time.perf_counter() - began) * 1000
            except self.api.libvirtError:
                if self.proc.poll() is not None or \
                        time.perf_counter() - began > 120:
                    raise Missing("libvirtd does not start") from None
                time.sleep(0.002)

    def connect(self):
        return self.api.open(self.uri)

    def stop(self):
        if self.proc:
            self.proc.terminate()
            self.proc.wait(60)
            self.proc = None

    def remove(self):
        self.stop()
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    def define(self, names):
        """Milliseconds of each, one after the other."""
        c, took = self.connect(), []
        for name in names:
            began = time.perf_counter()
            c.defineXML(XML.format(name))
            took.append((time.perf_counter() - began) * 1000)
        c.close()
        return took

    def define_many(self, lists):
        """A client for each list: definitions a second."""
        links = [self.connect() for _ in lists]
        go = threading.Barrier(len(lists) + 1)

        def work(link, names):
            go.wait()
            for name in names:
                link.defineXML(XML.format(name))
        threads = [threading.Thread(target=work, args=pair)
                   for pair in zip(links, lists)]
        for t in threads:
            t.start()
        go.wait()
        began = time.perf_counter()
        for t in threads:
            t.join()
        took = time.perf_counter() - began
        for link in links:
            link.close()
        return sum(map(len, lists)) / took

    def gets(self, names):
        c, took = self.connect(), []
        for name in names:
            began = time.perf_counter()
            c.lookupByName(name).XMLDesc()
            took.append((time.perf_counter() - began) * 1000)
        c.close()
        return took

    def virsh_list(self):
        began = time.perf_counter()
        out = subprocess.run(["virsh", "-c", self.uri, "list", "--all"],
                             stdout=subprocess.PIPE, check=True).stdout
        return (time.perf_counter() - began) * 1000, out.count(b"\n") - 3

    def memory_kib(self):
        with open(f"/proc/{self.proc.pid}/status", encoding="ascii") as f:
            return int([l for l in f if l.startswith("RssAnon")][0].split()[1])
