"""A Kubernetes cluster through agent and hub: what the API server tells becomes the status of deployments and their
logs, whatever happens to watches, tokens and the server; and nobody asks more than the role allows. Where
MUSTER_TEST_KUBECONFIG names a real cluster, what can be provoked there with kubectl is."""

import itertools
import time

import pytest

from harness.agent import Agent
from harness.base import until
from harness.scribe import gaps, numbers, texts, wait_line

CHANGE_LIMIT_S = 1
places = itertools.count()


class Place:
    """A cluster, its target, and the agent that looks at it."""

    def __init__(self, folder, hub, cluster, name):
        self.hub, self.cluster, self.name = hub, cluster, name
        target = hub.create_target(name, type="kubernetes")
        in_cluster = not cluster.is_real
        self.agent = Agent(folder, hub, target, name=f"agent-{name}", runtime="kubernetes",
                           extra=cluster.agent_words(in_cluster=in_cluster, **cluster.scope()),
                           env=cluster.agent_env(in_cluster=in_cluster))
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


@pytest.fixture
def place(folder, hub, kubernetes):
    place = Place(folder, hub, kubernetes, f"cluster-{next(places)}")
    yield place
    place.agent.stop()


def test_a_rolling_update_of_a_healthy_workload_is_never_an_error(place):
    play = place.cluster.stage("rollout")
    play.step()
    place.wait("web", "healthy")
    before = place.hub.deployment(place.name, "web")
    seen = set()
    play.start(speed=5)
    while not play.is_over:
        seen.add(place.status("web"))
        time.sleep(0.02)
    play.wait()
    place.wait("web", "healthy")
    after = place.hub.deployment(place.name, "web")
    assert seen == {"progressing", "healthy"}, seen
    assert "error" not in place.history("web")
    assert before["revision"] != after["revision"]
    assert before["id"] == after["id"]


@pytest.mark.parametrize("history, step, name, status, words", [
    ("first_rollout", "healthy", "web", "healthy", ""),
    ("crash_loop", "backing off", "web", "error", "CrashLoopBackOff"),
    ("bad_image", "backing off", "web", "error", "web:9.9.9"),
    ("job_success", "complete", "import", "running", "completed"),
    ("job_failure", "failed", "import", "error", "BackoffLimitExceeded"),
    ("scale_to_zero", "scaled to 0", "web", "running", "scaled to 0"),
])
def test_what_happens_in_any_cluster_becomes_a_status(place, history, step, name, status, words):
    play = place.cluster.stage(history)
    play.step()
    until("the deployment is seen", lambda: place.hub.deployments(place.name), 10)
    if step not in play.done:
        play.until(step)
    until(f"{name} is {status}, {words!r}", lambda: place.status(name) == status and words in place.message(name), 20)


def test_every_line_is_told_once_by_an_agent_that_was_killed_meanwhile(place):
    place.cluster.write_lines("writer", 300)
    deployment = until("the deployment is seen", lambda: place.hub.deployment(place.name, "writer"), 120)["id"]
    for number in (50, 150):
        wait_line(place.hub, deployment, f"line {number}", 60)
        place.agent.kill()
        place.agent.start()
    wait_line(place.hub, deployment, "line 299", 60)
    assert numbers(place.hub, deployment, "line") == list(range(300))


# ---- what kubectl cannot make happen


@pytest.mark.double_only("what happens there cannot be provoked in a real cluster within a test")
@pytest.mark.parametrize("history, name, status, words", [
    ("oom_killed", "web", "error", "OOM-killed"),
    ("config_error", "web", "error", "CreateContainerConfigError"),
    ("progress_deadline", "web", "error", "progress deadline"),
    ("eviction", "web", "healthy", ""),
    ("node_loss", "web", "healthy", ""),
    ("helm", "portal", "healthy", ""),
    ("statefulset_rollout", "db", "healthy", ""),
    ("cronjob_fails", "report", "running", ""),
    ("no_probes", "plain", "running", ""),
])
def test_what_happens_in_a_cluster_becomes_a_status(place, history, name, status, words):
    play = place.cluster.stage(history)
    play.step()
    until("the deployment is seen", lambda: place.hub.deployments(place.name), 10)
    play.finish()
    place.wait(name, status)
    assert words in place.message(name)


@pytest.mark.double_only("the moment of the change is the test's")
def test_a_change_is_seen_within_a_second(place):
    play = place.cluster.stage("unready")
    play.step()
    place.wait("web", "healthy")
    play.until("not ready")
    begin = time.monotonic()
    place.wait("web", "progressing", 10)
    # Beside the agent's part: its way to the hub, and the questions of this test.
    assert time.monotonic() - begin < CHANGE_LIMIT_S + 0.5


@pytest.mark.double_only("it breaks the server")
def test_lines_survive_cuts_old_tokens_and_a_server_that_is_away(place):
    play = place.cluster.stage("rollout", replicas=2)
    play.step()
    place.wait("web", "healthy")
    server, pod = place.cluster.server, place.cluster.pods(prefix="web")[0]
    deployment = place.hub.deployment(place.name, "web")["id"]
    said = []

    def say(count):
        for _ in range(count):
            said.append(f"line {len(said)}")
            place.cluster.log(pod, "web", said[-1])

    say(20)
    wait_line(place.hub, deployment, said[-1])
    for trouble in (server.cut, lambda: server.cut("log"), server.store.compact, place.cluster.expire_token,
                    lambda: server.away(3)):
        trouble()
        say(5)
        place.cluster.rotate_token()
        say(5)
        wait_line(place.hub, deployment, said[-1], 60)
    assert numbers(place.hub, deployment, "line") == list(range(len(said)))


@pytest.mark.double_only("it breaks the server")
def test_an_outage_is_told_and_what_changed_meanwhile_is_seen(place):
    play = place.cluster.stage("bad_image")
    play.step()
    place.wait("web", "healthy")
    place.cluster.server.away(14)
    until("the fault is told", lambda: "cannot be reached" in place.hub.target(place.name).get("observer_fault", ""), 20)
    play.until("backing off")
    place.wait("web", "error", 60)
    assert "ImagePullBackOff" in place.message("web")


@pytest.mark.double_only("it breaks the server")
def test_lines_of_a_run_that_nobody_saw_begin_are_told_once(place):
    server, line = place.cluster.server, 0
    server.faults.answer(503, path="/log?")
    play = place.cluster.stage("crash_recovers")
    play.step()
    place.wait("web", "healthy")
    deployment, (pod,) = place.hub.deployment(place.name, "web")["id"], place.cluster.pods(prefix="web")
    server.hang("pods")
    play.until("started again")
    for line in range(20):
        place.cluster.log(pod, "web", f"line {line}")
    server.faults.clear()
    wait_line(place.hub, deployment, f"line {line}", 60)  # taken for the run before, of which no line was told yet
    server.unhang()
    wait_line(place.hub, deployment, "web starts, run 0", 30)
    for line in range(20, 40):
        place.cluster.log(pod, "web", f"line {line}")
    wait_line(place.hub, deployment, f"line {line}")
    assert numbers(place.hub, deployment, "line") == list(range(40))
    told = texts(place.hub, deployment)
    assert [told.count(text) for text in ("web starts, run 0", "panic: index out of range", "web starts, run 1")] == [
        1, 1, 1]
    assert gaps(place.hub, deployment) == []
