#!/usr/bin/python3
"""What the hub shows of a host beside what Debian's node_exporter shows of the same host at the same moment, while
the machine does this and that. Called by ./dev bench."""

import argparse
import bisect
import http.client
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from figures import exit_code, figure, left_out  # noqa: E402
from harness.agent import Agent  # noqa: E402
from harness.base import Process, alive, free_port, short_dir, until  # noqa: E402
from harness.hub import Hub  # noqa: E402

SIZE_LIMIT_PERCENT, CPU_LIMIT_POINTS = 1, 2
SCRAPE_EVERY_S = 0.5
SAMPLES = 3  # two intervals of 30 s lie between them
UNUSED, COUNTED = ("idle", "iowait", "steal"), ("user", "nice", "system", "irq", "softirq")
EXPORTER = "prometheus-node-exporter"


def families(page):
    """name -> {labels: value}"""
    found = {}
    for line in page.splitlines():
        match = re.fullmatch(r"([a-zA-Z_:]\w*)(?:\{(.*)\})? (\S+)(?: \d+)?", line)
        if match:
            labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")))
            found.setdefault(match[1], {})[labels] = float(match[3])
    return found


def by_mount(series):
    """(device, mount point) -> value"""
    return {(dict(labels)["device"], dict(labels)["mountpoint"]): value for labels, value in (series or {}).items()}


