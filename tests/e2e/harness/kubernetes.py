"""Clusters for the tests: the API server's double, or a real cluster where MUSTER_TEST_KUBECONFIG names one."""

import http.client
import json
import os
import socket
import ssl
import sys
import threading
import time
from urllib.parse import urlencode

from .base import ROOT, Process, until

FIXTURES = ROOT / "tests/fixtures/kubernetes"
sys.path.insert(0, str(FIXTURES))

from kubedouble import control, roles  # noqa: E402,F401
from kubedouble.cluster import Double  # noqa: E402
from kubedouble.histories import HISTORIES  # noqa: E402,F401

REAL = os.environ.get("MUSTER_TEST_KUBECONFIG", "")


class DoubleCluster(Double):
    """The double in a thread of the test. What both kinds of clusters have: namespace, scope(), agent_words(),
    agent_env(), stage(), play(), write_lines(), pods(), violations, stop(). The rest (faults, log(), server) only the
    double has: `is_real`."""

    is_real = False

    def scope(self):
        """Of agent_words(): as much as is the test's own."""
        return {"whole_cluster": True}

    def write_lines(self, name, count, pause=0.02):
        """A Deployment of one pod that writes `line 0`, `line 1` and so on, with pauses. Returns at once."""
        self.stage("no_probes", name=name).step()
        (pod,) = self.pods(prefix=f"{name}-")

        def write():
            for number in range(count):
                self.log(pod, name, f"line {number}")
                time.sleep(pause)
        threading.Thread(target=write, daemon=True).start()

    def agent_words(self, in_cluster=False, namespace=None, whole_cluster=None):
        """Options of muster-agent run. in_cluster: as in a pod, together with agent_env()."""
        words = ["--service-account-dir", self.service_account_dir] if in_cluster else ["--kubeconfig",
                                                                                        self.agent_kubeconfig()]
        words += ["--namespace", namespace] if namespace else []
        return words + (["--cluster"] if whole_cluster else [])

    def agent_env(self, in_cluster=False):
        return self.in_cluster() if in_cluster else {}

    def agent_kubeconfig(self):
        """Its token lies in the service account's folder, and may change there."""
        return self.kubeconfig("agent.conf", token_file=self.service_account_dir / "token")

    def ask(self, path, token=None, method="GET", timeout=10, headers=None, **query):
        """One request; returns status, headers, body (read as JSON where it is)."""
        connection = Asking(self, token, timeout)
        try:
            response = connection.send(path, method, headers, **query)
            body = response.read()
            if response.headers["Content-Type"] == "application/json":
                body = json.loads(body)
            return response.status, response.headers, body
        finally:
            connection.close()

    def watch(self, path, token=None, timeout=10, **query):
        return Watching(self, path, token, timeout, **query)


def tls(cluster, certificate=None):
    context = ssl.create_default_context(cafile=str(cluster.authority.certificate))
    if certificate:
        context.load_cert_chain(*certificate)
    return context


class Asking:
    """One connection to a double, with the agent's token or another one (empty: none)."""

    def __init__(self, cluster, token=None, timeout=10, certificate=None):
        self._http = http.client.HTTPSConnection(cluster.server.address, cluster.server.port, timeout=timeout,
                                                 context=tls(cluster, certificate))
        token = cluster.token if token is None else token
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def send(self, path, method="GET", headers=None, **query):
        target = path + (f"?{urlencode(query)}" if query else "")
        self._http.request(method, target, headers=self._headers | (headers or {}))
        return self._http.getresponse()

    def close(self):
        self._http.close()


class Watching:
    """An open watch, or a log that is followed: line by line. It knows an end from a cut, and outlives a time-out,
    which http.client does not."""

    def __init__(self, cluster, path, token=None, timeout=10, **query):
        plain = socket.create_connection((cluster.server.address, cluster.server.port), timeout)
        self._socket = tls(cluster).wrap_socket(plain, server_hostname=cluster.server.address,
                                                suppress_ragged_eofs=False)
        self._raw = b""
        self._lines = b""
        self._ended = False
        self._socket.sendall(f"GET {path}?{urlencode(query)} HTTP/1.1\r\nHost: double\r\nAuthorization: Bearer "
                             f"{token or cluster.token}\r\n\r\n".encode())
        head = self._until(b"\r\n\r\n").lower()
        assert head.startswith(b"http/1.1 200 ") and b"transfer-encoding: chunked" in head, head

    def _until(self, end):
        while end not in self._raw:
            self._more()
        taken, _, self._raw = self._raw.partition(end)
        return taken

    def _more(self):
        try:
            data = self._socket.recv(65536)
        except ssl.SSLEOFError:  # what Python makes of a reset
            data = b""
        if not data:
            raise ConnectionResetError("cut")
        self._raw += data

    def line(self, timeout=None):
        """The next line; empty at the end; TimeoutError when there is none in time, ConnectionResetError when cut."""
        self._socket.settimeout(timeout or 10)
        while b"\n" not in self._lines and not self._ended:
            if b"\r\n" not in self._raw:
                self._more()
                continue
            size = int(self._raw.partition(b"\r\n")[0], 16)
            whole = self._raw.index(b"\r\n") + 2 + size + 2
            if len(self._raw) < whole:
                self._more()
                continue
            self._lines += self._raw[whole - 2 - size:whole - 2]
            self._raw = self._raw[whole:]
            self._ended = size == 0
        line, end, self._lines = self._lines.partition(b"\n")
        return line + end

    def event(self, timeout=None):
        """The next event of a watch as (type, object), or None at the end."""
        line = self.line(timeout)
        event = json.loads(line) if line else None
        return (event["type"], event["object"]) if event else None

    def events_until(self, condition):
        """All events to the first that meets condition(type, object)."""
        seen = []
        while event := self.event():
            seen.append(event)
            if condition(*event):
                return seen
        raise AssertionError(f"the watch ended before: {[(kind, obj['metadata']) for kind, obj in seen]}")

    def close(self):
        self._socket.close()


class DoubleProcess:
    """The double as a process of its own (benches, and tests that must not share a core with Python's lock)."""

    def __init__(self, folder, *words):
        self.dir = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.process = Process("kubernetes double", [sys.executable, FIXTURES / "serve.py", "--dir", folder, *words],
                               folder / "double.log", os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
        self.told = until("the double is ready", self._ready, 60)
        self.kubeconfig, self.service_account_dir = folder / "kubeconfig", folder / "serviceaccount"
        self.admin_kubeconfig = folder / "admin.conf"

    def _ready(self):
        assert self.process.running(), self.process.log()
        file = self.dir / "ready.json"
        return json.loads(file.read_text()) if file.exists() else None

    def ask(self, command, **arguments):
        """A command of control.py: ask("cut", kind="pods")."""
        return control.ask(self.dir / "control.sock", command, **arguments)

    def agent_env(self):
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.told["port"])}

    def stop(self):
        assert self.process.stop() == 0, self.process.log()


def new_cluster(folder, **options):
    """The cluster that tests are to use. Options are the double's; a real cluster knows only the role."""
    if REAL:
        from .kubernetes_real import RealCluster
        return RealCluster(folder, REAL, options.get("role_namespace"))
    return DoubleCluster(folder, **options)


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
