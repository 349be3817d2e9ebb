"""One round: hub and hosts come up, faults happen, faults end, and everything must be as if they had not."""

import random
import time
from dataclasses import dataclass

from harness.base import until
from harness.hub import ApiError

from . import faults, lines
from .checker import MIN_RECORDS_PER_ROUND, HubFacts, Verdict, check, drained
from .room import Room
from .watcher import Watcher, look

MIB = 1 << 20
FAULTS_S = 8
MAX_PAUSE_S = 0.6
# Between two faults of one thing.
GAP_S = 0.1
# Live state is right again within this time of the last fault's end. A hub whose disk is full tells agents that come then
# to come back 15 s later, and they spread over 3 s more.
CONVERGE_S = 10
CONVERGE_AFTER_FULL_HUB_S = 28
DRAIN_S = 30
# What is recorded beside the changes, after everything else has been drained, arrives within this time.
LAST_RECORD_S = 5
# A target is shown stale after 60 s and within 1 s.
MAX_SHOWN_LATE_S = 61
# The live fleet does not wait for the disk: what it shows is stored a little later.
NOT_STORED_YET_US = 500_000
STATUS = {3: "error", 4: "progressing", 5: "running", 6: "healthy"}


class Round:
    """Phases as methods, so that scenarios can do other things between them."""

    def __init__(self, seed, hosts=3, hub_binary=None, fakes_clocks=False, **host_options):
        self.random = random.Random(seed)
        self.room = Room(seed, hub_binary, fakes_clocks)
        self.faults_injected = 0
        self.converged_s = None
        # A hub that comes back shows what it knew, and calls nobody stale for 60 s.
        self.hub_away_s = 0
        self.problems = []
        for _ in range(hosts):
            self.room.add_host(**host_options)
        for host in self.room.hosts:
            host.start()
        self.watcher = Watcher(self.room)

    def warm_up(self, records=20):
        for host in self.room.hosts:
            self.room.hub.wait_connected(host.name, 20)
            until(f"{host.name} has recorded", lambda: len(host.oracle.read().records) >= records, 20, every=0.1)

    def inject(self, fault):
        self.faults_injected += 1
        fault.begin()
        return fault

    def faults_end(self):
        """Whatever still stands is ended; then the sources fall quiet and live state has to follow."""
        for host in self.room.hosts:
            host.wire.clean()
            host.ensure_running()
        self.room.ensure_hub()
        self.ended = time.monotonic()

    def converge(self, limit=CONVERGE_S):
        for host in self.room.hosts:
            until(f"{host.name}'s source runs", lambda: host.oracle.read().present, 10, every=0.05)
            host.be_quiet()
        try:
            until("live state is the agents' state", self._live_is_right, self.ended + limit - time.monotonic(), every=0.1)
            self.converged_s = time.monotonic() - self.ended
        except AssertionError as error:
            self.problems.append(f"live state after {limit} s: {error}")

    def _live_is_right(self):
        try:
            shown = {(row.target_id, row.name): (row.status, row.number) for row in look(self.room)}
        except OSError:
            return False
        for host in self.room.hosts:
            if self.room.hub.target_state(host.name) != "connected":
                return False
            for key, present in host.oracle.read().present.items():
                if shown.get((host.target_id, _name(key))) != (STATUS[present.status], present.number):
                    return False
        return True

    def drain(self, limit=DRAIN_S):
        def behind():
            rest = {host.name: drained(host.oracle.read(), self.facts(host), host.excused) for host in self.room.hosts}
            return {name: lanes for name, lanes in rest.items() if lanes}
        try:
            until("the journals are drained", lambda: not behind(), limit, every=0.2)
        except AssertionError:
            self.problems.append(f"not drained within {limit} s: {behind()}")
        lines.wait(self.room, limit)

    def facts(self, host):
        return HubFacts(self.room.hub.data, host.target_id)

    def _facts_after(self, account, host):
        """Agents go on recording that they are present: what the hub has when it had the time for the newest of them. A
        journal that was not drained before is not waited for."""
        deadline = time.monotonic() + LAST_RECORD_S
        facts = self.facts(host)
        while drained(account, facts, host.excused) and not self.problems and time.monotonic() < deadline:
            time.sleep(0.1)
            facts = self.facts(host)
        return facts

    def judge(self):
        self.watcher.stop()
        verdict = Verdict()
        for host in self.room.hosts:
            host.note_crash()
            verdict.wrong += host.crashes
            account = host.oracle.read()
            verdict.add(check(account, self._facts_after(account, host), host.excused, self.room.hub_clock_was_set))
            self._judge_lines(host, verdict)
        verdict.wrong += self.problems + self.watcher.journal_excess[:1] + self._false_pictures()
        if verdict.records < MIN_RECORDS_PER_ROUND:
            verdict.wrong.append(f"invalid: {verdict.records} records are too few to prove anything")
        return verdict

    def _judge_lines(self, host, verdict):
        try:
            verdict.add_lines(lines.check(host, lines.read_all(self.room.hub, host)))
        except (OSError, ApiError) as error:
            verdict.wrong.append(f"the hub was asked for lines: {error}")

    def _false_pictures(self):
        """What was shown had happened, was not older than what was shown before, and `healthy` was true a minute ago at
        the latest."""
        wrong = []
        for host in self.room.hosts:
            presents = host.oracle.read().presents
            known = {present.number: (index, present) for index, present in enumerate(presents)}
            until_us = {}  # when a change was followed by the next one of its key
            for before, after in _pairs_by_key(presents):
                until_us[before.number] = after.monotonic_us
            newest = {}
            for shown in self.watcher.shown:
                if shown.target_id != host.target_id or shown.number not in known:
                    continue
                index, present = known[shown.number]
                late = (shown.monotonic_us - until_us.get(shown.number, shown.monotonic_us)) / 1e6
                if shown.status not in (STATUS[present.status], "stale", "no_status"):
                    wrong.append(f"{host.name} {shown.name}: change {shown.number} was {STATUS[present.status]}, shown {shown.status}")
                if shown.status == "healthy" and late > MAX_SHOWN_LATE_S + self.hub_away_s:
                    wrong.append(f"{host.name} {shown.name}: shown healthy {late:.1f} s after it was")
                # Of one run of the agent: a clone tells other things of the same time.
                name = (shown.name, shown.number.split(".")[0])
                newest_index, newest_us = newest.get(name, (0, 0))
                if index < newest_index and not self._may_go_back(newest_us):
                    wrong.append(f"{host.name} {shown.name}: change {shown.number} was shown after a newer one")
                if index > newest_index:
                    newest[name] = (index, shown.monotonic_us)
        return wrong[:3]

    def _may_go_back(self, newest_us):
        """What a hub showed in the last moment before it was killed it may not have stored yet."""
        return self.room.history_may_go_back or any(
            0 <= killed_us - newest_us < NOT_STORED_YET_US for killed_us in self.room.hub.killed_us)

    def close(self):
        self.room.close()


