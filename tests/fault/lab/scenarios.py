"""Losses that others published, one scenario each: the same thing is done to our agent and hub, and the same checker as in
the random rounds looks at the outcome. A scenario is named after its project and issue; docs/testing.md lists them."""

import os
import random
import sqlite3
import subprocess
import time

from harness.base import until
from harness.stalls import Stalls

from . import faults, log_scenarios
from .checker import number_of
from .rounds import CONVERGE_S, MIB, Round, result
from .watcher import look

RESTARTS = 10
# On a machine with time to spare (stalls.py).
DURABLE_WITHIN_S = 0.2
LIVE_WITHIN_S = 1
TIMES_WITHIN_S = 1


def otel_48635_start_of_outage(lab):
    """The first hours of a long outage were missing: what is recorded while the link breaks is there, too."""
    lab.begin(rate=100)
    for _ in range(3):
        time.sleep(lab.random.uniform(0.2, 1))
        lab.fault(faults.Partition, 3)


def otel_50102_unsynced_queue(lab):
    """A queue that was never synced was gone after a restart: the power goes during an outage."""
    lab.begin(rate=100)
    for host in lab.hosts:
        host.wire.set(to_far=0, to_near=0)
    time.sleep(2)
    for host in lab.hosts:
        lab.count()
        host.cut_power()
        host.start()
    time.sleep(1)


def otel_requeue_at_start(lab):
    """On start the undelivered items were deleted and put back: kills while the agent starts with a backlog."""
    lab.begin(rate=100)
    host = lab.hosts[0]
    host.wire.set(to_far=0, to_near=0)
    time.sleep(2)
    for _ in range(2 * RESTARTS):
        lab.count()
        host.kill()
        host.start()
        time.sleep(lab.random.uniform(0.005, 0.12))


def otel_12711_batch_in_memory(lab):
    """A stage in memory held 30 s in front of the queue: a kill takes what happened in the last moment, not more."""
    lab.begin(hosts=1, rate=100)
    host = lab.hosts[0]
    for _ in range(RESTARTS):
        time.sleep(0.5)
        lab.count()
        host.kill()
        account = host.oracle.read()
        recorded = {record.number for record in account.records.values()}
        last = max(present.monotonic_us for present in account.present.values())
        late = max((last - p.monotonic_us for p in account.present.values() if p.number not in recorded), default=0) / 1e6
        lab.require_within(late, DURABLE_WITHIN_S, "a change was not durable")
        host.start()
        until("it runs", lambda: host.oracle.read().present, 10)


