"""A real Prometheus on the hub's /metrics."""

import gzip
import time
import urllib.request

import pytest

from conftest import require
from harness.base import run, until
from harness.hub import METRICS_TOKEN, Hub
from harness.prometheus import Prometheus

STATUSES = {"healthy", "running", "progressing", "error"}


def labels(version):
    return {"muster.application": "ledger", "muster.version": version}


@pytest.fixture(scope="module")
def prometheus(hub, docker_host, engine, folder):
    require("prometheus", "promtool")
    engine.compose("ledger", {"app": {"labels": labels("1.0")}})
    engine.compose("failing", {"app": {"command": ["sh", "-c", "exit 4"]}})
    hub.wait_status("dock", "ledger", "running")
    hub.wait_status("dock", "failing", "error")
    prometheus = Prometheus(folder / "prometheus", f"127.0.0.1:{hub.metrics_port}", token=METRICS_TOKEN)
    until("the hub is scraped", lambda: prometheus.scrape_health()[0] == "up", 15, every=0.2)
    yield prometheus
    prometheus.stop()


def series(prometheus, deployment_id):
    return {row["status"]: value for row, value in
            prometheus.query(f'distr_deployment_status{{deploymentid="{deployment_id}"}}')}


def test_scrape_without_or_with_a_wrong_token_is_refused(hub, prometheus, folder):
    for token in (None, "wrong", ""):
        assert hub.metrics(token)[0] == 401, token
    refused = Prometheus(folder / "refused", f"127.0.0.1:{hub.metrics_port}", token="wrong")
    until("the scrape is refused", lambda: refused.scrape_health()[0] == "down", 15, every=0.2)
    assert "401" in refused.scrape_health()[1]
    refused.stop()


def test_status_is_one_hot_with_every_label(hub, prometheus):
    ledger, failing = hub.deployment("dock", "ledger"), hub.deployment("dock", "failing")
    until("the series are there", lambda: series(prometheus, ledger["id"]), 10, every=0.2)
    assert series(prometheus, ledger["id"]) == {status: float(status == "running") for status in STATUSES}
    assert series(prometheus, failing["id"]) == {status: float(status == "error") for status in STATUSES}
    (row, _), = prometheus.query(f'distr_deployment_status{{deploymentid="{ledger["id"]}"}} == 1')
    expected = {"customerorganization": "Customer Seven", "deploymenttarget": "dock", "application": "ledger",
                "applicationversion": "1.0", "status": "running"}
    assert {name: row[name] for name in expected} == expected
    assert row["organization"] == hub.api("GetHub")["organization"]
    since = prometheus.query(f'distr_deployment_status_timestamp_seconds{{deploymentid="{ledger["id"]}"}}')
    assert since and all(0 < time.time() - value < 600 for _, value in since if value)
    assert prometheus.query("distr_organizations_total")[0][1] == 1


def test_every_status_is_one_hot_at_any_time(prometheus):
    for row, value in prometheus.query("sum by (deploymentid) (distr_deployment_status)"):
        assert value <= 1, row
    assert prometheus.query("count(distr_deployment_status) / count(count by (deploymentid) (distr_deployment_status))")[
        0][1] == len(STATUSES)


def test_series_of_an_upgraded_deployment_are_gone_at_the_next_scrape(hub, prometheus, engine):
    row = hub.deployment("dock", "ledger")
    engine.compose("ledger", {"app": {"labels": labels("2.0")}})
    until("version 2.0 is at the API", lambda: hub.deployment("dock", "ledger")["application_version"] == "2.0", 10)
    text = hub.metrics()[1]
    assert 'applicationversion="1.0"' not in text and 'applicationversion="2.0"' in text

    def versions():
        return {found["applicationversion"] for found, _ in
                prometheus.query(f'distr_deployment_status{{deploymentid="{row["id"]}"}}')}

    found = until("version 2.0 is scraped", lambda: known if "2.0" in (known := versions()) else None, 15, every=0.2)
    assert found == {"2.0"}, "the same scrape ends what is gone"


def test_series_of_a_deleted_deployment_are_gone_at_the_next_scrape(hub, prometheus, engine):
    engine.compose("brief", {"app": {}})
    hub.wait_status("dock", "brief", "running")
    row = hub.deployment("dock", "brief")
    until("its series are there", lambda: series(prometheus, row["id"]), 10, every=0.2)
    engine.compose("brief", {"app": {}}, "down")
    until("it is gone", lambda: "gone" in hub.deployment("dock", "brief")["message"], 10)
    hub.cli("deployment", "delete", "dock/brief", "--no-input")
    assert row["id"] not in hub.metrics()[1]
    until("a scrape ends its series", lambda: series(prometheus, row["id"]) == {}, 15, every=0.2)


def test_target_state_and_process_series_are_there(prometheus):
    names = {row["__name__"] for row, _ in prometheus.query('{job="muster"}')}
    assert any("target" in name and "state" in name for name in names), sorted(names)
    assert any("last_seen" in name for name in names), sorted(names)
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"} <= names


def test_page_satisfies_promtool_but_for_the_one_known_name(hub, prometheus):
    status, text = hub.metrics()
    assert status == 200
    done = run(["promtool", "check", "metrics"], input=text, check=False)
    complaints = [line for line in (done.stdout + done.stderr).splitlines()
                  if line.strip() and not line.startswith("distr_organizations_total ")]
    assert complaints == []


def test_page_is_compressed_when_asked(hub, prometheus):
    request = urllib.request.Request(f"http://127.0.0.1:{hub.metrics_port}/metrics", headers={
        "Authorization": f"Bearer {METRICS_TOKEN}", "Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=5) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert b"distr_deployment_status{" in gzip.decompress(response.read())


def test_deleted_target_takes_all_its_series_along(hub, prometheus):
    target_id = hub.target("dock")["id"]
    hub.cli("target", "delete", "dock", "--confirm", "dock")
    text = hub.metrics()[1]
    assert target_id not in text and "distr_deployment_status{" not in text


def test_metrics_are_off_unless_enabled(folder):
    hub = Hub(folder / "silent", env={"METRICS_ENABLED": "false"})
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{hub.metrics_port}/metrics", timeout=2)
    hub.stop()
