"""A change on the Docker host is the deployment's status at the hub's API within a second of the engine's own event."""

import time

import pytest

from harness.base import timestamp, until
from harness.docker_engine import FOREVER

# From the engine's event to the hub's API.
LIMIT_S = 1.0
CHECK = {"test": ["CMD", "test", "-f", "/tmp/ready"], "interval": "500ms", "timeout": "1s", "retries": 1}

pytestmark = pytest.mark.usefixtures("docker_host")


def within_limit(hub, name, status, event):
    """event(): the time of the engine's event. The status must be at the API a second later."""
    seen = hub.wait_status("dock", name, status)
    delay = seen - event()
    print(f"{name}: {status} {delay * 1000:.0f} ms after the event")
    assert delay <= LIMIT_S
    return hub.deployment("dock", name)


def test_three_projects_show_their_true_states(hub, engine):
    engine.compose("good", {"web": {"healthcheck": CHECK}, "worker": {"healthcheck": CHECK}})
    engine.compose("plain", {"app": {}})
    engine.compose("bad", {"app": {"command": ["sh", "-c", "exit 3"]}, "other": {}})
    hub.wait_status("dock", "good", "healthy")
    hub.wait_status("dock", "plain", "running")
    hub.wait_status("dock", "bad", "error")
    bad = hub.deployment("dock", "bad")
    assert "bad_app_1" in bad["message"] and "3" in bad["message"], bad["message"]
    assert "bad_other_1" not in bad["message"], "a container that is up is not at fault"
    until("both containers are seen as they are", lambda: {
        row["name"]: row["state"] for row in hub.deployment("dock", "bad")["resources"]
    } == {"bad_app_1": "exited", "bad_other_1": "running"}, 5)
    assert bad["kind"] == "DEPLOYMENT_KIND_COMPOSE_PROJECT" and bad["customer"] == "Customer Seven"


def test_killed_container_is_an_error_within_a_second(hub, engine, events):
    engine.compose("kill", {"app": {}})
    hub.wait_status("dock", "kill", "running")
    (container,) = engine.containers("kill")
    engine.docker("kill", container)
    row = within_limit(hub, "kill", "error", lambda: events.find("die", container))
    assert "kill_app_1" in row["message"] and "137" in row["message"], row["message"]
    engine.docker("start", container)
    within_limit(hub, "kill", "running", lambda: events.find("start", container, number=2))


def test_unhealthy_container_is_an_error_within_a_second(hub, engine, events):
    engine.compose("sick", {"app": {"healthcheck": CHECK | {"test": [
        "CMD", "sh", "-c", "test -f /tmp/ready || { echo the disk is gone; false; }"]}}})
    hub.wait_status("dock", "sick", "healthy")
    (container,) = engine.containers("sick")
    engine.docker("exec", container, "rm", "/tmp/ready")
    row = within_limit(hub, "sick", "error", lambda: events.find("health_status: unhealthy", container))
    assert "the disk is gone" in row["message"], f"the last health output is missing: {row['message']}"
    engine.docker("exec", container, "touch", "/tmp/ready")
    within_limit(hub, "sick", "healthy", lambda: events.find("health_status: healthy", container, number=2))


def test_restart_loop_is_an_error_within_a_second_of_the_third_restart(hub, engine, events):
    engine.compose("loop", {"app": {"command": ["sh", "-c", "sleep 0.3; exit 7"], "restart": "always"}})
    (container,) = engine.containers("loop")
    seen = hub.wait_status("dock", "loop", "error", timeout=30)
    third_crash = events.find("die", container, number=3)
    third_restart = events.find("start", container, number=4)
    assert seen >= third_crash, "two restarts are no loop"
    assert seen - third_restart <= LIMIT_S
    assert "7" in hub.deployment("dock", "loop")["message"]
    time.sleep(2)
    assert hub.status_of("dock", "loop") == "error", "the loop goes on: so does the error, between two crashes too"
    engine.compose("loop", {"app": {}}, "down")


