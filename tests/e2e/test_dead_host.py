"""A host that goes without a word (its power, its network): the hub gives its connection back, although nobody closes it."""

import subprocess
import time

import pytest
from conftest import require, require_root

from harness.agent import Agent
from harness.base import until

# The hub ends a session that was silent for 2 minutes, and the kernel a connection on which nothing was acknowledged for
# 20 s; the rest is for the rounds in which both look around.
FREED_WITHIN_S = 160


def connections(*filters):
    """(hub's side, agent's side) of each."""
    found = subprocess.run(["ss", "-Htn", "state", "established", *filters], check=True, capture_output=True, text=True)
    return [tuple(line.split()[2:4]) for line in found.stdout.splitlines()]


@pytest.fixture
def drop():
    """Drops what goes from one port of this machine to another and back, without a word to either side."""
    rules = []

    def add(one, other):
        for source, destination in ((one, other), (other, one)):
            rule = ["INPUT", "--protocol", "tcp", "--sport", source, "--dport", destination, "--jump", "DROP"]
            subprocess.run(["iptables", "--wait", "--insert", *rule], check=True)
            rules.append(rule)

    yield add
    for rule in rules:
        subprocess.run(["iptables", "--wait", "--delete", *rule], check=True)


def test_the_connection_of_a_host_that_is_gone_is_given_back(hub, folder, drop):
    require_root("a packet filter")
    require("iptables", "ss")
    agent = Agent(folder, hub, hub.create_target("gone", type="host"), runtime="none")
    hub.wait_connected("gone")
    time.sleep(12)  # for the longer way: what the hub still says, and nobody acknowledges, is found in 20 s
    at_hub = ["sport", "=", f":{hub.grpc_port}"]
    ((_, of_agent),) = connections(*at_hub)
    drop(of_agent.rsplit(":", 1)[1], str(hub.grpc_port))
    agent.kill()
    assert connections(*at_hub), "the hub has not been told"
    until("the hub has given the connection back", lambda: not connections(*at_hub), FREED_WITHIN_S, every=1)
    until("it is stale, whenever the connection ended", lambda: hub.target_state("gone") == "stale", 130, every=1)
