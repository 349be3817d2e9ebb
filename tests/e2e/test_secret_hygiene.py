"""Secrets are shown once and then only stand in the one private file that needs them."""

import os

import pytest

from harness.agent import Agent
from harness.base import until


@pytest.fixture(scope="module")
def secrets(hub, docker_host, folder):
    """Every kind of secret, after each has been used: name -> text."""
    bare = hub.create_target("bare", type="host")
    agent = Agent(folder, hub, bare, name="bare", runtime="none")
    hub.wait_connected("bare")
    rotated = hub.cli("target", "reconnect", "bare")
    until("the agent was told", lambda: "SECRET_ROTATED" in agent.log(), 5)
    agent.write_secret(rotated["target_secret"])
    hub.wait_connected("bare", timeout=15)
    wrong = Agent(folder, hub, {"target_id": bare["target_id"], "target_secret": "mst_wrong" + "0f" * 24}, name="wrong",
                  runtime="none")
    until("a wrong secret was refused", lambda: "SECRET" in wrong.log(), 10)
    wrong.kill()
    token = hub.cli("token", "create", "reader", "--role", "viewer")["secret"]
    hub.api("ListTargets", token=token)
    hub.metrics()
    found = {
        "target secret": docker_host.secret_file.read_text().strip(),
        "rotated secret": bare["target_secret"],
        "fresh secret": rotated["target_secret"],
        "wrong secret": "mst_wrong" + "0f" * 24,
        "admin token": hub.token,
        "viewer token": token,
        "connect code": rotated["connect_command"].split("/connect/")[1].split("'")[0].split()[0],
    }
    assert all(len(text) >= 20 for text in found.values()), {name: len(text) for name, text in found.items()}
    yield found
    agent.stop()


def leaks(secrets, data, where):
    return [f"{name} in {where}" for name, text in secrets.items() if text.encode() in data]


def test_no_secret_in_any_log(hub, secrets, folder):
    found = []
    for path in folder.rglob("*.log"):
        found += leaks(secrets, path.read_bytes(), path.name)
    assert found == []


def test_no_secret_in_arguments_or_environment_of_any_process(secrets):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for part in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{part}", "rb") as file:
                    found += leaks(secrets, file.read(), f"{part} of {pid}")
            except OSError:
                continue
    assert found == []


def test_no_secret_in_the_hubs_data_but_the_admin_token_file(hub, secrets):
    found = []
    for path in hub.data.rglob("*"):
        if path.is_file() and path != hub.token_file:
            found += leaks(secrets, path.read_bytes(), path.relative_to(hub.data))
    assert found == []
    assert hub.token_file.stat().st_mode & 0o777 == 0o600
    for key in hub.data.rglob("*.key"):
        assert key.stat().st_mode & 0o077 == 0, key


def test_no_secret_in_the_agents_data(secrets, folder):
    found = []
    for path in folder.rglob("data/*"):
        if path.is_file():
            found += leaks(secrets, path.read_bytes(), path)
    assert found == []


def test_no_secret_in_metrics_or_api_answers(hub, secrets):
    found = leaks(secrets, hub.metrics()[1].encode(), "/metrics")
    for method in ("ListTargets", "ListTokens", "ListAuditEntries", "GetFleetStatus", "ListDeployments"):
        status, _, body = hub.http("POST", f"/muster.fleet.v1.FleetService/{method}", "{}", {
            "Content-Type": "application/json", "Authorization": f"Bearer {hub.token}"})
        assert status == 200
        found += leaks(secrets, body, method)
    assert found == []
