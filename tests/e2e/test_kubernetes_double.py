"""The double of the Kubernetes API server: what a client sees of lists, watches, logs, metrics, rights."""

import json
import os
import subprocess
import sys
import time

import pytest

from harness.base import ROOT, until
from harness.kubernetes import Asking, DoubleCluster, DoubleProcess, rfc3339, roles

PODS = "/api/v1/namespaces/shop/pods"
DEPLOYMENTS = "/apis/apps/v1/deployments"
EVENTS = "/api/v1/events"


@pytest.fixture(scope="module")
def shared(folder):
    """One double for everything that leaves no trace in it."""
    cluster = DoubleCluster(folder / "shared")
    cluster.stage("rollout", replicas=7).step()
    cluster.stage("bad_image", namespace="other").finish()
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(folder, request):
    cluster = DoubleCluster(folder / request.node.name[:40])
    yield cluster
    cluster.stop()


def names(items):
    return [item["metadata"]["name"] for item in items]


def refused(answer, code, reason):
    status, _, body = answer
    assert status == code == body["code"]
    assert (body["kind"], body["status"], body["reason"]) == ("Status", "Failure", reason), body
    return body


def listed(cluster, path, **query):
    status, _, body = cluster.ask(path, **query)
    assert status == 200, body
    return body


def version(cluster, path=PODS):
    return listed(cluster, path)["metadata"]["resourceVersion"]


# ---- lists


def test_pages_are_of_one_version_whatever_happens_between_them(cluster):
    play = cluster.stage("rollout", replicas=7)
    play.step()
    whole = listed(cluster, PODS)
    first = listed(cluster, PODS, limit=3)
    assert first["metadata"]["remainingItemCount"] == 4
    play.finish()
    second = listed(cluster, PODS, limit=3, **{"continue": first["metadata"]["continue"]})
    third = listed(cluster, PODS, limit=3, **{"continue": second["metadata"]["continue"]})
    assert first["items"] + second["items"] + third["items"] == whole["items"]
    assert {page["metadata"]["resourceVersion"] for page in (first, second, third)} == {
        whole["metadata"]["resourceVersion"]}
    assert "continue" not in third["metadata"] and "remainingItemCount" not in third["metadata"]
    assert names(listed(cluster, PODS)["items"]) != names(whole["items"])


def test_items_of_a_list_have_no_kind_and_objects_alone_do(shared):
    page = listed(shared, PODS)
    assert (page["kind"], page["apiVersion"]) == ("PodList", "v1")
    assert "kind" not in page["items"][0] and page["items"][0]["metadata"]["managedFields"]
    one = listed(shared, f"{PODS}/{page['items'][0]['metadata']['name']}")
    assert (one["kind"], one["metadata"]) == ("Pod", page["items"][0]["metadata"])


def test_continue_is_gone_after_a_compaction_and_offers_the_rest(cluster):
    cluster.stage("rollout", replicas=5).step()
    token = listed(cluster, PODS, limit=2)["metadata"]["continue"]
    cluster.server.store.compact()
    body = refused(cluster.ask(PODS, limit=2, **{"continue": token}), 410, "Expired")
    rest = listed(cluster, PODS, **{"continue": body["metadata"]["continue"]})
    assert len(rest["items"]) == 3
    refused(cluster.ask(PODS, limit=2, **{"continue": "rubbish"}), 400, "BadRequest")


def test_versions_of_lists(cluster):
    cluster.stage("rollout", replicas=2).step()
    now = int(version(cluster))
    assert len(listed(cluster, PODS, resourceVersion="0", limit=1)["items"]) == 2
    assert "continue" in listed(cluster, PODS, resourceVersion=now, limit=1)["metadata"]
    body = refused(cluster.ask(PODS, resourceVersion=now + 1000), 504, "Timeout")
    assert body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    refused(cluster.ask(PODS, resourceVersion="abc"), 400, "BadRequest")
    cluster.server.store.compact()
    refused(cluster.ask(PODS, resourceVersion=now, resourceVersionMatch="Exact"), 410, "Expired")


