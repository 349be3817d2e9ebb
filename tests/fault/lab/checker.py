"""Compares what the agents recorded and what the hub acknowledged with what the hub stored and shows. Knows nothing of
how either works; reads the oracles, the hub's database, and its API."""

import collections
import contextlib
import sqlite3
from dataclasses import dataclass, field

from .oracle import EVENTS, LOGS

# A round with less was no test.
MIN_RECORDS_PER_ROUND = 200
HEALTHY = 6
NOT_KEPT = 4


@dataclass
class Verdict:
    records: int = 0
    lines: int = 0
    lines_in_gaps: int = 0
    lost: list = field(default_factory=list)
    duplicated: list = field(default_factory=list)
    gaps_reported: int = 0
    gaps_real: int = 0
    wrong: list = field(default_factory=list)

    @property
    def ok(self):
        return not (self.lost or self.duplicated or self.wrong) and self.gaps_reported == self.gaps_real

    def problems(self):
        found = list(self.wrong)
        for name, rows in (("lost", self.lost), ("duplicated", self.duplicated)):
            if rows:
                found.append(f"{name} {len(rows)}, first {rows[0]}")
        if self.gaps_reported != self.gaps_real:
            found.append(f"gaps reported {self.gaps_reported}, gaps real {self.gaps_real}")
        return found

    def add(self, other):
        self.records += other.records
        self.lost += other.lost
        self.duplicated += other.duplicated
        self.gaps_reported += other.gaps_reported
        self.gaps_real += other.gaps_real
        self.wrong += other.wrong

    def add_lines(self, lines):
        self.lines += lines.lines
        self.lines_in_gaps += lines.counted
        self.lost += lines.lost
        self.duplicated += lines.duplicated
        self.wrong += lines.wrong


class HubFacts:
    """What the hub has stored for one target: its records. (Its lines: lines.py.)"""

    def __init__(self, data, target_id):
        self.positions, self.gaps, self.poisoned = {}, [], set()
        with _database(data / "hub.db", target_id) as ask:
            self._read_lanes(ask, "SELECT epoch, lane, first_sequence, last_sequence, reason FROM journal_gaps WHERE target_id=?")
            # (key, change_us, status) -> [(message, at_us)]
            self.changes = collections.defaultdict(list)
            for key, agent_us, status, message, at_us in ask(
                    "SELECT d.key, c.agent_us, c.status, c.message, c.at_us FROM deployment_changes c"
                    " JOIN deployments d ON d.id=c.deployment_id WHERE d.target_id=?"):
                self.changes[key, agent_us, status].append((message, at_us))
        with _database(data / "logs.db", target_id) as ask:
            self._read_lanes(ask, f"SELECT epoch, {LOGS}, first_sequence, last_sequence, reason FROM log_gaps WHERE target_id=?")

    def _read_lanes(self, ask, gaps):
        self.positions |= {(epoch, lane): sequence for epoch, lane, sequence in ask(
            "SELECT epoch, lane, sequence FROM journal_positions WHERE target_id=?")}
        self.gaps += ask(gaps)
        self.poisoned |= {tuple(row) for row in ask("SELECT epoch, lane, sequence FROM poisoned_records WHERE target_id=?")}

    def in_gap(self, name):
        epoch, lane, sequence = name
        return any(gap[0] == epoch and gap[1] == lane and gap[2] <= sequence <= gap[3] for gap in self.gaps)


@contextlib.contextmanager
def _database(path, target_id):
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        yield lambda sql: connection.execute(sql, (target_id,)).fetchall()
    finally:
        connection.close()


def number_of(message):
    """Changes carry their number at the end of the message."""
    return message.rsplit(" ", 1)[-1]


def check(account, facts, excused=frozenset(), hub_clock_was_set=False):
    """`excused`: names of records that were on a disk which somebody replaced by an older one before they were
    acknowledged. They may be missing; everything else is as for the others."""
    verdict = Verdict(records=len(account.records))
    verdict.wrong += account.contradictions
    stored = {}
    for (key, change_us, status), rows in facts.changes.items():
        for message, at_us in rows:
            stored.setdefault(number_of(message), []).append((key, change_us, status, at_us))
    verdict.duplicated = [number for number, rows in stored.items() if len(rows) > 1 and number]

    for name, record in account.records.items():
        if record.key == "-" or record.lane != EVENTS:
            is_stored = facts.positions.get(name[:2], 0) >= name[2]
        else:
            is_stored = any(row[:3] == (record.key, record.change_us, record.status) for row in stored.get(record.number, []))
        reported = facts.in_gap(name)
        if name in facts.poisoned:
            verdict.wrong.append(f"a good record was refused: {name}")
        elif not reported and not is_stored and name not in excused:
            verdict.lost.append(name)

    for (epoch, lane), sequence in account.acked.items():
        if facts.positions.get((epoch, lane), 0) < sequence:
            verdict.wrong.append(f"acknowledged {epoch[:8]} lane {lane} up to {sequence}, position {facts.positions.get((epoch, lane), 0)}")

    verdict.gaps_reported = sum(last - first + 1 for _, _, first, last, _ in facts.gaps)
    # The journal counts what it gave up, the oracle what the hub once had. Records that were given up while they were
    # under way may have arrived: the count may be greater.
    given_back = sum(_given_back(account, gap) for gap in facts.gaps)
    verdict.gaps_real = min(verdict.gaps_reported, account.dropped + given_back) + len(verdict.lost)
    # Times at the hub follow its clock, also where somebody sets that.
    verdict.wrong += [] if hub_clock_was_set else _order(account, stored)
    return verdict


def _given_back(account, gap):
    """Records of a gap that the hub once had: it was restored from a backup, and the agent keeps them no more."""
    epoch, lane, first, last, reason = gap
    return max(0, min(last, account.acked[epoch, lane]) - first + 1) if reason == NOT_KEPT else 0


def _order(account, stored):
    """What happened to a deployment is stored in the order in which it was recorded."""
    lanes = collections.defaultdict(list)
    for (epoch, lane, sequence), record in account.records.items():
        rows = stored.get(record.number)
        if record.key != "-" and rows:
            lanes[epoch, lane, record.key].append((sequence, rows[0][3]))
    wrong = []
    for (epoch, _, key), rows in lanes.items():
        rows.sort()
        for (before, at_before), (after, at_after) in zip(rows, rows[1:]):
            if at_after < at_before:
                wrong.append(f"{epoch[:8]} {key}: record {after} is {at_before - at_after} us before record {before}")
                break
    return wrong


def drained(account, facts, excused=frozenset()):
    """Lanes in which something recorded has not been applied yet: (position, wanted)."""
    last = collections.defaultdict(int)
    for name in account.records:
        if name not in excused:
            last[name[:2]] = max(last[name[:2]], name[2])
    return {name: (facts.positions.get(name, 0), sequence) for name, sequence in last.items()
            if facts.positions.get(name, 0) < sequence}
