#!/usr/bin/python3
"""A hub under a fleet of ten thousand (docs/load.md), beside the least that can answer the same frames. Called by
./dev bench."""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from figures import exit_code, figure  # noqa: E402
from harness.base import BIN, Process, alive, free_port, short_dir, until  # noqa: E402
from harness.hub import Hub  # noqa: E402

# Of the issue: a fleet's steady day, and its worst minute.
MAX_CPU_RATIO = 1.5
MAX_BEAT_RATIO = 1.3
MAX_RESIDENT_MIB = 0.95 * 1024
MAX_ROUND_TRIP_MS = 50
MAX_RECONNECT_S = 60
MAX_STORM_MEMORY = 1.5
BEATS_ONLY = ["--status-changes", 0, "--host-metrics", 1e9]
ECHO = "muster-echo"
# What is measured: ten minutes of the fleet's day, a minute of all else.
WINDOWS_S = {"steady": 600}
WINDOW_S = 60


def with_seconds(options, seconds):
    return argparse.Namespace(**vars(options) | {"seconds": seconds})


def resident_mib(pid):
    words = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(words["VmRSS"].split()[0]) / 1024


class Load:
    """muster-load while it runs; its JSON at the end."""

    def __init__(self, folder, name, words):
        self.out = folder / f"{name}.json"
        self.process = Process(name, ["/bin/sh", "-c", 'exec "$@" > "$0"', self.out, BIN / "muster-load", *words],
                               folder / f"{name}.log")

    def says(self, text, timeout):
        until(f"{self.process.name} says {text!r}", lambda: text in self.process.log() or not self.process.running(),
              timeout, every=0.5)
        assert text in self.process.log(), self.process.log()[-2000:]

    def result(self, timeout):
        self.process.wait(timeout)
        text = self.out.read_text()
        assert text, self.process.log()[-2000:]
        return json.loads(text)


def at_hub(folder, hub, name, options, words):
    return Load(folder, name, ["--hub", hub.url, "--token-file", hub.token_file, "--ca-file", hub.ca, "--grpc-address",
                               f"127.0.0.1:{hub.grpc_port}", "--hub-pid", hub.process.pid, "--prefix", name,
                               "--targets", options.agents, "--seed", options.seed, *words])


def at_echo(folder, hub, name, options, *words):
    """The same frames to muster-echo, with the hub's certificate."""
    port = free_port()
    echo = Process("echo", [BIN / "muster-echo", "--grpc-addr", f"127.0.0.1:{port}", "--tls-cert",
                            hub.data / "tls/server.pem", "--tls-key", hub.data / "tls/server.key"], folder / "echo.log")
    until("muster-echo is ready", lambda: "ready" in echo.log(), 10)
    # It does the same every second: two minutes of it are as good as ten.
    options = with_seconds(options, min(options.seconds, 120))
    load = Load(folder, name, ["--invented", "--ca-file", hub.ca, "--grpc-address", f"127.0.0.1:{port}", "--hub-pid",
                               echo.pid, "--targets", options.agents, "--seed", options.seed, *window(options, *words)])
    result = load.result(300 + options.seconds)
    echo.stop()
    return result


def window(options, *words):
    return ["--warm-up", 20, "--duration", options.seconds, *words]


def describe(name, result):
    hub = result["hub"]
    trip = result["round_trip_ms"]
    print(f"{name:<10} {hub['cores']:.3f} cores, {hub['cpu_us_per_heartbeat']:.0f} us a beat, "
          f"{hub['resident_mib']:.0f} MiB "
          f"({hub['resident_kib_per_agent']:.0f} KiB an agent), {result['heartbeats_per_s']:.0f} heartbeats/s, "
          f"{result['batches_per_s']:.0f} batches/s; round trip p50 {trip['p50']:.1f} p99 {trip['p99']:.1f} ms; "
          f"connected in {result['all_connected_after_s']:.0f} s", flush=True)