class Exporter:
    """node_exporter, asked all the time."""

    def __init__(self, folder):
        self.port = free_port()
        Process(EXPORTER, [EXPORTER, f"--web.listen-address=127.0.0.1:{self.port}", "--collector.disable-defaults",
                           "--collector.cpu", "--collector.meminfo", "--collector.filesystem"], folder / "exporter.log")
        until(f"{EXPORTER} answers", self._answers, 10)
        self._times, self._pages = [], []
        threading.Thread(target=self._loop, daemon=True).start()

    def _answers(self):
        try:
            return self._scrape()
        except OSError:
            return None

    def _scrape(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
        connection.close()
        return page

    def _loop(self):
        while True:
            begin = time.time()
            page = families(self._scrape())
            self._pages.append(page)
            self._times.append((begin + time.time()) / 2)
            time.sleep(SCRAPE_EVERY_S)

    def at(self, moment):
        """The page that was made nearest to a moment."""
        until("there is a page behind the moment", lambda: self._times and self._times[-1] >= moment, 5)
        after = bisect.bisect_left(self._times, moment)
        return self._pages[min((after - 1, after), key=lambda i: abs(self._times[max(i, 0)] - moment))]

    def _cpu_at(self, moment):
        """(unused, all) seconds of all CPUs, between two pages by time."""
        until("there is a page behind the moment", lambda: self._times and self._times[-1] >= moment, 5)
        after = max(1, bisect.bisect_left(self._times, moment))
        share = (moment - self._times[after - 1]) / (self._times[after] - self._times[after - 1])
        sums = []
        for page in self._pages[after - 1:after + 1]:
            modes = [(dict(labels)["mode"], value) for labels, value in page["node_cpu_seconds_total"].items()]
            unused = sum(value for mode, value in modes if mode in UNUSED)
            sums.append((unused, unused + sum(value for mode, value in modes if mode in COUNTED)))
        return tuple(a + (b - a) * share for a, b in zip(*sums))

    def cpu_usage(self, begin, end):
        (unused, every), (unused_later, every_later) = self._cpu_at(begin), self._cpu_at(end)
        return 1 - (unused_later - unused) / (every_later - every)


class Load:
    """One busy process whose share of a CPU changes all the time."""

    PROGRAM = """
import random, sys, time
choices = random.Random(int(sys.argv[1]))
while True:
    share, end = choices.random(), time.monotonic() + choices.uniform(1, 6)
    while time.monotonic() < end:
        busy = time.monotonic() + share / 50
        while time.monotonic() < busy:
            pass
        time.sleep((1 - share) / 50)
"""

    def __init__(self, seed, folder):
        self.process = Process("load", [sys.executable, "-c", self.PROGRAM, seed], folder / f"load-{seed}.log")


def sample_time(hub):
    told = hub.api("GetHostMetrics", target="box").get("metrics", {})
    if "cpu_usage_ratio" not in told:
        return None
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", told["time"]).replace("Z", "+00:00")).timestamp()


def next_sample(hub, last):
    """The hub's page with a sample that is not `last`, and when that was taken by the host's clock."""
    def newer():
        at = sample_time(hub)
        return at if at and at > (last or 0) + 1 else None

    found = until("a new sample", newer, 45, every=0.2)
    status, page = hub.metrics()
    assert status == 200, page
    return found, families(page)


class Sizes:
    """Every size beside the exporter's, and how far apart the furthest are."""

    def __init__(self):
        self.furthest = 0.0
        self.unknown = 0
        print(f"{'value':52} {'hub':>18} {'node_exporter':>18} {'apart':>9}")

    def size(self, name, ours, theirs):
        apart = abs(ours - theirs) / max(theirs, 1)
        self.furthest = max(self.furthest, apart)
        print(f"{name:52} {ours:18.0f} {theirs:18.0f} {apart * 100:8.3f}%")

    def misses(self, what):
        self.unknown += 1
        print(what)


def compare_sizes(sizes_beside, ours, theirs):
    def one(name):
        return next(iter(ours[name].values()))

    total, available = (next(iter(theirs[f"node_memory_{name}_bytes"].values())) for name in ("MemTotal", "MemAvailable"))
    sizes_beside.size("memory, total bytes", one("distr_host_memory_total_bytes"), total)
    sizes_beside.size("memory, used bytes", one("distr_host_memory_used_bytes"), total - available)
    sizes, free = (by_mount(theirs[f"node_filesystem_{what}_bytes"]) for what in ("size", "free"))
    our_sizes, our_used = (by_mount(ours.get(f"distr_host_filesystem_{what}_bytes")) for what in ("size", "used"))
    # Every block device must be there, whatever else node_exporter shows of it.
    missing = {device for device, _ in sizes if device.startswith("/dev/")} - {device for device, _ in our_sizes}
    if missing or not our_sizes:
        sizes_beside.misses(f"no sizes of {sorted(missing) or 'any filesystem'}")
    for key in sorted(our_sizes):
        if key not in sizes:
            sizes_beside.misses(f"node_exporter knows no {key}")
            continue
        sizes_beside.size(f"{key[1]} on {key[0]}, bytes", our_sizes[key], sizes[key])
        sizes_beside.size(f"{key[1]} on {key[0]}, used bytes", our_used[key], sizes[key] - free[key])


def measure(folder, seed):
    exporter = Exporter(folder)
    hub = Hub(folder / "h")
    agent = Agent(folder, hub, hub.create_target("box", type="host"), runtime="none")
    hub.wait_connected("box")
    for number in range(2):
        Load(seed + number, folder)
    sizes, at, seconds, used = Sizes(), None, 0.0, 0.0
    begin = None
    for number in range(SAMPLES):
        before = at
        at, page = next_sample(hub, before)
        compare_sizes(sizes, page, exporter.at(at))
        if number:
            usage = next(iter(page["distr_host_cpu_usage_ratio"].values()))
            seconds, used = seconds + at - before, used + usage * (at - before)
        begin = begin or at
    theirs = exporter.cpu_usage(begin, at)
    print(f"CPU usage over {seconds:.0f} s: {used / seconds:.4f}, node_exporter {theirs:.4f}")
    figure("memory and filesystems, furthest from node_exporter", 100 * sizes.furthest, "%",
           at_most=SIZE_LIMIT_PERCENT)
    figure("CPU usage, from node_exporter", 100 * abs(used / seconds - theirs), "points", at_most=CPU_LIMIT_POINTS)
    figure("filesystems that only one of the two knows", sizes.unknown, at_most=0)
    agent.stop()
    hub.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 16))
    options = parser.parse_args()
    if not shutil.which(EXPORTER):
        left_out(f"it needs {EXPORTER}")
        return 0
    print(f"seed {options.seed}, {subprocess.run([EXPORTER, '--version'], capture_output=True, text=True).stdout.splitlines()[0]}")
    folder = short_dir("bench")
    try:
        measure(folder, options.seed)
        return exit_code()
    finally:
        for process in list(alive):
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
