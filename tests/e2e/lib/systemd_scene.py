"""What the tests of armvmd as a service of systemd share: units, and calls of
the daemon that systemd runs."""
import grp
import json
import os
import shutil
import subprocess

from armvm import BIN, ROOT, Host, Rpc, report

SOCKET = "/run/armvmd/armvmd.sock"


def run(*command):
    r = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                       stderr=subprocess.STDOUT, check=False)
    return r.returncode, r.stdout


def show(unit, *names):
    out = run("systemctl", "show", unit, *[f"-p{n}" for n in names])[1]
    values = dict(line.split("=", 1) for line in out.strip().splitlines())
    return tuple(values.get(n, "") for n in names)


class Service(Host):
    """That daemon; it is systemd's to end."""

    def __init__(self):  # pylint: disable=super-init-not-called
        self.socket = SOCKET


def scope_of(pid):
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as f:
        return f.read().strip().split("::", 1)[1]


def install():
    """As `make install` does, by hand: there is no make in here."""
    programs = [("armvmd", "sbin"), ("armvmctl", "bin"),
                ("armvm-supervisor", "libexec/armvmd")]
    if os.path.exists(f"{BIN}/armvm-supervisor-xen"):
        programs += [("armvm-supervisor-xen", "libexec/armvmd")]
    for program, where in programs:
        os.makedirs(f"/usr/local/{where}", exist_ok=True)
        shutil.copy(f"{BIN}/{program}", f"/usr/local/{where}/{program}")
    for name in os.listdir(ROOT + "/units"):
        if name.endswith((".service", ".socket", ".slice")):
            shutil.copy(f"{ROOT}/units/{name}", "/run/systemd/system/")
    for name, where in (("conf", "dbus-1/system.d"),
                        ("service", "dbus-1/system-services"),
                        ("policy", "polkit-1/actions")):
        os.makedirs(f"/usr/share/{where}", exist_ok=True)
        shutil.copy(f"{ROOT}/units/org.armvmd1.{name}", f"/usr/share/{where}")
    for kind, command in (("sysusers", "systemd-sysusers"),
                          ("tmpfiles", "systemd-tmpfiles")):
        options = ["--create"] if kind == "tmpfiles" else []
        status, out = run(command, *options, f"{ROOT}/units/armvmd.{kind}")
        report.check(f"{kind} are taken", status == 0, out)
    report.check("the groups are there", all(
        grp.getgrnam("armvm-" + r)
        for r in ("viewer", "operator", "admin")))
    status, out = run("systemd-analyze", "verify", "--man=no", *[
        f"/run/systemd/system/{u}" for u in (
            "armvmd.service", "armvmd.socket", "armvm.slice",
            "armvm@x.service")])
    report.check("systemd finds no fault in the units", "armvm" not in out, out)
    run("systemctl", "daemon-reload")
    # Its groups are new to the bus, and so are its policy and its service.
    report.equal("the bus takes its policy", run(
        "busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
        "org.freedesktop.DBus", "ReloadConfig"), (0, ""))


def restart():
    """However often: systemd gives up on what starts too quickly."""
    run("systemctl", "reset-failed", "armvmd")
    return run("systemctl", "restart", "armvmd")


def call(method, **params):
    rpc = Rpc(SOCKET)
    try:
        return rpc.call(method, **params)
    finally:
        rpc.close()


def vm(name):
    return call("vm.get", name=name)


def readme_lines(title):
    with open(ROOT + "/README.md", encoding="utf-8") as f:
        section = f.read().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    return [line[6:] for line in section.splitlines()
            if line.startswith("    $ ")]


def run_readme(title, endless=None, least=8):
    """The lines of a section of README as they are printed; those without an
    end are ended. What each printed."""
    lines = readme_lines(title)
    report.check(f"README has lines under {title}", len(lines) >= least, lines)
    script = "shopt -s expand_aliases\nset -e\n"
    for line in lines:
        script += "echo '=+='\n"
        if endless and endless in line:
            script += (line.split("  #")[0] +
                       " &\nsleep 3; kill $!; wait $! || true\n")
        else:
            script += line + "\n"
    status, out = run("bash", "-c", script)
    report.check(f"each line of README under {title} runs", status == 0, out)
    return list(zip(lines, out.split("=+=\n")[1:]))


def shows(outputs, *wanted):
    for what, pattern in wanted:
        said = [out for line, out in outputs if what in line]
        report.match(f"README: {what}", pattern,
                     said[0] if said else "no such line")