def nothing_lost(result, name, of_history="targets_not_connected"):
    records, kept = result["records"], result["kept"]
    wrong = {key: value for key, value in kept.items() if ("missing" in key or "twice" in key) and value}
    print(f"     {name}: {records['acknowledged']} of {records['recorded']} records acknowledged; "
          f"{kept['lines_written']} lines and {kept['changes_made']} changes of {kept['agents']} agents read back, "
          f"missing or twice: {wrong or 'none'}")
    not_stored = records["recorded"] - records["acknowledged"] + records["lost_by_the_hub"] + records["refused"]
    figure(f"{name}: records not acknowledged, lost by the hub or refused", not_stored, at_most=0)
    figure(f"{name}: lines and changes that are missing or there twice", sum(wrong.values()), at_most=0)
    figure(f"{name}: {of_history.replace('_', ' ')} by history", kept[of_history], at_most=0)


def steady(folder, options):
    """Statuses, samples of hosts and log lines, as a fleet has them."""
    words = window(options, "--log-lines", options.agents / 10)
    hub = Hub(folder / "steady")
    result = at_hub(folder, hub, "steady", options, words).result(600 + options.seconds)
    echo = at_echo(folder, hub, "steady-echo", options, "--log-lines", options.agents / 10)
    hub.stop()
    describe("hub", result)
    describe("echo", echo)
    figure("steady: CPU", result["hub"]["cores"], "cores", (ECHO, echo["hub"]["cores"]), ratio_at_most=MAX_CPU_RATIO)
    figure("steady: resident", result["hub"]["resident_mib_most"], "MiB", (ECHO, echo["hub"]["resident_mib_most"]),
           at_most=MAX_RESIDENT_MIB * options.agents / 10000)
    figure("steady: round trip, p99", result["round_trip_ms"]["p99"], "ms", (ECHO, echo["round_trip_ms"]["p99"]),
           at_most=MAX_ROUND_TRIP_MS)
    nothing_lost(result, "steady")


def beats(folder, options):
    """Nothing but heartbeats."""
    words = window(options, *BEATS_ONLY)
    hub = Hub(folder / "beats")
    result = at_hub(folder, hub, "beats", options, words).result(600 + options.seconds)
    echo = at_echo(folder, hub, "beats-echo", options, *BEATS_ONLY)
    hub.stop()
    describe("hub", result)
    describe("echo", echo)
    figure("beats: CPU of a heartbeat", result["hub"]["cpu_us_per_heartbeat"], "us",
           (ECHO, echo["hub"]["cpu_us_per_heartbeat"]), ratio_at_most=MAX_BEAT_RATIO)


def storm(folder, options):
    """kill -9 of the hub under the whole fleet."""
    hub = Hub(folder / "storm")
    load = at_hub(folder, hub, "storm", options,
                  ["--warm-up", 20, "--duration", 100, "--log-lines", options.agents / 10, "--check", 500])
    load.says("the window begins", 180)
    time.sleep(10)
    before = resident_mib(hub.process.pid)
    hub.kill()
    time.sleep(3)
    hub.start()
    most = 0
    for _ in range(80):
        time.sleep(1)
        most = max(most, resident_mib(hub.process.pid))
    result = load.result(400)
    hub.stop()
    outage = result["outages"][0] if result["outages"] else {"all_back_after_s": 1e9}
    figure("storm: outages", len(result["outages"]), at_least=1, at_most=1)
    figure("storm: all connected again after a kill, and 3 s in which the hub is away", outage["all_back_after_s"], "s",
           at_most=MAX_RECONNECT_S + 3)
    figure("storm: resident at most", most, "MiB", ("before the kill", before), ratio_at_most=MAX_STORM_MEMORY)
    nothing_lost(result, "storm", "targets_stale")


