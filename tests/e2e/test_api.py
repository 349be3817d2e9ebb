"""The API as curl sees it, and the CLI's exit codes."""

import json
import subprocess

import pytest

from harness.base import BIN, run
from harness.hub import ApiError

SERVICE = "/muster.fleet.v1.FleetService/"


def call(hub, method, *options, token=None, body="{}"):
    """curl with the hub's CA; returns status and parsed JSON."""
    words = ["curl", "-sS", "--cacert", hub.ca, "-w", "\n%{http_code}", "-H", "Content-Type: application/json",
             "-H", f"Authorization: Bearer {hub.token if token is None else token}", "--data-binary", body, *options,
             hub.url + SERVICE + method]
    text, _, status = run(words).stdout.rpartition("\n")
    return int(status), json.loads(text)


@pytest.fixture(scope="module")
def tokens(hub):
    return {role: hub.cli("token", "create", f"{role}-token", "--role", role)["secret"]
            for role in ("viewer", "operator", "metrics")}


def reason(hub, method, token=None, **request):
    with pytest.raises(ApiError) as caught:
        hub.api(method, token=token, **request)
    assert caught.value.reason, f"no reason: {caught.value} {caught.value.details}"
    assert caught.value.message
    return caught.value.status, caught.value.code, caught.value.reason


def test_health_pages_need_no_token(hub):
    for path in ("/healthz", "/readyz"):
        assert hub.http("GET", path)[0] == 200
    assert hub.http("GET", "/no-such-page")[0] == 404


def test_curl_asks_the_connect_api(hub):
    status, answer = call(hub, "GetHub")
    assert status == 200
    assert answer["role"] == "ROLE_ADMIN" and answer["version"] and answer["start_time"].endswith("Z")
    status, answer = call(hub, "CreateTarget", body='{"name": "by-curl", "type": "TARGET_TYPE_HOST"}')
    assert status == 200 and answer["target_secret"] and answer["connect_command"].startswith("curl ")
    status, answer = call(hub, "ListTargets")
    assert "by-curl" in [row["name"] for row in answer["targets"]]
    assert "target_secret" not in json.dumps(answer)


def test_unknown_fields_are_ignored_and_camel_case_is_understood(hub):
    status, _ = call(hub, "ListTargets", body='{"pageSize": 10, "no_such_field": {"a": [1]}}')
    assert status == 200


@pytest.mark.parametrize("body", ["", "{", "[]", '{"name": 5}', '{"name": "a\\ud800"}', "\0", "{" * 5000])
def test_malformed_json_is_an_invalid_argument(hub, body):
    if not body:
        return  # curl sends no body: an empty Connect body is an empty message
    status, answer = call(hub, "CreateTarget", body=body if body != "\0" else "\\u0000")
    assert (status, answer["code"]) == (400, "invalid_argument")
    assert answer["message"]


def test_requests_of_other_shapes_get_an_error_that_curl_can_read(hub):
    status, answer = call(hub, "NoSuchMethod")
    assert (status, answer["code"]) == (404, "unimplemented")
    status, _, _ = hub.http("GET", SERVICE + "ListTargets", headers={"Authorization": f"Bearer {hub.token}"})
    assert status in (404, 405)
    status, _, _ = hub.http("POST", SERVICE + "ListTargets", "{}", {
        "Authorization": f"Bearer {hub.token}", "Content-Type": "text/plain"})
    assert status == 415


def test_oversized_body_is_refused(hub):
    body = json.dumps({"name": "x" * (64 << 20)})
    try:
        status, _, _ = hub.http("POST", SERVICE + "CreateTarget", body, {
            "Authorization": f"Bearer {hub.token}", "Content-Type": "application/json"})
        assert status in (400, 413, 429)
    except (ConnectionError, OSError):
        pass  # the hub may also close before it has read it all
    assert hub.http("GET", "/readyz")[0] == 200


def test_errors_carry_stable_reasons(hub):
    assert reason(hub, "GetTarget", target="nobody") == (404, "not_found", "TARGET_NOT_FOUND")
    assert reason(hub, "GetDeployment", deployment="nothing") == (404, "not_found", "DEPLOYMENT_NOT_FOUND")
    status, code, _ = reason(hub, "CreateTarget", name="", type="TARGET_TYPE_HOST")
    assert (status, code) == (400, "invalid_argument")
    hub.create_target("twice", type="host")
    status, code, _ = reason(hub, "CreateTarget", name="twice", type="TARGET_TYPE_HOST")
    assert (status, code) == (409, "already_exists")
    status, code, _ = reason(hub, "ListTargets", page_token="bogus")
    assert (status, code) == (400, "invalid_argument")


