"""muster-hub metrics: a hub's /metrics from its files, by a process of its own."""

import http.client
import os

from .base import BIN, Process, free_port, until
from .hub import METRICS_TOKEN


class StoredMetrics:
    def __init__(self, directory, data, name="stored-metrics", prefix=(), token=METRICS_TOKEN):
        """data: the hub's folder. prefix: what the process is started by."""
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        environment = os.environ | {"METRICS_ADDR": f"127.0.0.1:{self.port}", "METRICS_BEARER_TOKEN": token}
        self.process = Process(name, [*prefix, BIN / "muster-hub", "metrics", "--data-dir", data],
                               directory / f"{name}.log", environment)
        until("it listens", self._listens, 10)

    def _listens(self):
        assert self.process.running(), self.process.log()
        try:
            return self.get("/metrics")[0] == 200
        except OSError:
            return False

    def get(self, path, token=METRICS_TOKEN):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def page(self, query=""):
        status, text = self.get(f"/metrics{query}")
        assert status == 200, text
        return text

    def stop(self):
        assert self.process.stop() == 0, self.process.log()[-2000:]