def _name(key):
    return key.split("/", 1)[1]


def _pairs_by_key(presents):
    last = {}
    for present in presents:
        if present.key in last:
            yield last[present.key], present
        last[present.key] = present


def plan(seed):
    """What the seed decides: how many hosts, what they do, and which fault begins and ends when; all of it beforehand, so
    that a seed means the same faults each time."""
    choices = random.Random(seed)
    small = choices.random() < 0.25
    options = {"hosts": choices.choice([2, 3]), "fakes_clocks": choices.random() < 0.3,
               "rate": 400 if small else choices.choice([20, 60, 150])}
    if small:
        options["journal_bytes"] = MIB
    kinds = [kind for kind in faults.KINDS if options["fakes_clocks"] or kind not in faults.CLOCKS]
    planned = []
    at = choices.uniform(0, MAX_PAUSE_S)
    while at < FAULTS_S:
        kind, host = choices.choice(kinds), choices.randrange(options["hosts"])
        step = Step(at, at + choices.uniform(*kind.duration), kind, host, choices.randrange(1 << 31))
        if not any(step.collides(other) for other in planned):
            planned.append(step)
            at += choices.uniform(0, MAX_PAUSE_S)
        else:
            at += choices.uniform(0, MAX_PAUSE_S) / 4
    return options, planned


@dataclass
class Step:
    begins: float
    ends: float
    kind: type
    host: int
    seed: int

    def collides(self, other):
        """Two faults that touch the same thing do not stand at the same time: each must find what it is to harm."""
        if self.begins > other.ends + GAP_S or other.begins > self.ends + GAP_S:
            return False
        return any(part in other.kind.touches and (part in ("hub", "past") or self.host == other.host)
                   for part in self.kind.touches)

    def __str__(self):
        return f"{self.begins:.1f}-{self.ends:.1f} {self.kind.__name__} host{self.host + 1}"


def random_round(seed, keep):
    options, planned = plan(seed)
    experiment = Round(seed, **options)
    try:
        experiment.warm_up()
        carry_out(experiment, planned)
        experiment.faults_end()
        full = any(step.kind is faults.HubDiskFull for step in planned)
        experiment.converge(CONVERGE_AFTER_FULL_HUB_S if full else CONVERGE_S)
        experiment.drain()
    except Exception as error:  # noqa: BLE001  (a round that breaks is a round that failed, with its seed)
        experiment.problems.append(f"{type(error).__name__}: {error}")
    answer = result(experiment, experiment.judge(), map(str, planned))
    if answer["problems"]:
        experiment.room.keep(keep / str(seed))
        answer["kept"] = str(keep / str(seed))
    experiment.close()
    return answer


def carry_out(experiment, planned):
    """Begins and ends in their order; what takes long (a hub that starts) moves what comes after it."""
    room = experiment.room
    standing = {id(step): step.kind(room, random.Random(step.seed), room.hosts[step.host]) for step in planned}
    moments = [(step.begins, 1, step) for step in planned] + [(step.ends, 0, step) for step in planned]
    began = time.monotonic()
    for at, is_begin, step in sorted(moments, key=lambda moment: moment[:2]):
        time.sleep(max(0, began + at - time.monotonic()))
        if is_begin:
            experiment.inject(standing[id(step)])
        else:
            standing[id(step)].end()


def result(experiment, verdict, names=()):
    return {"seed": experiment.room.seed, "faults": experiment.faults_injected, "names": list(names),
            "records": verdict.records, "lines": verdict.lines, "lines_in_gaps": verdict.lines_in_gaps,
            "lost": len(verdict.lost), "duplicated": len(verdict.duplicated), "gaps_reported": verdict.gaps_reported, "gaps_real": verdict.gaps_real,
            "converged_s": experiment.converged_s, "problems": verdict.problems()}
