"""What the hub makes of jobs: over its own restarts, new installations of an agent, hosts that differ, targets that go."""

import http.client
import subprocess

import pytest

from harness.agent import Agent
from harness.base import BIN, run, until
from harness.hub import METRICS_TOKEN
from harness.job_load import samples, value
from conftest import require

SHOWN_WITHIN_S = 15


@pytest.fixture(scope="module")
def agents(hub, folder):
    agents = {}
    for name in ("one", "two"):
        agents[name] = Agent(folder, hub, hub.create_target(name), name=name, runtime="none")
        hub.wait_connected(name)
        until("the socket is there", lambda: socket_of(agents[name]).exists(), 10)
    yield agents
    for agent in agents.values():
        agent.stop()


def socket_of(agent):
    return agent.dir / "data/push.sock"


def push(agent, group, *argv):
    return run([BIN / "muster-agent", "push", group, "--socket", socket_of(agent), *argv])


def shown(hub, name, expected, **labels):
    until(f"{name} is {expected}", lambda: value(hub.metrics()[1], name, **labels) == expected, SHOWN_WITHIN_S, every=0.1)


def job(hub, target, name):
    jobs = hub.api("ListJobs", target=target).get("jobs", [])
    return next((job for job in jobs if job["name"] == name), None)


def test_a_hub_that_is_killed_shows_what_it_showed(hub, agents):
    push(agents["one"], "backup", "--counter", "kept_total=5", "--observe", "kept_seconds=3", "--success", "--period", "24h")
    shown(hub, "kept_total", 5)
    before = samples(hub.metrics()[1], "kept_") | samples(hub.metrics()[1], "distr_job_last_success_timestamp_seconds")
    hub.kill()
    hub.start()
    # At once, before any agent is back.
    assert samples(hub.metrics()[1], "kept_") | samples(
        hub.metrics()[1], "distr_job_last_success_timestamp_seconds") == before
    hub.wait_connected("one")
    push(agents["one"], "backup", "--counter", "kept_total=1")
    shown(hub, "kept_total", 6)


def test_an_agent_that_is_installed_anew_makes_no_counter_fall(hub, agents):
    agent = agents["one"]
    push(agent, "moved", "--counter", "moved_total=5", "--gauge", "moved_files=9", "--success")
    shown(hub, "moved_total", 5)
    agent.stop()
    for path in (agent.dir / "data").glob("jobs.db*"):
        path.unlink()
    agent.start()
    until("the socket is there", lambda: socket_of(agent).exists(), 10)
    push(agent, "moved", "--counter", "moved_total=2", "--gauge", "moved_files=1")
    shown(hub, "moved_total", 7)
    assert value(hub.metrics()[1], "moved_files") == 1
    assert int(job(hub, "one", "moved")["successes"]) == 1
    assert job(hub, "one", "moved")["last_success_time"]


def test_where_hosts_differ_the_first_is_shown_and_the_other_is_told(hub, agents):
    push(agents["one"], "clash", "--observe", "clash_seconds=1", "--buckets", "clash_seconds=1,5")
    shown(hub, "clash_seconds_count", 1)
    push(agents["two"], "clash", "--gauge", "clash_seconds=7", "--gauge", "clash_seconds_count=8")
    shown(hub, "distr_job_series_refused", 2, deploymenttarget="two", reason="TYPE_CLASH")
    page = hub.metrics()[1]
    assert page.count("# TYPE clash_seconds ") == 1 and "# TYPE clash_seconds_count" not in page
    assert value(page, "clash_seconds_count", deploymenttarget="two") is None
    assert job(hub, "two", "clash")["refusals"] == ["TYPE_CLASH"]
    until("the agent says so", lambda: "TYPE_CLASH clash_seconds" in agents["two"].log(), 10)
    # Who gives the name up leaves it to the other.
    push(agents["one"], "clash", "--delete")
    shown(hub, "clash_seconds", 7, deploymenttarget="two")


def test_prometheus_takes_the_page(hub, agents):
    require("promtool")
    push(agents["one"], "page", "--counter", r'page_bytes_total{path="C:\\x \"y\" ö"}=5', "--observe", "page_seconds=2",
         "--unit", "page_seconds=seconds", "--help-text", 'page_seconds=With "quotes" and \\ in it',
         "--help-text", "page_bytes_total=Bytes")
    shown(hub, "page_seconds_count", 1)
    page = hub.metrics()[1]
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
    wrong = [row for row in (done.stdout + done.stderr).splitlines() if row.startswith("page_") or "error" in row]
    assert not wrong, wrong
    assert 'jobname="page",path="C:\\\\x \\"y\\" ö"} 5' in page


def test_openmetrics_names_each_family_once(hub, agents):
    push(agents["one"], "open", "--counter", "open_total=5", "--observe", "open_seconds=2", "--buckets", "open_seconds=1,5",
         "--unit", "open_seconds=seconds")
    shown(hub, "open_total", 5)
    connection = http.client.HTTPConnection("127.0.0.1", hub.metrics_port, timeout=10)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}",
                                                   "Accept": "application/openmetrics-text; version=1.0.0"})
    page = connection.getresponse().read().decode()
    connection.close()
    families = [row.split()[2] for row in page.splitlines() if row.startswith("# TYPE ")]
    assert len(families) == len(set(families))
    assert {"open", "open_seconds"} <= set(families)
    assert "# UNIT open_seconds seconds\n" in page and 'le="5.0"} 1\n' in page and page.endswith("# EOF\n")


def test_a_target_takes_its_jobs_with_it_and_brings_them_along(hub, agents):
    push(agents["two"], "going", "--counter", "going_total=5")
    shown(hub, "going_total", 5, deploymenttarget="two")
    hub.cli("target", "set", "two", "--name", "renamed")
    assert value(hub.metrics()[1], "going_total", deploymenttarget="renamed") == 5
    assert value(hub.metrics()[1], "going_total", deploymenttarget="two") is None
    hub.cli("target", "delete", "renamed", "--confirm", "renamed")
    assert not samples(hub.metrics()[1], "going_total")
    assert all(job["target_name"] != "renamed" for job in hub.api("ListJobs").get("jobs", []))
