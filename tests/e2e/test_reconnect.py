"""Reconnect: a new secret at once, the old one refused, and the target comes back as the same with its history."""

import threading
import time

import pytest

from harness.agent import Agent
from harness.base import timestamp, until
from harness.host_box import HUB_ADDRESS
from harness.hub import Hub
from harness.installed_host import InstalledHost

CLOSED_WITHIN_S = 1.0


@pytest.fixture(scope="module")
def hub(folder, boxes):
    hub = Hub(folder / "h", bind="0.0.0.0", public_host=HUB_ADDRESS)
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def host(hub, boxes, engine):
    engine.compose("shop", {"web": {"labels": {"muster.version": "1.0"}}, "db": {}})
    engine.compose("wiki", {"app": {}})
    host = InstalledHost(boxes("plant"), engine)
    host.paste(hub.create_target("plant")["connect_command"])
    hub.wait_status("plant", "shop", "running")
    hub.wait_status("plant", "wiki", "running")
    yield host
    host.stop()


def installed_secret(host):
    (pid,) = host.agents()
    argv = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
    return open(host.box.path(argv[argv.index(b"--target-secret-file") + 1].decode())).read().strip()


def containers(engine):
    return {row["Id"]: (row["State"]["StartedAt"], row["RestartCount"], row["State"]["Pid"])
            for row in map(engine.inspect, engine.containers())}


def test_reconnect_rotates_the_secret_and_the_history_goes_on(hub, host, engine, folder):
    pause = engine.containers("wiki")[0]
    engine.docker("pause", pause)
    hub.wait_status("plant", "wiki", "error")
    engine.docker("unpause", pause)
    hub.wait_status("plant", "wiki", "running")
    old_secret = installed_secret(host)
    ids = {name: row["id"] for name, row in hub.deployments("plant").items()}
    history = hub.api("ListDeploymentHistory", deployment=ids["wiki"])["intervals"][1:]  # all that is over
    running = containers(engine)
    first_session = hub.target("plant")["session"]["id"]

    # Watched from before the call on: when does the session end?
    closed = []

    def watch():
        while not closed:
            if not hub.target("plant").get("session"):
                closed.append(time.time())
            time.sleep(0.02)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    asked = time.time()
    answer = hub.cli("target", "reconnect", "plant")
    watcher.join(10)
    assert closed, "the old session is still open"
    print(f"the old session was closed {closed[0] - asked:.3f} s after the request")
    assert closed[0] - asked <= CLOSED_WITHIN_S

    row = hub.target("plant")
    assert row["state"] == "TARGET_STATE_NOT_CONNECTED"
    assert "SECRET_ROTATED" in row["session_end"]["reason"], row["session_end"]
    assert timestamp(row["session_end"]["end_time"]) - asked <= CLOSED_WITHIN_S

    # Whoever still has the old secret is told so, and stays outside.
    old = Agent(folder, hub, {"target_id": answer["target_id"], "target_secret": old_secret}, name="old", runtime="none")
    until("the old secret is refused as rotated", lambda: "SECRET_ROTATED" in old.log(), 10)
    assert hub.target_state("plant") == "not_connected"
    old.stop()

    done = host.paste(answer["connect_command"])
    assert hub.target_state("plant") == "connected", done.stdout
    assert hub.target("plant")["session"]["id"] != first_session
    for name in ids:
        hub.wait_status("plant", name, "running")
    assert {name: row["id"] for name, row in hub.deployments("plant").items()} == ids
    after = hub.api("ListDeploymentHistory", deployment=ids["wiki"])["intervals"]
    assert [row for row in after if row in history] == history, "what was known before is still known"
    assert len(after) >= len(history)
    assert containers(engine) == running, "no container was restarted"
    assert len(host.agents()) == 1, "one agent, not two"
    assert installed_secret(host) != old_secret


def test_running_agent_comes_back_by_itself_when_its_secret_file_changes(hub, folder):
    created = hub.create_target("bare", type="host")
    agent = Agent(folder, hub, created, name="bare", runtime="none")
    hub.wait_connected("bare")
    answer = hub.cli("target", "reconnect", "bare")
    until("the agent was told", lambda: "SECRET_ROTATED" in agent.log(), 5)
    assert agent.process.running(), "it goes on observing"
    agent.write_secret(answer["target_secret"])
    hub.wait_connected("bare", timeout=10)
    agent.stop()


def test_deleted_target_tells_its_agent(hub, folder):
    agent = Agent(folder, hub, hub.create_target("doomed", type="host"), name="doomed", runtime="none")
    hub.wait_connected("doomed")
    hub.cli("target", "delete", "doomed", "--confirm", "doomed")
    until("the agent was told", lambda: "TARGET_DELETED" in agent.log(), 5)
    agent.kill()


def test_newest_session_of_a_target_wins(hub, folder):
    created = hub.create_target("twins", type="host")
    first = Agent(folder, hub, created, name="twin-1", runtime="none")
    hub.wait_connected("twins")
    session = hub.target("twins")["session"]["id"]
    second = Agent(folder, hub, created, name="twin-2", runtime="none")
    until("the second session won", lambda: hub.target("twins").get("session", {}).get("id") not in (None, session), 10)
    until("the first was told", lambda: "SUPERSEDED" in first.log(), 5)
    first.kill()
    second.stop()
