"""Compares the lines that containers wrote with those that the hub gives when it is asked: each once, whole, in order, with
its own time, or counted in a gap."""

import datetime
import re
from dataclasses import dataclass, field

from harness.base import until

PAGE = 1000
_BEGIN = re.compile(r"(\w+) line (\d+) ")
_UNKNOWN_COUNT = ("ROTATED", "OFF", "DAMAGED")


@dataclass
class Stored:
    """What the hub has of one container."""
    # Of each line, in the order in which the hub stored them: its number, its text's length, the host's time.
    lines: list = field(default_factory=list)
    gaps: set = field(default_factory=set)  # (reason, from, to, lines, resource)
    broken: list = field(default_factory=list)

    def numbers(self):
        return {number for number, _, _ in self.lines}


def read(hub, target_id, deployment, name):
    """Page by page. The deployment is one of those that muster-fault-agent makes up."""
    stored, token, rows = Stored(), "", []
    ids = [row["id"] for row in hub.api("ListDeployments").get("deployments", [])
           if row["target_id"] == target_id and row["name"] == deployment]
    while ids:
        page = hub.api("QueryLogs", selection={"deployment": ids[0], "resources": [name]}, page_size=PAGE, page_token=token)
        for entry in page.get("entries", []):
            if "line" in entry:
                rows.append(entry["line"])
            else:
                gap = entry["gap"]
                stored.gaps.add((gap["reason"], gap.get("from_time"), gap.get("to_time"), int(gap.get("lines", 0)),
                                 gap.get("resource", "")))
        token = page.get("next_page_token", "")
        if not token:
            break
    open_parts = {}
    for row in sorted(rows, key=lambda row: int(row["number"])):
        text, stream = row.get("text", ""), row["stream"]
        if stream in open_parts:
            number, length, at = open_parts.pop(stream)
            length += len(text)
        else:
            begin = _BEGIN.match(text)
            if not begin or begin[1] != name:
                stored.broken.append(f"{name}: a line that nobody wrote: {text[:60]}")
                continue
            number, length, at = int(begin[2]), len(text), _micros(row["host_time"])
        if row.get("continued"):
            open_parts[stream] = number, length, at
        else:
            stored.lines.append((number, length, at))
    return stored


def _micros(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    at = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return int(at.timestamp()) * 1_000_000 + int(fraction.ljust(6, "0")[:6] or 0)


def read_all(hub, host):
    return {name: read(hub, host.target_id, host.deployment_of(name), name) for name in host.engine.containers}


def check(host, stored, verdict):
    """Adds to the verdict what is wrong with the lines of one host."""
    written = host.engine.lines_written()
    missing, gaps = 0, set()
    for name, found in stored.items():
        verdict.wrong += found.broken[:1]
        gaps |= found.gaps
        numbers = [number for number, _, _ in found.lines]
        again = {number for number in numbers if numbers.count(number) > 1} if len(set(numbers)) < len(numbers) else set()
        verdict.duplicated += [f"{name} line {number}" for number in sorted(again - host.rewound.get(name, set()))]
        if not again:
            late = next((b for a, b in zip(numbers, numbers[1:]) if b < a), None)
            verdict.wrong += [f"{name}: line {late} was stored behind a later one"] if late else []
        for number, length, at in found.lines:
            if not 1 <= number <= len(written[name]) or (length, at) != written[name][number - 1]:
                verdict.wrong.append(f"{name} line {number}: length and time {(length, at)}, written "
                                     f"{written[name][number - 1:number]}")
                break
        lost = sorted(set(range(1, len(written[name]) + 1)) - set(numbers))
        missing += len(lost)
        verdict.missing_lines += [f"{name} line {number}" for number in lost]
        verdict.lines += len(written[name])
    counted = sum(gap[3] for gap in gaps)
    if any(gap[0] in _UNKNOWN_COUNT for gap in gaps) or missing <= counted:
        verdict.missing_lines.clear()
    # What was given up while it was under way may have arrived: a gap may count more than is missing.
    verdict.lines_in_gaps += counted
    verdict.lost += verdict.missing_lines
    verdict.missing_lines = []


def all_there(room):
    """Every line that was written is stored, or counted in a gap."""
    for host in room.hosts:
        verdict = _Probe()
        check(host, read_all(room.hub, host), verdict)
        if verdict.lost:
            return False
    return True


def wait(room, limit):
    """What is missing in the end, the judge says."""
    try:
        until("the lines are there", lambda: all_there(room), limit, every=0.5)
    except AssertionError:
        return


class _Probe:
    def __init__(self):
        self.wrong, self.duplicated, self.lost, self.missing_lines = [], [], [], []
        self.lines = self.lines_in_gaps = 0
