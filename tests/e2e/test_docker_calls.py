"""The agent only looks: of everything that agents asked the Docker engine in this run, nothing but GET."""

from collections import Counter

from harness.base import RECORDS

# What an observer needs: it must have asked these, or the record is of some other run.
EXPECTED = ("/containers/json", "/events")


def test_recorded_docker_calls_of_the_whole_run_are_get_requests():
    requests = (RECORDS / "docker-requests.log").read_text().splitlines()
    methods = Counter(line.split(" ", 1)[0] for line in requests)
    print(f"{len(requests)} requests: {dict(methods)}")
    assert set(methods) == {"GET"}, [line for line in requests if not line.startswith("GET ")][:20]
    for path in EXPECTED:
        assert any(path in line for line in requests), f"nobody asked for {path}"
    assert len(requests) > 50