def test_out_of_memory_is_named(hub, engine, events):
    container = engine.container("hog", "sh", "-c", "x=y; while :; do x=$x$x; done", options=["--memory=16m"])
    row = within_limit(hub, "hog", "error", lambda: events.find("die", container))
    assert "memory" in row["message"].lower() or "oom" in row["message"].lower(), row["message"]


def test_paused_container_is_an_error_within_a_second(hub, engine, events):
    container = engine.container("napper")
    hub.wait_status("dock", "napper", "running")
    engine.docker("pause", container)
    row = within_limit(hub, "napper", "error", lambda: events.find("pause", container))
    assert "paused" in row["message"]
    engine.docker("unpause", container)
    within_limit(hub, "napper", "running", lambda: events.find("unpause", container))


def test_finished_one_shot_does_not_count_unless_nothing_else_is_left(hub, engine, events):
    job = ["sh", "-c", "exit 0"]
    engine.compose("jobs", {"migrate": {"command": job}, "app": {}})
    hub.wait_status("dock", "jobs", "running")
    container = engine.container("once", *job)
    ended = events.find("die", container)
    until("it is told to be completed", lambda: "completed" in (hub.deployment("dock", "once") or {}).get("message", ""), 5)
    assert time.time() - ended <= LIMIT_S + 0.1
    assert hub.status_of("dock", "once") == "running"


def test_service_stopped_by_hand_is_an_error(hub, engine, events):
    container = engine.container("halted", restart="unless-stopped")
    hub.wait_status("dock", "halted", "running")
    engine.docker("stop", container)
    row = within_limit(hub, "halted", "error", lambda: events.find("die", container))
    assert "stopped" in row["message"]


def test_removed_project_is_an_error_until_it_returns_under_the_same_id(hub, engine, events):
    engine.compose("gone", {"app": {}})
    hub.wait_status("dock", "gone", "running")
    before = hub.deployment("dock", "gone")
    (container,) = engine.containers("gone")
    engine.docker("rm", "--force", container)
    row = within_limit(hub, "gone", "error", lambda: events.find("destroy", container))
    assert "all containers are gone" in row["message"]
    engine.compose("gone", {"app": {}})
    hub.wait_status("dock", "gone", "running")
    assert hub.deployment("dock", "gone")["id"] == before["id"]


def test_upgrade_changes_version_and_revision_and_keeps_the_id(hub, engine):
    def labels(version):
        return {"muster.application": "ledger", "muster.version": version}

    engine.compose("upgrade", {"app": {"labels": labels("1.0")}})
    hub.wait_status("dock", "upgrade", "running")
    before = hub.deployment("dock", "upgrade")
    assert (before["application"], before["application_version"]) == ("ledger", "1.0")
    engine.compose("upgrade", {"app": {"labels": labels("2.0"), "image": "muster-test:2"}})
    after = until("the new version", lambda: (
        row if (row := hub.deployment("dock", "upgrade"))["application_version"] == "2.0" else None), 10)
    assert after["id"] == before["id"]
    assert after["revision"] != before["revision"]
    hub.wait_status("dock", "upgrade", "running")


def test_history_has_every_state_once_in_order(hub, engine, events):
    container = engine.container("story", *FOREVER)
    hub.wait_status("dock", "story", "running")
    for action, status in (("pause", "error"), ("unpause", "running")):
        engine.docker(action, container)
        hub.wait_status("dock", "story", status)

    def history():
        return hub.api("ListDeploymentHistory", deployment="dock/story")["intervals"][::-1]

    def statuses(rows):
        return [row["status"].removeprefix("DEPLOYMENT_STATUS_").lower() for row in rows]

    until("its history is stored", lambda: statuses(history())[-2:] == ["error", "running"], 5)
    intervals = history()
    assert statuses(intervals)[-3:] == ["running", "error", "running"], intervals
    for left, right in zip(intervals, intervals[1:]):
        assert left["to_time"] == right["from_time"], "the intervals leave neither gap nor overlap"
    assert not intervals[-1].get("to_time"), "the last one goes on"
    paused = intervals[-2]
    assert abs(timestamp(paused["from_time"]) - events.find("pause", container)) <= LIMIT_S
