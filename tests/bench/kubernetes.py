#!/usr/bin/python3
"""What a cluster of 5,000 pods with 50 changes a second costs the agent: its memory above that of an agent without a
runtime, and its CPU. Called by ./dev bench."""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from figures import exit_code, figure  # noqa: E402
from harness.agent import Agent  # noqa: E402
from harness.base import alive, short_dir, until  # noqa: E402
from harness.hub import Hub  # noqa: E402
from harness.kubernetes import DoubleProcess  # noqa: E402

MAX_MEMORY_MIB = 40


def resident_mib(pid):
    words = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(words["VmRSS"].split()[0]) / 1024, int(words["RssAnon"].split()[0]) / 1024


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(folder, pods, rate, seconds, logs):
    hub = Hub(folder / "h")
    idle = Agent(folder, hub, hub.create_target("idle"), name="idle", runtime="none")
    hub.wait_connected("idle")
    cluster = DoubleProcess(folder / "k", "--load", str(pods), "--nodes", "20", "--rate", str(rate))
    words = ["--kubeconfig", cluster.kubeconfig, "--cluster", "--container-logs", "on" if logs else "off"]
    agent = Agent(folder, hub, hub.create_target("cluster", type="kubernetes"), name="agent", runtime="kubernetes",
                  extra=words)
    hub.wait_connected("cluster")
    begin = time.monotonic()
    # A picture has at most 500; with all their pods it would be too large.
    until("deployments are there", lambda: len(hub.api("ListDeployments", target="cluster", page_size=500).get(
        "deployments", [])) >= min(400, pods // 10), 60, every=0.5)
    print(f"{pods} pods, {rate} changes/s, logs {'followed' if logs else 'off'}: "
          f"seen after {time.monotonic() - begin:.1f} s")
    time.sleep(10)
    pid = agent.process.pid
    cpu = cpu_seconds(pid)
    peak = (0, 0)
    for _ in range(seconds):
        time.sleep(1)
        peak = max(peak, resident_mib(pid))
    used = (cpu_seconds(pid) - cpu) / seconds
    base = resident_mib(idle.process.pid)
    print(f"idle agent       {base[0]:6.1f} MiB resident, {base[1]:6.1f} anonymous")
    print(f"cluster's agent  {peak[0]:6.1f} MiB resident, {peak[1]:6.1f} anonymous")
    title = "logs followed" if logs else "without logs"
    figure(f"{title}: resident above an idle agent", peak[0] - base[0], "MiB", at_most=MAX_MEMORY_MIB)
    figure(f"{title}: CPU", 100 * used, "% of a core")
    agent.stop()
    idle.stop()
    cluster.stop()
    hub.stop()


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pods", type=int, default=5000)
    options.add_argument("--rate", type=int, default=50)
    options.add_argument("--seconds", type=int, default=30)
    chosen = options.parse_args()
    folder = short_dir("kube")
    try:
        for name in ("quiet", "logs"):
            measure(folder / name, chosen.pods, chosen.rate, chosen.seconds, name == "logs")
        return exit_code()
    finally:
        for process in list(alive):
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
