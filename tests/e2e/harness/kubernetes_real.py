"""A real cluster behind the interface of the double: what can be provoked there is provoked with kubectl."""

import base64
import json
import os
import secrets
import threading

from .base import run, until

IMAGE = os.environ.get("MUSTER_TEST_IMAGE", "busybox:1.36")
SERVES = "mkdir -p /www && echo ok >/www/index.html && exec httpd -f -p 8080 -h /www"
ACCOUNT = "muster-agent"
STEP_LIMIT_S = 180


def deployment(name, command, replicas=1, image=IMAGE, probe=True, version="1.4.2"):
    container = {"name": name, "image": image, "command": ["sh", "-c", command],
                 "env": [{"name": "VERSION", "value": version}]}
    if probe:
        container["readinessProbe"] = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}}}


def job(name, command, backoff_limit=2):
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {
        "backoffLimit": backoff_limit, "template": {"spec": {"restartPolicy": "Never", "containers": [
            {"name": name, "image": IMAGE, "command": ["sh", "-c", command]}]}}}}


def account(namespace, rules, whole_cluster):
    """The agent's service account, its role and the binding, named after the namespace."""
    kind = "ClusterRole" if whole_cluster else "Role"
    name = {"name": f"{ACCOUNT}-{namespace}"}
    group = "rbac.authorization.k8s.io"
    return [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}},
            {"apiVersion": f"{group}/v1", "kind": kind, "metadata": name, "rules": list(rules)},
            {"apiVersion": f"{group}/v1", "kind": f"{kind}Binding", "metadata": name,
             "roleRef": {"apiGroup": group, "kind": kind, "name": name["name"]},
             "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}]}]


# Histories by their names in the double: lists of (what happens, objects to apply, condition to wait for).
def histories():
    healthy = deployment("web", SERVES, 2)
    complete = lambda c: c.deployed("web")  # noqa: E731
    return {
        "rollout": [("healthy at 1.4.2", [healthy], complete),
                    ("healthy at 1.5.0", [deployment("web", SERVES, 2, version="1.5.0")], complete)],
        "first_rollout": [("healthy", [healthy], complete)],
        "crash_loop": [("healthy", [healthy], complete),
                       ("backing off", [deployment("web", "echo fatal: no database; exit 1", 2, version="1.5.0")],
                        lambda c: "CrashLoopBackOff" in c.waiting("web"))],
        "bad_image": [("healthy", [healthy], complete),
                      ("backing off", [deployment("web", SERVES, 2, image="registry.invalid/web:9.9.9")],
                       lambda c: "ImagePullBackOff" in c.waiting("web"))],
        "job_success": [("complete", [job("import", "echo imported 4711 rows")],
                         lambda c: c.condition("job", "import", "Complete"))],
        "job_failure": [("failed", [job("import", "echo fatal; exit 1", 0)],
                         lambda c: c.condition("job", "import", "Failed"))],
        "scale_to_zero": [("healthy", [healthy], complete),
                          ("scaled to 0", [deployment("web", SERVES, 0)], lambda c: not c.pods(prefix="web-")),
                          ("healthy", [deployment("web", SERVES, 1)], complete)]}


class RealPlay:
    """Like the double's Play: step by step, or by itself in a thread."""

    def __init__(self, cluster, steps):
        self._cluster, self._steps = cluster, iter(steps)
        self._failure = None
        self._stop = threading.Event()
        self._thread = None
        self.done = []

    def step(self):
        """Makes the next step happen and waits for it; returns (0, what happened), or None at the end."""
        step = next(self._steps, None)
        if step is None:
            return None
        what, objects, condition = step
        self._cluster.apply(*objects)
        until(what, lambda: condition(self._cluster), STEP_LIMIT_S, every=0.5)
        self.done.append(what)
        return 0, what

    def until(self, what):
        while told := self.step():
            if what in told[1]:
                return told[1]
        raise AssertionError(f"no step {what!r}: {self.done}")

    def finish(self):
        while self.step():
            pass
        return self

    def start(self, speed=1.0):
        """The cluster itself says how fast."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _run(self):
        try:
            while not self._stop.is_set() and self.step():
                pass
        except BaseException as failure:  # told by wait()
            self._failure = failure

    @property
    def is_over(self):
        return not self._thread.is_alive()

    def wait(self, timeout=600):
        self._thread.join(timeout)
        assert self.is_over, f"not over after {timeout} s: {self.done}"
        if self._failure:
            raise self._failure
        return self

    def stop(self):
        self._stop.set()


class RealCluster:
    """Needs a kubeconfig that may make namespaces and roles. Everything lies in a namespace of its own, which goes."""

    is_real = True
    violations = ()  # its audit log is not ours to read

    def __init__(self, folder, kubeconfig, role_namespace=None):
        from kubedouble import roles
        self.dir = folder
        self.dir.mkdir(parents=True, exist_ok=True)
        self._admin = kubeconfig
        self.namespace = f"muster-e2e-{secrets.token_hex(3)}"
        self.whole_cluster = role_namespace is None
        self.kubectl("create", "namespace", self.namespace)
        self.plays = []
        self.apply(*account(self.namespace, roles.CLUSTER_ROLE if self.whole_cluster else roles.ROLE,
                            self.whole_cluster))

    def kubectl(self, *words, **more):
        return run(["kubectl", "--kubeconfig", self._admin, "--cache-dir", self.dir / "cache", *words], timeout=120,
                   **more).stdout

    def apply(self, *objects):
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--namespace", self.namespace, "-f", "-", input=json.dumps(listed))

    def get(self, kind, *words):
        return json.loads(self.kubectl("get", kind, *words, "--namespace", self.namespace, "-o", "json"))

    # ---- what the double has, too

    def scope(self):
        return {"namespace": self.namespace}

    def agent_words(self, in_cluster=False, namespace=None, whole_cluster=None):
        assert not in_cluster, "the agent of a test runs outside of a real cluster"
        words = ["--kubeconfig", self.agent_kubeconfig()] + (["--namespace", namespace] if namespace else [])
        return words + (["--cluster"] if whole_cluster else [])

    def agent_env(self, in_cluster=False):
        return {}

    def agent_kubeconfig(self):
        from kubedouble.mounts import kubeconfig
        view = json.loads(self.kubectl("config", "view", "--raw", "--minify", "-o", "json"))["clusters"][0]["cluster"]
        token = self.kubectl("create", "token", ACCOUNT, "--namespace", self.namespace).strip()
        authority = view.get("certificate-authority")
        if "certificate-authority-data" in view:
            authority = self.dir / "ca.crt"
            authority.write_bytes(base64.b64decode(view["certificate-authority-data"]))
        return kubeconfig(self.dir / "agent.conf", view["server"], authority, token=token, namespace=self.namespace)

    def stage(self, history):
        self.plays.append(RealPlay(self, histories()[history]))
        return self.plays[-1]

    def play(self, history, speed=1.0):
        return self.stage(history).start(speed)

    def write_lines(self, name, count, pause=0.02):
        script = f"i=0; while [ $i -lt {count} ]; do echo line $i; i=$((i+1)); sleep {pause}; done; exec sleep 3600"
        self.apply(deployment(name, script, probe=False))

    def pods(self, namespace=None, prefix=""):
        names = [pod["metadata"]["name"] for pod in self.get("pods")["items"]]
        return [name for name in names if name.startswith(prefix)]

    def stop(self):
        for play in self.plays:
            play.stop()
        self.kubectl("delete", "namespace", self.namespace, "--wait=false")
        if self.whole_cluster:
            for kind in ("clusterrolebinding", "clusterrole"):
                self.kubectl("delete", kind, f"{ACCOUNT}-{self.namespace}")

    # ---- conditions

    def deployed(self, name):
        found = self.get("deployment", name)
        status, wanted = found["status"], found["spec"]["replicas"]
        return status.get("observedGeneration") == found["metadata"]["generation"] and all(
            status.get(key, 0) == wanted for key in ("replicas", "updatedReplicas", "availableReplicas"))

    def waiting(self, app):
        """Why containers of that Deployment wait."""
        return [status.get("state", {}).get("waiting", {}).get("reason")
                for pod in self.get("pods", "--selector", f"app={app}")["items"]
                for status in pod["status"].get("containerStatuses", [])]

    def condition(self, kind, name, wanted):
        return any(one["type"] == wanted and one["status"] == "True"
                   for one in self.get(kind, name)["status"].get("conditions", []))
