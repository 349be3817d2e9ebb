#!/usr/bin/python3
"""Instructions of what is done for every heartbeat, record and scrape (tests/bench/paths), counted by callgrind: the
same on a busy machine, so that a regression shows. Called by ./dev bench."""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from figures import exit_code, figure, left_out  # noqa: E402

BIN = Path(os.environ.get("MUSTER_BIN_DIR", Path(__file__).resolve().parents[2] / "build/release/bin"))
PROGRAMS = ("hub_paths_bench", "agent_paths_bench")
COUNTED = "muster_counted"


def paths(program):
    """name -> what it is beside, or empty"""
    rows = subprocess.run([BIN / program, "--list"], check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(row.split("\t") for row in rows)


def count(program, path):
    """Instructions of one operation. Addresses are the same in each run: some containers order by them."""
    run = subprocess.run(
        ["setarch", platform.machine(), "--addr-no-randomize", "valgrind", "--tool=callgrind",
         "--callgrind-out-file=/dev/null", "--collect-atstart=no", f"--toggle-collect={COUNTED}", BIN / program,
         "--count", path],
        check=False, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not collected or not int(collected[1]):
        sys.exit(f"{program}, {path}: {run.stderr[-2000:]}")
    return int(collected[1]) / int(run.stdout)


def main():
    if not shutil.which("valgrind"):
        left_out("it needs valgrind")
        return 0
    for program in PROGRAMS:
        beside = paths(program)
        counts = {path: count(program, path) for path in beside}
        for path, other in beside.items():
            if other:
                figure(path, counts[path], "instructions", (other, counts[other]))
    return exit_code()


if __name__ == "__main__":
    sys.exit(main())
