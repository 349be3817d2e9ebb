"""The yardsticks themselves: engine, event log, recording proxy, hosts, Prometheus. They fail here first when a machine
cannot run them."""

import http.server
import threading
import time

import pytest

from conftest import require
from harness.base import free_port, until
from harness.docker_engine import UnixHttp
from harness.docker_proxy import RecordingDockerProxy
from harness.prometheus import Prometheus


class Held:
    """Stalls of a length of choice."""

    def __init__(self, longest_s):
        self.longest_s = lambda: longest_s


@pytest.fixture
def proxy(engine, folder):
    """No agent speaks through this one."""
    proxy = RecordingDockerProxy(folder, engine.socket, "probe", in_record=False)
    yield proxy
    proxy.close()


def test_engine_runs_compose_projects_and_tells_when_containers_end(engine, events):
    engine.compose("probe", {"app": {}})
    (container,) = engine.containers("probe")
    before = time.time()
    engine.docker("kill", container)
    assert before - 0.1 <= events.find("die", container) <= time.time()
    engine.compose("probe", {"app": {}}, "down")
    assert engine.containers("probe") == []


def test_proxy_records_requests_in_order_on_one_connection(engine, proxy):
    connection = UnixHttp(proxy.socket)
    for path in ("/_ping", "/version"):
        connection.request("GET", path)
        assert connection.getresponse().read()
    connection.request("POST", "/containers/nobody/stop", body=b"GET /not-a-request HTTP/1.1\r\n\r\n")
    assert connection.getresponse().read()
    connection.request("GET", "/info")
    assert connection.getresponse().read()
    # The answer is passed on before its question is in the record.
    until("all are in the record", lambda: len(proxy.requests) == 4, 5)
    assert [line.split()[:2] for line in proxy.requests] == [
        ["GET", "/_ping"], ["GET", "/version"], ["POST", "/containers/nobody/stop"], ["GET", "/info"]]


def test_proxy_stops_in_the_middle_of_the_stream_and_goes_on(engine, proxy):
    connection = UnixHttp(proxy.socket, timeout=0.5)
    proxy.stall()
    connection.request("GET", "/version")
    try:
        connection.getresponse()
        raise AssertionError("the stalled engine answered")
    except TimeoutError:
        pass
    proxy.flow()
    connection = UnixHttp(proxy.socket, timeout=5)
    connection.request("GET", "/_ping")
    assert connection.getresponse().read() == b"OK"


def test_hosts_have_network_files_and_processes_of_their_own(boxes, folder):
    first, second = boxes("alpha"), boxes("beta")
    first.run("sh", "-c", "echo changed > /etc/hostname-probe; mkdir -p /opt/probe")
    assert second.run("test", "-e", "/etc/hostname-probe", check=False).returncode == 1
    assert [box.run("hostname").stdout.strip() for box in (first, second)] == ["alpha", "beta"]
    assert first.run("cat", "/etc/machine-id").stdout != second.run("cat", "/etc/machine-id").stdout
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://10.211.255.1:{server.server_port}/"
    for box in (first, second):
        assert box.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url).stdout == "200"
    first.disconnect()
    assert first.run("curl", "-s", "--max-time", "1", url, check=False).returncode != 0
    first.reconnect()
    server.shutdown()
    first.run("sh", "-c", "sleep 987654 >/dev/null 2>&1 &")
    assert "987654" in first.run("ps", "-ef").stdout
    assert "987654" not in second.run("ps", "-ef").stdout


def test_prometheus_scrapes_with_its_token(folder):
    require("prometheus")

    class Exporter(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.headers.get("Authorization") == "Bearer right"
            self.send_response(200 if known else 401)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.end_headers()
            self.wfile.write(b"probe_value 7\n" if known else b"")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Exporter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    prometheus = Prometheus(folder / "p", f"127.0.0.1:{server.server_port}", token="right")
    assert until("a sample", lambda: prometheus.query("probe_value"), 10, every=0.2)[0][1] == 7
    assert prometheus.scrape_health() == ("up", "")
    prometheus.stop()
    server.shutdown()


def test_a_hub_that_says_it_stood_still_is_believed_where_the_machine_held_up_the_test_too(hub):
    assert hub.stood_still_at(Held(9)) == 0, "it has not"
    paused = time.time()
    hub.process.pause()
    time.sleep(3)
    hub.process.resume()
    at = until("the hub says so", lambda: hub.stood_still_at(Held(3)), 5)
    assert paused + 3 - 0.001 <= at <= time.time(), "a line's time is cut to milliseconds"
    assert hub.stood_still_at(Held(0.2)) == 0
