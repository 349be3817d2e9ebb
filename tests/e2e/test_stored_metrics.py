"""The hub's /metrics from its files, by a process beside it that only reads (docs/metrics.md, "Separate process")."""

import hashlib
import json
import os
import re
import sqlite3
import time
from pathlib import Path

import pytest

from conftest import require, require_root
from harness.base import BIN, free_port, run, until
from harness.contract import parse
from harness.hub import METRICS_TOKEN, Hub
from harness.job_load import samples, value
from harness.stored_metrics import StoredMetrics

GROUPS = "?collect[]=deployments&collect[]=targets&collect[]=jobs"
# In the hub's memory alone.
ABSENT = {"distr_deployment_target_session_open", "distr_deployment_target_round_trip_seconds",
          "distr_deployment_target_clock_skew_seconds", "distr_deployment_target_observer_fault",
          "distr_deployment_target_omitted_deployments"}
# Of the last stored change instead of the last report.
OF_REPORTS = {"distr_deployment_status_timestamp_seconds", "distr_deployment_target_status_timestamp_seconds",
              "distr_deployment_target_last_seen_timestamp_seconds"}
FOLLOWS_WITHIN_S = 3


@pytest.fixture(scope="module")
def busy_hub(hub, docker_host, engine):
    """A hub with every kind of thing that its files tell of."""
    labels = {"muster.application": "ledger", "muster.version": "1.0"}
    engine.compose("ledger", {"app": {"labels": labels}})
    engine.compose("failing", {"app": {"command": ["sh", "-c", "exit 4"]}})
    hub.create_target("never")
    push(docker_host, "backup", "--counter", "stored_total=5", "--observe", "stored_seconds=2", "--success", "--period",
         "24h")
    hub.wait_status("dock", "ledger", "running")
    hub.wait_status("dock", "failing", "error")
    until("the job is shown", lambda: value(hub.metrics()[1], "stored_total") == 5, 15, every=0.1)
    return hub


@pytest.fixture(scope="module")
def stored(busy_hub, folder):
    stored = StoredMetrics(folder / "stored", busy_hub.data)
    yield stored
    stored.stop()


def push(agent, group, *argv):
    run([BIN / "muster-agent", "push", group, "--socket", agent.dir / "data/push.sock", *argv])


def contents(data):
    """Every file of a folder: mode, size, time of its last change, hash."""
    found = {}
    for path in sorted(data.rglob("*")):
        info = path.stat()
        text = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(data))] = (oct(info.st_mode), info.st_size, info.st_mtime_ns,
                                              hashlib.sha256(text).hexdigest())
    return found


def follows(what, condition):
    until(what, condition, FOLLOWS_WITHIN_S, every=0.1)


# ---- beside a hub that runs

def test_it_shows_what_the_hub_shows(busy_hub, stored):
    """Name, type, help, labels and value of every series of deployments, targets and jobs."""
    def pages():
        return busy_hub.metrics(query=GROUPS)[1], stored.page(GROUPS)

    def same(of_hub, of_files):
        expected = {key: number for key, number in samples(of_hub, "").items() if key[0] not in ABSENT}
        got = samples(of_files, "")
        assert got.keys() == expected.keys(), got.keys() ^ expected.keys()
        return {key for key, number in got.items() if number != expected[key]}

    # The hub writes a moment after it knows.
    until("all values are equal but those of reports",
          lambda: {key[0] for key in same(*pages())} <= OF_REPORTS, FOLLOWS_WITHIN_S, every=0.2)
    of_hub, of_files = pages()
    for key in same(of_hub, of_files):
        assert 0 < samples(of_files, "")[key] <= samples(of_hub, "")[key], f"{key}: no younger than a report"
    families, ours = parse(of_hub), parse(of_files)
    assert set(families) - set(ours) <= ABSENT and set(ours) <= set(families)
    for name, family in ours.items():
        assert (family.type, family.help) == (families[name].type, families[name].help), name
    assert value(of_files, "stored_total") == 5, "all three groups have something"
    states = ours["distr_deployment_target_state"].series
    assert {dict(pairs)["deploymenttarget"] for _, pairs in states} == {"dock", "never"}
    assert ours["distr_deployment_status"].series


def test_of_the_hub_it_shows_what_the_files_say(busy_hub, stored):
    page = stored.page()
    assert "\ndistr_hub_up 1\n" in page
    shown = set(parse(page))
    for begin in ("distr_journal_", "distr_log_", "distr_host_", "distr_hub_sessions", "distr_hub_heartbeats"):
        assert not [name for name in shown if name.startswith(begin)], begin
    rss = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{stored.process.pid}/status").read_text())[1]) * 1024
    told = float(re.search(r"^process_resident_memory_bytes (\S+)", page, re.M)[1])
    assert abs(told - rss) < rss / 2, "process_* are this process's"


def test_targets_are_discovered_at_its_own_address(busy_hub, stored):
    entries = json.loads(stored.get("/sd/targets")[1])
    assert {entry["labels"]["instance"] for entry in entries} == {"dock", "never"}
    assert {address for entry in entries for address in entry["targets"]} == {f"127.0.0.1:{stored.port}"}
    assert stored.get("/metrics/target?id=dock")[0] == 503
    assert stored.get("/metrics/target?id=nobody")[0] == 404


def test_a_wrong_token_is_refused(busy_hub, stored):
    for token in (None, "wrong", METRICS_TOKEN + "x"):
        for path in ("/metrics", "/sd/targets", "/metrics/target?id=dock"):
            assert stored.get(path, token)[0] == 401, (path, token)
    assert stored.get("/metrics", busy_hub.token)[0] == 200, "a hub's token, as its files have it"


