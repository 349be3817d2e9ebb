#!/usr/bin/python3
"""From a container's write to a query that returns the line, and to `muster logs -f` that prints it, on a real Docker
engine; beside it the engine's own `docker logs -f`. Called by ./dev bench; needs root."""

import argparse
import http.client
import json
import os
import random
import shutil
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from figures import exit_code, figure, left_out  # noqa: E402
from harness.agent import Agent  # noqa: E402
from harness.base import BIN, alive, short_dir, until  # noqa: E402
from harness.docker_engine import DockerEngine  # noqa: E402
from harness.hub import Hub  # noqa: E402
from harness.scribe import Scribe, wait_line  # noqa: E402

QUERY_LIMIT_S, TAIL_LIMIT_S = 2, 1
MEAN_PAUSE_S = 0.1
POLL_S = 0.02
NAME = "bench"


class Reader:
    """When each line was first seen."""

    def __init__(self, title, limit_s=None):
        self.title, self.limit_s = title, limit_s
        self.seen = {}

    def saw(self, text):
        if text.startswith("line "):
            self.seen.setdefault(int(text.split()[1]), time.monotonic())

    def delays_ms(self, written):
        """Their median, the 99th percentile and the longest."""
        delays = sorted(self.seen[number] - at for number, at in written.items())
        found = [1000 * delays[int(len(delays) * share)] for share in (0.5, 0.99)] + [1000 * delays[-1]]
        print(f"     {self.title}: p50 {found[0]:.1f} ms, p99 {found[1]:.1f} ms, longest {found[2]:.1f} ms")
        return found


class Printed(Reader):
    """A program's output, line by line."""

    def __init__(self, title, argv, text_of, limit_s=None):
        super().__init__(title, limit_s)
        self.process = subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, text=True)
        threading.Thread(target=lambda: [self.saw(text_of(row)) for row in self.process.stdout], daemon=True).start()

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Queried(Reader):
    """Asks for the newest lines all the time, on one connection."""

    def __init__(self, hub, limit_s):
        super().__init__("query", limit_s)
        self._hub = hub
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop)
        self._thread.start()

    def _loop(self):
        connection = http.client.HTTPSConnection(self._hub.address, self._hub.http_port,
                                                 context=ssl.create_default_context(cafile=str(self._hub.ca)))
        question = json.dumps({"selection": {"deployment": NAME}, "order": "LOG_ORDER_NEWEST_FIRST", "page_size": 50})
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._hub.token}"}
        while not self._stopping.wait(POLL_S):
            connection.request("POST", "/muster.fleet.v1.FleetService/QueryLogs", question, headers)
            for entry in json.loads(connection.getresponse().read()).get("entries", []):
                self.saw(entry.get("line", {}).get("text", ""))
        connection.close()

    def stop(self):
        self._stopping.set()
        self._thread.join()


def measure(folder, engine, lines, seed):
    hub = Hub(folder / "h")
    agent = Agent(folder, hub, hub.create_target("dock"), docker_socket=engine.socket)
    hub.wait_connected("dock")
    scribe = Scribe(engine, folder, NAME)
    hub.wait_status("dock", NAME, "running")
    scribe.say("begin")
    wait_line(hub, NAME, "begin")
    readers = [
        Queried(hub, QUERY_LIMIT_S),
        Printed("muster logs -f", [BIN / "muster", "--hub", hub.url, "--token-file", hub.token_file, "--ca-file", hub.ca, "-o",
                                   "json", "logs", NAME, "-f"], lambda row: json.loads(row).get("line", {}).get("text", ""),
                TAIL_LIMIT_S),
        Printed("docker logs -f", ["docker", "--host", f"unix://{engine.socket}", "logs", "-f", NAME], str.strip)]
    time.sleep(1)
    choices, written = random.Random(seed), {}
    for number in range(lines):
        time.sleep(choices.expovariate(1 / MEAN_PAUSE_S))
        written[number] = time.monotonic()
        scribe.say(f"line {number}")
    until("every line was seen", lambda: all(len(reader.seen) == lines for reader in readers), 30)
    for reader in readers:
        reader.stop()
    agent.stop()
    hub.stop()
    *ours, beside = readers
    theirs = beside.delays_ms(written)
    for reader in ours:
        p50, p99, _ = reader.delays_ms(written)
        figure(f"{reader.title}, median", p50, "ms", (beside.title, theirs[0]))
        figure(f"{reader.title}, p99", p99, "ms", (beside.title, theirs[1]), at_most=1000 * reader.limit_s)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        left_out("it needs root and dockerd")
        return 0
    folder, engine = short_dir("bench"), DockerEngine()
    try:
        measure(folder, engine, options.lines, options.seed)
        return exit_code()
    finally:
        for process in [process for process in alive if process is not engine.process]:
            process.kill()
        engine.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
