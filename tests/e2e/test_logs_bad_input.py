"""Logs that nobody should write, questions that nobody should ask, and a store that was damaged."""

import sqlite3
import time

import pytest

from harness.base import until
from harness.hub import ApiError
from harness.scribe import gaps, lines, numbers, texts, wait_line

FLOOD_S = 8
TEN_MEGABYTES = 10_000_000
PART_BYTES = 16384

pytestmark = pytest.mark.usefixtures("docker_host")


def test_garbage_nul_and_colours(running_scribe, hub):
    writer = running_scribe("garbage")
    writer.write(b"\xff\xfe\x00\x80 begin \x00 end\n")
    writer.write(b"\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b31m bell\x07\n")
    writer.say("sound")
    wait_line(hub, "garbage", "sound")
    first, second, _ = texts(hub, "garbage")
    assert " begin \0 end" in first and "\ufffd" in first
    assert "\x1b[31mred" in second
    printed = hub.cli("logs", "garbage", as_json=False).stdout
    assert not set(printed) & set(map(chr, [*range(0, 10), *range(11, 32), 127, *range(128, 160)])), printed


def test_a_line_of_ten_megabytes(running_scribe, hub):
    writer = running_scribe("endless")
    writer.write(b"x" * TEN_MEGABYTES + b"\n")
    # What is beyond the rate is refused for a second at a time.
    time.sleep(2.5)
    writer.say("the next line")
    wait_line(hub, "endless", "the next line", timeout=30)
    *parts, _ = lines(hub, "endless")
    missing = sum(int(gap["lines"]) for gap in gaps(hub, "endless"))
    print(f"{len(parts)} parts, {missing} counted in markers")
    assert all(len(row["text"]) <= PART_BYTES and row["continued"] == (len(row["text"]) == PART_BYTES) for row in parts)
    assert len(parts) + missing == -(-TEN_MEGABYTES // PART_BYTES)
    assert sum(len(row["text"]) for row in parts) > 2_000_000


def test_a_flood_delays_neither_neighbours_nor_statuses(running_scribe, hub, engine, stalls):
    neighbour = running_scribe("neighbour")
    flood = engine.container("flood", "sh", "-c", "while :; do cat /pipe/block; done",
                             options=["--volume", f"{_block(neighbour.pipes)}:/pipe/block"])
    began = time.time()
    late = []
    try:
        number = 0
        while time.time() - began < FLOOD_S:
            number += 1
            at = time.time()
            neighbour.say(f"row {number}")
            wait_line(hub, "neighbour", f"row {number}", timeout=15)
            late.append(time.time() - at)
        at = time.time()
        engine.docker("kill", neighbour.id)
        hub.wait_status("dock", "neighbour", "error")
        status_s = time.time() - at
    finally:
        engine.docker("rm", "--force", flood)
    assert hub.target_state("dock") == "connected"
    until("the flood's markers are there", lambda: gaps(hub, "flood"), 10)
    taken = len(lines(hub, "flood", to_time=_rfc3339(began + FLOOD_S)))
    dropped = [gap for gap in gaps(hub, "flood") if gap["reason"] == "RATE"]
    print(f"neighbour's lines after {max(late):.2f} s at most, a status after {status_s:.2f} s; {taken} lines taken, "
          f"{sum(int(gap['lines']) for gap in dropped)} counted in {len(dropped)} markers")
    # The machine may stand still for a moment, once; a flood that delays does so again and again.
    assert sorted(late)[-2] < 2 and status_s < 2 + stalls.allowance_s()
    assert numbers(hub, "neighbour", "row") == list(range(1, number + 1))
    assert sum(int(gap["lines"]) for gap in dropped) > taken


def _block(folder):
    """Lines that `cat` writes over and over: as many as the engine takes."""
    path = folder / "block"
    path.write_bytes(b"".join(b"flooding line %d of a loop\n" % number for number in range(5000)))
    return path


def _rfc3339(at):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def test_a_container_that_dies_while_it_is_followed(running_scribe, hub, engine):
    writer = running_scribe("mortal")
    writer.write("last words\nand half a line")
    until("the engine has them", lambda: "last words" in engine.docker("logs", writer.id), 10)
    engine.docker("kill", writer.id)
    wait_line(hub, "mortal", "last words")
    wait_line(hub, "mortal", "and half a line")


def test_questions_that_cannot_be_answered(running_scribe, hub):
    running_scribe("asked").say("here")
    wait_line(hub, "asked", "here")
    for reason, selection in (("BAD_FILTER", {"regex": "a(b"}), ("BAD_FILTER", {"text": "x" * 600}),
                              ("BAD_WINDOW", {"from_time": "2026-01-02T00:00:00Z", "to_time": "2026-01-01T00:00:00Z"}),
                              ("TOO_MANY_RESOURCES", {"resources": [f"r{n}" for n in range(1001)]})):
        with pytest.raises(ApiError) as refused:
            hub.api("QueryLogs", selection={"deployment": "asked"} | selection)
        assert refused.value.reason == reason, refused.value
    with pytest.raises(ApiError) as refused:
        hub.api("QueryLogs", selection={"deployment": "asked"}, page_token="bm9uc2Vuc2U")
    assert refused.value.reason == "BAD_PAGE_TOKEN"
    assert texts(hub, "asked", regex="(a|aa|aaa|.*)*x{1,50}y|here") == ["here"]
    assert texts(hub, "asked", regex=r"(\pL{1,30}\d{0,30}){0,5}e$") == ["here"]


def test_a_damaged_chunk_is_a_gap_and_the_rest_is_served(running_scribe, hub):
    writer = running_scribe("hurt")
    filler = "y" * 900
    for number in range(1, 1501):
        writer.say(f"row {number} {filler}")
    wait_line(hub, "hurt", "row 1500 ", timeout=60)
    until("lines were merged", lambda: _chunk(hub, "hurt"), 30, every=0.2)
    before = len(lines(hub, "hurt"))
    assert before == 1500
    hub.stop()
    with sqlite3.connect(hub.data / "logs.db") as database:
        first, count, text = _chunk(hub, "hurt")
        middle = len(text) // 2
        database.execute("UPDATE log_chunk_data SET text=? WHERE first_line=?",
                         (text[:middle] + bytes([text[middle] ^ 1]) + text[middle + 1:], first))
    database.close()
    hub.start()
    rest = lines(hub, "hurt")
    assert len(rest) == before - count
    assert [(gap["reason"], int(gap["lines"])) for gap in gaps(hub, "hurt")] == [("CHUNK_DAMAGED", count)]
    # Marked with the store's next commit.
    until("the damage is counted", lambda: "distr_hub_log_chunks_damaged_total 1" in hub.metrics()[1], 5)


def _chunk(hub, resource):
    """First line, lines and stored text of one of its chunks."""
    database = sqlite3.connect(f"file:{hub.data / 'logs.db'}?mode=ro", uri=True)
    try:
        return database.execute(
            "SELECT c.first_line, c.lines, d.text FROM log_chunks c JOIN log_chunk_data d ON d.first_line=c.first_line"
            " JOIN log_sources s ON s.id=c.source WHERE s.resource=? LIMIT 1", (resource,)).fetchone()
    finally:
        database.close()