def test_roles_are_kept_apart(hub, tokens):
    for token in ("", "wrong", tokens["viewer"] + "x"):
        assert reason(hub, "ListTargets", token=token)[:2] == (401, "unauthenticated")
    assert hub.api("ListTargets", token=tokens["viewer"])
    denied = (403, "permission_denied")
    assert reason(hub, "CreateTarget", token=tokens["viewer"], name="v", type="TARGET_TYPE_HOST")[:2] == denied
    assert reason(hub, "ListTokens", token=tokens["viewer"])[:2] == denied
    assert hub.api("CreateTarget", token=tokens["operator"], name="o", type="TARGET_TYPE_HOST")["target_id"]
    assert reason(hub, "CreateToken", token=tokens["operator"], name="t", role="ROLE_ADMIN")[:2] == denied
    assert reason(hub, "ListTargets", token=tokens["metrics"])[:2] == denied


def test_revoked_token_is_refused_at_once(hub):
    secret = hub.cli("token", "create", "short-lived", "--role", "viewer")["secret"]
    assert hub.api("GetHub", token=secret)
    hub.cli("token", "revoke", "short-lived", "--no-input")
    assert reason(hub, "GetHub", token=secret)[:2] == (401, "unauthenticated")


def test_lists_page(hub):
    for number in range(5):
        hub.create_target(f"page-{number}", type="host")
    names, token = [], ""
    while True:
        answer = hub.api("ListTargets", page_size=2, page_token=token)
        assert len(answer["targets"]) <= 2
        names += [row["name"] for row in answer["targets"]]
        token = answer.get("next_page_token", "")
        if not token:
            break
    assert len(names) == len(set(names)) == answer["total_size"]
    assert {f"page-{number}" for number in range(5)} <= set(names)


def test_cli_exit_codes_tell_what_went_wrong(hub, tokens, folder):
    def code(*argv, **more):
        done = hub.cli(*argv, check=False, **more)
        assert done.returncode == 0 or done.stderr.strip(), "a failure without a word"
        assert done.returncode == 0 or not done.stdout.strip(), "an error belongs on stderr"
        return done.returncode

    assert code("target", "list") == 0
    assert code("target", "list", "--no-such-flag") == 2
    assert code("no-such-noun") == 2
    assert code("target", "show", "nobody") == 3
    assert code("job", "list", "--overdue") == 0
    assert code("metrics", "nobody", "-o", "csv", as_json=False) == 3
    assert code("target", "list", "-o", "csv", as_json=False) == 2
    viewer = folder / "viewer"
    viewer.write_text(tokens["viewer"])
    viewer.chmod(0o600)
    assert code("target", "create", "denied", "--type", "host", token_file=viewer) == 4
    unreachable = run([BIN / "muster", "--hub", "https://127.0.0.1:1", "--token-file", viewer, "target", "list"], check=False)
    assert unreachable.returncode == 7
    untrusted = run([BIN / "muster", "--hub", hub.url, "--token-file", viewer, "target", "list"], check=False)
    assert untrusted.returncode == 7 and "ca" in untrusted.stderr.lower()


def test_deleting_asks_and_never_goes_ahead_unasked(hub):
    hub.create_target("precious", type="host")
    assert hub.cli("target", "delete", "precious", "--no-input", check=False).returncode == 2
    assert hub.cli("target", "delete", "precious", "--confirm", "wrong", check=False).returncode == 2
    assert hub.target("precious")
    hub.cli("target", "delete", "precious", "--confirm", "precious")
    assert reason(hub, "GetTarget", target="precious")[2] == "TARGET_NOT_FOUND"


def test_watch_prints_a_document_for_every_change(hub):
    words = [BIN / "muster", "--hub", hub.url, "--token-file", hub.token_file, "--ca-file", hub.ca, "-o", "json", "status",
             "--watch"]
    watch = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(watch.stdout.readline())["status"]["organization"]
        hub.create_target("seen-by-watch", type="host")
        names = [row["target"]["name"] for row in json.loads(watch.stdout.readline())["status"]["target_statuses"]]
        assert "seen-by-watch" in names
    finally:
        watch.terminate()
        watch.wait(5)


def test_fleet_as_it_was(hub):
    hub.create_target("recent", type="host")
    now = hub.api("GetFleetStatus")["status"]["hub_time"]
    at = hub.api("GetFleetAt", time=now)
    assert "recent" in [row["target_name"] for row in at["targets"]]
    at = hub.cli("at", "1h ago")
    assert at["targets"] == []


def test_audit_log_holds_and_names_who_did_what(hub):
    assert hub.cli("audit", "verify")["intact"] is True
    actions = json.dumps(hub.api("ListAuditEntries"))
    assert "by-curl" in actions or "precious" in actions
