"""The printed line for a cluster, up to its kubectl; then the kubelet's part is done by hand: the agent is started as the
manifest says, with a new secret put where the volume would have it. No cluster is read here."""

import re
import shlex
import time

import pytest
import yaml

from harness.base import BIN, Process, run, until
from harness.hub import Hub

# kAliveWithin
ALLOWED_S = 30
# From what the hub knows to what the agent's own state file says.
TOLD_S = 5


@pytest.fixture(scope="module")
def hub(folder):
    hub = Hub(folder / "h", extra=["--agent-image", "registry.example.com/muster-agent:7"])
    yield hub
    hub.stop()


def fetched(command, change=lambda address: address):
    """What kubectl would read from its standard input."""
    words = shlex.split(command)
    assert words[words.index("|"):] == ["|", "kubectl", "apply", "-n", "NAMESPACE", "-f", "-"]
    curl = words[:words.index("|")]
    return run([*curl[:-1], change(curl[-1])]).stdout


def objects(text):
    return {found["kind"]: found for found in yaml.safe_load_all(text)}


def put_secret(folder, manifest):
    """As the kubelet does: a new folder, the link "..data" swapped to it, each file a link through that; for the group."""
    volume = folder / "volume"
    content = volume / f"..{time.time_ns()}"
    content.mkdir(parents=True)
    (content / "secret").write_text(manifest["Secret"]["stringData"]["secret"])
    (content / "secret").chmod(0o440)
    (volume / "..data_tmp").symlink_to(content.name)
    (volume / "..data_tmp").rename(volume / "..data")
    if not (volume / "secret").is_symlink():
        (volume / "secret").symlink_to("..data/secret")


def outside(folder, words):
    """What the container is given, with the volumes in a folder of this machine."""
    places = {"/etc/muster-agent/secret/": f"{folder}/volume/", "/etc/muster-agent/hub/": f"{folder}/",
              "/var/lib/muster-agent": f"{folder}/data", "/usr/local/bin": str(BIN)}
    for inside, place in places.items():
        words = [word.replace(inside, place) for word in words]
    return words


def container_of(manifest):
    container, = manifest["Deployment"]["spec"]["template"]["spec"]["containers"]
    return container


def argv(folder, manifest):
    """The container's, without a cluster."""
    container = container_of(manifest)
    assert container["image"] == "registry.example.com/muster-agent:7"
    words = outside(folder, container["args"])
    assert words[:3] == ["run", "--runtime=kubernetes", "--namespace=$(POD_NAMESPACE)"]
    return [BIN / "muster-agent", "run", "--runtime=none", *words[3:]]


class Probes:
    """The kubelet's: what the manifest says, run once."""

    def __init__(self, folder, manifest):
        self._folder, self._container = folder, container_of(manifest)

    def _run(self, probe):
        return run(outside(self._folder, self._container[probe]["exec"]["command"]), check=False)

    def alive(self):
        done = self._run("livenessProbe")
        assert done.returncode in (0, 5), done
        return done.returncode == 0

    def why_not_alive(self):
        done = self._run("livenessProbe")
        return done.stdout if done.returncode == 5 else ""

    def ready(self):
        return self._run("readinessProbe").returncode == 0


def test_the_manifest_connects_and_reconnects_the_same_process(hub, folder):
    name = 'prod "7"\'s --- {kind: Evil}'
    created = hub.create_target(name, type="kubernetes")
    assert created["target_secret"] not in created["connect_command"]
    manifest = objects(fetched(created["connect_command"]))
    assert set(manifest) == {"ServiceAccount", "Role", "RoleBinding", "Secret", "ConfigMap", "Deployment"}
    assert manifest["Deployment"]["metadata"]["annotations"]["muster.target"] == name
    (folder / "ca.pem").write_text(manifest["ConfigMap"]["data"]["ca.pem"])
    put_secret(folder, manifest)
    agent = Process("agent", argv(folder, manifest), folder / "agent.log")
    try:
        hub.wait_connected(name)
        probes = Probes(folder, manifest)
        # The hub knows it first: the agent writes its state down after the hub's answer, for the probes to read.
        until("the agent is ready", probes.ready, TOLD_S)
        assert probes.alive()

        # The code is void now; a person at kubectl sees why.
        body = fetched(created["connect_command"])
        assert "refused/by/muster: " in body and "CONNECT_CODE_USED" in body and len(list(yaml.safe_load_all(body))) == 1
        assert hub.target_state(name) == "connected"

        renewed = hub.cli("target", "reconnect", name)
        until("the old secret is refused", lambda: hub.target_state(name) != "connected", 20)
        until("the agent is not ready", lambda: not probes.ready(), TOLD_S)
        assert probes.alive()
        again = objects(fetched(renewed["connect_command"]))
        assert again.pop("Secret") != manifest["Secret"]
        assert again == {kind: found for kind, found in manifest.items() if kind != "Secret"}
        put_secret(folder, objects(fetched(renewed["connect_command"])))
        hub.wait_connected(name)
        until("the agent is ready", probes.ready, TOLD_S)
        assert agent.running() and probes.alive()
        assert "can be read by others" not in agent.log(), "the group is how the pod reads it"

        # Liveness is not the hub's: it may be away for longer than a loop may stand.
        hub.kill()
        away = time.monotonic()
        until("the agent is not ready", lambda: not probes.ready(), 10)
        while time.monotonic() < away + ALLOWED_S + 5:
            assert probes.alive() and not probes.ready()
            time.sleep(1)
        hub.start()
        until("it is ready again", probes.ready, 70)

        # A process that hangs is not alive, and one that was merely held up is again.
        agent.pause()
        paused = time.monotonic()
        why = until("the agent that hangs is not alive", probes.why_not_alive, ALLOWED_S + 5, every=0.5)
        said = re.search(r"its loop has not turned for (\d+)s; 30s are allowed", why)
        assert time.monotonic() - paused > ALLOWED_S - 2 and said and int(said[1]) >= ALLOWED_S, why
        agent.resume()
        until("it is alive again", probes.alive, 5)
        agent.kill()
        assert "no agent runs" in probes.why_not_alive()
    finally:
        if agent.running():
            agent.stop()


def test_a_wrong_choice_voids_nothing_and_says_what_to_write(hub):
    command = hub.create_target("choices", type="kubernetes")["connect_command"]
    for query, said in {
        "scope=everything": "write scope=namespace or scope=cluster",
        "scope=cluster": "scope=cluster needs the namespace",
        "scope=cluster&namespace=NAMESPACE": "is not a namespace's name",
        "scope=namespace&storage=1": "a size from 512Mi",
        "scope=namespace&image=evil": "is not known",
    }.items():
        refusal = objects(fetched(command, lambda address: address.replace("scope=namespace", query)))
        assert set(refusal) == {"Refusal"} and said in refusal["Refusal"]["apiVersion"], refusal
    whole = objects(fetched(command, lambda address: address.replace("scope=namespace", "scope=cluster&namespace=muster")))
    assert "ClusterRoleBinding" in whole


def test_the_secret_and_the_code_are_in_no_log(hub):
    command = hub.create_target("quiet", type="kubernetes")["connect_command"]
    secret = objects(fetched(command))["Secret"]["stringData"]["secret"]
    code = command.split("/connect/")[1].split("?")[0]
    assert secret not in hub.log() and code not in hub.log()
