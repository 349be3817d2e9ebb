#!/usr/bin/python3
"""Jobs push while jobs, agent and hub are killed, and 10,000 scrapes watch: all increments add up, and no scrape shows a
torn histogram or a counter that goes back. Called by ./dev bench."""

import argparse
import random
import shutil
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from figures import exit_code, figure  # noqa: E402
from harness.agent import Agent  # noqa: E402
from harness.base import alive, short_dir, until  # noqa: E402
from harness.hub import Hub  # noqa: E402
from harness.job_load import Scraper, run_load  # noqa: E402

WORKERS = 8


def measure(folder, scrapes, increments, seed):
    hub = Hub(folder / "h")
    agent = Agent(folder, hub, hub.create_target("jobs"), runtime="none")
    hub.wait_connected("jobs")
    path = agent.dir / "data/push.sock"
    until("the socket is there", path.exists, 10)
    scraper = Scraper(hub)
    # Long enough for the scrapes: a worker pauses after each 50 pushes.
    kills = run_load(folder, hub, agent, path, WORKERS, increments, pause=0.1, seed=seed, timeout=1800)
    until(f"{scrapes} scrapes", lambda: scraper.scrapes >= scrapes, 1800, every=1)
    scraper.stop()
    print(f"{WORKERS * increments} increments, kills {kills}, scrapes {scraper.scrapes}")
    figure("scrapes that were torn, went back or did not add up", len(scraper.wrong), at_most=0)
    figure("scrapes that saw the jobs", scraper.with_load, more_is_better=True)
    for row in scraper.wrong[:10]:
        print(row)
    agent.stop()
    hub.stop()


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scrapes", type=int, default=10_000)
    options.add_argument("--increments", type=int, default=10_000, help="of each of the eight jobs")
    options.add_argument("--seed", type=int, default=random.randrange(2**32))
    chosen = options.parse_args()
    folder = short_dir("jobs")
    try:
        measure(folder, chosen.scrapes, chosen.increments, chosen.seed)
        return exit_code()
    finally:
        for process in list(alive):
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
