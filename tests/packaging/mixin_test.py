"""The mixin of packaging/prometheus: it renders, promtool accepts and tests its rules, every rule has all three kinds of
tests, and dashboards are what Grafana imports without an edit."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

PROMETHEUS = Path(__file__).resolve().parents[2] / "packaging/prometheus"
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))


def run(*argv):
    done = subprocess.run([str(word) for word in argv], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    for program in ("jsonnet", "promtool"):
        assert shutil.which(program), f"{program} is missing: ./dev setup"
    folder = tmp_path_factory.mktemp("mixin")
    run(PROMETHEUS / "render", folder)
    return folder


def rules(rendered, file):
    return [rule for group in yaml.safe_load((rendered / file).read_text())["groups"] for rule in group["rules"]]


def dashboards(rendered):
    return {path.name: json.loads(path.read_text()) for path in sorted((rendered / "dashboards").glob("*.json"))}


# ---- rules

def test_promtool_accepts_the_rules(rendered):
    run("promtool", "check", "rules", rendered / "alerts.yml", rendered / "rules.yml")


@pytest.mark.parametrize("test", TESTS, ids=lambda path: path.stem)
def test_rules_do_what_their_tests_say(rendered, test):
    # promtool looks for the rules beside the test.
    copy = rendered / f"test-{test.name}"
    shutil.copy(test, copy)
    run("promtool", "test", "rules", copy)


def seconds(duration):
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhd])", str(duration)))


def kinds_of(cases, name_key, expected_key):
    """Rule -> those of "not yet", "fires", "resolved" that one test shows in this order."""
    by_name = {}
    for case in cases:
        by_name.setdefault(case[name_key], []).append((seconds(case["eval_time"]), bool(case.get(expected_key))))
    answer = {}
    for name, looks in by_name.items():
        looks.sort()
        fired = [at for at, fires in looks if fires]
        answer[name] = {"fires"} if fired else set()
        answer[name] |= {"not yet"} if fired and any(not fires and at < fired[0] for at, fires in looks) else set()
        answer[name] |= {"resolved"} if fired and any(not fires and at > fired[-1] for at, fires in looks) else set()
    return answer


def shown_by_the_tests():
    found = {}
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for kinds in (kinds_of(test.get("alert_rule_test", []), "alertname", "exp_alerts"),
                          kinds_of(test.get("promql_expr_test", []), "expr", "exp_samples")):
                for name, shown in kinds.items():
                    found.setdefault(name, set()).update(shown)
    return found


def test_every_rule_is_tested_before_while_and_after_it_fires(rendered):
    found = shown_by_the_tests()
    names = {rule.get("alert") or rule["record"] for file in ("alerts.yml", "rules.yml") for rule in rules(rendered, file)}
    missing = {name: {"not yet", "fires", "resolved"} - found.get(name, set()) for name in sorted(names)}
    assert {name: kinds for name, kinds in missing.items() if kinds} == {}
    assert set(found) - names == set(), "tests of rules that are not there"


def test_a_rule_without_one_of_the_kinds_is_found():
    def case(at, fires):
        return {"alertname": "A", "eval_time": at, "exp_alerts": [{}] if fires else []}

    assert kinds_of([case("1m", False), case("1h5m", True), case("2h", False)], "alertname", "exp_alerts") == {
        "A": {"not yet", "fires", "resolved"}}
    assert kinds_of([case("1m", False), case("2m", False)], "alertname", "exp_alerts") == {"A": set()}
    assert kinds_of([case("2m", True), case("3m", False)], "alertname", "exp_alerts") == {"A": {"fires", "resolved"}}


def test_every_alert_says_how_bad_what_and_what_to_do(rendered):
    names = [rule["alert"] for rule in rules(rendered, "alerts.yml")]
    assert len(set(names)) == len(names)
    for rule in rules(rendered, "alerts.yml"):
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, rule
        assert rule["for"], rule
        assert rule["annotations"]["summary"] and not rule["annotations"]["summary"].endswith("."), rule
        assert len(rule["annotations"]["description"]) > 40, rule


def test_configuration_reaches_rules_and_dashboards(tmp_path):
    config = tmp_path / "own.libsonnet"
    config.write_text("{ hubSelector: 'job=\"fleet\"', hosts+: { cpuRatio: 0.77 } }")
    run(PROMETHEUS / "render", "--config", config, tmp_path)
    run("promtool", "check", "rules", tmp_path / "alerts.yml", tmp_path / "rules.yml")
    text = "".join(path.read_text() for path in [*tmp_path.glob("*.yml"), *tmp_path.glob("dashboards/*.json")])
    assert 'job=\\"muster\\"' not in text and "> 0.77" in text


# ---- dashboards

def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_dashboards_are_told_apart(rendered):
    found = dashboards(rendered)
    assert {"fleet.json", "target.json", "deployment.json", "hub.json"} <= set(found)
    assert len({dashboard["uid"] for dashboard in found.values()}) == len(found)
    assert len({dashboard["title"] for dashboard in found.values()}) == len(found)
    for name, dashboard in found.items():
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(ids)) == len(ids) and None not in ids, name
        assert dashboard.get("id") is None, f"{name}: an id of one Grafana"


def test_datasource_is_always_the_variable(rendered):
    def sources(value):
        if isinstance(value, dict):
            if "datasource" in value:
                yield value["datasource"]
            for inner in value.values():
                yield from sources(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from sources(inner)

    for name, dashboard in dashboards(rendered).items():
        assert [v["name"] for v in dashboard["templating"]["list"] if v["type"] == "datasource"] == ["datasource"], name
        for source in sources(dashboard):
            assert source == {"type": "prometheus", "uid": "${datasource}"}, name


def test_panels_have_title_unit_queries_and_a_place_of_their_own(rendered):
    for name, dashboard in dashboards(rendered).items():
        taken = set()
        for panel in dashboard["panels"]:
            where = panel["gridPos"]
            cells = {(x, y) for x in range(where["x"], where["x"] + where["w"]) for y in range(where["y"], where["y"] + where["h"])}
            assert where["x"] + where["w"] <= 24 and not cells & taken, f"{name}: {panel['title']} lies on another"
            taken |= cells
        for panel in panels(dashboard):
            assert panel["title"] and panel["fieldConfig"]["defaults"]["unit"], f"{name}: {panel}"
            assert panel["targets"] and all(target["expr"] for target in panel["targets"]), f"{name}: {panel['title']}"
            refs = [target["refId"] for target in panel["targets"]]
            assert len(set(refs)) == len(refs), f"{name}: {panel['title']}"


def test_variables_of_queries_exist_and_links_lead_somewhere(rendered):
    found = dashboards(rendered)
    uids = {dashboard["uid"] for dashboard in found.values()}
    for name, dashboard in found.items():
        known = {variable["name"] for variable in dashboard["templating"]["list"]} | {"__rate_interval", "__interval", "__range"}
        text = json.dumps([[target["expr"] for target in panel["targets"]] for panel in panels(dashboard)] +
                          [variable.get("query") for variable in dashboard["templating"]["list"]])
        assert set(re.findall(r"\$(\w+)", text)) <= known, name
        assert set(re.findall(r"/d/([\w-]+)\?", json.dumps(dashboard))) <= uids, name
