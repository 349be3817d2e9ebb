"""The API server is away for five minutes, and the cluster goes on without it: pods crash, a rollout ends, workloads come
and go, all of them write. When it is back, its watches begin too late and the token has expired. No status is lost, none
is shown that was not so, and each line that the cluster still has is told once. One outage for all: it takes its time."""

import sqlite3
import time

import pytest

from harness.agent import Agent
from harness.base import timestamp, until
from harness.kubernetes import DoubleCluster
from harness.scribe import gaps, numbers, texts, wait_line

AWAY_S = 300
TICK_S = 0.5
# Objects tell whole seconds; the rest is between the test's clock and the object's.
TIME_LIMIT_S = 1.5
# Then what was reported last is shown as stale; a fault is told after 10 s.
STALE_S, STALE_SPREAD_S = 60, 15
# Streams of logs are tried again after a minute at the latest, and there is a token to renew before.
BACK_S = 90


class Writer:
    """Numbered lines of a container, several of them with the same time."""

    def __init__(self, cluster, deployment, pod, container):
        self.deployment, self.pod = deployment, pod
        self._cluster, self._container = cluster, container
        self.count = 0

    def say(self, count=3):
        at = time.time()
        for _ in range(count):
            self._cluster.log(self.pod, self._container, f"{self.pod} line {self.count}", at=at)
            self.count += 1


