"""Bad input: each gets an error that names what to do, and nothing is lost."""

import json
import os
import shutil
import sqlite3
import subprocess

import pytest

from harness.agent import Agent
from harness.base import BIN, run, until
from harness.docker_engine import FOREVER, IMAGE
from harness.docker_proxy import RecordingDockerProxy
from harness.hub import Hub
from harness.process_checks import database_of, ended, fails_to_start

BROKEN_JSON = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n[{"Id": 1, "Names": {'


# ---- command lines

@pytest.mark.parametrize("argv", [
    ["muster-hub", "serve", "--data-dir", "/tmp/x", "--no-such-flag"], ["muster-agent", "run", "--no-such-flag"], ["muster", "target", "list", "--no-such-flag"]])
def test_unknown_flag_is_a_usage_error(argv):
    done = run([BIN / argv[0], *argv[1:]], check=False)
    assert done.returncode == 2
    assert argv[-1].lstrip("-") in done.stderr, done.stderr


def test_unknown_verbs_are_usage_errors():
    for program in ("muster-hub", "muster-agent", "muster"):
        done = run([BIN / program, "no-such-verb"], check=False)
        assert done.returncode == 2 and done.stderr.strip(), f"{program}: {done.returncode} {done.stderr}"


def test_missing_flags_are_named():
    done = run([BIN / "muster-agent", "run"], check=False)
    assert done.returncode == 2 and "--hub" in done.stderr, done.stderr


# ---- the hub's data folder

@pytest.fixture
def stopped(tmp_path):
    """A hub that ran once, has a target, and is stopped."""
    hub = Hub(tmp_path / "h")
    hub.create_target("kept", type="host")
    hub.stop()
    return hub


def test_corrupt_database_is_refused_and_left_alone(stopped):
    path = database_of(stopped)
    good = path.read_bytes()
    damaged = b"not a database at all " * 200
    path.write_bytes(damaged)
    message = fails_to_start(stopped)
    assert path.name in message, message
    assert path.read_bytes() == damaged, "the evidence was overwritten"
    path.write_bytes(good)
    stopped.start()
    assert stopped.target("kept")
    stopped.stop()


def test_database_of_a_newer_version_is_refused_and_left_alone(stopped):
    path = database_of(stopped)
    with sqlite3.connect(path) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        database.execute(f"PRAGMA user_version = {version + 1000}")
    database.close()
    message = fails_to_start(stopped)
    assert "newer" in message, message
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == version + 1000
        database.execute(f"PRAGMA user_version = {version}")
    database.close()
    stopped.start()
    assert stopped.target("kept")
    stopped.stop()


def test_unreadable_database_is_refused(stopped):
    path = database_of(stopped)
    aside = path.with_suffix(".aside")
    path.rename(aside)
    path.mkdir()  # root reads every file, but nobody reads a folder as one
    assert path.name in fails_to_start(stopped)
    path.rmdir()
    aside.rename(path)
    stopped.start()
    assert stopped.target("kept")
    stopped.stop()


def test_data_folder_of_a_running_hub_is_refused(stopped):
    stopped.start()
    second = Hub(stopped.dir / "second", start=False)
    second.data = stopped.data
    message = fails_to_start(second)
    assert str(stopped.data) in message and "another" in message.lower(), message
    assert stopped.target("kept")
    stopped.stop()


@pytest.mark.parametrize("which", ["http", "grpc", "metrics"])
def test_taken_port_is_named(hub, tmp_path, which):
    second = Hub(tmp_path / "h", start=False)
    port = getattr(hub, f"{which}_port")
    setattr(second, f"{which}_port", port)
    assert str(port) in fails_to_start(second)
    assert hub.ready()


# ---- certificates

@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Two keys, a certificate of the first, and one of the first that has expired."""
    place = tmp_path_factory.mktemp("certificates")

    def openssl(*argv):
        run(["openssl", *argv], cwd=place)

    for name in ("one", "two"):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
    openssl("req", "-new", "-x509", "-key", "one.key", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "30", "-out", "good.pem")
    (place / "ca.conf").write_text(
        "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\npolicy=any\n"
        "[any]\ncommonName=supplied\n")
    (place / "index.txt").write_text("")
    (place / "serial").write_text("01")
    openssl("req", "-new", "-key", "one.key", "-subj", "/CN=localhost", "-out", "one.csr")
    openssl("ca", "-batch", "-notext", "-selfsign", "-config", "ca.conf", "-keyfile", "one.key", "-in", "one.csr",
            "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-out", "expired.pem")
    return place


def test_certificate_that_does_not_match_its_key_is_refused(certificates, tmp_path):
    hub = Hub(tmp_path / "h", start=False, extra=["--tls-cert", certificates / "good.pem", "--tls-key",
                                                 certificates / "two.key"])
    message = fails_to_start(hub)
    assert "good.pem" in message and "two.key" in message and "match" in message, message


def test_expired_certificate_is_refused(certificates, tmp_path):
    hub = Hub(tmp_path / "h", start=False, extra=["--tls-cert", certificates / "expired.pem", "--tls-key",
                                                 certificates / "one.key"])
    message = fails_to_start(hub)
    assert "expired" in message and "expired.pem" in message and "2020" in message, message


def test_missing_certificate_is_named(certificates, tmp_path):
    hub = Hub(tmp_path / "h", start=False, extra=["--tls-cert", certificates / "nowhere.pem", "--tls-key",
                                                 certificates / "one.key"])
    assert "nowhere.pem" in fails_to_start(hub)


# ---- agents that do not belong

def test_wrong_secret_and_unknown_target_are_told_apart_and_not_hammered(hub, folder):
    created = hub.create_target("guarded", type="host")
    wrong = Agent(folder, hub, created | {"target_secret": created["target_secret"][:-4] + "0000"}, name="wrong",
                  runtime="none")
    unknown = Agent(folder, hub, created | {"target_id": created["target_id"][:-4] + "0000"}, name="unknown",
                    runtime="none")
    until("the wrong secret is named", lambda: "BAD_SECRET" in wrong.log(), 10)
    until("the unknown target is named", lambda: "UNKNOWN_TARGET" in unknown.log(), 10)
    assert hub.target_state("guarded") == "not_connected"
    assert wrong.log().count("BAD_SECRET") < 10
    for agent in (wrong, unknown):
        assert agent.process.running(), "it waits for a person to mend the file"
        agent.kill()


def test_agent_that_cannot_trust_the_hub_says_so(hub, folder, tmp_path):
    other = Hub(tmp_path / "other")
    created = hub.create_target("suspicious", type="host")
    agent = Agent(folder, hub, created, name="suspicious", runtime="none", start=False)
    shutil.copy(other.ca, agent.dir / "ca.pem")
    other.stop()
    argv = [word if str(word) != str(hub.ca) else agent.dir / "ca.pem" for word in agent.argv()]
    agent.argv = lambda: argv
    agent.start()
    until("distrust is told", lambda: "certificate" in agent.log().lower(), 15)
    assert hub.target_state("suspicious") == "not_connected"
    agent.kill()


def test_secret_file_that_is_missing_or_empty_is_named(hub, folder):
    agent = Agent(folder, hub, hub.create_target("forgetful", type="host"), name="forgetful", runtime="none", start=False)
    agent.secret_file.unlink()
    done = ended([*agent.argv()])
    assert done.returncode != 0 and str(agent.secret_file) in done.stderr, done.stderr


# ---- the Docker socket

def fault(hub, name):
    return hub.target(name).get("observer_fault", "")


def test_missing_docker_socket_is_told_and_found_when_it_appears(hub, engine, folder):
    socket = folder / "later.sock"
    agent = Agent(folder, hub, hub.create_target("early"), name="early", docker_socket=socket)
    hub.wait_connected("early")
    text = until("the fault is told", lambda: fault(hub, "early"), 15)
    assert str(socket) in text, text
    engine.compose("late", {"app": {}})
    proxy = RecordingDockerProxy(folder, engine.socket, "later")
    hub.wait_status("early", "late", "running", timeout=75)
    until("the fault is over", lambda: not fault(hub, "early"), 10)
    agent.stop()
    proxy.close()


def test_forbidden_docker_socket_is_told(hub, proxy, folder):
    folder.chmod(0o755)
    proxy.socket.chmod(0o600)
    binary = folder / "muster-agent"  # a copy where everybody may run it
    shutil.copy(BIN / "muster-agent", binary)
    ca = folder / "ca.pem"
    shutil.copy(hub.ca, ca)
    agent = Agent(folder, hub, hub.create_target("stranger"), name="stranger", docker_socket=proxy.socket, start=False,
                  prefix=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    argv = [{str(BIN / "muster-agent"): binary, str(hub.ca): ca}.get(str(word), word) for word in agent.argv()]
    agent.argv = lambda: argv
    for path in [agent.dir, *agent.dir.rglob("*")]:
        os.chown(path, 65534, 65534)
    agent.start()
    hub.wait_connected("stranger")
    text = until("the fault is told", lambda: fault(hub, "stranger"), 15)
    assert "permission denied" in text.lower() and str(proxy.socket) in text, text
    agent.stop()


def test_engine_that_stops_answering_mid_stream_does_not_stop_the_heartbeats(hub, engine, docker_host, proxy):
    engine.compose("steady", {"app": {}})
    hub.wait_status("dock", "steady", "running")
    container = engine.containers("steady")[0]
    proxy.stall()
    engine.docker("pause", container)
    seen = hub.target("dock")["last_seen_time"]
    until("heartbeats go on", lambda: hub.target("dock")["last_seen_time"] > seen, 10)
    proxy.flow()
    hub.wait_status("dock", "steady", "error", timeout=20)
    engine.docker("unpause", container)
    hub.wait_status("dock", "steady", "running")


def test_engine_that_hangs_up_mid_stream_is_asked_again(hub, engine, docker_host, proxy):
    engine.compose("phoenix", {"app": {}})
    hub.wait_status("dock", "phoenix", "running")
    proxy.drop_connections()
    engine.docker("kill", engine.containers("phoenix")[0])
    hub.wait_status("dock", "phoenix", "error", timeout=20)


def test_broken_json_is_told_and_the_last_known_state_stays(hub, engine, docker_host, proxy):
    engine.compose("solid", {"app": {}})
    hub.wait_status("dock", "solid", "running")
    proxy.answer_with(BROKEN_JSON)
    text = until("the fault is told", lambda: fault(hub, "dock"), 75, every=0.2)
    assert "json" in text.lower() or "parse" in text.lower(), text
    assert hub.status_of("dock", "solid") == "running"
    assert hub.target_state("dock") == "connected"
    proxy.answer_with(None)
    until("the fault is over", lambda: not fault(hub, "dock"), 75, every=0.2)
    assert hub.status_of("dock", "solid") == "running"


# ---- hostile names

HOSTILE = ['quote"', "back\\slash", "new\nline", "brace}{,=", "<script>alert(1)</script>", "\x1b[31mred\x1b[0m", "% s %n", "ü€😀"]


def test_hostile_names_and_labels_come_through_harmless(hub, engine, docker_host):
    for number, text in enumerate(HOSTILE):
        body = {"Image": IMAGE, "Cmd": FOREVER, "HostConfig": {"NetworkMode": "none"}, "Labels": {
            "com.docker.compose.project": f"h{number}{text}", "com.docker.compose.service": text, "muster.application": text,
            "muster.version": text}}
        status, answer = engine.api("POST", f"/containers/create?name=hostile{number}", body)
        assert status == 201, answer
        engine.docker("start", f"hostile{number}")
    raw = (b'{"Image": "%s", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}, "Labels": {'
           b'"muster.application": "bad \xff\xfe utf8", "muster.version": "%s"}}' % (IMAGE.encode(), b"v" * 10240))
    status, answer = engine.api("POST", "/containers/create?name=hostile-raw", raw)
    assert status == 201, answer
    engine.docker("start", "hostile-raw")
    hub.wait_status("dock", "hostile-raw", "running")
    until("all are listed", lambda: len([name for name in hub.deployments("dock") if name.startswith("h")])
          >= len(HOSTILE) + 1, 15)
    rows = hub.deployments("dock")
    assert len(rows["hostile-raw"]["application_version"]) <= 1024, "ten kilobytes are cut to a sane length"
    assert "bad" in rows["hostile-raw"]["application"]
    assert len({row["id"] for row in rows.values()}) == len(rows)

    status, text = hub.metrics()
    done = run(["promtool", "check", "metrics"], input=text, check=False)
    assert "error" not in done.stderr.lower(), done.stderr
    for noun in ("deployment", "target"):
        table = hub.cli(noun, "list", as_json=False).stdout
        assert "\x1b" not in table and "new\nline" not in table
        assert json.dumps(hub.cli(noun, "list"))
    for name in ("h0quote\"", "h2new\nline"):
        assert hub.api("GetDeployment", deployment=rows[name]["id"])["deployment"]["status"] if name in rows else True
    assert hub.target_state("dock") == "connected"


@pytest.mark.parametrize("name", ["", " ", "a" * 300, "new\nline", "\x00", "a/b"])
def test_hostile_target_names_are_refused_or_kept_exactly(hub, name):
    if "\x00" in name:
        status, _, body = hub.http("POST", "/muster.fleet.v1.FleetService/CreateTarget",
                                   json.dumps({"name": name, "type": "TARGET_TYPE_HOST"}),
                                   {"Content-Type": "application/json", "Authorization": f"Bearer {hub.token}"})
        assert status == 400, body
        return
    done = hub.cli("target", "create", name, "--type", "host", check=False)
    assert done.returncode in (1, 2), done.stdout
    assert done.stderr.strip()
    assert hub.ready()


# ---- strangers at the doors

def test_noise_on_every_port_harms_nobody(hub):
    for port in (hub.http_port, hub.grpc_port, hub.metrics_port):
        for noise in (b"\x00" * 1000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000, os.urandom(4096)):
            with subprocess.Popen(["timeout", "2", "bash", "-c", f"cat > /dev/tcp/127.0.0.1/{port}"],
                                  stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as peer:
                try:
                    peer.communicate(noise, timeout=5)
                except (BrokenPipeError, subprocess.TimeoutExpired):
                    peer.kill()
    assert hub.ready()
    assert hub.api("GetHub")
