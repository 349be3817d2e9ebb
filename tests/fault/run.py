#!/usr/bin/python3
"""Faults on real processes; ./dev fault calls this. Every round, scenario and power cut runs in namespaces of its own
(unshare), so nothing that it makes can stay behind."""

import argparse
import concurrent.futures
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True

from lab.room import enter  # noqa: E402

KEEP = Path(os.environ.get("MUSTER_FAULT_RECORDS", "build/fault")).absolute()
ROUND_TIMEOUT_S = 180


def run_in_room(*words, timeout=ROUND_TIMEOUT_S):
    """This script again, in a room; its last line is the result."""
    with tempfile.NamedTemporaryFile("r", prefix="mst-fault-") as answer:
        argv = enter([sys.executable, __file__, "--answer", answer.name, "--in-room", *words])
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            said, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            said = f"did not end within {timeout} s"
        text = answer.read()
    return json.loads(text) if text else {"problems": [f"ended without a result: {said[-2000:]}"]}


def in_room(words):
    from lab import negative, power_cuts, rounds, scenarios
    kind, *rest = words
    if kind == "round":
        return rounds.random_round(int(rest[0]), KEEP)
    if kind == "scenario":
        return scenarios.run(rest[0], int(rest[1]), KEEP)
    if kind == "power-cuts":
        return power_cuts.run(rest[0], int(rest[1]), int(rest[2]))
    if kind == "outage":
        return scenarios.run_long_outage(int(rest[0]), int(rest[1]), KEEP)
    return negative.run(rest[0], int(rest[1]))


class Totals:
    def __init__(self):
        self.rounds = self.faults = self.records = self.lines = self.lines_in_gaps = self.lost = self.duplicated = self.reported = self.real = self.failed = 0

    def add(self, result):
        self.rounds += 1
        self.faults += result.get("faults", 0)
        self.records += result.get("records", 0)
        self.lines += result.get("lines", 0)
        self.lines_in_gaps += result.get("lines_in_gaps", 0)
        self.lost += result.get("lost", 0)
        self.duplicated += result.get("duplicated", 0)
        self.reported += result.get("gaps_reported", 0)
        self.real += result.get("gaps_real", 0)
        self.failed += bool(result["problems"])

    def line(self):
        equal = "=" if self.reported == self.real else "!="
        return (f"{self.rounds} rounds, {self.faults} faults injected, {self.records} records, {self.lines} log lines ({self.lines_in_gaps} "
                f"counted in gaps), lost {self.lost}, duplicated {self.duplicated}, gaps reported {self.reported} {equal} gaps real {self.real}")


def show(title, result):
    verdict = "FAILED" if result["problems"] else "ok"
    converged = result.get("converged_s")
    live = f", live again after {converged:.1f} s" if converged is not None else ""
    print(f"{title}: {verdict}: {result.get('faults', 0)} faults, {result.get('records', 0)} records, "
          f"{result.get('lines', 0)} lines, lost {result.get('lost', 0)}, duplicated {result.get('duplicated', 0)}, gaps "
          f"{result.get('gaps_reported', 0)}/{result.get('gaps_real', 0)}{live}", flush=True)
    if result["problems"] and result.get("names"):
        print(f"    faults: {', '.join(result['names'])}", flush=True)
    for problem in result["problems"]:
        print(f"    {problem}", flush=True)
    if result["problems"] and result.get("kept"):
        print(f"    logs and oracles: {result['kept']}", flush=True)


def run_all(jobs, titles_and_words):
    """Results as they come, each shown."""
    totals = Totals()
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(run_in_room, *words): title for title, words in titles_and_words}
        for done in concurrent.futures.as_completed(waiting):
            show(waiting[done], done.result())
            totals.add(done.result())
    return totals


def run_rounds(options):
    seeds = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    drawn = [options.seed] if options.only_this_seed else [seeds.randrange(1, 1 << 31) for _ in range(options.rounds)]
    totals = run_all(options.jobs, [(f"round {number} (seed {seed})", ["round", str(seed)])
                                    for number, seed in enumerate(drawn, 1)])
    print(totals.line(), flush=True)
    return totals.failed == 0 and totals.rounds > 0


def run_scenarios(options, names):
    print(f"seed {options.seed}", flush=True)
    totals = run_all(options.jobs, [(name, ["scenario", name, str(options.seed)]) for name in names])
    print(f"{totals.rounds - totals.failed} of {totals.rounds} scenarios passed; {totals.line()}", flush=True)
    return totals.failed == 0


def run_outage(options):
    result = run_in_room("outage", str(options.outage), str(options.seed), timeout=options.outage + ROUND_TIMEOUT_S)
    show(f"outage of {options.outage} s", result)
    return not result["problems"]


def run_power_cuts(options):
    """Both sides; each must lose nothing that it acknowledged."""
    good = True
    for side in ("agent", "hub"):
        began = time.monotonic()
        result = run_in_room("power-cuts", side, str(options.power_cuts), str(options.seed), timeout=options.power_cuts + 120)
        cuts = result.get("cuts", 0)
        print(f"{side}: {cuts} power cuts ({cuts / (time.monotonic() - began):.1f}/s), {result.get('acked', 0)} acked records, "
              f"lost {result.get('lost', '?')}, damaged {result.get('damaged', '?')}", flush=True)
        for problem in result["problems"]:
            print(f"    {problem}", flush=True)
        good = good and not result["problems"]
    return good


def run_negative_controls(options):
    """Each build has one thing missing, and the same checks must say so."""
    from lab import negative
    good = True
    for name in negative.CONTROLS:
        result = run_in_room("negative", name, str(options.seed))
        caught = result.get("caught", False)
        print(f"{name}: {'caught' if caught else 'NOT CAUGHT'}: {'; '.join(result['problems'])[:300]}", flush=True)
        good = good and caught
    return good


def main():
    parser = argparse.ArgumentParser(prog="./dev fault")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1 << 31))
    parser.add_argument("--only-this-seed", action="store_true", help="one round with exactly this seed, as a round's line names it")
    parser.add_argument("--jobs", type=int, default=2, help="rounds at the same time")
    parser.add_argument("--scenario")
    parser.add_argument("--scenarios", action="store_true")
    parser.add_argument("--power-cuts", type=int)
    parser.add_argument("--outage", type=int, help="the hub is away for so many seconds")
    parser.add_argument("--negative-controls", action="store_true")
    parser.add_argument("--answer", help=argparse.SUPPRESS)
    parser.add_argument("--in-room", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_room:
        result = in_room(options.in_room)
        Path(options.answer).write_text(json.dumps(result))
        return 0
    if os.geteuid() != 0:
        sys.exit("faults need root: network namespaces, mounts, loop devices")
    if options.scenarios or options.scenario:
        from lab import scenarios
        good = run_scenarios(options, [options.scenario] if options.scenario else list(scenarios.ALL))
    elif options.outage:
        good = run_outage(options)
    elif options.power_cuts:
        good = run_power_cuts(options)
    elif options.negative_controls:
        good = run_negative_controls(options)
    else:
        good = run_rounds(options)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