def test_namespaces_and_selectors(shared):
    everywhere = listed(shared, "/api/v1/pods")["items"]
    assert {pod["metadata"]["namespace"] for pod in everywhere} == {"shop", "other"}
    assert {pod["metadata"]["namespace"] for pod in listed(shared, PODS)["items"]} == {"shop"}
    warnings = listed(shared, EVENTS, fieldSelector="type=Warning")["items"]
    assert warnings and {event["type"] for event in warnings} == {"Warning"}
    assert len(warnings) < len(listed(shared, EVENTS)["items"])
    assert len(listed(shared, "/api/v1/pods", labelSelector="app in (web),app!=db")["items"]) == len(everywhere)
    assert listed(shared, "/api/v1/pods", labelSelector="!app")["items"] == []
    refused(shared.ask("/api/v1/pods", fieldSelector="spec.color=red"), 400, "BadRequest")


def test_long_answers_are_chunked_and_compressed_for_who_wants(shared):
    _, headers, _ = shared.ask("/api/v1/pods", limit=1)
    assert headers["Transfer-Encoding"] == "chunked" and headers["Content-Encoding"] is None
    _, headers, _ = shared.ask("/version")
    assert headers["Content-Length"]


# ---- watches


def test_watch_events_lead_from_one_list_to_the_next(cluster):
    play = cluster.stage("rollout")
    play.step()
    before = listed(cluster, PODS)
    state = {pod["metadata"]["name"]: pod for pod in before["items"]}
    watch = cluster.watch(PODS, watch="true", resourceVersion=before["metadata"]["resourceVersion"])
    play.finish()
    after = listed(cluster, PODS)
    last = max(int(pod["metadata"]["resourceVersion"]) for pod in after["items"])
    seen = []
    while not seen or seen[-1] < last or set(state) != set(names(after["items"])):
        kind, pod = watch.event()
        assert (pod.pop("kind"), pod.pop("apiVersion")) == ("Pod", "v1")
        name = pod["metadata"]["name"]
        seen.append(int(pod["metadata"]["resourceVersion"]))
        assert (kind == "ADDED") == (name not in state)
        state[name] = pod
        if kind == "DELETED":
            del state[name]
    assert sorted(state.values(), key=lambda pod: pod["metadata"]["name"]) == after["items"]
    assert seen == sorted(set(seen))
    watch.close()


def test_watch_without_a_version_begins_with_what_there_is(shared):
    watch = shared.watch(PODS, watch="1", timeoutSeconds=1)
    begun = [watch.event() for _ in range(7)]
    assert {kind for kind, _ in begun} == {"ADDED"}
    assert watch.event() is None
    watch.close()


def test_selectors_turn_changes_into_coming_and_going(cluster):
    play = cluster.stage("first_rollout")
    play.until("pods created")
    watch = cluster.watch(PODS, watch="true", resourceVersion=version(cluster), fieldSelector="status.phase=Pending")
    play.finish()
    kinds = [kind for kind, _ in watch.events_until(lambda kind, _: kind == "DELETED")]
    assert kinds[-1] == "DELETED" and "ADDED" not in kinds
    watch.close()


def test_bookmarks_come_for_who_asked_and_are_versions_to_go_on_from(cluster):
    cluster.server.bookmark_every = 0.2
    play = cluster.stage("rollout")
    play.step()
    deployments = cluster.watch(DEPLOYMENTS, watch="true", resourceVersion=version(cluster),
                                allowWatchBookmarks="true")
    without = cluster.watch(DEPLOYMENTS, watch="true", resourceVersion=version(cluster), timeoutSeconds=2)
    cluster.stage("job_success").finish()
    kind, obj = deployments.event()
    assert (kind, obj["kind"]) == ("BOOKMARK", "Deployment") and set(obj["metadata"]) == {"resourceVersion",
                                                                                         "creationTimestamp"}
    deployments.events_until(lambda _, obj: obj["metadata"]["resourceVersion"] == version(cluster, DEPLOYMENTS))
    assert without.event() is None
    cluster.server.faults.bookmarks = False
    with pytest.raises(TimeoutError):  # those of the seconds before were on their way
        for _ in range(30):
            deployments.event(timeout=0.6)
    deployments.close()