class Town:
    """What goes on in the cluster: a history for each deployment, by the deployment's name."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.plays, self.writers, self.times = {}, {}, {}
        for name, history in (("steady", "rollout"), ("front", "rollout"), ("web", "crash_loop"), ("slow", "unready"),
                              ("api", "crash_recovers"), ("old", "deleted")):
            self.plays[name] = cluster.stage(history, name=name)
            self.plays[name].step()
        for name in ("steady", "api", "old"):
            for pod in cluster.pods(prefix=f"{name}-"):
                self.writers[pod] = Writer(cluster, name, pod, name)

    def begin_rollout(self):
        self.plays["front"].until("started, not ready")

    def of(self, deployment):
        return [writer for writer in self.writers.values() if writer.deployment == deployment]

    # ---- while nobody can look

    def during(self):
        """(seconds after the server left, what happens then)."""
        return [(20, self.crash_loop), (50, self.complete_rollout), (80, self.new_workload), (110, self.delete),
                (140, self.fail_job), (170, self.crash_once), (200, self.lose_readiness), (230, self.come_and_go)]

    def crash_loop(self):
        self.plays["web"].until("backing off after crash 1")

    def complete_rollout(self):
        self.plays["front"].finish()

    def new_workload(self):
        self.plays["fresh"] = self.cluster.stage("first_rollout", name="fresh").finish()
        for pod in self.cluster.pods(prefix="fresh-"):
            self.writers[pod] = Writer(self.cluster, "fresh", pod, "fresh")

    def delete(self):
        (self.gone,) = self.of("old")
        self.plays["old"].finish()
        del self.writers[self.gone.pod]

    def fail_job(self):
        self.plays["import"] = self.cluster.stage("job_failure", name="import").finish()

    def crash_once(self):
        self.plays["api"].until("ready again")

    def lose_readiness(self):
        self.plays["slow"].until("not ready")

    def come_and_go(self):
        self.cluster.stage("job_success", name="fleeting").finish()


class Place:
    """The double, its target and the agent that looks at it."""

    def __init__(self, folder, hub):
        self.hub, self.name = hub, "away"
        self.cluster = DoubleCluster(folder / "k")
        self.town = Town(self.cluster)
        target = hub.create_target(self.name, type="kubernetes")
        self.agent = Agent(folder, hub, target, runtime="kubernetes",
                           extra=self.cluster.agent_words(in_cluster=True, whole_cluster=True),
                           env=self.cluster.agent_env(in_cluster=True))
        hub.wait_connected(self.name)

    def statuses(self):
        return {name: row["status"].removeprefix("DEPLOYMENT_STATUS_").lower()
                for name, row in self.hub.deployments(self.name).items()}

    def shown(self):
        """What the hub shows of each deployment, with its time."""
        return {name: (row["status"], row["status_time"], row["message"])
                for name, row in self.hub.deployments(self.name).items()}

    def fault(self):
        return self.hub.target(self.name).get("observer_fault", "")

    def history(self, name):
        """(status, seconds since 1970 when it began), oldest first."""
        rows = self.hub.api("ListDeploymentHistory", deployment=self.hub.deployment(self.name, name)["id"],
                            page_size=200)["intervals"]
        return [(row["status"].removeprefix("DEPLOYMENT_STATUS_").lower(), timestamp(row["from_time"]))
                for row in rows[::-1]]

    def changes(self, name):
        """Its statuses, oldest first, without the time in which nobody could see it."""
        found = []
        for status, _ in self.history(name):
            if status != "stale" and found[-1:] != [status]:
                found.append(status)
        return found

    def last_change(self, name):
        """When its last change happened, by the agent: the hub keeps that beside its own time."""
        with sqlite3.connect(f"file:{self.hub.data / 'hub.db'}?mode=ro", uri=True) as database:
            return database.execute("SELECT max(agent_us) FROM deployment_changes WHERE deployment_id = ?",
                                    [self.hub.deployment(self.name, name)["id"]]).fetchone()[0] / 1e6

    def lines(self, writer):
        deployment = self.hub.deployment(self.name, writer.deployment)["id"]
        return numbers(self.hub, deployment, f"{writer.pod} line")

    def wait_lines(self, timeout):
        for writer in self.town.writers.values():
            deployment = self.hub.deployment(self.name, writer.deployment)["id"]
            wait_line(self.hub, deployment, f"{writer.pod} line {writer.count - 1}", timeout)

    # ---- the five minutes

    def live_through_the_outage(self):
        self.before = self.shown()
        self.cluster.server.leave()
        left = time.monotonic()
        self.left_at = time.time()
        self.kept = {pod: writer.count for pod, writer in self.town.writers.items()}
        plan = self.town.during()
        self.samples = []
        turn = 0
        while (passed := time.monotonic() - left) < AWAY_S:
            for writer in self.town.writers.values():
                writer.say()
            if plan and passed >= plan[0][0]:
                begin = time.time()
                happens = plan.pop(0)[1]
                happens()
                self.town.times[happens.__name__] = (begin, time.time())
            if turn % 4 == 0:
                self.samples.append((passed, self.hub.target_state(self.name), self.fault(), self.shown()))
            turn += 1
            time.sleep(max(0.0, left + turn * TICK_S - time.monotonic()))
        assert not plan

    def return_with_troubles(self):
        self.cluster.server.store.compact()
        self.cluster.expire_token()
        self.returned_at = time.time()
        self.cluster.server.come_back()
        until("the old token is refused", lambda: any(one.code == 401 for one in self.cluster.asked(
            since=self.returned_at)), 40)
        self.cluster.rotate_token()
        until("the fault is over", lambda: not self.fault(), 40)
        self.at_once = self.statuses()  # a fault ends with the picture that is true
        for writer in self.town.writers.values():
            writer.say(1)
        self.wait_lines(BACK_S)

    def stop(self):
        self.agent.stop()
        self.cluster.stop()
        assert list(self.cluster.violations) == []


@pytest.fixture(scope="module")
def place(folder, hub):
    place = Place(folder, hub)
    try:
        town = place.town
        until("all deployments are healthy", lambda: set(place.statuses().values()) == {"healthy"} and len(
            place.statuses()) == 6, 20)
        town.begin_rollout()
        hub.wait_status(place.name, "front", "progressing")
        for writer in town.writers.values():
            writer.say(10)
        place.wait_lines(20)
        place.live_through_the_outage()
        place.return_with_troubles()
        yield place
    finally:
        place.stop()


def test_the_target_stays_connected_and_says_what_to_do(place):
    assert {state for _, state, _, _ in place.samples} == {"connected"}
    faults = [fault for passed, _, fault, _ in place.samples if passed > 20]
    assert len(faults) > 100
    for fault in faults:
        assert "cannot be reached" in fault and "look at the API server and at network policies" in fault, fault


def test_nothing_is_shown_anew_while_nothing_can_be_seen(place):
    last_report = {name: message for name, (_, _, message) in place.before.items()}
    for passed, _, _, shown in place.samples:
        assert {name: message for name, (_, _, message) in shown.items()} == last_report
        if shown != place.before or passed > STALE_S + STALE_SPREAD_S:
            assert passed > STALE_S and {status for status, _, _ in shown.values()} == {"DEPLOYMENT_STATUS_STALE"}, (
                f"{passed:.1f} s after the server left: {shown}")


def test_the_fault_ends_with_the_statuses_that_are_true(place):
    assert place.at_once == {"steady": "healthy", "front": "healthy", "web": "error", "slow": "progressing",
                             "api": "healthy", "old": "error", "fresh": "healthy", "import": "error"}
    assert place.statuses() == place.at_once
    for name, words in (("web", "CrashLoopBackOff"), ("import", "BackoffLimitExceeded"), ("old", "gone")):
        assert words in place.hub.deployment(place.name, name)["message"]


@pytest.mark.parametrize("name, changes, what", [
    ("web", ["healthy", "error"], "crash_loop"),
    ("front", ["healthy", "progressing", "healthy"], "complete_rollout"),
    ("fresh", ["healthy"], "new_workload"),
    ("import", ["error"], "fail_job"),
    ("slow", ["healthy", "progressing"], "lose_readiness"),
])
def test_a_change_is_told_with_the_time_of_its_object(place, name, changes, what):
    assert place.changes(name) == changes
    begin, end = place.town.times[what]
    told = place.last_change(name)
    assert begin - TIME_LIMIT_S <= told <= end + TIME_LIMIT_S, (
        f"{told - place.left_at:.1f} s after the server left, not {begin - place.left_at:.1f}")


def test_what_no_object_tells_has_the_time_at_which_it_was_seen(place):
    assert place.changes("old") == ["healthy", "error"]
    assert place.last_change("old") >= place.returned_at
    # What came and went within the outage was never seen.
    assert "fleeting" not in place.statuses()


def test_history_says_for_how_long_nobody_could_see(place):
    for name in place.before:
        status, begin = place.history(name)[-1]
        assert begin >= place.returned_at, "what was stale is shown from when it is heard of again"
        stale = [begin for status, begin in place.history(name) if status == "stale"]
        assert STALE_S <= stale[0] - place.left_at <= STALE_S + STALE_SPREAD_S


def test_what_is_as_it_was_has_no_new_status(place):
    assert place.changes("steady") == ["healthy"]
    assert place.changes("api") == ["healthy"]
    (resource,) = place.hub.deployment(place.name, "api")["resources"]
    assert int(resource["restart_count"]) == 1
    begin, end = place.town.times["crash_once"]
    assert begin - TIME_LIMIT_S <= timestamp(resource["start_time"]) <= end + TIME_LIMIT_S


def test_every_line_is_told_once_and_in_order(place):
    for writer in place.town.writers.values():
        assert writer.count > 100
        if writer.deployment != "api":
            assert place.lines(writer) == list(range(writer.count)), writer.pod


def test_the_run_that_crashed_meanwhile_and_the_one_after_it_are_told(place):
    (api,) = place.town.of("api")
    # Two logs, which are read at the same time: their lines stand by their times.
    deployment = place.hub.deployment(place.name, "api")["id"]
    told = texts(place.hub, deployment)
    crash = told.index("panic: index out of range")
    assert 10 < crash - 1 and told[crash + 1] == "api starts, run 1"
    assert told == ["api starts, run 0", *(f"{api.pod} line {number}" for number in range(crash - 1)), told[crash],
                    told[crash + 1], *(f"{api.pod} line {number}" for number in range(crash - 1, api.count))]
    assert gaps(place.hub, deployment) == []
    told = texts(place.hub, place.hub.deployment(place.name, "web")["id"])
    # A cluster keeps one run beside the present one: of run 0 nothing is left.
    assert [text for text in told if "run 1" in text] == ["web starts, run 1", "fatal: no database at db:5432 (run 1)"]


def test_of_a_deleted_pod_is_told_what_was_there_to_be_read(place):
    told = place.lines(place.town.gone)
    assert told == list(range(place.kept[place.town.gone.pod]))
