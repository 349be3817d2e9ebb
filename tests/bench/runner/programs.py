"""The programs of ./dev bench: which there are, and one run of one of them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OUT = ROOT / "build/bench"


class Failure(Exception):
    """What a person has to be told; no defect of the runner."""


def programs(root=ROOT):
    """name -> path: what can be executed in tests/bench, and the binaries that end with _bench."""
    found = [path for path in sorted((root / "build/release/bin").glob("*_bench")) if path.is_file()]
    found += [path for path in sorted((root / "tests/bench").glob("*.py")) if os.access(path, os.X_OK)]
    return {path.stem: path for path in found}


def chosen(names, known):
    """Those that are named, with or without .py or a folder; all when none is."""
    names = [Path(name).stem for name in names]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Failure(f"unknown: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return {name: known[name] for name in names} if names else known


def read_figures(path):
    """(figures, why the program was left out or None) of what a program wrote down."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    why = next((line["left_out"] for line in lines if "left_out" in line), None)
    return [line for line in lines if "left_out" not in line], why


def run(name, path, out=OUT):
    """Runs it with its output for all to see. Raises Failure when it has no figures to tell of."""
    told = out / "figures" / f"{name}.jsonl"
    told.parent.mkdir(parents=True, exist_ok=True)
    told.unlink(missing_ok=True)
    print(f"muster: {name}", flush=True)
    begin = time.monotonic()
    code = subprocess.run([path], env={**os.environ, "MUSTER_FIGURES": str(told)}, check=False).returncode
    figures, why = read_figures(told)
    broken = code not in (0, 1) or (code == 1 and all(figure.get("ok", True) for figure in figures))
    return {"program": name, "seconds": time.monotonic() - begin, "figures": figures, "left_out": why,
            "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "failed": f"ended with {code}" if broken else "" if figures or why else "told no figure"}


def ended_badly(result):
    return bool(result["failed"]) or any(not figure.get("ok", True) for figure in result["figures"])


def git(*words, root=ROOT):
    done = subprocess.run(["git", "-C", root, *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"git {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout.strip()


def commit():
    """Of what is measured. The report itself is no change of it."""
    changes = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
    return git("rev-parse", "--short=10", "HEAD") + (" + changes" if changes else "")


def note(text):
    print(f"muster: {text}", file=sys.stderr, flush=True)
