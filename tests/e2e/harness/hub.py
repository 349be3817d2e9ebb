"""muster-hub serve on a data folder of its own, and the two ways operators ask it: Connect JSON and the CLI."""

import base64
import http.client
import json
import os
import signal
import ssl
import time

from .base import BIN, Process, free_port, run, timestamp, until

METRICS_TOKEN = "e2e-metrics-token-4711"


class ApiError(Exception):
    """An error answer of the API: HTTP status, Connect code, our stable reason, message."""

    def __init__(self, status, body):
        self.status = status
        self.code = body.get("code", "")
        self.message = body.get("message", "")
        self.details = body.get("details", [])
        self.reason = _reason(self.details)
        super().__init__(f"{status} {self.code} [{self.reason}] {self.message}")


def _reason(details):
    """ErrorInfo.reason: field 1 of the encoded detail."""
    for detail in details:
        if not detail.get("type", "").endswith("ErrorInfo"):
            continue
        if "reason" in detail.get("debug", {}):
            return detail["debug"]["reason"]
        raw = base64.b64decode(detail["value"] + "=" * (-len(detail["value"]) % 4))
        if raw[:1] == b"\x0a":
            return raw[2:2 + raw[1]].decode()
    return ""


class Hub:
    def __init__(self, directory, bind="127.0.0.1", public_host=None, start=True, extra=(), env=None):
        self.dir = directory
        self.dir.mkdir(parents=True, exist_ok=True)
        self.data = self.dir / "hub"
        self.bind = bind
        self.address = "127.0.0.1"
        self.public_host = public_host or self.address
        self.http_port, self.grpc_port, self.metrics_port = free_port(), free_port(), free_port()
        self.extra = list(extra)
        self.env = env or {}
        self.process = None
        self.starts = 0
        if start:
            self.start()

    # ---- life

    def argv(self):
        return [BIN / "muster-hub", "serve", "--data-dir", self.data, "--grpc-addr", f"{self.bind}:{self.grpc_port}",
                "--http-addr", f"{self.bind}:{self.http_port}", "--public-url",
                f"https://{self.public_host}:{self.http_port}", "--agent-binary", BIN / "muster-agent", *self.extra]

    def full_env(self):
        return os.environ | {"METRICS_ENABLED": "true", "METRICS_ADDR": f"127.0.0.1:{self.metrics_port}",
                             "METRICS_BEARER_TOKEN": METRICS_TOKEN} | self.env

    def launch(self):
        """Starts the process without waiting for it to be ready."""
        self.starts += 1
        self.process = Process("hub", self.argv(), self.dir / f"hub-{self.starts}.log", self.full_env())
        return self.process

    def start(self):
        self.launch()
        until("the hub is ready", self.ready, 20)
        return self

    def ready(self):
        assert self.process.running(), f"the hub ended with {self.process.popen.returncode}:\n{self.process.log()}"
        try:
            return self.http("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def kill(self):
        """kill -9."""
        self.process.kill()
        assert self.process.popen.returncode == -signal.SIGKILL

    def stop(self):
        if self.process and self.process.running():
            assert self.process.stop() == 0, self.process.log()[-2000:]

    def log(self):
        return "".join(path.read_text(errors="replace") for path in sorted(self.dir.glob("hub-*.log")))

    def stood_still_at(self, stalls):
        """When the hub last noticed that it had stood still, in seconds since 1970: it listens for a whole minute again before
        it calls anybody stale. 0: never, or the hub alone says so: this process was not held up meanwhile."""
        times = [timestamp(line.split()[0]) for line in self.log().splitlines() if "the hub stood still for" in line]
        return times[-1] if times and stalls.longest_s() > 1 else 0

    # ---- addresses

    @property
    def url(self):
        return f"https://{self.address}:{self.http_port}"

    @property
    def grpc(self):
        return f"{self.address}:{self.grpc_port}"

    @property
    def ca(self):
        return self.data / "tls/ca.pem"

    @property
    def token_file(self):
        return self.data / "admin-token"

    @property
    def token(self):
        return self.token_file.read_text().strip()

    # ---- asking

    def http(self, method, path, body=None, headers=None, timeout=10):
        """One HTTP request with the hub's own CA trusted; returns status, headers, body."""
        context = ssl.create_default_context(cafile=str(self.ca))
        connection = http.client.HTTPSConnection(self.address, self.http_port, timeout=timeout, context=context)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def api(self, method, token=None, **request):
        """A unary FleetService call as Connect JSON; raises ApiError."""
        status, _, body = self.http(
            "POST", f"/muster.fleet.v1.FleetService/{method}", json.dumps(request),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self.token if token is None else token}"})
        answer = json.loads(body)
        if status != 200:
            raise ApiError(status, answer)
        return answer

    def metrics(self, token=METRICS_TOKEN, query=""):
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)
        try:
            connection.request("GET", f"/metrics{query}", headers={"Authorization": f"Bearer {token}"} if token else {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def cli(self, *argv, token_file=None, check=True, as_json=True, timeout=30, env=None):
        """The muster program: its parsed JSON answer, or with check=False the finished process."""
        output = ["-o", "json"] if as_json else []
        done = run([BIN / "muster", "--hub", self.url, "--token-file", token_file or self.token_file, "--ca-file", self.ca,
                    *output, *argv], check=check, timeout=timeout, env=env)
        return json.loads(done.stdout) if check and as_json else done

    # ---- common questions

    def create_target(self, name, type="docker", customer=None):
        more = ["--customer", customer] if customer else []
        return self.cli("target", "create", name, "--type", type, *more)

    def target(self, name):
        return self.api("GetTarget", target=name)["target"]

    def target_state(self, name):
        return self.target(name)["state"].removeprefix("TARGET_STATE_").lower()

    def deployments(self, target):
        answer = self.api("ListDeployments", target=target)
        return {row["name"]: row for row in answer.get("deployments", [])}

    def deployment(self, target, name):
        return self.deployments(target).get(name)

    def status_of(self, target, name):
        row = self.deployment(target, name)
        return row["status"].removeprefix("DEPLOYMENT_STATUS_").lower() if row else None

    def wait_connected(self, name, timeout=20):
        until(f"{name} is connected", lambda: self.target_state(name) == "connected", timeout)

    def wait_status(self, target, name, status, timeout=15, every=0.02):
        """Waits for a deployment's status; returns when it was seen, in seconds since 1970."""
        try:
            until(f"{name} is {status}", lambda: self.status_of(target, name) == status, timeout, every)
        except AssertionError as error:
            raise AssertionError(f"{error}; deployment: {self.deployment(target, name)}") from None
        return time.time()
