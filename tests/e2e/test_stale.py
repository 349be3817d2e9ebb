"""Stale at 60 s: not before, and not a second after. One window of 60 s serves every way in which an agent falls silent."""

import threading
import time

from harness.agent import Agent
from harness.base import timestamp, until

STALE_AFTER_S = 60.0
VISIBLE_WITHIN_S = 1.0
POLL_S = 0.05


class Watch:
    """Asks for all targets again and again, and keeps for each what was seen when."""

    def __init__(self, hub):
        self._hub = hub
        self.seen = {}  # name -> [(time, state, last_seen_time)], one entry per change of state
        self.polls = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(POLL_S):
            rows = self._hub.api("ListTargets")["targets"]
            now = time.time()
            self.polls += 1
            for row in rows:
                changes = self.seen.setdefault(row["name"], [])
                state = row["state"].removeprefix("TARGET_STATE_").lower()
                if not changes or changes[-1][1] != state:
                    changes.append((now, state, row.get("last_seen_time")))

    def states(self, name):
        return [state for _, state, _ in self.seen.get(name, [])]

    def first(self, name, state):
        return next((entry for entry in self.seen.get(name, []) if entry[1] == state), None)

    def close(self):
        self._stop.set()
        self._thread.join()


def test_silent_agents_are_stale_at_sixty_seconds_and_live_ones_never(hub, engine, docker_host, folder, stalls):
    engine.compose("quiet", {"app": {}})
    hub.wait_status("dock", "quiet", "running")
    agents = {"dock": docker_host}
    for name in ("paused", "left", "alive"):
        agents[name] = Agent(folder, hub, hub.create_target(name, type="host"), name=name, runtime="none")
    for name in agents:
        hub.wait_connected(name)
    # The hub's own grace ends 60 s after its start: seconds before the silence may count as stale, so it hides nothing.
    time.sleep(6)

    watch = Watch(hub)
    agents["paused"].process.pause()
    agents["dock"].kill()
    agents["left"].stop()
    for name in ("dock", "left"):
        row = until("it is told that the stream closed",
                    lambda: row if (row := hub.target(name)).get("session_end") else None, 5)
        assert row["state"] == "TARGET_STATE_CONNECTED", "a closed stream is not yet stale"
        assert row["session_end"]["end_time"]
    until("three are stale", lambda: all(watch.first(name, "stale") for name in ("dock", "paused", "left")), 150, every=0.2)

    for name in ("dock", "paused", "left"):
        visible, _, last_seen = watch.first(name, "stale")
        silence = visible - timestamp(last_seen)
        print(f"{name}: stale was visible after {silence:.3f} s of silence")
        assert watch.states(name) == ["connected", "stale"]
        assert silence >= STALE_AFTER_S, f"{name} was stale too early"
        listened = visible - max(timestamp(last_seen), hub.stood_still_at(stalls))
        assert listened <= STALE_AFTER_S + VISIBLE_WITHIN_S + POLL_S + stalls.allowance_s(), f"{name} was stale too late"
    assert watch.states("alive") == ["connected"]
    assert watch.polls > 300, "the window was watched closely"

    # Of what the hub finds stale the hosts themselves tell whose process hangs, and whose is gone.
    for name, why in {"dock": "no agent runs", "left": "no agent runs", "paused": "its loop has not turned for"}.items():
        is_alive, said = agents[name].alive()
        assert not is_alive and why in said, (name, said)
    assert agents["alive"].alive()[0]

    quiet = hub.deployment("dock", "quiet")
    assert quiet["status"] == "DEPLOYMENT_STATUS_STALE"
    assert quiet["last_known_status"] == "DEPLOYMENT_STATUS_RUNNING", "the last known status stays visible beside it"

    agents["paused"].process.resume()
    agents["dock"].start()
    for name in ("paused", "dock"):
        hub.wait_connected(name, timeout=75 if name == "paused" else 20)
    hub.wait_status("dock", "quiet", "running")

    def history():
        states = [row["state"].removeprefix("TARGET_STATE_").lower()
                  for row in hub.api("ListTargetHistory", target="dock")["intervals"][::-1]]
        # The moment between the agent's start and its session is stale, too, with a reason of its own.
        return [state for i, state in enumerate(states) if i == 0 or states[i - 1] != state]

    until("its history is stored", lambda: history()[-1:] == ["connected"], 5)
    assert history()[-3:] == ["connected", "stale", "connected"], history()
    watch.close()
    for name in ("paused", "alive"):
        agents[name].stop()
