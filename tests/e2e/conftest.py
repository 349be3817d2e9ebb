"""Fixtures shared by the end-to-end tests.

Where a component cannot run, its tests are skipped and say why by name. On a machine with root, or in CI, nothing may
skip: there a skip counts as a failure."""

import itertools
import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import base  # noqa: E402
from harness.agent import Agent  # noqa: E402
from harness.docker_engine import DockerEngine, EventLog  # noqa: E402
from harness.docker_proxy import RecordingDockerProxy  # noqa: E402
from harness.host_box import HostBox, add_hub_address, remove_hub_address  # noqa: E402
from harness.hub import Hub  # noqa: E402
from harness.kubernetes import REAL, new_cluster  # noqa: E402
from harness.scribe import Scribe  # noqa: E402
from harness.stalls import Stalls  # noqa: E402

STRICT = base.AS_ROOT or os.environ.get("CI") == "true"
LOG_LINES_SHOWN = 25
clusters = itertools.count()


def pytest_configure(config):
    config.addinivalue_line("markers", "double_only(reason): not for a real Kubernetes cluster")


def pytest_runtest_setup(item):
    mark = item.get_closest_marker("double_only")
    if REAL and mark:
        pytest.skip(f"only with the double: {mark.args[0]}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and STRICT and not (REAL and item.get_closest_marker("double_only")):
        report.outcome = "failed"
        report.longrepr = f"skipped on a machine where nothing may skip: {report.longrepr}"
    if report.failed:
        for process in base.alive:
            lines = process.log().splitlines()[-LOG_LINES_SHOWN:]
            report.sections.append((f"log of {process.name}", "\n".join(lines)))


@pytest.fixture
def stalls():
    stalls = Stalls()
    yield stalls
    stalls.stop()


@pytest.fixture(scope="session", autouse=True)
def nothing_outlives_the_session():
    yield
    for process in list(base.alive):
        process.kill()


@pytest.fixture(scope="module")
def folder():
    path = base.short_dir("test")
    yield path
    for process in list(base.alive):  # whoever still writes there
        if str(process.log_path).startswith(str(path)):
            process.kill()
    shutil.rmtree(path, ignore_errors=True)


def require(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def require_root(what):
    if not base.AS_ROOT:
        pytest.skip(f"{what} needs root")


@pytest.fixture(scope="session")
def engine():
    require_root("a Docker engine of the tests' own")
    require("dockerd", "docker", "docker-compose", "busybox")
    engine = DockerEngine()
    yield engine
    engine.stop()


@pytest.fixture(scope="module")
def events(engine):
    log = EventLog(engine)
    yield log
    log.close()


@pytest.fixture(scope="module")
def proxy(engine, folder):
    proxy = RecordingDockerProxy(folder, engine.socket)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def hub(folder):
    hub = Hub(folder / "h")
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def docker_host(hub, proxy, folder):
    """A connected target `dock` whose agent looks at the tests' engine through the recording proxy."""
    target = hub.create_target("dock", customer="Customer Seven")
    agent = Agent(folder, hub, target, docker_socket=proxy.socket)
    hub.wait_connected("dock")
    yield agent
    agent.stop()


@pytest.fixture
def kubernetes(folder):
    """A cluster of the test's own: the double, or a namespace of a real one where MUSTER_TEST_KUBECONFIG names it. Nobody
    may ask more than the agent's role allows. A test that only the double can pass is marked `double_only`."""
    cluster = new_cluster(folder / f"k{next(clusters)}")
    yield cluster
    cluster.stop()
    assert list(cluster.violations) == []


@pytest.fixture
def running_scribe(engine, hub, folder, docker_host):
    """Containers on the target `dock` that write what the test says: running_scribe("name")."""
    made = []

    def make(name, **options):
        made.append(Scribe(engine, folder, name, **options))
        hub.wait_status("dock", name, "running")
        return made[-1]

    yield make
    for one in made:
        one.remove()


@pytest.fixture(scope="module")
def boxes():
    """Makes hosts in namespaces of their own: boxes("name")."""
    require_root("a host in namespaces")
    require("ip", "unshare", "nsenter")
    add_hub_address()
    made = []

    def make(name):
        made.append(HostBox(name))
        return made[-1]

    yield make
    for box in made:
        box.stop()
    remove_hub_address()
