#!/usr/bin/python3
"""Runs the programs of ./dev bench, keeps their figures in build/bench, and writes docs/benchmarks.md."""

import argparse
import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import compare  # noqa: E402
from programs import OUT, ROOT, Failure, chosen, commit, ended_badly, note, programs, run  # noqa: E402
from report import failures, machine, render  # noqa: E402

PAGE = ROOT / "docs/benchmarks.md"


def measure(names, known):
    results = []
    for name, path in chosen(names, known).items():
        result = {**run(name, path), "machine": machine(), "commit": commit()}
        kept = OUT / "results" / f"{name}.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(result, indent=1) + "\n")
        results.append(result)
    return results


def write_report(known):
    """Of all that was ever measured in this clone on this machine; the page only when nothing is missing."""
    here = machine()
    kept = {path.stem: json.loads(path.read_text()) for path in (OUT / "results").glob("*.json")}
    results = [kept[name] for name in known if name in kept and kept[name]["machine"] == here]
    missing = [name for name in known if name not in kept or kept[name]["machine"] != here]
    text = render(results, missing)
    (OUT / "report.md").write_text(text)
    if missing:
        note("build/bench/report.md is written; docs/benchmarks.md only when there are figures, too, of "
             + ", ".join(missing))
    else:
        PAGE.write_text(text)
        note("docs/benchmarks.md is written")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--compare", metavar="REF", help="what got worse since that commit")
    parser.add_argument("--rounds", type=int, default=3, help="of each program, with --compare (3)")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="only these")
    options = parser.parse_args()
    known = programs()
    try:
        if options.compare is not None:
            return compare.compare(options.compare, list(chosen(options.programs, known)) if options.programs else None,
                                   known, options.rounds)
        results = measure(options.programs, known)
        write_report(known)
        for result in results:
            note(f"{result['program']}: {len(result['figures'])} figures in {result['seconds']:.0f} s")
        for wrong in failures(results):
            note(f"missed: {wrong}")
        return 1 if any(map(ended_badly, results)) else 0
    except Failure as failure:
        note(str(failure))
        return 2


if __name__ == "__main__":
    sys.exit(main())
