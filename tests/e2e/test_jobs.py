"""What short-lived jobs push to the agent, at the hub's /metrics: exactly once, whatever dies."""

import json
import os
import random
import shutil
import socket

import pytest

from harness.agent import Agent
from harness.base import BIN, run, until
from harness.job_load import Scraper, run_load, samples, value

WORKERS, INCREMENTS = 8, 10_000
SHOWN_WITHIN_S = 15


@pytest.fixture(scope="module")
def agent(hub, folder):
    agent = Agent(folder, hub, hub.create_target("jobs"), runtime="none")
    hub.wait_connected("jobs")
    until("the socket is there", lambda: socket_of(agent).exists(), 10)
    yield agent
    agent.stop()


def socket_of(agent):
    return agent.dir / "data/push.sock"


def push(agent, group, *argv, check=True, **more):
    return run([BIN / "muster-agent", "push", group, "--socket", socket_of(agent), "-o", "json", *argv], check=check, **more)


def said(done):
    return done.returncode, json.loads(done.stdout).get("reason", "")


def shown(hub, name, expected, **labels):
    until(f"{name} is {expected}", lambda: value(hub.metrics()[1], name, **labels) == expected, SHOWN_WITHIN_S, every=0.1)


def test_a_push_from_the_shell_shows_under_its_own_name_with_the_targets_labels(hub, agent):
    push(agent, "backup", "--counter", 'backup_bytes_total{disk="a"}=1048576', "--gauge", "backup_files=311", "--observe",
         "backup_seconds=12.5", "--buckets", "backup_seconds=1,5,15,60", "--help-text", "backup_files=Files that were kept",
         "--unit", "backup_seconds=seconds", "--success", "--period", "24h")
    shown(hub, "backup_bytes_total", 1048576, disk="a", jobname="backup", deploymenttarget="jobs")
    page = hub.metrics()[1]
    assert value(page, "backup_files") == 311
    assert [value(page, "backup_seconds_bucket", le=le) for le in ("1", "5", "15", "60", "+Inf")] == [0, 0, 1, 1, 1]
    assert value(page, "backup_seconds_sum") == 12.5
    assert "# HELP backup_files Files that were kept" in page
    assert "# TYPE backup_bytes_total counter" in page
    push(agent, "backup", "--counter", 'backup_bytes_total{disk="a"}=1', "--gauge", "backup_files=5")
    shown(hub, "backup_bytes_total", 1048577, disk="a")
    assert value(hub.metrics()[1], "backup_files") == 5


@pytest.mark.skipif(not shutil.which("socat"), reason="the shell example needs socat")
def test_the_shell_example_without_the_binary(hub, agent):
    text = "push shell id=1 success\ncounter shell_bytes_total 7\nend\n"
    for answer in ("ok\n", "ok known\n"):
        assert run(["socat", "-t", "30", "-", f"UNIX-CONNECT:{socket_of(agent)}"], input=text).stdout == answer
    shown(hub, "shell_bytes_total", 7)


def test_statements_from_standard_input_and_the_same_id_once(hub, agent):
    for result in ("ok", "ok known"):
        done = push(agent, "import", "--stdin", "--id", "run-1", input='counter rows_total{table="a, b=c"} 5\n')
        assert json.loads(done.stdout)["result"] == result
    shown(hub, "rows_total", 5, table="a, b=c")


def test_a_daily_jobs_counter_goes_on_after_its_time_to_live(hub, agent):
    push(agent, "daily", "--counter", "daily_total=3", "--ttl", "8s")
    shown(hub, "daily_total", 3)
    shown(hub, "daily_total", None)
    push(agent, "daily", "--counter", "daily_total=4", "--ttl", "1h")
    shown(hub, "daily_total", 7)
    push(agent, "daily", "--delete")
    shown(hub, "daily_total", None)


def test_bad_pushes_are_refused_and_count_nothing(hub, agent):
    push(agent, "strict", "--counter", "strict_total=1", "--observe", "strict_seconds=1", "--buckets", "strict_seconds=1,2")
    refusals = [
        (["--gauge", "strict_total=1"], "TYPE_CLASH"),
        (["--observe", "strict_seconds=1", "--buckets", "strict_seconds=1,3"], "BUCKETS_CLASH"),
        (["--counter", "strict_total=NaN"], "BAD_VALUE"),
        (["--counter", "strict_total=-1"], "BAD_VALUE"),
        (["--counter", "strict_total=many"], "BAD_PUSH"),
        (["--counter", "distr_fake_total=1"], "BAD_NAME"),
        (["--counter", 'strict_total{le="1"}=1'], "BAD_NAME"),
    ]
    for argv, reason in refusals:
        # With something good beside it, which must not count either.
        done = push(agent, "strict", "--counter", "strict_beside_total=1", *argv, check=False)
        assert said(done) == (1, reason), done
    assert push(agent, "strict", "--counter", "strict_total", check=False).returncode == 2
    shown(hub, "strict_total", 1)
    assert value(hub.metrics()[1], "strict_beside_total") is None


def test_no_agent_is_another_exit_code(agent, folder):
    done = run([BIN / "muster-agent", "push", "g", "--socket", folder / "nobody.sock", "--wait", "200ms"], check=False)
    assert done.returncode == 7, done


def test_a_million_series_are_refused_and_harm_nobody(hub, agent):
    with socket.socket(socket.AF_UNIX) as flood:
        flood.settimeout(60)
        flood.connect(str(socket_of(agent)))
        answers = flood.makefile()
        for part in range(100):
            rows = "".join(f'counter flood_total{{id="{part * 10_000 + row}"}} 1\n' for row in range(10_000))
            flood.sendall(f"push flood\n{rows}end\n".encode())
            assert answers.readline().startswith("error SERIES_LIMIT this host would have "), part
    push(agent, "quiet", "--counter", "quiet_total=1")
    shown(hub, "quiet_total", 1)
    assert not samples(hub.metrics()[1], "flood_")
    resident = int(next(row for row in open(f"/proc/{agent.process.pid}/status") if row.startswith("VmRSS")).split()[1])
    assert resident < 128 * 1024, f"{resident} KiB"


def test_garbage_is_answered_and_the_connection_goes_on(agent):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(socket_of(agent)))
        answers = peer.makefile()
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + os.urandom(2000) + b"\nping\n")
        assert answers.readline().startswith("error BAD_PUSH ")
        assert "ok muster-agent" in [answers.readline() for _ in range(1)][0]


def test_increments_add_up_whatever_is_killed_and_no_scrape_is_torn(hub, agent, folder):
    scraper = Scraper(hub)
    kills = run_load(folder, hub, agent, socket_of(agent), WORKERS, INCREMENTS, pause=0.05, seed=random.randrange(2**32),
                     timeout=150)
    scraper.stop()
    print(f"kills {kills}, scrapes {scraper.scrapes}, of them with numbers {scraper.with_load}")
    assert not scraper.wrong, scraper.wrong[:5]
    assert scraper.with_load > 20 and all(kills.values())
