"""Compares the lines that containers wrote with those that the hub gives when it is asked: each once, whole, in order, with
its own time, or counted in a gap."""

import collections
import datetime
import re
from dataclasses import dataclass, field

from harness.base import until

PAGE = 1000
_BEGIN = re.compile(r"(\w+) line (\d+) ")


@dataclass
class Stored:
    """What the hub has of one container."""
    # Of each line, in the order in which the hub stored them: its number, its text's length, the host's time.
    lines: list = field(default_factory=list)
    gaps: set = field(default_factory=set)  # (reason, from, to, lines, resource)
    broken: list = field(default_factory=list)
    # Ends of long lines whose beginning is not there.
    ends: list = field(default_factory=list)


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
        begin, open_part = _BEGIN.match(text), open_parts.pop(stream, None)
        if begin and begin[1] == name:
            # Where a part was open its end is in a gap.
            number, length, at = int(begin[2]), len(text), _micros(row["host_time"])
        elif open_part:
            number, length, at = open_part
            length += len(text)
        else:
            is_end = set(text) == {"x"}
            (stored.ends if is_end else stored.broken).append(f"{name}: a line that nobody wrote: {text[:60]}")
            continue
        if row.get("continued"):
            open_parts[stream] = number, length, at
        else:
            stored.lines.append((number, length, at))
    return stored


def read_all(hub, host):
    return {name: read(hub, host.target_id, host.deployment_of(name), name) for name in host.engine.containers}


def _micros(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    at = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return int(at.timestamp()) * 1_000_000 + int(fraction.ljust(6, "0")[:6] or 0)


def read_all(hub, host):
    return {name: read(hub, host.target_id, host.deployment_of(name), name) for name in host.engine.containers}


@dataclass
class LineVerdict:
    lines: int = 0
    missing: list = field(default_factory=list)
    duplicated: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    gaps: set = field(default_factory=set)

    @property
    def counted(self):
        """Lines in gaps. Those that were given up while they were under way may have arrived: it may be more than is missing."""
        return sum(gap[3] for gap in self.gaps)

    @property
    def lost(self):
        # A gap that counts none does not know how many.
        is_covered = len(self.missing) <= self.counted or any(gap[3] == 0 for gap in self.gaps)
        return [] if is_covered else self.missing


def check(host, stored):
    """The lines of one host."""
    verdict = LineVerdict()
    for name, written in host.engine.lines_written().items():
        found = stored[name]
        verdict.lines += len(written)
        # A beginning may be in a gap.
        verdict.wrong += found.broken[:1] + ([] if found.gaps else found.ends[:1])
        verdict.gaps |= found.gaps
        times = collections.Counter(number for number, _, _ in found.lines)
        again = {number for number, count in times.items() if count > 1} - host.rewound.get(name, set())
        verdict.duplicated += [f"{host.name} {name} line {number}" for number in sorted(again)]
        verdict.missing += [f"{host.name} {name} line {number}" for number in range(1, len(written) + 1) if number not in times]
        verdict.wrong += _wrong_line(host, name, written, found.lines)
    return verdict


def _wrong_line(host, name, written, lines):
    last = 0
    for number, length, at in lines:
        if number < last and name not in host.rewound:
            return [f"{host.name} {name}: line {number} was stored behind line {last}"]
        last = number
        if number > len(written) or (length, at) != written[number - 1]:
            return [f"{host.name} {name} line {number}: length and time {(length, at)}, written {written[number - 1:number]}"]
    return []


def wait(room, limit):
    """Until every line that was written is stored, or counted in a gap. What is missing in the end, the judge says."""
    try:
        until("the lines are there", lambda: not any(check(host, read_all(room.hub, host)).lost for host in room.hosts), limit,
              every=0.5)
    except AssertionError:
        return