def plaintext(folder, options):
    """As behind a proxy that ends TLS: as many as a process may have descriptors for, for five minutes."""
    data = folder / "plain"
    grpc, http = free_port(), free_port()
    hub = Process("plain-hub", [BIN / "muster-hub", "serve", "--data-dir", data, "--insecure", "--grpc-addr",
                                f"127.0.0.1:{grpc}", "--http-addr", f"127.0.0.1:{http}"], folder / "plain-hub.log")
    until("the hub is ready", lambda: "is ready" in hub.log(), 20)
    agents = options.agents * 19 // 10
    load = Load(folder, "plain", ["--hub", f"http://127.0.0.1:{http}", "--token-file", data / "admin-token",
                                  "--grpc-address", f"127.0.0.1:{grpc}", "--plaintext", "--hub-pid", hub.pid,
                                  "--targets", agents, "--prefix", "plain", "--seed", options.seed, "--warm-up", 20,
                                  "--duration", max(300, options.seconds)])
    result = load.result(900 + options.seconds)
    hub.stop()
    describe("plaintext", result)
    figure(f"plaintext: agents connected at any time of {result['window_s']:.0f} s", result["connected_least"],
           at_least=agents)
    figure("plaintext: sessions lost", result["sessions_lost"], at_most=0)
    figure("plaintext: CPU", result["hub"]["cores"], "cores")
    figure("plaintext: resident", result["hub"]["resident_mib"], "MiB")
    nothing_lost(result, "plaintext")


def fairness(folder, options):
    """One agent floods logs, others do not read: the rest does not notice."""
    hub = Hub(folder / "fair")
    words = window(options, "--log-lines", options.agents / 10)
    calm = at_hub(folder, hub, "calm", options, words).result(600 + options.seconds)
    loud = at_hub(folder, hub, "loud", options, [*words, "--flooding", 1, "--flood-lines", 5000, "--slow", 50, "--stuck",
                                                 50]).result(600 + options.seconds)
    hub.stop()
    describe("calm", calm)
    describe("loud", loud)
    without = "without a flood of 5,000 lines a second and 100 agents that hardly read"
    figure("fairness: round trip of the others, p99", loud["round_trip_ms"]["p99"], "ms",
           (without, calm["round_trip_ms"]["p99"]), at_most=MAX_ROUND_TRIP_MS)
    figure("fairness: commits, p99", loud["commit_ms"]["p99"], "ms", (without, calm["commit_ms"]["p99"]))
    figure("fairness: sessions of others lost", loud["sessions_lost"], at_most=0)
    figure("fairness: resident with a second fleet after the first", loud["hub"]["resident_mib_most"], "MiB",
           ("with the first", calm["hub"]["resident_mib_most"]))


def slow_disk(folder, options):
    """Each sync takes half a second: acknowledgements wait for it, heartbeats do not."""
    delay = folder / "sync-delay"
    hub = Hub(folder / "slow", env={"LD_PRELOAD": str(BIN / "muster-slow-sync.so"),
                                    "MUSTER_SYNC_DELAY_FILE": str(delay)})
    words = window(options, "--log-lines", options.agents / 10)
    calm = at_hub(folder, hub, "before", options, words).result(600 + options.seconds)
    load = at_hub(folder, hub, "slow", options, words)
    load.says("the window begins", 180)
    delay.write_text("500")
    time.sleep(options.seconds)
    delay.unlink()
    result = load.result(600)
    hub.stop()
    describe("before", calm)
    describe("slow", result)
    without = "with the disk as it is"
    figure("slow disk (a sync takes 500 ms): commits, p50", result["commit_ms"]["p50"], "ms",
           (without, calm["commit_ms"]["p50"]), at_least=500)
    figure("slow disk: round trip of heartbeats, p99", result["round_trip_ms"]["p99"], "ms",
           (without, calm["round_trip_ms"]["p99"]), at_most=MAX_ROUND_TRIP_MS)
    nothing_lost(result, "slow disk")


RUNS = {"steady": steady, "beats": beats, "storm": storm, "plaintext": plaintext, "fairness": fairness,
        "slow_disk": slow_disk}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10000)
    parser.add_argument("--seconds", type=int, help="of the windows that are measured (60, of `steady` 600)")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("runs", nargs="*", choices=[[], *RUNS])
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.agents} agents", flush=True)
    folder = short_dir("fleet")
    try:
        for name in options.runs or RUNS:
            RUNS[name](folder, with_seconds(options, options.seconds or WINDOWS_S.get(name, WINDOW_S)))
    finally:
        for process in list(alive):
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)
    return exit_code()


if __name__ == "__main__":
    sys.exit(main())
