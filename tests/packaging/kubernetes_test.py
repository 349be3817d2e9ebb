"""What a cluster is asked to run: the hub's connect manifest, the Kustomize base and overlay, the Helm charts. All have
exactly the rights of docs/kubernetes.md, and pods that Pod Security "restricted" takes."""

import copy
import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from kubectl_double import KubectlDouble

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "packaging/kubernetes/agent"
CHARTS = ROOT / "packaging/kubernetes/charts"
BIN = Path(os.environ.get("MUSTER_BIN_DIR", ROOT / "build/release/bin"))
# Hostile on purpose: what it must not do is checked on every rendering.
NAME = 'it\'s "prod"\n---\nkind: ClusterRoleBinding\n# \u2028 @SECRET@ {{ .Values }}'
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
UID = 65532

READ = ("get", "list", "watch")
NAMESPACE_RULES = {
    **{("", resource): READ for resource in ("pods", "events")},
    ("", "pods/log"): ("get",),
    **{("apps", resource): READ for resource in ("deployments", "statefulsets", "daemonsets", "replicasets")},
    **{("batch", resource): READ for resource in ("jobs", "cronjobs")},
    ("metrics.k8s.io", "pods"): ("get", "list"),
}
CLUSTER_RULES = NAMESPACE_RULES | {("", "nodes"): READ, ("metrics.k8s.io", "nodes"): ("get", "list")}


