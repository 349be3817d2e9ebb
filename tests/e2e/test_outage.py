"""What happened on the host while no hub listened is in the history afterwards: each change once, with its own time."""

import time

from harness.base import timestamp, until

PAUSED, RUNNING = "DEPLOYMENT_STATUS_ERROR", "DEPLOYMENT_STATUS_RUNNING"
# The agent's time, the engine's and the hub's are one machine's; what is left is the way of the event.
TIME_LIMIT_S = 1.0


def intervals(hub, name):
    row = hub.deployment("dock", name)
    return hub.api("ListDeploymentHistory", deployment=row["id"])["intervals"][::-1]


def statuses(rows):
    return [row["status"] for row in rows]


def wait_session(hub):
    """Until the agent is back after the hub was away; a target counts as connected meanwhile. Its back-off may be long."""
    until("the agent is back", lambda: hub.target("dock").get("session"), 70)


def journal_is_drained(hub):
    status, text = hub.metrics()
    assert status == 200
    waiting = [line for line in text.splitlines() if line.startswith("distr_journal_records{") and '"dock"' in line]
    return bool(waiting) and waiting[0].endswith(" 0")


def test_changes_during_a_hub_outage_are_in_the_history_once_and_in_time(hub, engine, events, docker_host):
    container = engine.container("napper")
    hub.wait_status("dock", "napper", "running")
    before = until("its history is stored", lambda: rows if (rows := intervals(hub, "napper")) and
                   rows[-1]["status"] == RUNNING else None, 5)
    hub.kill()
    down = time.time()
    engine.docker("pause", container)
    time.sleep(1)
    engine.docker("unpause", container)
    time.sleep(1)
    engine.docker("pause", container)
    hub.start()
    wait_session(hub)
    hub.wait_status("dock", "napper", "error", timeout=5)
    until("the journal is drained", lambda: journal_is_drained(hub), 20)

    rows = intervals(hub, "napper")
    assert rows[:len(before) - 1] == before[:-1], "what was over is as it was"
    assert statuses(rows[len(before) - 1:]) == [RUNNING, PAUSED, RUNNING, PAUSED], rows
    paused, unpaused, paused_again = rows[-3:]
    for row, action, number in ((paused, "pause", 1), (unpaused, "unpause", 1), (paused_again, "pause", 2)):
        truth = events.find(action, container, number=number)
        assert abs(timestamp(row["from_time"]) - truth) < TIME_LIMIT_S, (row, truth)
        assert timestamp(row["from_time"]) > down
    target = hub.api("ListTargetHistory", target="dock")["intervals"][::-1]
    assert "TARGET_STATE_STALE" not in [row["state"] for row in target]
    assert "TARGET_STATE_UNKNOWN" not in [row["state"] for row in target], "the agent was there all the time: " + str(target)
    engine.docker("unpause", container)
    hub.wait_status("dock", "napper", "running")


def test_a_change_during_the_replay_is_live_at_once(hub, engine, docker_host):
    container = engine.container("second")
    hub.wait_status("dock", "second", "running")
    hub.kill()
    for _ in range(10):
        engine.docker("pause", container)
        time.sleep(0.5)  # an observer looks at states; what lasts shorter than a look is not seen
        engine.docker("unpause", container)
        time.sleep(0.5)
    hub.start()
    wait_session(hub)
    engine.docker("pause", container)
    changed = time.time()
    assert hub.wait_status("dock", "second", "error", timeout=5) - changed < TIME_LIMIT_S
    until("the journal is drained", lambda: journal_is_drained(hub), 20)
    assert hub.status_of("dock", "second") == "error", "the backlog does not overwrite what is live"
    rows = intervals(hub, "second")
    if rows[0]["status"] == "DEPLOYMENT_STATUS_PROGRESSING":  # the look caught it between creation and start
        rows = rows[1:]
    assert statuses(rows) == [RUNNING if i % 2 == 0 else PAUSED for i in range(22)], rows
    assert rows[-1].get("to_time") is None


def test_an_agent_that_was_away_too_leaves_unknown_behind(hub, engine, docker_host):
    engine.container("third")
    hub.wait_status("dock", "third", "running")
    hub.kill()
    docker_host.kill()
    time.sleep(10)  # a killed hub's end is known to 5 s
    middle = time.time() - 2
    hub.start()
    docker_host.start()
    wait_session(hub)
    hub.wait_status("dock", "third", "running")
    until("the journal is drained", lambda: journal_is_drained(hub), 20)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(middle))
    fleet = hub.api("GetFleetAt", time=moment)
    (target,) = [row for row in fleet["targets"] if row["target_name"] == "dock"]
    assert target["interval"]["state"] == "TARGET_STATE_UNKNOWN", target
    (third,) = [row for row in fleet["deployments"] if row["name"] == "third"]
    assert third["interval"]["status"] == "DEPLOYMENT_STATUS_UNKNOWN", third
    share = hub.api("GetAvailability", target="dock")
    assert float(share["unknown"].rstrip("s")) >= 2.5, share
    assert share["ratio"] > 0.99, "what is not known counts for nothing: " + str(share)
