"""docs/metrics.md is a contract: every documented family is there with its type, help, labels and a sample, and nothing
else is. What Prometheus scrapes as OpenMetrics is what the text says. Dashboards and rules of packaging/prometheus get data
out of it."""

import json
import re
import time

import pytest

from conftest import require
from harness.agent import Agent
from harness.base import BIN, ROOT, run, until
from harness.contract import HISTOGRAM_SUFFIXES, documented, parse
from harness.hub import METRICS_TOKEN
from harness.prometheus import Prometheus

JOB_FAMILIES = {"e2e_backup_bytes_total", "e2e_backup_files", "e2e_backup_seconds"}
# Prometheus' own.
SCRAPE_FAMILIES = {"up", "ALERTS", "ALERTS_FOR_STATE", "scrape_duration_seconds", "scrape_samples_scraped",
                   "scrape_samples_post_metric_relabeling", "scrape_series_added"}
RATE_WINDOW = "10s"  # ten scrapes
CHATTER = ["sh", "-c", "touch /tmp/ready; while :; do echo 'level=info msg=at work'; sleep 0.2; done"]


@pytest.fixture(scope="module")
def rendered(folder):
    require("jsonnet")
    run([ROOT / "packaging/prometheus/render", folder / "mixin"])
    return folder / "mixin"


@pytest.fixture(scope="module")
def prometheus(hub, docker_host, engine, folder, rendered):
    """A Prometheus with the mixin's rules on a hub of which every documented situation is true."""
    require("prometheus", "promtool")
    prometheus = Prometheus(folder / "prometheus", f"127.0.0.1:{hub.metrics_port}", token=METRICS_TOKEN,
                            rule_files=[rendered / "rules.yml", rendered / "alerts.yml"])
    make_situations(hub, docker_host, engine, folder)
    until("the hub is scraped", lambda: prometheus.scrape_health()[0] == "up", 15, every=0.2)
    yield prometheus
    prometheus.stop()


def make_situations(hub, agent, engine, folder):
    """What makes families appear that are not there before something has happened."""
    app = {"labels": {"muster.application": "ledger", "muster.version": "1.0"}, "command": CHATTER, "mem_limit": "64m",
           "healthcheck": {"test": ["CMD", "test", "-e", "/tmp/ready"], "interval": "1s"}}
    engine.compose("ledger", {"app": app})
    engine.compose("failing", {"app": {"command": ["sh", "-c", "exit 4"]}})
    other_target = hub.create_target("other", type="host")
    other = Agent(folder, hub, other_target, name="other", runtime="none")
    hub.wait_connected("other")
    push_jobs(agent, other)
    strange_target = hub.create_target("strange", type="host") | {"target_secret": other_target["target_secret"]}
    stranger = Agent(folder, hub, strange_target, name="stranger", runtime="none")
    hub.wait_status("dock", "ledger", "healthy")
    hub.wait_status("dock", "failing", "error")
    until("its lines are found", lambda: hub.api("QueryLogs", selection={"deployment": "dock/ledger"}).get("entries"), 15, every=0.2)
    until("the stranger was refused", lambda: 'refused_total{reason="BAD_SECRET"} 0' not in hub.metrics()[1], 15)
    stranger.kill()
    for family in sorted(documented()):
        until(f"{family} has a sample", lambda name=family: re.search(rf"^{name}(_count)?[{{ ]", hub.metrics()[1], re.M), 45, 0.2)


def push(agent, *words, check=True):
    run([BIN / "muster-agent", "push", *words, "--socket", agent.dir / "data/push.sock"], check=check)


def push_jobs(agent, other):
    push(agent, "backup", "--counter", 'e2e_backup_bytes_total{disk="a"}=1048576', "--gauge", "e2e_backup_files=311",
         "--observe", "e2e_backup_seconds=12.5", "--success", "--period", "24h")
    push(agent, "backup", "--gauge", "e2e_backup_files=0", "--failure")
    # Refused by the agent; and not shown by the hub, because of its type.
    push(agent, "backup", "--gauge", "e2e_backup_files=NaN", check=False)
    push(other, "backup", "--gauge", "e2e_backup_bytes_total=1")


def page(hub):
    status, text = hub.metrics()
    assert status == 200
    return parse(text)


# ---- the page and its documentation

def test_every_documented_family_is_there_with_type_help_and_a_sample(hub, prometheus):
    families = page(hub)
    for name, promised in documented().items():
        assert name in families, f"{name} is documented and not there"
        assert families[name].type == promised.type, name
        assert families[name].help, name
        assert families[name].series, f"{name} has no sample"


def test_nothing_undocumented_is_there(hub, prometheus):
    assert set(page(hub)) - JOB_FAMILIES - set(documented()) == set()


def test_labels_are_those_documented(hub, prometheus):
    families = page(hub)
    for name, promised in documented().items():
        for _, pairs in families[name].series if promised.labels is not None else ():
            assert {label for label, _ in pairs} - {"le"} == promised.labels, name


def test_promtool_reads_the_text(hub, prometheus):
    done = run(["promtool", "check", "metrics"], input=hub.metrics()[1], check=False)
    complaints = [line for line in (done.stdout + done.stderr).splitlines()
                  if line.strip() and not line.startswith(("distr_organizations_total ", "e2e_"))]
    assert complaints == []


