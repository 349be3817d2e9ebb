"""Logs on a real engine: a line that a container writes is soon returned by queries, shown by live tail, and there once,
whatever is restarted meanwhile."""

import json
import subprocess
import threading
import time

import pytest

from harness.agent import Agent
from harness.base import BIN, until
from harness.docker_engine import DockerEngine
from harness.scribe import Scribe, gaps, lines, numbers, pages, texts, wait_line

QUERY_LIMIT_S = 2
TAIL_LIMIT_S = 1
TOGGLE_LIMIT_S = 5

pytestmark = pytest.mark.usefixtures("docker_host")


@pytest.fixture
def scribe(running_scribe, hub):
    """A container that has said "first line", and of which the hub knows it."""
    def make(name, **options):
        made = running_scribe(name, **options)
        made.say("first line")
        wait_line(hub, name, "first line")
        return made

    return make


class Tail:
    """`muster logs NAME -f -o json`: when each line was printed."""

    def __init__(self, hub, name, *more):
        self.seen = {}
        self.process = subprocess.Popen(
            [BIN / "muster", "--hub", hub.url, "--token-file", hub.token_file, "--ca-file", hub.ca, "-o", "json", "logs",
             name, "-f", *more], stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for row in self.process.stdout:
            text = json.loads(row).get("line", {}).get("text", "")
            self.seen.setdefault(text, []).append(time.time())

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def test_a_line_is_soon_returned_and_shown(scribe, hub):
    writer = scribe("quick")
    tail = Tail(hub, "quick")
    until("live tail shows what is stored", lambda: "first line" in tail.seen, 5)
    queried, tailed = [], []
    for number in range(25):
        time.sleep(0.04 * (number % 7))
        text = f"tick {number}"
        began = time.time()
        writer.say(text)
        wait_line(hub, "quick", text)
        queried.append(time.time() - began)
        until(f"{text} is shown", lambda: text in tail.seen, 5, every=0.01)
        tailed.append(tail.seen[text][0] - began)
    tail.stop()
    print(f"from write to query {min(queried):.2f} to {max(queried):.2f} s, to live tail {min(tailed):.2f} to {max(tailed):.2f} s")
    # A busy machine may stop everybody once; the benchmark measures the 99th percentile.
    assert sorted(queried)[-2] < QUERY_LIMIT_S and sorted(tailed)[-2] < TAIL_LIMIT_S
    assert all(len(times) == 1 for times in tail.seen.values()), "a line was shown twice"


def test_lines_have_stream_level_resource_and_the_engines_time(scribe, hub, engine):
    writer = scribe("kinds")
    writer.say('level=warn msg="low on space"')
    writer.say("ERROR the disk is gone", end="err")
    wait_line(hub, "kinds", "the disk is gone")
    wait_line(hub, "kinds", "low on space")
    rows = {line["text"]: line for line in lines(hub, "kinds")}
    warn, error = rows['level=warn msg="low on space"'], rows["ERROR the disk is gone"]
    assert (warn["stream"], warn["level"]) == ("LOG_STREAM_STDOUT", "LOG_LEVEL_WARN")
    assert (error["stream"], error["level"]) == ("LOG_STREAM_STDERR", "LOG_LEVEL_ERROR")
    assert error["resource"] == "kinds" and error["revision"] == hub.deployment("dock", "kinds")["revision"]
    stamped = engine.docker("logs", "--timestamps", "--tail", "5", "kinds")
    assert warn["host_time"][:26].rstrip("Z") in stamped, (warn["host_time"], stamped)
    only_errors = [line["text"] for line in lines(hub, "kinds", levels=["LOG_LEVEL_ERROR"])]
    assert only_errors == ["ERROR the disk is gone"]
    assert [line["text"] for line in lines(hub, "kinds", stream="LOG_STREAM_STDERR")] == only_errors
    assert texts(hub, "kinds", regex="^level=w.*space") == ['level=warn msg="low on space"']


def test_a_terminals_stream_and_the_driver_local(scribe, hub):
    for name, options in (("ontty", {"tty": True}), ("drvlocal", {"options": ["--log-driver", "local"]})):
        writer = scribe(name, **options)
        for number in range(1, 51):
            writer.say(f"row {number}")
        wait_line(hub, name, "row 50")
        assert numbers(hub, name, "row") == list(range(1, 51))


def test_each_line_once_while_agent_hub_and_container_are_killed(scribe, hub, docker_host, engine):
    writer = scribe("restless", restart="always")
    written = threading.Event()

    def write():
        for number in range(1, 1201):
            writer.say(f"row {number}")
            time.sleep(0.01)
        written.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not written.is_set():
        time.sleep(0.7)
        docker_host.kill()
        docker_host.start()
        time.sleep(0.7)
        hub.kill()
        hub.start()
        time.sleep(0.7)
        engine.docker("restart", "--time", "0", writer.id)
    thread.join()
    # What stands in the pipe when a container is killed is the next one's; what `cat` had read is lost with it.
    writer.say("the end")
    wait_line(hub, "restless", "the end", timeout=60)
    of_engine = [row for row in engine.docker("logs", writer.id).splitlines() if row.startswith("row ")]
    stored = [text for text in texts(hub, "restless") if text.startswith("row ")]
    assert stored == of_engine
    assert len(stored) > 1000 and not gaps(hub, "restless")


def test_rotation_takes_nothing_from_a_stream_that_is_followed(scribe, hub):
    writer = scribe("rotating", options=["--log-opt", "max-size=20k", "--log-opt", "max-file=5"])
    for number in range(1, 3001):
        writer.say(f"row {number}")
        if number % 50 == 0:
            time.sleep(0.05)
    wait_line(hub, "rotating", "row 3000", timeout=90)
    stored = numbers(hub, "rotating", "row")
    assert stored == sorted(set(stored)), "twice, or out of order"
    # On a machine that stalls, a file may be rotated away before it is read.
    assert len(stored) == 3000 or gaps(hub, "rotating")


def test_what_was_rotated_away_while_no_agent_ran_is_a_gap(scribe, hub, engine, docker_host):
    writer = scribe("forgotten", options=["--log-opt", "max-size=10k", "--log-opt", "max-file=2"])
    docker_host.kill()
    for number in range(1, 2001):
        writer.say(f"row {number}")
    until("the engine has them", lambda: "row 2000" in engine.docker("logs", "--tail", "1", writer.id), 30)
    docker_host.start()
    wait_line(hub, "forgotten", "row 2000", timeout=30)
    stored = numbers(hub, "forgotten", "row")
    assert stored == list(range(stored[0], 2001)) and stored[0] > 1, "the end of what was written, without a hole"
    assert [gap["reason"] for gap in gaps(hub, "forgotten")] == ["ROTATED"]
    order = ["gap" if "gap" in entry else entry["line"]["text"] for entry in pages(hub, deployment="forgotten")]
    assert order[:3] == ["first line", "gap", f"row {stored[0]}"]


def test_switched_off_within_five_seconds_and_on_again(scribe, hub):
    writer = scribe("toggled")
    hub.cli("deployment", "set", "toggled", "--logs", "off")
    time.sleep(TOGGLE_LIMIT_S)
    writer.say("unheard")
    time.sleep(2)
    assert "unheard" not in texts(hub, "toggled")
    hub.cli("deployment", "set", "toggled", "--logs", "on")
    time.sleep(TOGGLE_LIMIT_S)
    writer.say("heard again")
    wait_line(hub, "toggled", "heard again")
    assert "unheard" not in texts(hub, "toggled")
    assert [gap["reason"] for gap in gaps(hub, "toggled")] == ["OFF"]


def test_secrets_reach_neither_journal_nor_hub(scribe, hub, docker_host):
    writer = scribe("secretive")
    writer.say("connecting with password=hunter2-e2e-secret and more")
    assert wait_line(hub, "secretive", "connecting with")["text"] == "connecting with password=*** and more"
    for folder in (docker_host.dir / "data", hub.data):
        for path in folder.rglob("*"):
            if path.is_file():
                assert b"hunter2-e2e-secret" not in path.read_bytes(), path


def test_command_line(scribe, hub):
    writer = scribe("shown")
    for number in range(1, 131):
        writer.say(f"row {number}")
    wait_line(hub, "shown", "row 130")
    last = hub.cli("logs", "shown", as_json=False).stdout.splitlines()
    assert len(last) == 100 and last[0].endswith("row 31") and last[-1].endswith("row 130"), last[:2]
    assert hub.cli("logs", "shown", "--tail", "3", as_json=False).stdout.count("\n") == 3
    exported = hub.cli("logs", "shown", "--export", "jsonl", as_json=False).stdout.splitlines()
    assert [json.loads(row)["line"]["text"] for row in exported] == ["first line"] + [f"row {n}" for n in range(1, 131)]
    found = hub.cli("logs", "shown", "--filter", "row 6[0-4]$", as_json=False).stdout.splitlines()
    assert len(found) == 5
    context = hub.cli("logs", "shown", "--text", "ROW 77", "-C", "2", as_json=False).stdout.splitlines()
    assert [row.rsplit(" ", 1)[1] for row in context] == ["75", "76", "77", "78", "79"]
    assert "shown" in hub.cli("logs", "shown", "--resources", as_json=False).stdout
    volume = hub.cli("logs", "shown", "--volume")
    assert sum(int(lines) for part in volume["parts"] for lines in part["lines"]) == 131
    bad = hub.cli("logs", "shown", "--filter", "a(b", check=False, as_json=False)
    assert bad.returncode != 0 and "missing )" in bad.stderr, bad.stderr


def test_agents_own_log(hub, docker_host):
    docker_host.stop()
    docker_host.start()
    def said():
        return hub.cli("agent-logs", "dock", as_json=False).stdout
    until("the agent's log is there", lambda: "saying goodbye" in said() and "observing the Docker engine" in said(), 10, every=0.3)


def test_restart_of_the_engine(hub, folder, docker_host):
    """An engine of its own, because all containers go with it."""
    engine = DockerEngine()
    try:
        target = hub.create_target("second")
        agent = Agent(folder, hub, target, name="second", docker_socket=engine.socket)
        hub.wait_connected("second")
        writer = Scribe(engine, folder, "phoenix", restart="always")
        hub.wait_status("second", "phoenix", "running")
        for number in range(1, 101):
            writer.say(f"row {number}")
        wait_line(hub, "phoenix", "row 100")
        engine.restart()
        hub.wait_status("second", "phoenix", "running", timeout=30)
        for number in range(101, 201):
            writer.say(f"row {number}")
        wait_line(hub, "phoenix", "row 200", timeout=20)
        assert numbers(hub, "phoenix", "row") == list(range(1, 201)) and not gaps(hub, "phoenix")
        agent.stop()
    finally:
        engine.stop()
