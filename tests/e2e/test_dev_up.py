"""./dev up and ./dev down: what a newcomer types, on ports and in a folder of the test's own."""

import json
import os
import pty
import socket
import time
import urllib.request

import pytest

from conftest import require_root
from harness.base import BIN, ROOT, free_port, run, short_dir, until

EXPECTED = {"shop": "HEALTHY", "wiki": "RUNNING", "broken": "ERROR"}


@pytest.fixture
def clone():
    """The environment of one `./dev up` beside any other that may run in this clone."""
    require_root("an engine of its own")
    place = short_dir("dev")
    env = os.environ | {"MUSTER_STATE": str(place / "state"), "MUSTER_DOCKER": "own",
                        "MUSTER_HTTP_PORT": str(free_port()), "MUSTER_GRPC_PORT": str(free_port()),
                        "MUSTER_METRICS_PORT": str(free_port()), "MUSTER_PUBLIC_HOST": "127.0.0.1"}
    yield env
    dev(env, "down", "--purge")
    run(["rm", "-rf", place])


def dev(env, *argv, check=True):
    return run([ROOT / "dev", *argv], env=env, check=check, timeout=280)


def ask(env, method, **request):
    state = env["MUSTER_STATE"]
    done = run(["curl", "-fsS", "--cacert", f"{state}/hub/tls/ca.pem", "-H", "Content-Type: application/json", "-H",
                f"Authorization: Bearer {open(f'{state}/hub/admin-token').read().strip()}", "--data", json.dumps(request),
                f"https://localhost:{env['MUSTER_HTTP_PORT']}/muster.fleet.v1.FleetService/{method}"])
    return json.loads(done.stdout)


def statuses(env):
    return {row["name"]: row["status"].removeprefix("DEPLOYMENT_STATUS_")
            for row in ask(env, "ListDeployments", target="this-host")["deployments"]}


def processes_of(env):
    """Whatever still runs with the folder of this `up` in its arguments."""
    found = run(["pgrep", "-af", env["MUSTER_STATE"]], check=False).stdout.splitlines()
    return [line for line in found if "pgrep" not in line]


def test_up_shows_the_host_and_three_projects_in_their_true_states(clone):
    done = dev(clone, "up", "--detach")
    until("the samples are in their true states", lambda: statuses(clone) == EXPECTED, 15, every=0.2)
    table = run([BIN / "muster", "--hub", f"https://localhost:{clone['MUSTER_HTTP_PORT']}", "--token-file",
                 f"{clone['MUSTER_STATE']}/hub/admin-token", "--ca-file", f"{clone['MUSTER_STATE']}/hub/tls/ca.pem",
                 "status"]).stdout
    assert "● connected" in table and "this-host" in table, table
    for name, status in EXPECTED.items():
        assert name in table and status.lower() in table, table
    with urllib.request.urlopen(f"http://localhost:{clone['MUSTER_METRICS_PORT']}/metrics", timeout=5) as page:
        assert b"distr_deployment_status{" in page.read()
    for place in ("/hub/admin-token", "/hub/tls/ca.pem", f"https://localhost:{clone['MUSTER_HTTP_PORT']}",
                  f"http://localhost:{clone['MUSTER_METRICS_PORT']}/metrics", "/connect/"):
        assert place in done.stdout, f"{place} is not told:\n{done.stdout}"
    secret = os.stat(f"{clone['MUSTER_STATE']}/this-host.secret")
    assert secret.st_mode & 0o777 == 0o600

    again = dev(clone, "up", "--detach")
    assert "already running" in again.stdout

    assert "data stays" in dev(clone, "down").stdout
    assert processes_of(clone) == []
    assert os.path.exists(f"{clone['MUSTER_STATE']}/hub/admin-token")

    dev(clone, "up", "--detach")  # the same target, the same deployments
    until("the samples are back", lambda: statuses(clone) == EXPECTED, 20, every=0.2)
    assert len(ask(clone, "ListDeployments", target="this-host")["deployments"]) == len(EXPECTED)
    dev(clone, "down", "--purge")
    assert processes_of(clone) == []
    assert not os.path.exists(clone["MUSTER_STATE"])


def test_ctrl_c_stops_everything_that_up_started(clone):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(str(ROOT / "dev"), [str(ROOT / "dev"), "up"], clone)
    output = b""
    deadline = time.monotonic() + 120
    while b"connected" not in output.split(b"following")[-1] or b"following" not in output:
        assert time.monotonic() < deadline, output.decode(errors="replace")
        output += os.read(terminal, 65536)
    os.write(terminal, b"\x03")
    while True:
        try:
            if not os.read(terminal, 65536):
                break
        except OSError:
            break
    os.waitpid(pid, 0)
    assert processes_of(clone) == []


def test_taken_port_is_named_with_the_way_out(clone):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(clone["MUSTER_GRPC_PORT"])))
        taken.listen()
        done = dev(clone, "up", "--detach", check=False)
    assert done.returncode == 1
    assert "MUSTER_GRPC_PORT" in done.stderr and clone["MUSTER_GRPC_PORT"] in done.stderr
    assert processes_of(clone) == []