# ---- what Prometheus makes of it, which asks for OpenMetrics

def scraped(prometheus):
    """Every series of the newest scrape, as the page has them: without empty labels."""
    rows = prometheus.ask("query", query='{job="muster", __name__!~"ALERTS.*|muster:.*"}')["result"]
    return {(row["metric"]["__name__"], frozenset((name, value) for name, value in row["metric"].items()
                                                  if name not in ("__name__", "job", "instance", "le"))) for row in rows}


def test_prometheus_has_the_same_series(hub, prometheus):
    def difference():
        text = {(name, frozenset((label, value) for label, value in pairs if value and label != "le"))
                for family in page(hub).values() for name, pairs in family.series}
        plain = {(name, frozenset((label, value.replace("\\\\", "\\")) for label, value in pairs)) for name, pairs in text}
        return plain ^ {row for row in scraped(prometheus) if row[0] not in SCRAPE_FAMILIES}

    # A series that is new at this moment is in the next scrape.
    until("both have the same series", lambda: difference() == set(), 15, every=0.5)


def test_prometheus_has_the_same_types_and_help(hub, prometheus):
    metadata = {row["metric"]: row for row in prometheus.ask("targets/metadata")}
    for name, family in page(hub).items():
        # OpenMetrics names a counter without its suffix.
        row = metadata.get(name) or metadata.get(name.removesuffix("_total"))
        assert row, f"{name} has no metadata"
        assert (row["type"], row["help"]) == (family.type, family.help), name


# ---- dashboards and rules

def dashboards(rendered):
    return [json.loads(path.read_text()) for path in sorted((rendered / "dashboards").glob("*.json"))]


def values_of_variables(dashboard, prometheus):
    """What a person would have chosen; each must be among what the variable's query offers."""
    values = {"__rate_interval": RATE_WINDOW}
    for variable in dashboard["templating"]["list"]:
        name, query = variable["name"], variable.get("definition")
        if variable["type"] != "query":
            continue
        if series := re.fullmatch(r"query_result\((.*)\)", query):
            rows = prometheus.ask("query", query=substitute(series[1], values))["result"]
            texts = ["{%s}" % ",".join(f'{k}="{v}"' for k, v in sorted(row["metric"].items())) for row in rows]
            pattern = variable["regex"].strip("/").replace("(?<", "(?P<")
            offered = {found["text"]: found["value"] for found in (re.search(pattern, text) for text in texts) if found}
            values[name] = offered["ledger"]
        else:
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()
            offered = {row.get(label, "") for row in prometheus.ask("series", **{"match[]": substitute(selector, values)})}
            assert offered - {""}, f"{dashboard['title']}: {query} offers nothing"
            values[name] = variable["allValue"] if variable["multi"] else "dock"
            assert variable["multi"] or "dock" in offered, f"{dashboard['title']}: {query} offers {offered}"
    return values


def substitute(text, values):
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], text)


def without_data(prometheus, expressions):
    return {where: expression for where, expression in expressions.items() if not prometheus.ask("query", query=expression)["result"]}


def test_every_query_of_every_dashboard_returns_data(rendered, prometheus):
    expressions = {}
    for dashboard in dashboards(rendered):
        values = values_of_variables(dashboard, prometheus)
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                where = f"{dashboard['title']} / {panel['title']} {target['refId']}"
                expressions[f"{panel['id']} {where}"] = substitute(target["expr"], values)
    assert len(expressions) > 80
    # Rates need two scrapes since the last thing happened.
    deadline = time.monotonic() + 30
    while (missing := without_data(prometheus, expressions)) and time.monotonic() < deadline:
        time.sleep(1)
    assert missing == {}


def rules(prometheus):
    return [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]


def test_prometheus_evaluates_every_rule(prometheus):
    until("all were evaluated", lambda: all(rule["health"] == "ok" for rule in rules(prometheus)), 15, every=0.5)
    assert [rule["name"] for rule in rules(prometheus) if rule.get("lastError")] == []


def test_every_recording_rule_returns_data(hub, prometheus):
    names = [rule["name"] for rule in rules(prometheus) if rule["type"] == "recording"]
    assert names

    def has_data(name):
        hub.api("GetHub")  # what tells a ratio of calls needs calls between two scrapes
        return prometheus.query(name)

    for name in names:
        until(f"{name} has data", lambda: has_data(name), 15, every=0.5)


def test_every_metric_that_an_alert_names_exists(prometheus):
    recorded = {rule["name"] for rule in rules(prometheus) if rule["type"] == "recording"}
    families = documented()
    known = set(families) | recorded | SCRAPE_FAMILIES
    known |= {name + suffix for name in families for suffix in HISTOGRAM_SUFFIXES if families[name].type == "histogram"}
    for rule in rules(prometheus):
        # Names in front of a selector: what Prometheus prints always has one.
        named = set(re.findall(r"([a-zA-Z_:][\w:]*)\{", rule["query"]))
        assert named and named <= known, f"{rule['name']}: {named - known}"


def test_what_is_wrong_is_an_alert(prometheus):
    until("it is pending or fires", lambda: {row["deploymenttarget"] for row, _ in prometheus.query(
        'ALERTS{alertname="MusterDeploymentError"}')} == {"dock"}, 15, every=0.5)
