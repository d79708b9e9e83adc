#!/usr/bin/python3
"""Completion as the shells do it: bash, zsh and fish complete command lines
with the scripts that armvmctl prints."""
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import BIN, ROOT, Host, guarded, report              # noqa: E402
from bootable import make_image                                 # noqa: E402

check, equal = report.check, report.equal
host = Host("armvm-completion-")
ENV = dict(os.environ, ARMVM_SOCKET=host.socket, HOME=host.dir, TERM="dumb",
           XDG_CONFIG_HOME=host.dir, PATH=BIN + ":" + os.environ["PATH"])

# Command lines, and what they can go on with: all of it, in the script's order.
CASES = (
    ("sh", "show shutdown"),
    ("var ", "list kept forget"),
    ("start ", "db web web2"),
    ("var list w", "web web2"),
    ("var list web", "web web2"),
    ("show zz", ""),
    ("create x --d", "--disk --description"),
    ("create --hypervisor n", "null"),
    ("list --output json", "json jsonl"),
    ("list -o t", "table"),
    ("completion ", "bash zsh fish"),
    ("disk remove web ", "root data1"),
    ("disk remove web d", "data1"),
    ("nic remove web ", "nic0"),
    ("create --memory ", ""),
    ("image check " + host.dir + "/disk.r", host.dir + "/disk.raw"),
    ("create web --disk " + host.dir + "/disk.r", host.dir + "/disk.raw"),
    ("--output jsonl sh", "show shutdown"),
    ("help var ", "list kept forget"),
)


def printed(shell):
    status, out, err = host.ctl("completion", shell)
    equal(f"completion {shell}", (status, err), (0, ""))
    with open(f"{ROOT}/cli/armvmctl.{shell}", encoding="utf-8") as f:
        equal(f"cli/armvmctl.{shell} is what it prints", f.read(), out)
    path = f"{host.dir}/armvmctl.{shell}"
    with open(path, "w", encoding="utf-8") as f:
        f.write(out)
    return path


def judge(shell, line, have, want):
    equal(f"{shell}: {line.replace(host.dir, '')}", sorted(have),
          sorted(want.split()))


def test_bash():
    script = printed("bash")
    ask = (f"source {script}; compopt() {{ :; }}; COMP_WORDS=(\"$@\"); "
           "COMP_CWORD=$(($# - 1)); _armvmctl; "
           "printf '%s\\n' \"${COMPREPLY[@]}\"")
    for line, want in CASES + (("list --output = js", "json jsonl"),
                               ("list --output =", "table json jsonl")):
        r = subprocess.run(["bash", "-c", ask, "-", "armvmctl",
                            *line.split(" ")], env=ENV, check=False,
                           stdout=subprocess.PIPE, text=True)
        judge("bash", line, r.stdout.split(), want)


def test_fish():
    if not shutil.which("fish"):
        report.check("fish is installed", False)
        return
    script = printed("fish")
    for line, want in CASES + (("list --output=js", "--output=json "
                                "--output=jsonl"),):
        r = subprocess.run(["fish", "--no-config", "-c", f"source {script}; "
                            f"complete -C 'armvmctl {line}'"], env=ENV,
                           check=False, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        judge("fish", line, [x.split("\t")[0] for x in
                             r.stdout.splitlines()], want)
    r = subprocess.run(["fish", "--no-config", "-c", f"source {script}; "
                        "complete -C 'armvmctl start w'"], env=ENV,
                       check=False, stdout=subprocess.PIPE, text=True)
    equal("fish says of a VM how it is", r.stdout,
          "web\tstopped\nweb2\tstopped\n")


class Zsh:
    """An interactive zsh on a wide terminal: its completion works in no other.
    """

    def __init__(self, script):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe("zsh", ["zsh", "-f", "-i"], ENV)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 100, 250, 0, 0))
        self.type("PS1=; unsetopt prompt_sp beep; unset zle_bracketed_paste; "
                  "LISTMAX=1000; autoload -U compinit; compinit -u -D; "
                  f"source {script}; bindkey '^D' list-choices; "
                  "print -r '@rea''dy@'\n")
        self.wait("@ready@")

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self, until=None, quiet=20):
        """All up to a mark, or until nothing comes for a while."""
        seen = ""
        while until is None or until not in seen:
            if not select.select([self.fd], [], [], quiet)[0]:
                if until is None:
                    break
                raise TimeoutError(f"zsh: {until!r}; seen {seen[-3000:]!r}")
            seen += os.read(self.fd, 65536).decode("utf-8", "replace")
        return seen

    def complete(self, line, patience):
        """The words it lists, so many seconds after it was asked at most."""
        self.type("armvmctl " + line)
        self.wait(quiet=0.1)
        self.type("\x04")
        seen = self.wait(quiet=patience)
        self.type("\x15print -r '@do''ne@'\n")
        self.wait("@done@\r\n")
        words = []
        for row in seen.replace("\r", "").split("\n")[1:]:
            row = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[^ -~]", "", row)
            if row.startswith("armvmctl "):
                break
            words += row.split(" -- ")[0].split()
        return words

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def test_zsh():
    if not shutil.which("zsh"):
        check("zsh is installed", False)
        return
    zsh = Zsh(printed("zsh"))
    for line, want in CASES + (("list --output=js", "--output=json "
                                "--output=jsonl"),):
        # Of files zsh lists what follows the directory.
        want = want.replace(host.dir + "/", "")
        # Nothing tells that no list comes, or no more of it; on a machine that
        # is busy with other things it comes late.
        for patience in (0.5, 3, 15):
            have = zsh.complete(line, patience)
            if sorted(have) == sorted(want.split()):
                break
        judge("zsh", line, have, want)
    zsh.close()


def test_installed():
    target = host.dir + "/root"
    subprocess.run(["make", "-s", "-C", ROOT, "install", "DESTDIR=" + target,
                    "PREFIX=/usr"], check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, MAKEFLAGS=""))
    for path in ("bash-completion/completions/armvmctl",
                 "zsh/site-functions/_armvmctl",
                 "fish/vendor_completions.d/armvmctl.fish"):
        check("installed: " + path, os.path.exists(
            f"{target}/usr/share/{path}"))


make_image(host.dir + "/disk.raw")
make_image(host.dir + "/data.raw")
os.remove(host.dir + "/disk.raw.efi")
host.start()
for name in ("web", "web2", "db"):
    host.call("vm.define", config={
        "name": name, "memory": "128MiB", "hypervisor": "null",
        "disks": [{"path": host.dir + "/disk.raw", "id": "root"},
                  {"path": host.dir + "/data.raw", "id": "data1"}]
        if name == "web" else [],
        "nics": [{"tap": "tap-" + name}] if name == "web" else []})
guarded(test_bash, test_fish, test_zsh, test_installed)
report.end()
