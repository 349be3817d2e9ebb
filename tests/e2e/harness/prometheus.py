"""Debian's Prometheus scraping one address every second."""

import json
import urllib.error
import urllib.parse
import urllib.request

from .base import Process, free_port, until


class Prometheus:
    def __init__(self, directory, target, token=None, rule_files=()):
        self.port = free_port()
        directory.mkdir(parents=True, exist_ok=True)
        authorization = ""
        if token is not None:
            (directory / "token").write_text(token)
            authorization = f"    authorization: {{ type: Bearer, credentials_file: {directory}/token }}\n"
        (directory / "prometheus.yml").write_text(
            "global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }\n"
            f"rule_files: {json.dumps([str(path) for path in rule_files])}\n"
            "scrape_configs:\n"
            "  - job_name: muster\n"
            f"{authorization}"
            f"    static_configs: [ {{ targets: ['{target}'] }} ]\n")
        self.process = Process("prometheus", [
            "prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"], directory / "prometheus.log")
        until("Prometheus is ready", self._ready, 30, every=0.1)

    def _get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
            return response.read()

    def _ready(self):
        assert self.process.running(), self.process.log()[-2000:]
        try:
            return b"Ready" in self._get("/-/ready")
        except OSError:
            return False

    def query(self, expression):
        """The instant vector: a list of (labels, value)."""
        answer = json.loads(self._get("/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        assert answer["status"] == "success", answer
        return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]

    def ask(self, path, **parameters):
        """`data` of an answer of the API; an expression that does not parse fails."""
        try:
            answer = json.loads(self._get(f"/api/v1/{path}?" + urllib.parse.urlencode(parameters, doseq=True)))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from None
        return answer["data"]

    def scrape_health(self):
        """(health, lastError) of the one target."""
        targets = json.loads(self._get("/api/v1/targets"))["data"]["activeTargets"]
        return (targets[0]["health"], targets[0]["lastError"]) if targets else ("none", "")

    def stop(self):
        self.process.stop()
