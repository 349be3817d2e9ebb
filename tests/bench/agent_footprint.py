#!/usr/bin/python3
"""What the agent costs a Docker host with twenty containers that log a little: memory, CPU, wake-ups and the size of its
program, beside Debian's node_exporter, scraped every 15 s, in the same minutes. Called by ./dev bench."""

import argparse
import os
import shutil
import struct
import sys
import threading
import time
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from figures import exit_code, figure, left_out  # noqa: E402
from harness.agent import Agent  # noqa: E402
from harness.base import BIN, Process, alive, free_port, short_dir, until  # noqa: E402
from harness.docker_engine import DockerEngine  # noqa: E402
from harness.hub import Hub  # noqa: E402
from harness.scribe import lines  # noqa: E402

MAX_RESIDENT_MIB, MAX_ANONYMOUS_MIB = 16, 4
MAX_CPU_PERCENT = 0.2
MAX_PROGRAM_BYTES = 16 << 20
CONTAINERS = 20
LINE_EVERY_S = 5
SCRAPE_EVERY_S = 15
LOOK_EVERY_S = 2
# By then every part has done each of its things at least once: samples are taken every 30 s.
WARM_UP_S = 45
EXPORTER = "prometheus-node-exporter"
WRITES = f"""n=0; while :; do n=$((n + 1))
echo "$(date) level=info msg=\\"request served\\" method=GET path=/api/orders/$n status=200 bytes=5120 took=12ms n=$n"
sleep {LINE_EVERY_S}; done"""


def words_of(path):
    return dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)


class Usage:
    """One process over a window: its memory at its most, and what it used from the first look to the last."""

    def __init__(self, pid):
        self._pid = pid
        self.resident_mib = self.anonymous_mib = self.own_mib = 0.0
        self.threads = 0
        self._first = self._last = None

    def look(self):
        status, maps = words_of(Path(f"/proc/{self._pid}/status")), words_of(Path(f"/proc/{self._pid}/smaps_rollup"))
        self.resident_mib = max(self.resident_mib, int(status["VmRSS"].split()[0]) / 1024)
        self.anonymous_mib = max(self.anonymous_mib, int(status["RssAnon"].split()[0]) / 1024)
        self.own_mib = max(self.own_mib, sum(int(maps[f"Private_{kind}"].split()[0]) for kind in ("Clean", "Dirty")) / 1024)
        self.threads = max(self.threads, int(status["Threads"]))
        self._last = (time.monotonic(), self._cpu_seconds(), *self._switches())
        self._first = self._first or self._last

    def _cpu_seconds(self):
        # The number that clock_getcpuclockid(3) gives: nanoseconds of all threads, also of those that have ended.
        return time.clock_gettime_ns((~self._pid << 3) | 2) / 1e9

    def _switches(self):
        """(waited, was made to wait), of all threads that are there."""
        waited = made = 0
        for task in Path(f"/proc/{self._pid}/task").iterdir():
            try:
                status = words_of(task / "status")
            except OSError:
                continue  # it has ended meanwhile
            waited += int(status["voluntary_ctxt_switches"])
            made += int(status["nonvoluntary_ctxt_switches"])
        return waited, made

    def _per_second(self, index):
        return (self._last[index] - self._first[index]) / (self._last[0] - self._first[0])

    @property
    def cpu_percent(self):
        return 100 * self._per_second(1)

    @property
    def wake_ups(self):
        """A thread that waited was woken."""
        return self._per_second(2)

    @property
    def preemptions(self):
        return self._per_second(3)


class Exporter:
    """node_exporter as Debian sets it up, scraped as Prometheus does it."""

    def __init__(self, folder):
        self.url = f"http://127.0.0.1:{free_port()}/metrics"
        listen = self.url.split("/")[2]
        self.process = Process(EXPORTER, [EXPORTER, f"--web.listen-address={listen}"], folder / "exporter.log")
        until(f"{EXPORTER} answers", self._answers, 10)
        threading.Thread(target=self._loop, daemon=True).start()

    def _answers(self):
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                return answer.read()
        except OSError:
            return None

    def _loop(self):
        while self.process.running():
            time.sleep(SCRAPE_EVERY_S)
            self._answers()


def asks_for_a_loader(program):
    """Whether an ELF file of 64 bits names a loader (PT_INTERP is 3)."""
    data = program.read_bytes()
    (offset,), (size, count) = struct.unpack_from("<Q", data, 32), struct.unpack_from("<HH", data, 54)
    return any(struct.unpack_from("<I", data, offset + index * size)[0] == 3 for index in range(count))


def stored(hub):
    return sum(len(lines(hub, f"c{number}")) for number in range(CONTAINERS))


def measure(folder, engine, seconds):
    for number in range(CONTAINERS):
        engine.container(f"c{number}", "sh", "-c", WRITES)
    hub = Hub(folder / "h")
    exporter = Exporter(folder)
    agent = Agent(folder, hub, hub.create_target("dock"), docker_socket=engine.socket)
    hub.wait_connected("dock")
    for number in range(CONTAINERS):
        hub.wait_status("dock", f"c{number}", "running")
    time.sleep(WARM_UP_S)
    before = stored(hub)
    # Not while it is measured: a question to the hub is no question to the agent, but both share the machine.
    ours, theirs = Usage(agent.process.pid), Usage(exporter.process.pid)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ours.look()
        theirs.look()
        time.sleep(LOOK_EVERY_S)
    new = stored(hub) - before
    sample = hub.api("GetHostMetrics", target="dock").get("metrics", {})
    # Half of them at least: a machine that is busy delays the containers, too.
    figure("lines that have arrived meanwhile", new, at_least=CONTAINERS * seconds / LINE_EVERY_S / 2)
    figure("containers whose use is known", len(sample.get("deployments", [])), at_least=CONTAINERS)
    for name, attribute, unit, bounds in [
            ("resident, at its most", "resident_mib", "MiB", {"at_most": MAX_RESIDENT_MIB}),
            ("of that anonymous", "anonymous_mib", "MiB", {"at_most": MAX_ANONYMOUS_MIB}),
            ("of that no other process's", "own_mib", "MiB", {}),
            ("threads", "threads", "", {}),
            ("CPU, in % of a core", "cpu_percent", "%", {"at_most": MAX_CPU_PERCENT}),
            ("wake-ups", "wake_ups", "1/s", {}),
            ("preemptions", "preemptions", "1/s", {})]:
        figure(name, getattr(ours, attribute), unit, beside=(EXPORTER, getattr(theirs, attribute)), **bounds)
    agent.stop()
    hub.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120)
    options = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("dockerd") or not shutil.which(EXPORTER):
        left_out(f"it needs root, dockerd and {EXPORTER}")
        return 0
    program = BIN / "muster-agent"
    figure("program", program.stat().st_size, "bytes", beside=(EXPORTER, Path(shutil.which(EXPORTER)).stat().st_size),
           at_most=MAX_PROGRAM_BYTES)
    figure("loaders it asks for", int(asks_for_a_loader(program)), at_most=0)
    folder, engine = short_dir("bench"), DockerEngine()
    try:
        measure(folder, engine, options.seconds)
    finally:
        for process in [process for process in alive if process is not engine.process]:
            process.kill()
        engine.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return exit_code()


if __name__ == "__main__":
    sys.exit(main())
