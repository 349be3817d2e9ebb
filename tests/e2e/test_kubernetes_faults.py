"""What goes wrong with the double on command does so, and ends again."""

import http.client
import ssl
import time

import pytest

from harness.base import until
from harness.kubernetes import Asking, DoubleCluster

PODS = "/api/v1/namespaces/shop/pods"
DEPLOYMENTS = "/apis/apps/v1/deployments"


@pytest.fixture
def cluster(folder, request):
    cluster = DoubleCluster(folder / request.node.name[:40])
    cluster.stage("rollout").step()
    yield cluster
    cluster.stop()


def test_the_fixture_gives_a_cluster_that_plays_histories(kubernetes):
    """The one test here that a real cluster can pass, too."""
    kubernetes.play("rollout", speed=500).wait()
    assert len(kubernetes.pods(prefix="web-")) in (2, 3)
    words = [str(word) for word in kubernetes.agent_words()]
    assert words[0] == "--kubeconfig" and "server: https://" in open(words[1]).read()


def opened(cluster, path=PODS):
    """A watch from now on."""
    now = cluster.ask(path)[2]["metadata"]["resourceVersion"]
    return cluster.watch(path, watch="true", resourceVersion=now)


def test_watches_are_cut_all_or_of_one_kind(cluster):
    pods, deployments = opened(cluster), opened(cluster, DEPLOYMENTS)
    assert cluster.server.watching() == 2 and cluster.server.watching("pods") == 1
    assert cluster.server.cut("pods") == 1
    with pytest.raises(ConnectionResetError):
        pods.event()
    cluster.stage("job_success").step()
    assert cluster.server.cut() == 1
    with pytest.raises(ConnectionResetError):
        deployments.event()
    until("no watch is left", lambda: cluster.server.watching() == 0, 5)
    assert cluster.ask(PODS)[0] == 200


def test_errors_are_answered_as_often_as_they_should(cluster):
    cluster.server.faults.answer(429, count=2, retry_after=3, kind="pods")
    for _ in range(2):
        status, headers, body = cluster.ask(PODS)
        assert (status, headers["Retry-After"], body["reason"]) == (429, "3", "TooManyRequests")
        assert body["details"]["retryAfterSeconds"] == 3
    assert cluster.ask(PODS)[0] == 200
    cluster.server.faults.answer(500, path="watch=true")
    assert cluster.ask(PODS)[0] == 200 and cluster.ask(PODS, watch="true")[2]["reason"] == "InternalError"
    cluster.server.faults.answer(503, seconds=3, plain="upstream connect error")
    assert cluster.ask(DEPLOYMENTS)[2] == b"upstream connect error"
    until("the trouble is over", lambda: cluster.ask(DEPLOYMENTS)[0] == 200, 10)
    cluster.server.faults.clear()
    opened(cluster).close()


def test_a_watch_that_hangs_says_nothing_and_then_everything(cluster):
    watch = opened(cluster)
    cluster.server.hang("pods")
    cluster.stage("job_success").until("pending")
    with pytest.raises(TimeoutError):
        watch.event(timeout=0.3)
    cluster.server.unhang()
    kind, pod = watch.event()
    assert kind == "ADDED" and pod["metadata"]["name"].startswith("import-")
    watch.close()


def test_it_is_away_and_comes_back_on_its_port(cluster):
    connection, watch, port = Asking(cluster), opened(cluster), cluster.server.port
    connection.send("/version").read()
    cluster.server.away(3)
    with pytest.raises(ConnectionResetError):
        watch.event()
    with pytest.raises(ConnectionRefusedError):
        cluster.ask("/version")

    def back():
        try:
            return cluster.ask("/version")[0] == 200
        except OSError:
            return False
    until("it is back", back, 10)
    assert cluster.server.port == port


def test_slow_answers(cluster):
    cluster.server.faults.delay = 0.4
    began = time.monotonic()
    assert cluster.ask(PODS)[0] == 200
    assert time.monotonic() - began >= 0.4


def test_torn_lines_are_whole_for_who_puts_them_together(cluster):
    cluster.server.faults.torn = True
    watch = opened(cluster)
    cluster.stage("job_success").finish()
    kinds = [kind for kind, _ in watch.events_until(lambda kind, _: kind == "DELETED")]
    assert kinds[0] == "ADDED" and "MODIFIED" in kinds
    watch.close()


def test_a_list_ends_in_the_middle(cluster):
    cluster.server.faults.halves = 1
    with pytest.raises(http.client.IncompleteRead):
        cluster.ask(PODS)
    assert cluster.ask(PODS)[0] == 200


def test_what_is_no_request_and_bodies_are_kept_as_violations(cluster):
    connection = Asking(cluster)
    connection._http.request("GET", PODS, body="{}", headers=connection._headers)
    assert connection._http.getresponse().read()
    connection._http.sock.sendall(b"HELLO double\r\n\r\n")
    assert connection._http.sock.recv(100) == b""
    assert [text.split(" (")[0] for text in cluster.violations] == [f"GET {PODS}", "no request: HELLO double"]
    connection.close()


def test_a_certificate_of_somebody_else(folder):
    cluster = DoubleCluster(folder / "tls", names=("DNS:elsewhere",))
    try:
        with pytest.raises(ssl.SSLCertVerificationError):
            cluster.ask("/version")
    finally:
        cluster.stop()


def test_bytes_that_are_no_events(cluster):
    watch = opened(cluster)
    cluster.server.inject("pods", b"{not json\n")
    assert watch.line() == b"{not json\n"
    watch.close()


def test_a_followed_log_is_cut(cluster):
    pod = cluster.pods()[0]
    follow = cluster.watch(f"{PODS}/{pod}/log", follow="true")
    assert follow.line() == b"web starts, run 0\n"
    assert cluster.server.watching("log") == 1 and cluster.server.cut() == 0 and cluster.server.cut("log") == 1
    with pytest.raises(ConnectionResetError):
        follow.line()


def test_a_history_played_at_a_speed_ends(cluster):
    play = cluster.play("statefulset_rollout", speed=200)
    assert play.wait(20).done[-1] == "healthy at 16.3"
    status = cluster.ask("/apis/apps/v1/statefulsets")[2]["items"][0]["status"]
    assert status["readyReplicas"] == 3 and status["currentRevision"] == status["updateRevision"]


def test_changes_that_nobody_fetched_in_time_are_gone(folder):
    cluster = DoubleCluster(folder / "narrow", window=20)
    try:
        cluster.stage("rollout").step()
        watch = opened(cluster)
        old = cluster.ask(PODS)[2]["metadata"]["resourceVersion"]
        cluster.stage("crash_loop", name="other").finish()
        late = cluster.watch(PODS, watch="true", resourceVersion=old)
        kind, status = late.event()
        assert kind == "ERROR" and status["code"] == 410
        watch.close()
    finally:
        cluster.stop()
