"""Jobs that increment while jobs, agent and hub are killed, and somebody who scrapes all the while: what must add up, and
what no scrape may show."""

import random
import re
import sys
import threading
import time
from pathlib import Path

from .base import Process, until

WORKER = Path(__file__).with_name("job_worker.py")
LINE = re.compile(r'^(\w+)\{(.*)\} (\S+)', re.M)
LABEL = re.compile(r'(\w+)="([^"]*)"')


def samples(page, prefix):
    """{(name, labels as a frozenset of pairs): value} of the page's samples whose name begins with prefix."""
    found = {}
    for name, labels, value in LINE.findall(page):
        if name.startswith(prefix):
            found[name, frozenset(LABEL.findall(labels))] = float(value)
    return found


def value(page, name, **labels):
    """The one sample of that name with these labels, or None."""
    wanted = set(labels.items())
    found = [number for (_, has), number in samples(page, name).items() if _ == name and wanted <= has]
    assert len(found) <= 1, (name, labels, found)
    return found[0] if found else None


class Worker:
    def __init__(self, folder, socket_path, number, count, pause):
        self.argv = [sys.executable, WORKER, socket_path, number, count, pause, folder / f"worker-{number}.done"]
        self.log = folder / f"worker-{number}.log"
        self.name = f"worker {number}"
        self.process = Process(self.name, self.argv, self.log)

    def done(self):
        return not self.process.running() and self.process.popen.returncode == 0

    def kill(self):
        self.process.kill()
        self.process = Process(self.name, self.argv, self.log)


class Scraper:
    """Scrapes until stopped, and judges each page: no torn push, no counter that goes back."""

    def __init__(self, hub):
        self.hub = hub
        self.scrapes = 0
        self.with_load = 0
        self.wrong = []
        self._last = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.is_set():
            try:
                status, page = self.hub.metrics()
            except OSError:  # killed just now
                time.sleep(0.02)
                continue
            if status != 200:
                continue
            self.scrapes += 1
            self._judge(page)

    def _judge(self, page):
        load = samples(page, "load_")
        if not load:
            return
        self.with_load += 1
        buckets = sorted((float(dict(labels)["le"]), number) for (name, labels), number in load.items()
                         if name == "load_seconds_bucket")
        counts = [number for _, number in buckets]
        count = value(page, "load_seconds_count")
        by_worker = sum(number for (name, _), number in load.items() if name == "load_runs_total")
        everything = value(page, "load_all_total")
        if counts != sorted(counts) or counts[-1] != count:
            self.wrong.append(f"torn histogram: {buckets}, count {count}")
        if not count == everything == by_worker:
            self.wrong.append(f"torn push: count {count}, all {everything}, by worker {by_worker}")
        for key, number in load.items():
            if number < self._last.get(key, 0):
                self.wrong.append(f"{key} went from {self._last[key]} back to {number}")
        self._last = load


def run_load(folder, hub, agent, socket_path, workers, count, pause, seed, timeout, calm=False):
    """All workers to their end, with a kill every half second or so, until the hub shows what they counted."""
    chance = random.Random(seed)
    print(f"seed {seed}")
    running = [Worker(folder, socket_path, number, count, pause) for number in range(workers)]
    kills = {"job": 0, "agent": 0, "hub": 0}
    deadline = time.monotonic() + timeout
    while not all(worker.done() for worker in running):
        assert time.monotonic() < deadline, f"jobs did not end: {[worker.log.read_text()[-500:] for worker in running]}"
        time.sleep(chance.uniform(0.1, 0.6))
        victim = chance.choice(["job", "job", "agent", "hub"])
        alive = [worker for worker in running if worker.process.running()]
        if calm or not alive:
            continue
        kills[victim] += 1
        if victim == "job":
            chance.choice(alive).kill()
        elif victim == "agent":
            agent.kill()
            agent.start()
        else:
            hub.kill()
            hub.start()
    total = workers * count

    def shown():
        try:
            return value(hub.metrics()[1], "load_all_total")
        except OSError:
            return None
    until(f"the hub shows {total}", lambda: shown() == total, 60, every=0.2)
    page = hub.metrics()[1]
    for number in range(workers):
        assert value(page, "load_runs_total", worker=str(number)) == count
    assert value(page, "load_seconds_count") == total
    assert value(page, "load_seconds_sum") == workers * sum(number % 7 for number in range(count))
    assert value(page, "load_seconds_bucket", le="+Inf") == total
    return kills
