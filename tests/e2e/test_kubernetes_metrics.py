"""What a cluster's nodes and deployments use, as its metrics API tells: in sum and one by one, now and as history, and
what is said when a part of it is missing."""

import pytest

from harness.agent import Agent
from harness.base import until
from harness.kubernetes import DoubleCluster

# docs/host-metrics.md: at once, and again after 5 s, because the nodes may not be listed the first time; told with the next
# heartbeat, 5 s later at most. What is left is for a busy machine.
FIRST_SAMPLE_S = 5 + 5 + 3
NEXT_SAMPLE_S = 45
MIB = 1 << 20


@pytest.fixture
def cluster(folder, request):
    made = DoubleCluster(folder / f"k-{request.node.name}")
    usage = made.server.usage
    usage.set = {("node-a",): (1_500_000_000, 700 * MIB), ("node-b",): (250_000_000, 300 * MIB)}
    made.stage("node_loss").step()
    yield made
    made.stop()
    assert list(made.violations) == []


@pytest.fixture
def start(folder, hub, cluster):
    agents = []

    def agent(name):
        target = hub.create_target(name, type="kubernetes")
        agents.append(Agent(folder, hub, target, name=f"agent-{name}", runtime="kubernetes",
                            extra=cluster.agent_words(whole_cluster=True)))
        hub.wait_connected(name)

    yield agent
    for one in agents:
        one.stop()


def told(hub, target):
    """The newest sample that knows the nodes; the first may be taken before they are listed."""
    metrics = hub.api("GetHostMetrics", target=target).get("metrics")
    return metrics if metrics and metrics["nodes"] and "containers" not in metrics["missing"] else None


def nodes_of(metrics):
    return {node["node"]: node for node in metrics["nodes"]}


def test_nodes_are_told_one_by_one_and_in_sum(hub, cluster, start):
    pods = [pod for pod in cluster.server.store.objects("pods", None) if pod["metadata"]["name"].startswith("web")]
    for pod in pods:
        for status in pod["status"]["containerStatuses"]:
            key = (pod["metadata"]["namespace"], pod["metadata"]["name"], status["name"])
            cluster.server.usage.set[key] = (100_000_000, 40 * MIB)
    start("sum")
    metrics = until("a sample", lambda: told(hub, "sum"), FIRST_SAMPLE_S)
    nodes = nodes_of(metrics)
    assert nodes["node-a"]["cpu_cores_used"] == 1.5
    assert int(nodes["node-a"]["memory_used_bytes"]) == 700 * MIB
    assert nodes["node-b"]["cpu_cores_used"] == 0.25
    assert all(node["is_ready"] for node in nodes.values())
    assert metrics["cpu_cores"] == sum(node["cpu_cores"] for node in nodes.values())
    assert int(metrics["memory_total_bytes"]) == sum(int(node["memory_total_bytes"]) for node in nodes.values()) > 0
    assert int(metrics["memory_used_bytes"]) == sum(int(node["memory_used_bytes"]) for node in nodes.values())
    used = sum(node["cpu_cores_used"] for node in nodes.values())
    assert metrics["cpu_usage_ratio"] == pytest.approx(used / metrics["cpu_cores"])
    assert metrics["missing"] == []
    assert "swap_total_bytes" not in metrics, "nobody tells the swap of a cluster"
    web = next(use for use in metrics["deployments"] if use["name"] == "web")
    assert web["cpu_cores"] == pytest.approx(0.1 * len(pods))
    assert int(web["memory_bytes"]) == 40 * MIB * len(pods)
    series = until("it is history", lambda: hub.api("QueryHostMetrics", target="sum", metrics=["node_cpu"],
                                                    step="30s").get("series"), FIRST_SAMPLE_S)
    newest = {one["instance"]: one["points"][-1]["value"] for one in series}
    assert newest == {name: pytest.approx(node["cpu_cores_used"]) for name, node in nodes.items()}
    page = hub.cli("metrics", "sum", as_json=False).stdout
    assert "node_cpu[node-a]" in page and "node_memory[node-b]" in page, page
    assert f"{len(nodes)} nodes" in hub.cli("target", "show", "sum", as_json=False).stdout


def test_a_lost_node_makes_the_sample_partial_not_absent(hub, cluster, start):
    cluster.plays[0].step()
    start("partial")
    metrics = until("a sample", lambda: told(hub, "partial"), FIRST_SAMPLE_S)
    nodes = nodes_of(metrics)
    assert not nodes["node-b"]["is_ready"]
    assert "cpu_cores_used" not in nodes["node-b"]
    assert nodes["node-a"]["cpu_cores_used"] == 1.5
    assert metrics["missing"] == ["usage of node node-b"]
    assert metrics["cpu_cores"] == sum(node["cpu_cores"] for node in nodes.values())


def test_without_a_metrics_api_capacity_is_told_and_what_is_missing(hub, cluster, start):
    cluster.server.usage.mode = "missing"
    start("bare")
    metrics = until("a sample", lambda: told(hub, "bare"), FIRST_SAMPLE_S)
    assert metrics["missing"] == ["usage of nodes (metrics.k8s.io)", "usage of pods (metrics.k8s.io)"]
    assert metrics["cpu_cores"] > 0 and int(metrics["memory_total_bytes"]) > 0
    assert "cpu_usage_ratio" not in metrics
    cluster.server.usage.mode = "ok"
    until("the API is back", lambda: "cpu_usage_ratio" in told(hub, "bare"), NEXT_SAMPLE_S)
