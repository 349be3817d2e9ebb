"""Figures of benchmarks, as common/testing/figures.h tells them: each is printed with its limit, what it was measured
beside, and whether that holds. Where MUSTER_FIGURES names a file it is added there as a line of JSON:

    name          what it is of, the same in each run
    value, unit
    better        "less" or "more"
    at_most, at_least               what the value must be
    beside, beside_value, ratio     the least that can be done, measured in the same run, and the figure's ratio to it
    ratio_at_most, ratio_at_least   what the ratio must be
    ok            only where something must be: whether it is

A program of which the machine has not what it needs writes {"left_out": why} instead.

    from figures import exit_code, figure
    figure("memory above idle", 31.2, "MiB", at_most=40)
    figure("CPU", 0.29, "cores", beside=("muster-echo", 0.19), ratio_at_most=1.5)
    sys.exit(exit_code())
"""

import json
import os

_missed = []


def show(value):
    """Three digits that matter, no exponent. None: a ratio to nothing."""
    return "no number" if value is None else f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def bound_text(found, prefix=""):
    """What must be, of a figure as it is written down; empty when nothing must be."""
    return " and ".join(f"{key.replace('_', ' ')} {found[prefix + key]:.15g}" for key in ("at_least", "at_most")
                        if prefix + key in found)


def to_text(found):
    judged = {True: "ok", False: "MISS", None: ""}[found.get("ok")]
    unit = f" {found['unit']}" if found["unit"] else ""
    text = f"{judged:4} {found['name']}: {show(found['value'])}{unit}"
    if bound_text(found):
        text += f", must be {bound_text(found)}"
    if "ratio" in found:
        text += f"; {show(found['ratio'])} of {found['beside']} ({show(found['beside_value'])}{unit})"
        if bound_text(found, "ratio_"):
            text += f", must be {bound_text(found, 'ratio_')}"
    return text


def make(name, value, unit="", beside=None, more_is_better=False, **bounds):
    """The figure as it is written down."""
    unknown = set(bounds) - {"at_most", "at_least", "ratio_at_most", "ratio_at_least"}
    if unknown or (beside is None and any(key.startswith("ratio_") for key in bounds)):
        raise TypeError(f"{name}: {', '.join(unknown) or 'a ratio to nothing'}")
    found = {"name": name, "value": value, "unit": unit, "better": "less", **bounds}
    if more_is_better or any(key.endswith("at_least") for key in bounds):
        found["better"] = "more"
    if beside is not None:
        found["beside"], found["beside_value"] = beside
        found["ratio"] = value / beside[1] if beside[1] else None
    if bounds:
        found["ok"] = all(_holds(found["ratio" if key.startswith("ratio_") else "value"], key, limit)
                          for key, limit in bounds.items())
    return found


def _holds(value, key, limit):
    return value is not None and (value <= limit if key.endswith("at_most") else value >= limit)


def _write(line):
    if os.environ.get("MUSTER_FIGURES"):
        with open(os.environ["MUSTER_FIGURES"], "a") as out:
            out.write(json.dumps(line) + "\n")


def figure(name, value, unit="", beside=None, more_is_better=False, **bounds):
    """Prints it, and writes it down. `beside` is what it is measured beside, and that one's value. False: it misses
    what it must be."""
    found = make(name, value, unit, beside, more_is_better, **bounds)
    print(to_text(found), flush=True)
    _write(found)
    if not found.get("ok", True):
        _missed.append(found)
    return found.get("ok", True)


def left_out(why):
    print(f"left out: {why}", flush=True)
    _write({"left_out": why})


def exit_code():
    """Of the program: 1 when a figure was missed."""
    return 1 if _missed else 0
