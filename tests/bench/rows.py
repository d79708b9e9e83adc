"""What a benchmark's figures are held against, as a table and as JSON."""
import json
import statistics


def met(target, ours, peer):
    """True, False, or None where nothing is to be reached."""
    if not target or ours is None or (peer is None and target[0] != "="):
        return None
    value = ours if target[0] == "=" else ours / peer if peer else None
    words = bound(target).split()
    limit = float(words[1])
    return {"<=": value <= limit, ">=": value >= limit,
            "==": abs(value - limit) < 0.005}[words[0]]


def judge(name, row, figures):
    """`row` is (what, unit, target), `figures` those of each machine."""
    what, unit, target = row
    have = {m: statistics.median(v) for m, v in figures.items()}
    ours, peer = have.get("ours"), have.get("peer")
    return {"id": name, "what": what, "unit": unit, "ours": ours,
            "peer": peer, "peer_default": have.get("peer, default"),
            "ratio": ours / peer if ours is not None and peer else None,
            "target": target or None, "met": met(target, ours, peer)}


def text(number):
    return "-" if number is None else f"{number:.4g}"


def bound(target):
    return target[2:] if target[:2] == "= " else target


def show(rows):
    print(f"{'':42} {'':6} {'ours':>9} {'peer':>9} {'default':>9} "
          f"{'ratio':>7}  target")
    for r in rows:
        print(f"{r['what']:42} {r['unit']:6} {text(r['ours']):>9} "
              f"{text(r['peer']):>9} {text(r['peer_default']):>9} "
              f"{text(r['ratio']):>7}  {bound(r['target'] or ''):8} "
              + {True: "met", False: "NOT MET", None: ""}[r["met"]])


def finish(rows, path, missing):
    """The table, the JSON, and the exit status."""
    with open(path, "w", encoding="utf-8") as f:
        json.dump(rows, f, indent=1)
    show(rows)
    if missing:
        print("# not measured: " + ", ".join(missing))
    return 1 if missing else 0
