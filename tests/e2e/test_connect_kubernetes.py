"""The printed line for a cluster, up to its kubectl; then the kubelet's part is done by hand: the agent is started as the
manifest says, with a new secret put where the volume would have it. No cluster is read here."""

import shlex

import pytest
import yaml

from harness.base import BIN, Process, run, until
from harness.hub import Hub


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
    (folder / "secret.new").write_text(manifest["Secret"]["stringData"]["secret"])
    (folder / "secret.new").chmod(0o440)
    (folder / "secret.new").rename(folder / "secret")


def argv(folder, manifest):
    """The container's, with the volumes in a folder of this machine and without a cluster."""
    container, = manifest["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/muster-agent:7"
    places = {"/etc/muster-agent/secret/": f"{folder}/", "/etc/muster-agent/hub/": f"{folder}/",
              "/var/lib/muster-agent": f"{folder}/data"}
    words = []
    for word in container["args"]:
        for inside, outside in places.items():
            word = word.replace(inside, outside)
        words.append(word)
    assert words[:3] == ["run", "--runtime=kubernetes", "--namespace=$(POD_NAMESPACE)"]
    return [BIN / "muster-agent", "run", "--runtime=none", *words[3:]]


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

        # The code is void now; a person at kubectl sees why.
        body = fetched(created["connect_command"])
        assert "refused/by/muster: " in body and "CONNECT_CODE_USED" in body and len(list(yaml.safe_load_all(body))) == 1
        assert hub.target_state(name) == "connected"

        renewed = hub.cli("target", "reconnect", name)
        until("the old secret is refused", lambda: hub.target_state(name) != "connected", 20)
        again = objects(fetched(renewed["connect_command"]))
        assert again.pop("Secret") != manifest["Secret"]
        assert again == {kind: found for kind, found in manifest.items() if kind != "Secret"}
        put_secret(folder, objects(fetched(renewed["connect_command"])))
        hub.wait_connected(name)
        assert agent.running()
    finally:
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
