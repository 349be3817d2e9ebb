"""The printed connect command, run as it is on a host of its own."""

import re

import pytest

from harness.base import run, until
from harness.host_box import HUB_ADDRESS
from harness.hub import Hub
from harness.installed_host import InstalledHost


@pytest.fixture(scope="module")
def hub(folder, boxes):
    hub = Hub(folder / "h", bind="0.0.0.0", public_host=HUB_ADDRESS)
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def host(boxes, engine):
    host = InstalledHost(boxes("customer"), engine)
    yield host
    host.stop()


def script_url(command):
    return re.search(r"https://[^\s']+/connect/[^\s']+", command)[0]


def fetch(hub, command):
    """Fetches the script again, as the command does; returns the HTTP status and the text."""
    done = run(["curl", "-s", "-k", "-w", "\n%{http_code}", script_url(command)])
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text


def test_truncated_download_runs_nothing(hub, host):
    command = hub.create_target("cut")["connect_command"]
    status, script = fetch(hub, command)
    assert status == 200
    before = host.box.run("find", "/etc", "/usr/local", "/var/lib", "-newer", "/shared-ready").stdout
    for share in (0.1, 0.5, 0.9, 0.99):
        cut = script[:int(len(script) * share)]
        done = host.box.run("sh", input=cut, check=False)
        assert "acknowledged" not in done.stdout
    assert host.agents() == []
    assert host.box.run("find", "/etc", "/usr/local", "/var/lib", "-newer", "/shared-ready").stdout == before


def test_script_is_plain_posix_sh(hub, folder):
    status, script = fetch(hub, hub.create_target("checked")["connect_command"])
    assert status == 200
    path = folder / "script.sh"
    path.write_text(script)
    run(["sh", "-n", path])
    run(["shellcheck", "--shell=sh", path])


def test_printed_command_connects_the_host_and_voids_its_code(hub, host, engine):
    engine.compose("theirs", {"app": {}})
    created = hub.create_target("site", customer="Customer Seven")
    command = created["connect_command"]
    assert created["target_secret"] not in command
    done = host.paste(command)
    assert "site" in done.stdout, done.stdout
    assert hub.target_state("site") == "connected", "the command ended before the hub had heard from the agent"
    hub.wait_status("site", "theirs", "running")
    assert len(host.agents()) == 1
    machine = hub.target("site")["machine"]
    assert machine["hostname"] == "customer"

    status, body = fetch(hub, command)
    assert status == 410, f"a used code must be void: {status} {body}"
    again = host.paste(command, check=False)
    assert again.returncode != 0
    assert hub.target_state("site") == "connected", "pasting the old line again broke nothing"


def test_secret_lies_in_a_private_file_and_in_no_argument_list(hub, host):
    (pid,) = host.agents()
    argv = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
    secret_file = argv[argv.index(b"--target-secret-file") + 1].decode()
    secret = open(host.box.path(secret_file)).read().strip()
    assert len(secret) >= 32
    assert secret.encode() not in open(f"/proc/{pid}/environ", "rb").read()
    assert b"\0".join(argv).find(secret.encode()) == -1
    assert host.files_holding(secret) == {secret_file: 0o600}


def test_agent_on_the_host_survives_kill(hub, host):
    (pid,) = host.agents()
    host.box.run("sh", "-c", "kill -9 $(pgrep -x muster-agent | head -n 1)", check=False)
    until("another agent runs", lambda: host.agents() and host.agents() != [pid], 20)
    hub.wait_connected("site")


def test_command_of_another_target_is_refused_or_moves_the_host_but_never_breaks_it(hub, host):
    unknown = hub.create_target("x")["connect_command"].replace("/connect/", "/connect/wrong")
    done = host.paste(unknown, check=False)
    assert done.returncode != 0
    assert hub.target_state("site") == "connected"