def otel_35899_corrupt_queue_file(lab):
    """A damaged queue file kept the collector from starting: the tail of the journal is cut off, and it starts."""
    _damage(lab, lambda data: data[:len(data) // 2 + 100])


def vector_17644_mid_file_corruption(lab):
    """A bad record in the middle stopped the buffer for ever: one page is overwritten, the rest is delivered."""
    def overwrite(data):
        at = len(data) // 8192 * 4096
        return data[:at] + os.urandom(4096) + data[at + 4096:]
    _damage(lab, overwrite)


def _damage(lab, change):
    lab.begin(hosts=2, rate=200)
    host = lab.hosts[0]
    host.wire.set(to_far=0, to_near=0)
    time.sleep(4)
    host.stop()  # in good order: everything is in the one file
    path = host.data / "journal.db"
    lab.count()
    path.write_bytes(change(path.read_bytes()))
    host.start()
    lab.expects_gaps = True


def vector_25570_power_cut_in_deletion(lab):
    """A power cut between two deletions ended in a crash loop: cuts while room is made in a small journal."""
    lab.begin(hosts=1, rate=800, journal_bytes=MIB)
    host = lab.hosts[0]
    for _ in range(RESTARTS):
        host.wire.set(to_far=0, to_near=0)
        time.sleep(lab.random.uniform(0.2, 1.2))
        lab.count()
        host.cut_power()
        host.start()
        host.wire.set(to_far=1, to_near=1)
        time.sleep(lab.random.uniform(0.1, 0.6))


def vector_ack_before_fsync(lab):
    """End-to-end acks came before the sync: the hub's power goes under load, again and again."""
    lab.begin(rate=200)
    for _ in range(RESTARTS):
        time.sleep(lab.random.uniform(0.3, 1))
        acked = {host.name: dict(host.oracle.read().acked) for host in lab.hosts}
        lab.count()
        lab.room.cut_hub_power()
        for host in lab.hosts:
            positions = lab.facts(host).positions
            for name, sequence in acked[host.name].items():
                lab.require(positions.get(name, 0) >= sequence, f"acknowledged up to {sequence}, {positions.get(name, 0)} after the cut")
        lab.room.ensure_hub()


def fluentbit_2246_bad_config_deletes_backlog(lab):
    """A start with a bad configuration deleted the backlog: the journal's bytes are the same after twenty of them."""
    lab.begin(hosts=2, rate=100)
    host = lab.hosts[0]
    host.wire.set(to_far=0, to_near=0)
    time.sleep(2)
    host.kill()
    before = {path.name: path.read_bytes() for path in host.data.glob("journal.db*") if not path.name.endswith("-shm")}
    for _ in range(20):
        lab.count()
        bad = [str(word) for word in host.argv(host.data, host.dir / "ignored")]
        bad[bad.index("--target-secret-file") + 1] = "/nonexistent"
        done = subprocess.run(bad, capture_output=True, timeout=10)
        lab.require(done.returncode != 0, "it started without a secret")
    after = {path.name: path.read_bytes() for path in host.data.glob("journal.db*") if not path.name.endswith("-shm")}
    lab.require(before and after == before, "the journal's files have changed")
    host.start()


def fluentbit_3060_size_restarts_at_zero(lab):
    """The count of bytes began at zero with each start: restarts at the bound never take the file beyond it."""
    lab.begin(hosts=1, rate=800, journal_bytes=MIB, message_bytes=400)
    host = lab.hosts[0]
    host.wire.set(to_far=0, to_near=0)
    lab.wait_until_given_up()
    for _ in range(RESTARTS):
        time.sleep(0.4)
        lab.count()
        host.kill()
        lab.require(host.journal_file_bytes() <= host.journal_bound(), f"{host.journal_file_bytes()} bytes")
        host.start()
    host.stop()
    lab.require((host.data / "journal.db").stat().st_size <= MIB, "beyond its bound when it is closed")
    host.start()


def fluentbit_9115_silent_loss(lab):
    """Input was lost at a hidden limit without a word: what a full journal gives up is counted and told."""
    lab.begin(hosts=1, rate=1500, journal_bytes=MIB, message_bytes=400)
    lab.count()
    lab.hosts[0].wire.set(to_far=0, to_near=0)
    lab.wait_until_given_up()


def prometheus_13539_restart_during_outage(lab):
    """After a restart in an outage only the newest segment was sent: three restarts, everything arrives."""
    lab.begin(rate=60)
    for host in lab.hosts:
        host.wire.set(to_far=0, to_near=0)
    for _ in range(3):
        time.sleep(1.5)
        for host in lab.hosts:
            lab.count()
            host.kill()
            host.start()


def prometheus_13182_reader_overtaken(lab):
    """A reader that was too slow was overtaken and the counter stayed at zero: sent and given up is all there was."""
    lab.begin(hosts=1, rate=800, journal_bytes=MIB, message_bytes=400)
    lab.hosts[0].wire.set(rate=16000)
    lab.count()
    lab.wait_until_given_up()
    time.sleep(3)


def netdata_14432_fast_restart(lab):
    """After a fast restart fresh data had old times: every change is stored with the time at which it happened."""
    lab.begin(rate=60)
    for _ in range(RESTARTS):
        for host in lab.hosts:
            lab.count()
            host.kill()
            host.start()
        time.sleep(lab.random.uniform(0.3, 0.9))
    lab.checks_times = True


def maintenant_113_replay_beside_live(lab):
    """Replay and live data shared a sequence and live alerts were muted: a live change shows within a second while the
    backlog is still on its way."""
    lab.begin(hosts=1, rate=400, journal_bytes=64 * MIB, message_bytes=450)
    host = lab.hosts[0]
    host.wire.set(to_far=0, to_near=0)
    lab.count()
    # What an agent replays in ten seconds.
    until("there is a backlog", lambda: host.journal_file_bytes() > 8 * MIB, 60, every=0.2)
    before = _session(lab, host)
    host.wire.set(to_far=1, to_near=1)
    until("there is a new session", lambda: _session(lab, host) not in ("", before), 60, every=0.02)
    _expect_live_beside_backlog(lab, host)


def _expect_live_beside_backlog(lab, host):
    run = host.oracle.read().epochs[-1][:8]
    until("live state comes", lambda: _newest_shown(lab, run) > 0, 20)
    for _ in range(5):
        time.sleep(0.3)
        account = host.oracle.read()
        newest = max(account.present.values(), key=lambda present: _index(present.number))
        until("it is shown", lambda: _newest_shown(lab, run) >= _index(newest.number), 20, every=0.02)
        late = time.monotonic() - newest.monotonic_us / 1e6
        lab.require_within(late, LIVE_WITHIN_S, "a live change was not shown")
        lab.require(_behind(account, lab.facts(host)) > 200, "the backlog was gone before it could be in the way")


def _session(lab, host):
    return lab.room.hub.target(host.name).get("session", {}).get("id", "")


def _behind(account, facts):
    return max(name[2] - facts.positions.get(name[:2], 0) for name in account.records)


def _index(number):
    return int(number.rsplit(".", 1)[1])


def _newest_shown(lab, run):
    return max((_index(row.number) for row in look(lab.room) if row.number.startswith(run)), default=0)


def etcd_14370_crash_under_load(lab):
    """An acknowledged write was lost in a crash, under high load only: kills of the hub under the highest."""
    lab.begin(rate=1500)
    for _ in range(RESTARTS):
        time.sleep(lab.random.uniform(0.2, 0.8))
        lab.count()
        lab.room.hub.kill()
        lab.room.ensure_hub()


def etcd_20418_pause_of_the_server(lab):
    """A paused server went on as if nothing were: 70 s of pause make nobody stale, and live state is right at once."""
    lab.begin(rate=20)
    # What is asked before it has read the first heartbeat after the pause is answered with what it knew.
    lab.experiment.hub_away_s = 70
    lab.count()
    lab.room.hub.process.pause()
    time.sleep(70)
    lab.room.hub.process.resume()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        states = {host.name: lab.room.hub.target_state(host.name) for host in lab.hosts}
        lab.require(set(states.values()) == {"connected"}, f"after the pause: {states}")
        time.sleep(0.1)


def acks_lost_batches_sent_again(lab):
    """Batches arrive and their acks do not, then the session ends: everything is sent again."""
    lab.begin(rate=100)
    for _ in range(4):
        for host in lab.hosts:
            lab.count()
            host.wire.set(to_far=0)
        time.sleep(1)
        for host in lab.hosts:
            host.kill()
            host.start()
            host.wire.set(to_far=1)
        time.sleep(1)


def long_outage(lab, seconds):
    """The hub is away, and everything that happened meanwhile is in its history afterwards."""
    lab.begin(hosts=2, rate=20, journal_bytes=64 * MIB, disk_megabytes=160, message_bytes=150)
    lab.count()
    lab.room.hub.process.kill()
    time.sleep(seconds)
    lab.room.ensure_hub()
    lab.experiment.hub_away_s = seconds + 1
    # A hub that was killed still shows them connected; a session is news.
    until("one is back", lambda: _session(lab, lab.hosts[0]), 70, every=0.02)
    _expect_live_beside_backlog(lab, lab.hosts[0])
    until("the other is back", lambda: _session(lab, lab.hosts[1]), 70, every=0.1)
    lab.checks_times = True


ALL = {function.__name__: function for function in (
    otel_48635_start_of_outage, otel_50102_unsynced_queue, otel_requeue_at_start, otel_12711_batch_in_memory,
    otel_35899_corrupt_queue_file, vector_17644_mid_file_corruption, vector_25570_power_cut_in_deletion,
    vector_ack_before_fsync, fluentbit_2246_bad_config_deletes_backlog, fluentbit_3060_size_restarts_at_zero,
    fluentbit_9115_silent_loss, prometheus_13539_restart_during_outage, prometheus_13182_reader_overtaken,
    netdata_14432_fast_restart, maintenant_113_replay_beside_live, etcd_14370_crash_under_load,
    etcd_20418_pause_of_the_server, acks_lost_batches_sent_again)} | log_scenarios.ALL


class Lab:
    """What a scenario's text needs."""

    def __init__(self, seed, hub_binary=None, agent_binary=None):
        self.seed, self.hub_binary, self.agent_binary = seed, hub_binary, agent_binary
        self.random = random.Random(seed)
        self.experiment = None
        self.expects_gaps = False
        self.checks_times = False
        self.converges_within_s = CONVERGE_S
        self.stalls = Stalls()

    def begin(self, **options):
        self.experiment = Round(self.seed, hub_binary=self.hub_binary,
                                **{"hosts": 2, "binary": self.agent_binary} | options)
        self.room, self.hosts = self.experiment.room, self.experiment.room.hosts
        self.facts = self.experiment.facts
        self.experiment.warm_up()

    def count(self):
        self.experiment.faults_injected += 1

    def require(self, condition, otherwise):
        if not condition:
            self.experiment.problems.append(otherwise)

    def require_within(self, took, limit, otherwise):
        """In seconds."""
        stalls = self.stalls.allowance_s()
        self.require(took <= limit + stalls, f"{otherwise} after {took:.2f} s, beyond {limit} s and stalls of {stalls:.2f} s")

    def fault(self, kind, seconds):
        """On every host at once."""
        standing = [kind(self.room, self.random, host) for host in self.hosts]
        for fault in standing:
            self.experiment.inject(fault)
        time.sleep(seconds)
        for fault in standing:
            fault.end()

    def wait_until_given_up(self):
        self.expects_gaps = True
        until("journals give up records", lambda: all(host.oracle.read().dropped > 0 for host in self.hosts), 90, every=0.5)

    def check_times(self):
        """Nobody's clock was set: hub time is the time of the machine, whatever way a change took."""
        offset_us = (time.time_ns() - time.monotonic_ns()) // 1000
        for host in self.hosts:
            happened = {p.number: p.monotonic_us + offset_us for p in host.oracle.read().presents}
            for rows in self.facts(host).changes.values():
                for message, at_us in rows:
                    late = abs(at_us - happened.get(number_of(message), at_us)) / 1e6
                    self.require_within(late, TIMES_WITHIN_S, f"{host.name}: {message} is stored with another time")


def run(name, seed, keep=None, hub_binary=None, agent_binary=None):
    return _run(name, ALL[name], Lab(seed, hub_binary, agent_binary), keep)


def run_long_outage(seconds, seed, keep):
    return _run("long_outage", lambda lab: long_outage(lab, seconds), Lab(seed), keep)


def _run(name, do, lab, keep):
    try:
        do(lab)
        lab.experiment.faults_end()
        lab.experiment.converge(lab.converges_within_s)
        lab.experiment.drain()
        if lab.checks_times:
            lab.check_times()
        verdict = lab.experiment.judge()
        if lab.expects_gaps and verdict.gaps_real == 0:
            verdict.wrong.append("invalid: nothing was given up, so no gap could be missing")
    except (AssertionError, OSError, sqlite3.Error, subprocess.SubprocessError) as error:
        if lab.experiment is None:  # hub and hosts did not come up
            raise
        lab.experiment.problems.append(f"{type(error).__name__}: {error}")
        verdict = lab.experiment.judge()
    lab.stalls.stop()
    answer = result(lab.experiment, verdict)
    if keep and answer["problems"]:
        lab.room.keep(keep / name)
        answer["kept"] = str(keep / name)
    lab.experiment.close()
    return answer
