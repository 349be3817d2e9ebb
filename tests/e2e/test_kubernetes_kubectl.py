"""kubectl takes the double for a cluster: that of Debian 12 (1.20) as well as a new one."""

import json
import os
import time

import pytest

from conftest import require
from harness.base import Process, run, until
from harness.kubernetes import DoubleCluster
from harness.kubernetes_real import RealCluster, account, histories


@pytest.fixture(scope="module")
def kubectl():
    require("kubectl")


@pytest.fixture
def cluster(kubectl, folder, request):
    cluster = DoubleCluster(folder / request.node.name[:40])
    yield cluster
    cluster.stop()


def words(cluster, *more, config=None):
    return ["kubectl", "--kubeconfig", config or cluster.kubeconfig(), "--cache-dir", cluster.dir / "cache", *more]


def environment(cluster):
    return os.environ | {"HOME": str(cluster.dir)}


def ask(cluster, *more, config=None, **options):
    return run(words(cluster, *more, config=config), env=environment(cluster), **options).stdout


def test_get_lists_what_there_is_with_the_agents_own_rights(cluster):
    cluster.stage("rollout", namespace="other").step()
    cluster.stage("rollout").step()
    assert sorted(ask(cluster, "get", "pods", "-o", "name").split()) == sorted(f"pod/{name}" for name in cluster.pods())
    assert len(ask(cluster, "get", "po", "-A", "--chunk-size=2", "--no-headers").splitlines()) == 6
    deployment = json.loads(ask(cluster, "get", "deploy", "web", "-o", "json"))
    assert deployment["status"]["readyReplicas"] == 3
    for kind in ("nodes", "events", "sts", "ds", "rs", "jobs", "cj"):
        ask(cluster, "get", kind, "-A")
    assert cluster.violations == []
    done = run(words(cluster, "get", "--raw", "/api/v1/namespaces/shop/secrets"), check=False, env=environment(cluster))
    assert done.returncode == 1 and "Error from server (Forbidden): secrets is forbidden: User" in done.stderr


def test_get_watches(cluster):
    play = cluster.stage("first_rollout")
    watcher = Process("kubectl", words(cluster, "get", "pods", "-w", "-o", "name"), cluster.dir / "watch.log",
                      env=environment(cluster))
    try:
        until("kubectl watches", lambda: cluster.server.watching("pods") == 1, 20)
        play.finish()
        pods = {f"pod/{name}" for name in cluster.pods()}
        until("it has seen the pods", lambda: pods <= set(watcher.log().split()), 10)
    finally:
        watcher.kill()


def test_rollout_status_follows_a_rollout_to_its_end(cluster):
    play = cluster.stage("rollout")
    play.until("started, not ready")
    watcher = Process("kubectl", words(cluster, "rollout", "status", "deployment/web", "--timeout=30s"),
                      cluster.dir / "status.log", env=environment(cluster))
    try:
        until("kubectl watches", lambda: cluster.server.watching("deployments") == 1, 20)
        play.finish()
        assert watcher.wait(20) == 0, watcher.log()
        assert 'deployment "web" successfully rolled out' in watcher.log()
    finally:
        watcher.kill()


def test_wait_for_a_condition_and_describe(cluster):
    play = cluster.stage("bad_image")
    play.finish()
    (pod,) = [event["involvedObject"]["name"] for event in cluster.server.store.objects("events", "shop")
              if event["message"] == "Error: ImagePullBackOff"]
    ask(cluster, "wait", "--for=condition=Available", "deployment/web", "--timeout=5s")
    text = ask(cluster, "describe", "pod", pod)
    assert "Reason:       ImagePullBackOff" in text and "Back-off pulling image" in text, text
    assert "x3 over" in text


def test_logs_follow_and_previous(cluster):
    play = cluster.stage("crash_loop")
    play.until("run 0")
    pods = json.loads(ask(cluster, "get", "pods", "-o", "json"))["items"]
    (pod,) = [one["metadata"]["name"] for one in pods if not one["status"]["containerStatuses"][0]["ready"]]
    assert ask(cluster, "logs", pod) == "web starts, run 0\n"
    follower = Process("kubectl", words(cluster, "logs", "-f", "--timestamps", pod), cluster.dir / "follow.log",
                       env=environment(cluster))
    try:
        until("kubectl follows", lambda: cluster.server.watching("log") == 1, 20)
        cluster.log(pod, "web", "seen at once", at=time.time())
        until("it shows the line", lambda: "Z seen at once\n" in follower.log(), 10)
        play.until("backing off after crash 1")
        assert follower.wait(20) == 0
    finally:
        follower.kill()
    play.until("run 2")
    assert "(run 1)" in ask(cluster, "logs", "--previous", pod)
    assert ask(cluster, "logs", "--tail=1", pod) == "web starts, run 2\n"


def test_top_reads_the_metrics_api(cluster):
    cluster.stage("rollout").step()
    pod = cluster.pods()[0]
    cluster.server.usage.set["shop", pod, "web"] = (250_000_000, 64 << 20)
    line = next(line for line in ask(cluster, "top", "pods", "--no-headers").splitlines() if line.startswith(pod))
    assert line.split()[1:] == ["250m", "64Mi"]
    assert len(ask(cluster, "top", "nodes", "--no-headers").splitlines()) == 3
    assert cluster.violations == []


def test_client_certificates_are_a_person_who_may_read_all(cluster):
    cluster.stage("rollout").step()
    assert len(ask(cluster, "get", "pods", "-o", "name", config=cluster.admin_kubeconfig()).split()) == 3
    assert {one.user for one in cluster.asked("/pods")} == {"admin"}


def test_what_is_made_in_a_real_cluster_is_something_kubectl_knows(cluster):
    objects = [one for steps in histories().values() for _, made, _ in steps for one in made]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    names = ask(cluster, "create", "--dry-run=client", "--validate=false", "-o", "name", "-f", "-", input=text).split()
    assert set(names) == {"deployment.apps/web", "job.batch/import"} and len(names) == len(objects)
    assert [one["kind"] for one in account("ns", [], False)] == ["ServiceAccount", "Role", "RoleBinding"]
    assert cluster.violations == []


def test_the_conditions_of_histories_in_a_real_cluster_are_read_with_kubectl(cluster):
    """The double cannot be written to: what is applied there is played here, and what is waited for is the same."""
    real = RealCluster.__new__(RealCluster)
    real._admin, real.dir = cluster.admin_kubeconfig(), cluster.dir
    for number, (history, before, after) in enumerate((
            ("rollout", "not yet observed", "healthy at 1.5.0"), ("crash_loop", "healthy", "backing off"),
            ("bad_image", "healthy", "backing off"), ("job_failure", "applied", "failed"),
            ("job_success", "applied", "complete"), ("scale_to_zero", "healthy", "scaled to 0"))):
        real.namespace = f"ns{number}"
        conditions = {what: condition for what, _, condition in histories()[history]}
        play = cluster.stage(history, namespace=real.namespace)
        play.until(before)
        assert not conditions[after](real), history
        play.until(after)
        assert conditions[after](real), history
