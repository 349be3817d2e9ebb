"""What is larger than the 4 KiB that the hub keeps between OpenSSL and a socket (hub/tls/lean_ssl.cc) goes through in
parts: its certificates, what agents send, what it answers."""

import json

import pytest

from harness.agent import Agent
from harness.base import BIN, run
from harness.hub import Hub

AGENTS = 20
# 400 lines at a time, some 50 KB: four of the largest records of TLS.
LINES_A_SECOND = 4000
SECONDS = 5


@pytest.fixture(scope="module")
def hub(folder):
    """With 18 KB of certificates, more than OpenSSL's own 17,408 bytes would hold."""
    hub = Hub(folder / "h")
    hub.stop()
    own, authority = ((hub.data / "tls" / name).read_text() for name in ("server.pem", "ca.pem"))
    (folder / "chain.pem").write_text(own + 45 * authority)
    hub.extra = ["--tls-cert", folder / "chain.pem", "--tls-key", hub.data / "tls/server.key"]
    hub.start()
    yield hub
    hub.stop()


def test_a_long_chain_of_certificates(hub, folder):
    for address in (hub.grpc, f"{hub.address}:{hub.http_port}"):
        said = run(["openssl", "s_client", "-connect", address, "-alpn", "h2,http/1.1", "-CAfile", hub.ca,
                    "-verify_return_error"], input="").stdout
        read = int(said.split("SSL handshake has read ")[1].split()[0])
        assert read > 17408, said
    agent = Agent(folder, hub, hub.create_target("chained", type="host"), runtime="none")
    hub.wait_connected("chained")
    agent.stop()


def test_large_batches_and_all_of_their_lines_back(hub):
    done = run([BIN / "muster-load", "--hub", hub.url, "--token-file", hub.token_file, "--ca-file", hub.ca,
                "--grpc-address", hub.grpc, "--targets", AGENTS, "--log-lines", LINES_A_SECOND, "--log-burst",
                400, "--warm-up", 2, "--duration", SECONDS, "--check", AGENTS], timeout=120)
    result = json.loads(done.stdout)
    records, kept = result["records"], result["kept"]
    assert result["connects"] == AGENTS and result["sessions_lost"] == 0, result
    assert records["recorded"] == records["acknowledged"] > 0 and records["lost_by_the_hub"] == 0, records
    assert kept["lines_written"] > SECONDS * LINES_A_SECOND / 2, kept
    assert not any(value for name, value in kept.items() if "missing" in name or "twice" in name), kept