@pytest.fixture(autouse=True, scope="session")
def nobodys_home(tmp_path_factory):
    """No configuration of this machine's user for kubectl and helm, and no cache left behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("KUBECONFIG", "/dev/null")
        yield


# ---- what is read

def run(*argv, stdin=None, check=True):
    done = subprocess.run([str(word) for word in argv], input=stdin, text=True, capture_output=True)
    assert not check or done.returncode == 0, done.stderr
    return done if not check else done.stdout


def need(program):
    if shutil.which(program) is None:
        # All but helm are installed by ./dev test.
        strict = os.environ.get("CI") == "true" and program != "helm"
        (pytest.fail if strict else pytest.skip)(f"{program} is not installed")


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document is not None]


def connect(query, *more):
    return run(BIN / "muster_render_manifest", query, NAME, *more)


def connect_documents(query):
    return documents(connect(query, ca_file()))


def ca_file():
    path = BIN.parent / "kubernetes_test_ca.pem"
    path.write_text(CA)
    return path


@functools.cache
def kubectl_kustomizes():
    """Whether it knows the `labels` of a kustomization, as from 1.22 on. Debian 12 has 1.20."""
    if not shutil.which("kubectl"):
        return False
    minor = json.loads(run("kubectl", "version", "--client", "-o", "json"))["clientVersion"]["minor"]
    return int(minor.rstrip("+")) >= 22


def kustomized(folder):
    if kubectl_kustomizes():
        return documents(run("kubectl", "kustomize", folder))
    # As far as merging goes: the files that the folder lists, without its patches.
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    found = []
    for name in listed:
        found += kustomized(folder / name) if (folder / name).is_dir() else documents((folder / name).read_text())
    return [one for one in found if folder.name != "cluster" or one["kind"] not in ("Role", "RoleBinding")]


def templated(chart, *values):
    need("helm")
    return documents(run("helm", "template", "muster", CHARTS / chart, "--namespace", "shop", "--kube-version", "1.31.0",
                         *values))


AGENT_VALUES = ("--set", "hub=hub.example.com:7443,targetId=tgt_1")
SOURCES = {
    "connect": (lambda: connect_documents("scope=namespace"), NAMESPACE_RULES),
    "connect without query": (lambda: connect_documents(""), NAMESPACE_RULES),
    "connect, in a namespace, with a volume": (lambda: connect_documents("scope=namespace&namespace=on&storage=1Gi"),
                                               NAMESPACE_RULES),
    "connect, cluster": (lambda: connect_documents("scope=cluster&namespace=shop"), CLUSTER_RULES),
    "kustomize base": (lambda: kustomized(AGENT / "base"), NAMESPACE_RULES),
    "kustomize cluster": (lambda: kustomized(AGENT / "cluster"), CLUSTER_RULES),
    "helm": (lambda: templated("muster-agent", *AGENT_VALUES), NAMESPACE_RULES),
    "helm, cluster": (lambda: templated("muster-agent", *AGENT_VALUES, "--set", "scope=cluster,storage=1Gi",
                                        "--set-file", f"ca={ca_file()}"), CLUSTER_RULES),
}


@pytest.fixture(params=SOURCES, scope="module")
def source(request):
    read, rules = SOURCES[request.param]
    return request.param, read(), rules


def one(objects, *kinds):
    found = [found for found in objects if found["kind"] in kinds]
    assert len(found) == 1, f"{kinds}: {len(found)} of them"
    return found[0]


# ---- rights

def rights(role):
    """What is wrong with a role is an assertion; else its rules as (group, resource) -> verbs."""
    assert set(role) <= {"apiVersion", "kind", "metadata", "rules"}, "aggregation would add rules"
    found = {}
    for rule in role["rules"]:
        assert set(rule) == {"apiGroups", "resources", "verbs"}, rule
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                assert (group, resource) not in found, f"twice: {group}/{resource}"
                found[group, resource] = tuple(rule["verbs"])
    for (group, resource), verbs in found.items():
        assert "*" not in group + resource + "".join(verbs), f"wildcard: {group}/{resource}"
        assert resource not in ("secrets", "configmaps", "pods/exec", "pods/attach", "nodes/proxy"), resource
        assert set(verbs) <= set(READ), f"writes: {group}/{resource} {verbs}"
    return found


def test_the_documentation_lists_these_rights():
    table = (ROOT / "docs/kubernetes.md").read_text().split("### The role")[1]
    found = {}
    for line in re.findall(r"^\| `.*\|$", table, re.M):
        group, resources, verbs = (cell.strip() for cell in line.strip("|").split("|"))
        everywhere, _, cluster_wide = resources.partition("; cluster-wide also ")
        name = group.split("`")[1].strip('"')
        for words, wide in ((everywhere, "cluster-wide" in group), (cluster_wide, True)):
            for resource in filter(None, words.split(", ")):
                found[name, resource] = (tuple(verbs.split(", ")), wide)
    assert {key: verbs for key, (verbs, _) in found.items()} == CLUSTER_RULES
    assert {key: verbs for key, (verbs, wide) in found.items() if not wide} == NAMESPACE_RULES


def test_rights_are_exactly_the_documented_ones(source):
    _, objects, rules = source
    role = one(objects, "Role", "ClusterRole")
    assert rights(role) == rules
    assert role["kind"] == ("ClusterRole" if rules is CLUSTER_RULES else "Role")


def test_the_role_is_bound_to_the_pods_account_alone(source):
    _, objects, _ = source
    role, binding = one(objects, "Role", "ClusterRole"), one(objects, "RoleBinding", "ClusterRoleBinding")
    account, pod = one(objects, "ServiceAccount"), one(objects, "Deployment")["spec"]["template"]["spec"]
    assert binding["kind"] == role["kind"] + "Binding"
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"],
                                  "name": role["metadata"]["name"]}
    assert len(binding["subjects"]) == 1
    subject = binding["subjects"][0]
    assert (subject["kind"], subject["name"]) == ("ServiceAccount", account["metadata"]["name"])
    assert subject.get("namespace") == account["metadata"].get("namespace")
    assert pod["serviceAccountName"] == account["metadata"]["name"]
    assert account["automountServiceAccountToken"] is False and pod["automountServiceAccountToken"] is True


def test_nothing_else_is_asked_for(source):
    _, objects, _ = source
    assert {found["kind"] for found in objects} <= {
        "ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "Secret", "ConfigMap",
        "PersistentVolumeClaim", "Deployment"}


@pytest.mark.parametrize("file", ["base/role.yaml", "cluster/clusterrole.yaml"])
def test_the_chart_has_the_one_file_of_rights(file):
    copied = CHARTS / "muster-agent/files" / Path(file).name
    assert copied.read_text() == (AGENT / file).read_text()
    templates = "".join(path.read_text() for path in (CHARTS / "muster-agent/templates").iterdir())
    assert f"files/{copied.name}" in templates and "apiGroups:" not in templates


# ---- the pod

def check_restricted(pod):
    """Pod Security Standards, "restricted", and what we add: a read-only root, numbers for uid, limits."""
    for switch in ("hostNetwork", "hostPID", "hostIPC", "hostUsers"):
        assert switch not in pod, switch
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True and security["runAsUser"] == UID and security["runAsGroup"] == UID
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "sysctls" not in security and "supplementalGroups" not in security
    for volume in pod.get("volumes", []):
        assert set(volume) - {"name"} <= {"emptyDir", "persistentVolumeClaim", "secret", "configMap"}, volume
    assert "initContainers" not in pod and "ephemeralContainers" not in pod
    for container in pod["containers"]:
        inner = container["securityContext"]
        assert inner["allowPrivilegeEscalation"] is False and inner["readOnlyRootFilesystem"] is True
        assert inner["capabilities"] == {"drop": ["ALL"]}
        assert set(inner) == {"allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"}, inner
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        assert not any("hostPort" in port for port in container.get("ports", []))
        assert not any("subPath" in mount for mount in container["volumeMounts"]), "the kubelet would not renew it"


def test_the_pod_is_restricted(source):
    check_restricted(one(source[1], "Deployment")["spec"]["template"]["spec"])


DATA = "--data-dir=/var/lib/muster-agent"
ALIVE, CONNECTED = (["/usr/local/bin/muster-agent", "status", *words, DATA] for words in (["--alive"], []))


def check_probes(container):
    """Liveness asks for the agent's loop alone: "status" without "--alive" asks for the hub's acknowledgement."""
    assert DATA in container["args"]
    live, ready = container["livenessProbe"], container["readinessProbe"]
    assert live["exec"] == {"command": ALIVE} and ready["exec"] == {"command": CONNECTED}
    assert "startupProbe" not in container, "the agent shows its life from its first moment"
    # A loop may stand for 30 s. One slow answer, or two, kill nobody; one that hangs is replaced within two minutes.
    assert live["failureThreshold"] >= 3 and live["timeoutSeconds"] >= 5
    assert 30 <= live["periodSeconds"] * live["failureThreshold"] <= 90
    assert live["timeoutSeconds"] <= live["periodSeconds"] and live["initialDelaySeconds"] <= live["periodSeconds"]


def test_the_probes_are_the_documented_ones(source):
    check_probes(one(source[1], "Deployment")["spec"]["template"]["spec"]["containers"][0])


def test_all_sources_have_the_same_lines_of_probes():
    """Of the chart, too, where there is no helm to render it."""
    def probes(path):
        text = path.read_text()
        begin, end = text.index("          livenessProbe:\n"), text.index("          resources:\n")
        return text[begin:end]
    lines = probes(AGENT / "base/deployment.yaml")
    assert yaml.safe_load(lines)["livenessProbe"]["exec"]["command"] == ALIVE
    assert probes(CHARTS / "muster-agent/templates/deployment.yaml") == lines
    assert probes(ROOT / "hub/connect/kubernetes_agent.yaml.in") == lines


def test_one_agent_and_room_for_its_journal(source):
    name, objects, rules = source
    spec = one(objects, "Deployment")["spec"]
    assert spec["replicas"] == 1 and spec["strategy"] == {"type": "Recreate"}
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    container, = spec["template"]["spec"]["containers"]
    arguments = container["args"]
    assert arguments[:2] == ["run", "--runtime=kubernetes"]
    patched = kubectl_kustomizes() or name != "kustomize cluster"
    wanted = "--cluster" if rules is CLUSTER_RULES and patched else "--namespace=$(POD_NAMESPACE)"
    assert arguments[2] == wanted
    volume, = [volume for volume in spec["template"]["spec"]["volumes"] if volume["name"] == "data"]
    assert volume.get("emptyDir", {"sizeLimit": "512Mi"}) == {"sizeLimit": "512Mi"}


def test_the_secret_is_not_in_the_pod_template(source):
    name, objects, _ = source
    template = yaml.safe_dump(one(objects, "Deployment"))
    assert "mst_" not in template
    if name.startswith("connect"):
        assert one(objects, "Secret")["stringData"] == {"secret": "mst_test"}
    else:
        assert not [found for found in objects if found["kind"] == "Secret"], "Helm and Kustomize keep what they render"


# ---- the checks themselves

@pytest.mark.parametrize("change", [
    lambda rules: rules[0]["resources"].append("secrets"),
    lambda rules: rules[0]["verbs"].append("delete"),
    lambda rules: rules[0].update(resources=["*"]),
    lambda rules: rules[2].update(apiGroups=["*"]),
    lambda rules: rules[0].update(verbs=["*"]),
    lambda rules: rules.append({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}),
    lambda rules: rules.append({"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}),
    lambda rules: rules.append({"apiGroups": [""], "resources": ["services"], "verbs": ["get"]}),
    lambda rules: rules.pop(),
])
def test_a_role_that_differs_is_found(change):
    role = one(connect_documents("scope=namespace"), "Role")
    change(role["rules"])
    with pytest.raises(AssertionError):
        assert rights(role) == NAMESPACE_RULES


@pytest.mark.parametrize("change", [
    lambda pod: pod.update(hostNetwork=True),
    lambda pod: pod["securityContext"].pop("runAsNonRoot"),
    lambda pod: pod["securityContext"].update(runAsUser=0),
    lambda pod: pod["securityContext"].pop("seccompProfile"),
    lambda pod: pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    lambda pod: pod["containers"][0].pop("securityContext"),
    lambda pod: pod["containers"][0]["securityContext"].update(privileged=True),
    lambda pod: pod["containers"][0]["securityContext"]["capabilities"].update(add=["NET_ADMIN"]),
    lambda pod: pod["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
    lambda pod: pod["containers"][0]["securityContext"].update(readOnlyRootFilesystem=False),
    lambda pod: pod["containers"][0].pop("resources"),
])
def test_a_pod_that_is_less_restricted_is_found(change):
    pod = one(connect_documents("scope=namespace"), "Deployment")["spec"]["template"]["spec"]
    check_restricted(copy.deepcopy(pod))
    change(pod)
    with pytest.raises((AssertionError, KeyError)):
        check_restricted(pod)


@pytest.mark.parametrize("change", [
    lambda container: container.pop("livenessProbe"),
    lambda container: container["livenessProbe"]["exec"].update(command=CONNECTED),
    lambda container: container["livenessProbe"]["exec"]["command"].remove(DATA),
    lambda container: container["livenessProbe"].update(failureThreshold=1),
    lambda container: container["livenessProbe"].update(periodSeconds=600),
    lambda container: container["livenessProbe"].pop("timeoutSeconds"),
    lambda container: container["readinessProbe"]["exec"].update(command=ALIVE),
])
def test_a_probe_that_kills_for_an_absent_hub_or_asks_nothing_is_found(change):
    container, = one(connect_documents("scope=namespace"), "Deployment")["spec"]["template"]["spec"]["containers"]
    check_probes(copy.deepcopy(container))
    change(container)
    with pytest.raises((AssertionError, KeyError)):
        check_probes(container)


# ---- the connect manifest

@pytest.mark.parametrize("query,kinds", [
    ("scope=namespace", ["ServiceAccount", "Role", "RoleBinding", "Secret", "ConfigMap", "Deployment"]),
    ("scope=cluster&namespace=shop&storage=1Gi",
     ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Secret", "ConfigMap", "PersistentVolumeClaim", "Deployment"]),
])
def test_a_hostile_name_adds_no_object(query, kinds):
    objects = connect_documents(query)
    assert [found["kind"] for found in objects] == kinds
    told = one(objects, "Deployment")["metadata"]["annotations"]["muster.target"]
    assert told == 'it\'s "prod"\\n---\\nkind: ClusterRoleBinding\\n# \\u2028 @SECRET@ {{ .Values }}'
    assert one(objects, "ConfigMap")["data"]["ca.pem"] == CA


@pytest.mark.parametrize("name", ["shop", "on", "null", "123", "1e3", "0x1f", "y"])
def test_a_namespace_stays_text(name):
    for found in connect_documents(f"scope=cluster&namespace={name}"):
        assert found["metadata"].get("namespace", name) == name
        assert ("namespace" in found["metadata"]) == (not found["kind"].startswith("ClusterRole"))


# ---- kubectl

def apply(double, text, *options, check=True):
    need("kubectl")
    return run("kubectl", "--server", double.url, "apply", "--validate=false", *options, "-f", "-", stdin=text,
               check=check)


def test_kubectl_puts_everything_into_the_namespace_of_its_n():
    with KubectlDouble() as double:
        text = connect("scope=namespace&storage=1Gi", ca_file())
        assert apply(double, text, "-n", "shop", "--dry-run=client").count("created (dry run)") == 7
        assert double.take_writes() == []
        apply(double, text, "-n", "shop")
        writes = double.take_writes()
        assert len(writes) == 7 and all("/namespaces/shop/" in path for _, path in writes)


def test_kubectl_refuses_another_namespace_than_the_one_in_the_query():
    with KubectlDouble() as double:
        text = connect("scope=cluster&namespace=shop")
        refused = apply(double, text, "-n", "other", check=False)
        assert refused.returncode == 1 and "does not match the namespace" in refused.stderr
        # kubectl goes on with what has no namespace: a binding of an account that is not there.
        assert not [path for _, path in double.take_writes() if "/namespaces/" in path]
    with KubectlDouble() as double:
        apply(double, text)
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        assert [path for _, path in double.take_writes() if "/namespaces/shop/" not in path] == [
            f"{rbac}/clusterroles/muster-agent-shop", f"{rbac}/clusterrolebindings/muster-agent-shop"]


def test_applying_again_patches_the_secret_alone():
    with KubectlDouble() as double:
        text = connect("scope=namespace&storage=1Gi", ca_file())
        apply(double, text, "-n", "shop")
        double.take_writes()
        said = apply(double, text.replace("mst_test", "mst_next"), "-n", "shop")
        assert double.take_writes() == [("PATCH", "/api/v1/namespaces/shop/secrets/muster-agent")]
        assert said.count("unchanged") == 6 and said.count("configured") == 1


@pytest.mark.parametrize("options", [(), ("--dry-run=client",), ("--validate=false",)], ids=str)
def test_kubectl_shows_why_there_is_no_manifest(options):
    need("kubectl")
    sentence = "the connect code is used up: get a new one with `muster target reconnect` [CONNECT_CODE_USED]"
    body = run(BIN / "muster_render_manifest", "refuse", sentence)
    assert len(documents(body)) == 1
    with KubectlDouble() as double:
        # Where it validates, an old kubectl says first that nobody answers.
        for server in (double.url, "http://127.0.0.1:9") if "--validate=false" in options else (double.url,):
            done = run("kubectl", "--server", server, "apply", *options, "-n", "shop", "-f", "-", stdin=body, check=False)
            assert done.returncode == 1 and f"refused/by/muster: {sentence}" in done.stderr
        assert double.take_writes() == []


# ---- the charts

def test_the_charts_are_of_this_version():
    version = re.search(r"project\(muster VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    for chart in ("muster-agent", "muster-hub"):
        told = yaml.safe_load((CHARTS / chart / "Chart.yaml").read_text())
        assert (told["version"], told["appVersion"]) == (version, version)


@pytest.mark.parametrize("values", [
    (), ("--set", "hub=hub:7443"), ("--set", "hub=https://hub:7443,targetId=tgt_1"),
    (*AGENT_VALUES, "--set", "scope=everything"), (*AGENT_VALUES, "--set", "storage=1"),
    (*AGENT_VALUES, "--set", "targetSecret=mst_x"), (*AGENT_VALUES, "--set", "ca=x"),
], ids=str)
def test_the_agents_chart_refuses_bad_values(values):
    need("helm")
    done = run("helm", "template", "x", CHARTS / "muster-agent", "--kube-version", "1.31.0", *values, check=False)
    assert done.returncode != 0 and "schema" in done.stderr


def test_the_hubs_pod_is_restricted_and_has_no_token():
    objects = templated("muster-hub", "--set", "publicUrl=https://hub.example.com:8080,tls.secretName=tls",
                        "--set", "metrics.enabled=true,metrics.tokenSecretName=scrape")
    pod = one(objects, "StatefulSet")["spec"]["template"]["spec"]
    check_restricted(pod)
    assert pod["automountServiceAccountToken"] is False
    assert not [found for found in objects if "Role" in found["kind"]]
    assert one(objects, "StatefulSet")["spec"]["replicas"] == 1
