"""kill -9 of the hub and restart: everything is as before, and nobody is stale until 60 s after the start."""

import time

from harness.agent import Agent
from harness.base import until

GRACE_S = 60.0
VISIBLE_WITHIN_S = 1.0


def picture(hub):
    """What must survive: everything but what only a live session knows."""
    targets = hub.api("ListTargets")["targets"]
    deployments = hub.api("ListDeployments")["deployments"]
    return {
        "targets": sorted((row["id"], row["name"], row["type"], row["customer"], row["create_time"]) for row in targets),
        "deployments": sorted((row["id"], row["target_id"], row["name"], row["kind"], row["application"],
                               row["application_version"], row["revision"], row["create_time"]) for row in deployments),
        "tokens": sorted((row["id"], row["name"], row["role"]) for row in hub.api("ListTokens")["tokens"]),
    }


def closed_intervals(hub):
    """History that is over and can change no more, oldest first."""
    history = {}
    for row in hub.api("ListTargets")["targets"]:
        history[row["name"]] = hub.api("ListTargetHistory", target=row["id"])["intervals"][::-1]
    for row in hub.api("ListDeployments")["deployments"]:
        history[row["id"]] = hub.api("ListDeploymentHistory", deployment=row["id"])["intervals"][::-1]
    return {name: [row for row in rows if row.get("to_time")] for name, rows in history.items()}


def test_killed_hub_comes_back_as_it_was_and_calls_nobody_stale_for_a_minute(hub, engine, docker_host, folder, stalls):
    engine.compose("ledger", {"app": {"labels": {"muster.application": "ledger", "muster.version": "4.2"}}})
    container = engine.container("pauser")
    hub.wait_status("dock", "ledger", "running")
    hub.wait_status("dock", "pauser", "running")
    engine.docker("pause", container)
    hub.wait_status("dock", "pauser", "error")
    silent_target = hub.create_target("silent", type="host", customer="Customer Eight")
    silent = Agent(folder, hub, silent_target, name="silent", runtime="none")
    hub.wait_connected("silent")
    viewer = hub.cli("token", "create", "watcher", "--role", "viewer")["secret"]
    never = hub.create_target("never", type="host")
    before, history = picture(hub), closed_intervals(hub)
    assert any(history.values())

    hub.kill()
    silent.kill()  # falls silent while the hub cannot know
    started = time.time()
    hub.start()
    listening = time.time()

    assert picture(hub) == before
    assert hub.api("ListTargets", token=viewer)["targets"], "tokens are as before"
    hub.wait_connected("dock", timeout=20)  # the target's secret is as before
    hub.wait_status("dock", "ledger", "running")
    hub.wait_status("dock", "pauser", "error")
    after = closed_intervals(hub)
    for name, rows in history.items():
        assert after[name][:len(rows)] == rows, f"the history of {name} changed"
    assert hub.target_state("never") == "not_connected"

    stale_at = None
    while stale_at is None and time.time() < max(listening, hub.stood_still_at(stalls)) + GRACE_S + 10:
        states = {row["name"]: row["state"] for row in hub.api("ListTargets")["targets"]}
        now = time.time()
        assert states["dock"] == "TARGET_STATE_CONNECTED"
        assert states["never"] == "TARGET_STATE_NOT_CONNECTED"
        if states["silent"] == "TARGET_STATE_STALE":
            stale_at = now
        time.sleep(0.05)
    assert stale_at is not None, "the silent one never became stale"
    assert stale_at - started >= GRACE_S, f"stale {stale_at - started:.2f} s after the start"
    assert stale_at - max(listening, hub.stood_still_at(stalls)) <= GRACE_S + VISIBLE_WITHIN_S + 0.1 + stalls.allowance_s()

    again = Agent(folder, hub, {**never}, name="never", runtime="none")  # a secret that was never used is kept, too
    until("never is connected", lambda: hub.target_state("never") == "connected", 15)
    again.stop()