def test_a_watch_that_is_over_leaves_its_connection_usable(shared):
    connection = Asking(shared)
    watch = connection.send(PODS, watch="true", timeoutSeconds=1, resourceVersion=version(shared))
    assert watch.read() == b""
    answer = connection.send("/version")
    assert answer.status == 200 and json.loads(answer.read())["minor"] == "29"
    connection.close()


def test_a_watch_from_before_the_window_is_gone(cluster):
    play = cluster.stage("rollout")
    play.step()
    old = version(cluster)
    play.finish()
    cluster.server.store.compact()
    watch = cluster.watch(PODS, watch="true", resourceVersion=old)
    kind, status = watch.event()
    assert kind == "ERROR" and (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert watch.event() is None
    cluster.server.faults.gone_as_event = False
    refused(cluster.ask(PODS, watch="true", resourceVersion=old), 410, "Expired")


# ---- logs


def lines(cluster, pod, **query):
    status, headers, body = cluster.ask(f"{PODS}/{pod}/log", **query)
    assert status == 200, body
    assert headers["Content-Type"] == "text/plain"
    return body.decode().splitlines()


def test_logs_since_a_second_from_the_tail_and_within_a_limit(cluster):
    cluster.stage("rollout").step()
    pod = cluster.pods()[0]
    base = int(time.time())
    for number in range(4):
        cluster.log(pod, "web", f"line {number}", at=base + number * 0.25)
    cluster.log(pod, "web", b"\xff\xfe raw".decode("latin-1"), at=base + 1)
    shown = lines(cluster, pod, timestamps="true")
    assert shown[-4:-1] == [f"{rfc3339(base)[:-1]}.{part}Z line {number}"
                            for number, part in ((1, "250000000"), (2, "500000000"), (3, "750000000"))]
    assert len(shown[-1].split(" ")[0]) == len("2026-03-01T10:00:00.000000000Z")
    # The API server passes on whole seconds: the fraction of the question does not count.
    assert lines(cluster, pod, sinceTime=f"{rfc3339(base)[:-1]}.600Z")[:2] == ["line 0", "line 1"]
    assert lines(cluster, pod, sinceTime=rfc3339(base + 1), tailLines=3) == [b"\xff\xfe raw".decode("latin-1")]
    assert lines(cluster, pod, tailLines=2)[0] == "line 3"
    assert lines(cluster, pod, tailLines=5, limitBytes=10) == ["line 0", "lin"]
    refused(cluster.ask(f"{PODS}/{pod}/log", tailLines=-1), 422, "Invalid")


def test_follow_goes_on_until_the_container_ends_and_previous_is_the_run_before(cluster):
    play = cluster.stage("crash_loop")
    play.until("new pod creating")
    (pod,) = [name for name in cluster.pods() if "ContainerCreating" in json.dumps(
        listed(cluster, f"{PODS}/{name}")["status"])]
    body = refused(cluster.ask(f"{PODS}/{pod}/log"), 400, "BadRequest")
    assert body["message"] == f'container "web" in pod "{pod}" is waiting to start: ContainerCreating'
    play.until("run 0")
    body = refused(cluster.ask(f"{PODS}/{pod}/log", previous="true"), 400, "BadRequest")
    assert body["message"] == f'previous terminated container "web" in pod "{pod}" not found'
    follow = cluster.watch(f"{PODS}/{pod}/log", follow="true", container="web")
    assert follow.line() == b"web starts, run 0\n"
    cluster.log(pod, "web", "between")
    assert follow.line() == b"between\n"
    play.until("crash 0")
    assert follow.line() == b"fatal: no database at db:5432 (run 0)\n"
    assert follow.line() == b""
    play.until("backing off after crash 1")
    assert lines(cluster, pod)[-1].endswith("(run 1)")
    assert lines(cluster, pod, previous="true")[-1].endswith("(run 1)")
    play.until("run 2")
    assert lines(cluster, pod) == ["web starts, run 2"]
    assert lines(cluster, pod, previous="true", follow="true")[-1].endswith("(run 1)")
    follow.close()


def test_logs_that_cannot_be(cluster):
    cluster.stage("init_fails").until("initializing")
    (pod,) = cluster.pods()
    refused(cluster.ask(f"{PODS}/{pod}/log", container="nobody"), 400, "BadRequest")
    refused(cluster.ask(f"{PODS}/nobody/log"), 404, "NotFound")
    body = refused(cluster.ask(f"{PODS}/{pod}/log", container="migrate"), 400, "BadRequest")
    assert body["message"].endswith("is waiting to start: PodInitializing")
    cluster.server.store.put("pods", {"kind": "Pod", "apiVersion": "v1", "metadata": {
        "name": "two", "namespace": "shop"}, "spec": {"containers": [{"name": "one"}, {"name": "two"}],
                                                      "initContainers": [{"name": "first"}]}, "status": {}})
    assert refused(cluster.ask(f"{PODS}/two/log"), 400, "BadRequest")["message"] == (
        "a container name must be specified for pod two, choose one of: [one two] or one of the init containers: "
        "[first]")
    assert lines(cluster, "two", container="one") == []  # on no node: an empty log


# ---- metrics


def test_metrics_of_nodes_and_pods_and_without_them(cluster):
    cluster.stage("rollout").step()
    root = "/apis/metrics.k8s.io/v1beta1"
    nodes = listed(cluster, f"{root}/nodes")
    assert nodes["kind"] == "NodeMetricsList" and names(nodes["items"]) == ["node-a", "node-b", "node-c"]
    assert nodes["items"][0]["usage"]["cpu"].endswith("n") and nodes["items"][0]["usage"]["memory"].endswith("Ki")
    pod = cluster.pods()[0]
    cluster.server.usage.set["shop", pod, "web"] = (5_000_000, 30 << 20)
    found = {item["metadata"]["name"]: item for item in listed(cluster, f"{root}/namespaces/shop/pods")["items"]}
    assert found[pod]["containers"] == [{"name": "web", "usage": {"cpu": "5000000n", "memory": "30720Ki"}}]
    assert listed(cluster, f"{root}/nodes/node-a")["kind"] == "NodeMetrics"
    cluster.server.usage.mode = "missing"
    assert cluster.ask(f"{root}/nodes")[0] == 404
    assert "metrics.k8s.io" not in json.dumps(listed(cluster, "/apis"))
    cluster.server.usage.mode = "unavailable"
    assert cluster.ask(f"{root}/nodes")[0] == 503


# ---- rights


def test_tokens_end_and_the_folder_of_the_service_account_is_swapped_in_one_step(cluster):
    folder = cluster.service_account_dir
    assert (folder / "token").read_text() == cluster.token and (folder / "namespace").read_text() == "muster"
    assert os.readlink(folder / "token") == "..data/token"
    before, old = os.readlink(folder / "..data"), cluster.token
    cluster.rotate_token()
    assert os.readlink(folder / "..data") != before and not (folder / before).exists()
    assert (folder / "token").read_text() == cluster.token != old
    assert cluster.ask("/version")[0] == 200
    refused(cluster.ask("/version", token=old), 401, "Unauthorized")
    refused(cluster.ask("/version", token="made-up"), 401, "Unauthorized")
    cluster.expire_token()
    refused(cluster.ask(PODS), 401, "Unauthorized")
    cluster.rotate_token(seconds=3)
    assert cluster.ask(PODS)[0] == 200
    until("the token has expired", lambda: cluster.ask(PODS)[0] == 401, 10)
    assert cluster.violations == []


def test_nothing_but_the_role_and_what_lies_outside_is_kept(cluster):
    for path in (PODS, "/api/v1/pods", EVENTS, "/api/v1/nodes", DEPLOYMENTS, "/apis/batch/v1/cronjobs", "/version",
                 "/readyz", "/apis", "/api/v1"):
        assert cluster.ask(path)[0] == 200, path
    assert cluster.violations == []
    for method, path in (("GET", "/api/v1/secrets"), ("GET", "/api/v1/namespaces/shop/configmaps/settings"),
                         ("POST", f"{PODS}/web/exec"), ("DELETE", f"{PODS}/web"), ("GET", "/metrics"),
                         ("GET", "/api/v1/nodes/node-a/proxy/stats"), ("PATCH", DEPLOYMENTS + "/web")):
        refused(cluster.ask(path, method=method), 403, "Forbidden")
        assert cluster.violations[-1].startswith(f"{method} {path} (system:serviceaccount:muster:muster-agent)")
    body = refused(cluster.ask(PODS, token="", method="GET"), 403, "Forbidden")
    assert body["message"] == ('pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
                               'in the namespace "shop"')
    assert cluster.ask("/version", token="")[0] == 200


def test_a_role_of_one_namespace_and_a_role_with_less_in_it(folder):
    cluster = DoubleCluster(folder / "role", rules=roles.without(roles.ROLE, "events"), role_namespace="shop")
    try:
        assert cluster.ask(PODS)[0] == 200
        refused(cluster.ask("/api/v1/pods"), 403, "Forbidden")
        refused(cluster.ask("/api/v1/namespaces/other/pods"), 403, "Forbidden")
        body = refused(cluster.ask("/api/v1/namespaces/shop/events", watch="true"), 403, "Forbidden")
        assert 'cannot watch resource "events"' in body["message"]
        assert cluster.violations == []  # within what the agent may have somewhere
    finally:
        cluster.stop()


def test_client_certificates_and_kubeconfigs(shared):
    shared.admin_kubeconfig()
    connection = Asking(shared, "", certificate=shared._admin)
    assert connection.send("/api/v1/pods").read()
    assert shared.asked("admin")[-1].code == 200
    connection.close()
    text = shared.kubeconfig("inline.conf", inline=True, server_name="kubernetes").read_text()
    assert "certificate-authority-data: " in text and "tls-server-name: kubernetes" in text and shared.token in text


# ---- a process of its own, and what is written down


def test_a_process_of_its_own_is_driven_through_its_socket(folder):
    double = DoubleProcess(folder / "own", "--load", "200", "--nodes", "4", "--rate", "0")
    try:
        before = double.ask("numbers")
        double.ask("load", rate=200)
        until("it changes", lambda: double.ask("numbers")["changes"] > 20, 10)
        double.ask("stop_load")
        double.ask("play", history="rollout", speed=1000)
        until("the history is over", lambda: double.ask("plays")[0]["done"][-1:] == ["healthy at 1.5.0"], 10)
        assert len(double.ask("pods")) == 3 and len(double.ask("pods", namespace="namespace-01")) == 20
        assert double.ask("numbers")["version"] > before["version"]
        with pytest.raises(RuntimeError, match="KeyError"):
            double.ask("nonsense")
    finally:
        double.stop()


def test_histories_are_written_down_the_same_each_time_and_add_up(folder):
    texts = []
    for turn in ("one", "two"):
        subprocess.run([sys.executable, ROOT / "tests/fixtures/kubernetes/dump.py", folder / turn], check=True)
        texts.append({path.name: path.read_text() for path in (folder / turn).iterdir()})
    assert texts[0] == texts[1] and len(texts[0]) > 25
    for name, text in texts[0].items():
        steps = json.loads(text)
        state = {key(page["kind"][:-4], item): item for page in steps[0]["list"].values() for item in page["items"]}
        for step in steps:
            for event in step["watch"]:
                obj = event["object"]
                where = key(obj.pop("kind"), obj)
                obj.pop("apiVersion")
                assert (event["type"] == "ADDED") == (where not in state), (name, step["what"])
                state[where] = obj
                if event["type"] == "DELETED":
                    del state[where]
            assert state == {key(page["kind"][:-4], item): item for page in step["list"].values()
                             for item in page["items"]}, (name, step["what"])


def key(kind, obj):
    return kind, obj["metadata"].get("namespace"), obj["metadata"]["name"]
