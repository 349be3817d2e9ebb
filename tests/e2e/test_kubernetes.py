"""A Kubernetes cluster through agent and hub: what the API server tells becomes the status of deployments and their
logs, whatever happens to watches, tokens and the server; and nobody asks more than the role allows."""

import time

import pytest

from harness.agent import Agent
from harness.base import until
from harness.kubernetes import DoubleCluster
from harness.scribe import numbers, wait_line

CHANGE_LIMIT_S = 1


class Place:
    """A cluster, its target, and the agent that looks at it."""

    def __init__(self, folder, hub, name, in_cluster=False):
        self.hub = hub
        self.name = name
        self.cluster = DoubleCluster(folder / f"k-{name}")
        target = hub.create_target(name, type="kubernetes")
        self.agent = Agent(folder, hub, target, name=f"agent-{name}", runtime="kubernetes",
                           extra=self.cluster.agent_words(in_cluster=in_cluster, whole_cluster=True),
                           env=self.cluster.agent_env(in_cluster=in_cluster))
        hub.wait_connected(name)

    def status(self, deployment):
        return self.hub.status_of(self.name, deployment)

    def wait(self, deployment, status, timeout=15):
        self.hub.wait_status(self.name, deployment, status, timeout)

    def message(self, deployment):
        return self.hub.deployment(self.name, deployment).get("message", "")

    def history(self, deployment):
        """Statuses that the deployment had, oldest first."""
        rows = self.hub.api("ListDeploymentHistory", deployment=self.hub.deployment(self.name, deployment)["id"],
                            page_size=200)["intervals"]
        return [row["status"].removeprefix("DEPLOYMENT_STATUS_").lower()
                for row in sorted(rows, key=lambda row: row["from_time"])]

    def stop(self):
        self.agent.stop()
        self.cluster.stop()
        assert list(self.cluster.violations) == []


@pytest.fixture
def place(folder, hub):
    made = []

    def make(name, **options):
        made.append(Place(folder, hub, name, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_a_rolling_update_of_a_healthy_workload_is_never_an_error(place):
    at = place("rollout", in_cluster=True)
    play = at.cluster.stage("rollout")
    play.step()
    at.wait("web", "healthy")
    before = at.hub.deployment(at.name, "web")
    seen = set()
    while play.step():
        time.sleep(0.3)  # each step is a picture of its own
        seen.add(at.status("web"))
    at.wait("web", "healthy")
    after = at.hub.deployment(at.name, "web")
    assert seen == {"progressing", "healthy"}, seen
    assert "error" not in at.history("web")
    assert before["revision"] != after["revision"]
    assert before["id"] == after["id"]


@pytest.mark.parametrize("history, name, status, words", [
    ("crash_loop", "web", "error", "CrashLoopBackOff"),
    ("bad_image", "web", "error", "registry.example.com/shop/web:9.9.9"),
    ("oom_killed", "web", "error", "OOM-killed"),
    ("config_error", "web", "error", "CreateContainerConfigError"),
    ("job_failure", "import", "error", "BackoffLimitExceeded"),
    ("progress_deadline", "web", "error", "progress deadline"),
    ("eviction", "web", "healthy", ""),
    ("node_loss", "web", "healthy", ""),
    ("helm", "portal", "healthy", ""),
    ("statefulset_rollout", "db", "healthy", ""),
    ("cronjob_fails", "report", "running", ""),
    ("no_probes", "plain", "running", ""),
])
def test_what_happens_in_a_cluster_becomes_a_status(place, history, name, status, words):
    at = place(history.replace("_", "-"))
    play = at.cluster.stage(history)
    play.step()
    until("the deployment is seen", lambda: at.hub.deployments(at.name), 10)
    play.finish()
    at.wait(name, status)
    assert words in at.message(name)


def test_a_change_is_seen_within_a_second(place):
    at = place("quick")
    play = at.cluster.stage("unready")
    play.step()
    at.wait("web", "healthy")
    play.until("not ready")
    begin = time.monotonic()
    at.wait("web", "progressing", 10)
    # Beside the agent's part: its way to the hub, and the questions of this test.
    assert time.monotonic() - begin < CHANGE_LIMIT_S + 0.5


def test_lines_survive_cuts_old_tokens_and_a_server_that_is_away(place):
    at = place("logs", in_cluster=True)
    play = at.cluster.stage("rollout", replicas=2)
    play.step()
    at.wait("web", "healthy")
    pod = at.cluster.pods(prefix="web")[0]
    deployment = at.hub.deployment(at.name, "web")["id"]
    said = []

    def say(count):
        for _ in range(count):
            said.append(f"line {len(said)}")
            at.cluster.log(pod, "web", said[-1])

    say(20)
    wait_line(at.hub, deployment, said[-1])
    for trouble in (lambda: at.cluster.server.cut(), lambda: at.cluster.server.cut("log"),
                    lambda: at.cluster.server.store.compact(), lambda: at.cluster.expire_token(),
                    lambda: at.cluster.server.away(3)):
        trouble()
        say(5)
        at.cluster.rotate_token()
        say(5)
        wait_line(at.hub, deployment, said[-1], 60)
    assert numbers(at.hub, deployment, "line") == list(range(len(said)))


def test_an_outage_is_told_and_what_changed_meanwhile_is_seen(place):
    at = place("away")
    play = at.cluster.stage("bad_image")
    play.step()
    at.wait("web", "healthy")
    at.cluster.server.away(14)
    until("the fault is told", lambda: "cannot be reached" in at.hub.target(at.name).get("observer_fault", ""), 20)
    play.until("backing off")
    at.wait("web", "error", 60)
    assert "ImagePullBackOff" in at.message("web")
