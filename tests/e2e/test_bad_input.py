#!/usr/bin/python3
"""Every field of a definition, as the API describes it, with what it does not
take: the error names the field, the value and what is accepted."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))
from armvm import Host, RpcError, guarded, report               # noqa: E402
from http_client import Http                                    # noqa: E402

check, equal, match = report.check, report.equal, report.match
host = Host("armvm-bad-")
# What an element must have for its other fields to be looked at.
NEEDED = {"disks": {"path": "/x.raw"}, "nics": {"bridge": "br0"},
          "forward": {"host_port": 80},
          "filesystems": {"tag": "t", "path": "/"}, "vsock": {"cid": 5}}
BAD = {"string": (7, True, ["x"], {"x": 1}, "y" * 5000),
       "enum": ("zzz", "", 7, None),
       "integer": (-1, 1.5, 1 << 63, "x", True, [1]),
       "boolean": (7, "yes", [True]),
       "array": (7, "x", {"x": 1}),
       "object": (7, "x", ["x"])}


def fields(schema, path=()):
    """(path, kind) of all; 0 in a path is the first element of a list."""
    for name, p in schema.get("properties", {}).items():
        here = path + (name,)
        kind = "enum" if "enum" in p else p.get("type")
        if isinstance(kind, list):  # a number or words: a size, a cid
            kind = "words"
        yield here, kind
        if kind == "object":
            yield from fields(p, here)
        elif kind == "array":
            yield from fields(p["items"], here + (0,))


def shown(path):
    return "".join(f"[{k}]" if k == 0 else "." + k for k in path)[1:]


def definition(path, value):
    config = {"name": "bad", "hypervisor": "null", "memory": "128M"}
    at = config
    for key, following in zip(path, path[1:]):
        if key == 0:
            continue
        inner = dict(NEEDED.get(key, {}))
        if key == "nics" and "forward" in path:
            inner = {"user": True}
        at[key] = [inner] if following == 0 else inner
        at = inner
    at[path[-1]] = value
    return config


def refusal(config):
    try:
        host.call("vm.define", config=config)
        host.call("vm.delete", name="bad")
        return None, "it was accepted"
    except RpcError as e:
        return e.code, str(e)


def test_fields():
    api = Http(host.runtime + "/http.sock").ask("GET", "/openapi.json").json()
    schema = api["paths"]["/v1/vms"]["post"]["requestBody"]["content"][
        "application/json"]["schema"]
    known = list(fields(schema))
    check("the API describes its fields", len(known) >= 60, len(known))
    for path, kind in known:
        name = shown(path)
        values = BAD.get(kind, BAD["integer"][:2] + ("12Q", [1]))
        wrong = []
        for value in values:
            # An empty choice is none; only that which must be there is missed.
            if kind == "enum" and value is None:
                continue
            code, text = refusal(definition(path, value))
            told = json.dumps(value)[:30] if isinstance(value, str) else \
                str(value).lower()
            if code != "invalid" or not text.startswith(name) or (
                    isinstance(value, (str, int)) and told[:20] not in text):
                wrong.append(f"{value!r:.40}: {code}: {text}")
        check(f"{name}: refused with field, value and what is accepted",
              not wrong, "\n".join(wrong))


def test_unknown():
    for path in ((), ("features",), ("disks", 0), ("nics", 0),
                 ("nics", 0, "forward", 0), ("filesystems", 0), ("vsock",)):
        code, text = refusal(definition(path + ("colour",), "red"))
        name = shown(path + ("colour",))
        check(f"{name}: unknown, and which are known", code == "invalid" and
              text.startswith(f"{name}: unknown field; known are "), text)
    for given, meant in (("vcpu", "vcpus"), ("memroy", "memory"),
                         ("disk", "disks")):
        match(f"{given}: did you mean", f'did you mean "{meant}"',
              refusal(definition((given,), 1))[1])
    for labels, words in (
            ({"a b": "x"}, 'labels: "a b" is not a label.s key: 1 to 128 bytes'),
            ({"a": 7}, "labels.a: 7 is not a string"),
            ({"a": "y" * 200}, 'labels.a: "yyy.* is not a string of at most'),
            ({str(i): "x" for i in range(40)}, "labels: has 40 entries; at "
             "most 32")):
        match(f"labels {str(labels):.20}", "^" + words,
              refusal(definition(("labels",), labels))[1])
    equal("nothing was defined", host.call("vm.list")["vms"], [])


host.start()
guarded(test_fields, test_unknown)
report.end()
