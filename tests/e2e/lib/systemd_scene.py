"""What the tests of armvmd as a service of systemd share: units, and calls of
the daemon that systemd runs."""
import json
import subprocess

from armvm import ROOT, Rpc, report

SOCKET = "/run/armvmd/armvmd.sock"


def run(*command):
    r = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                       stderr=subprocess.STDOUT, check=False)
    return r.returncode, r.stdout


def show(unit, *names):
    out = run("systemctl", "show", unit, *[f"-p{n}" for n in names])[1]
    values = dict(line.split("=", 1) for line in out.strip().splitlines())
    return tuple(values.get(n, "") for n in names)


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
