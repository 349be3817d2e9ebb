"""The host as it is told: beside /proc, the toggle, what containers use, a filesystem that never answers."""

import os
import sys
import time
from pathlib import Path

import pytest

from harness.agent import Agent
from harness.base import until

# docs/host-metrics.md: the first sample at once, the second 5 s later, told with the next heartbeat.
SHOWN_WITHIN_S = 5
SECOND_AFTER_S = 5
SLACK_S = 1


def told(hub, target):
    """The newest sample with its age in seconds; nothing while there is none."""
    answer = hub.api("GetHostMetrics", target=target)
    if "metrics" not in answer:
        return None
    return answer["metrics"] | {"age": float(answer["age"].removesuffix("s"))}


def shows(hub, target):
    """/metrics has the target's host."""
    _, page = hub.metrics()
    return any(line.startswith("distr_host_memory_total_bytes{") and f'deploymenttarget="{target}"' in line
               for line in page.splitlines())


def with_rates(hub, target):
    sample = told(hub, target)
    return sample if sample and "cpu_usage_ratio" in sample else None


def meminfo():
    rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) == 3}


def test_sample_is_what_proc_says(hub, docker_host):
    sample = until("a sample with rates", lambda: with_rates(hub, "dock"), SECOND_AFTER_S + SHOWN_WITHIN_S + SLACK_S)
    memory = meminfo()
    assert sample["cpu_cores"] == os.cpu_count()
    assert 0 <= sample["cpu_usage_ratio"] <= 1
    assert int(sample["memory_total_bytes"]) == memory["MemTotal"]
    used = memory["MemTotal"] - memory["MemAvailable"]
    assert abs(int(sample["memory_used_bytes"]) - used) < 0.2 * memory["MemTotal"], "it is of some seconds ago"
    root = os.statvfs("/")
    disk = next(disk for disk in sample["disks"] if disk["mount_path"] == "/")
    assert int(disk["total_bytes"]) == root.f_blocks * root.f_frsize
    assert sample["load1"] >= 0
    assert sample["disk_written_bytes_per_second"] >= 0
    assert sample["missing"] == []


def test_containers_are_counted_and_their_use_is_told(hub, docker_host, engine):
    # It ends by itself: a process that outlives its engine would burn a core under the tests behind this one.
    burn = "end=$(($(date +%s) + 120)); while [ $(date +%s) -lt $end ]; do :; done"
    engine.container("burner", "sh", "-c", burn, options=["--cpus", "0.5", "--memory", "32m"])
    engine.container("sleeper")
    engine.container("finished", "true")
    hub.wait_status("dock", "burner", "running")

    def use():
        sample = told(hub, "dock")
        uses = {use["name"]: use for use in sample["deployments"]}
        return (sample, uses) if "cpu_cores" in uses.get("burner", {}) else None

    sample, uses = until("the burner's use of two samples", use, 75, every=0.5)
    assert 0.2 < uses["burner"]["cpu_cores"] < 0.7
    assert uses["sleeper"]["cpu_cores"] < 0.1
    assert 0 < int(uses["burner"]["memory_bytes"]) < 32 << 20
    states = {row["state"]: row["count"] for row in sample["containers"]}
    assert states.get("running", 0) >= 2 and states.get("exited", 0) >= 1
    assert "finished" not in uses


def test_toggle_takes_effect_within_five_seconds(hub, docker_host):
    until("the host is shown", lambda: shows(hub, "dock"), SHOWN_WITHIN_S + SLACK_S)
    hub.cli("target", "set", "dock", "--metrics", "off")
    until("nothing of the host is shown", lambda: not shows(hub, "dock"), SHOWN_WITHIN_S)
    assert hub.api("GetHostMetrics", target="dock")["is_enabled"] is False

    on = time.monotonic()
    hub.cli("target", "set", "dock", "--metrics", "on")
    until("the host is shown again", lambda: shows(hub, "dock"), SHOWN_WITHIN_S + SLACK_S)
    fresh = told(hub, "dock")
    assert fresh["age"] < time.monotonic() - on, "a sample from before it was off"
    assert "cpu_usage_ratio" not in fresh, "a rate over the time that was off"


def test_nothing_is_sampled_while_it_is_off(hub, docker_host):
    """The second sample would come 5 s after the first."""
    hub.cli("target", "set", "dock", "--metrics", "off")
    until("nothing of the host is shown", lambda: not shows(hub, "dock"), SHOWN_WITHIN_S)
    hub.cli("target", "set", "dock", "--metrics", "on")
    until("a first sample", lambda: shows(hub, "dock"), SHOWN_WITHIN_S + SLACK_S)
    hub.cli("target", "set", "dock", "--metrics", "off")
    off = time.monotonic()
    time.sleep(SECOND_AFTER_S + 2)
    last = told(hub, "dock")
    assert last is None or last["age"] >= time.monotonic() - off - SLACK_S
    hub.cli("target", "set", "dock", "--metrics", "on")


@pytest.fixture
def stuck_host(hub, folder):
    """An agent below whose host root lies a mount that never answers; nobody else sees that."""
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        pytest.skip("a mount that never answers needs root and FUSE")
    root = folder / "root"
    (root / "stuck").mkdir(parents=True)
    for name in ("stat", "meminfo", "loadavg", "uptime", "diskstats", "net/dev"):
        (root / "proc" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "proc" / name).write_text(Path("/proc", name).read_text())
    (root / "proc/1").mkdir()
    (root / "proc/1/mountinfo").write_text("1 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
                                           "2 1 0:99 / /stuck rw - fuse.sshfs server:/export rw\n")
    program = Path(__file__).parent / "harness/stuck_mount.py"
    agent = Agent(folder, hub, hub.create_target("stuck", type="host"), name="stuck", runtime="none",
                  prefix=["unshare", "--mount", sys.executable, program, root / "stuck"], extra=["--host-root", root])
    yield agent
    agent.kill()


def test_a_stuck_mount_blocks_nobody(hub, stuck_host):
    hub.wait_connected("stuck")
    sample = until("a sample", lambda: told(hub, "stuck"), 5 + SHOWN_WITHIN_S + SLACK_S)
    disks = {disk["mount_path"]: disk for disk in sample["disks"]}
    assert disks["/stuck"]["is_stuck"] and int(disks["/stuck"]["total_bytes"]) == 0
    assert int(disks["/"]["total_bytes"]) > 0 and not disks["/"]["is_stuck"]
    assert sample["missing"] == ["disk I/O", "filesystem /stuck"]
    assert hub.target_state("stuck") == "connected"
    begin = time.monotonic()
    stuck_host.stop()
    assert time.monotonic() - begin < 2