def test_it_follows_what_the_hub_writes(busy_hub, stored, engine, docker_host):
    versions = {"labels": {"muster.application": "ledger", "muster.version": "2.0"}}
    engine.compose("ledger", {"app": versions})
    until("version 2.0 is at the API",
          lambda: busy_hub.deployment("dock", "ledger")["application_version"] == "2.0", 10)
    follows("version 2.0", lambda: 'applicationversion="2.0"' in stored.page() and
            'applicationversion="1.0"' not in stored.page())
    push(docker_host, "backup", "--counter", "stored_total=2")
    until("the hub has the push", lambda: value(busy_hub.metrics()[1], "stored_total") == 7, 15, every=0.1)
    follows("the push", lambda: value(stored.page(), "stored_total") == 7)
    busy_hub.create_target("brief", customer="Acme")
    follows("a new target", lambda: 'deploymenttarget="brief"' in stored.page())
    busy_hub.cli("target", "set", "brief", "--name", "renamed")
    follows("its new name", lambda: 'deploymenttarget="renamed"' in stored.page() and '"brief"' not in stored.page())
    busy_hub.cli("target", "delete", "renamed", "--confirm", "renamed")
    follows("its end", lambda: '"renamed"' not in stored.page())


def test_it_outlives_the_hub(busy_hub, stored):
    busy_hub.stop()
    follows("a hub that is down", lambda: "\ndistr_hub_up 0\n" in stored.page())
    page = stored.page()
    assert value(page, "distr_deployment_target_state", deploymenttarget="dock", state="connected") == 0
    stale = samples(page, "distr_deployment_stale")
    assert stale and set(stale.values()) == {1}
    busy_hub.start()
    follows("a hub that is up", lambda: "\ndistr_hub_up 1\n" in stored.page())


# ---- what it does to the folder: nothing

@pytest.fixture(scope="module")
def quiet(folder):
    """The folder of a hub that was killed."""
    hub = Hub(folder / "quiet")
    hub.create_target("one")
    hub.kill()
    return hub


@pytest.mark.parametrize("life", ["stopped", "killed"])
def test_it_changes_nothing_in_the_folder(folder, life):
    hub = Hub(folder / f"unchanged-{life}")
    hub.create_target("one")
    hub.stop() if life == "stopped" else hub.kill()
    before = contents(hub.data)
    # A hub that was killed leaves its log; one that was stopped does not, and SQLite makes an empty one.
    log_bytes = before.get("hub.db-wal", (0, 0))[1]
    assert (log_bytes > 0) == (life == "killed")
    stored = StoredMetrics(folder / "unchanged", hub.data, name=life)
    for _ in range(3):
        assert 'deploymenttarget="one"' in stored.page()
        time.sleep(1.1)  # the age at which a page is made anew
    stored.stop()
    after = contents(hub.data)
    assert after["hub.db-wal"][1] == log_bytes
    index_and_log = {"hub.db-shm", *([] if log_bytes else ["hub.db-wal"])}
    assert {name: after[name] for name in after if name not in index_and_log} == {
        name: before[name] for name in before if name not in index_and_log}


READ_ONLY = ["unshare", "--mount", "sh", "-c", 'mount --bind -o ro "$0" "$0" && exec "$@"']
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


@pytest.mark.parametrize("life", ["killed", "running"])
def test_a_folder_that_it_can_only_read_is_enough(quiet, folder, life):
    require_root("a read-only mount, and another user")
    require("unshare", "setpriv")
    if life == "running":
        quiet.start()
    for path in (folder, quiet.dir, quiet.data):
        path.chmod(0o755)
    for path in quiet.data.glob("hub.db*"):
        path.chmod(0o644)
    for name, prefix in {"mount": [*READ_ONLY, quiet.data], "user": NOBODY,
                         "both": [*READ_ONLY, quiet.data, *NOBODY]}.items():
        stored = StoredMetrics(folder / f"read-only-{life}", quiet.data, name=name, prefix=prefix)
        assert 'deploymenttarget="one"' in stored.page(), name
        if life == "running":
            assert "\ndistr_hub_up 1\n" in stored.page(), name
            quiet.create_target(f"seen-{name}")
            follows("a change", lambda: f'deploymenttarget="seen-{name}"' in stored.page())
        stored.stop()
    if life == "running":
        quiet.stop()


# ---- a folder that is not a hub's

def test_a_folder_that_is_not_a_hubs_is_an_error(folder):
    other = folder / "not-a-hubs"
    other.mkdir()
    garbage = folder / "garbage"
    garbage.mkdir()
    (garbage / "hub.db").write_bytes(b"no database " * 1000)
    foreign = folder / "foreign"
    foreign.mkdir()
    with sqlite3.connect(foreign / "hub.db") as database:
        database.execute("CREATE TABLE notes(text)")
    database.close()
    for data, reason in ((folder / "nowhere", "NO_DATABASE"), (other, "NO_DATABASE"), (garbage, "DATABASE_CORRUPT"),
                         (foreign, "DATABASE_FOREIGN")):
        done = run([BIN / "muster-hub", "metrics", "--data-dir", data], check=False,
                   env=os.environ | {"METRICS_ADDR": f"127.0.0.1:{free_port()}"})
        assert done.returncode == 1, (data, done)
        assert f"{data}/hub.db" in done.stderr and reason in done.stderr, done.stderr
    assert not list(other.iterdir()) and not (folder / "nowhere").exists()
