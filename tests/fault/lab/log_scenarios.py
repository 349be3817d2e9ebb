"""What can happen to log lines in particular. The checker is that of all rounds: every line that a container wrote is there
once, whole and in order, or counted in a gap."""

import shutil
import time

from harness.base import until

from . import faults
from .rounds import CONVERGE_AFTER_FULL_HUB_S, MIB

# The hub tells agents to wait 15 s when its disk is full.
DISK_FULL_S = 20


def logs_hub_disk_full(lab):
    """The hub cannot store; agents keep their journals, and the hub says why."""
    lab.begin(rate=20, lines_rate=60)
    full = lab.experiment.inject(faults.HubDiskFull(lab.room, lab.random))
    time.sleep(DISK_FULL_S)
    full.end()
    lab.converges_within_s = CONVERGE_AFTER_FULL_HUB_S


def logs_agent_disk_full(lab):
    """The journal takes nothing; streams are not read, and the engine keeps the lines."""
    lab.begin(rate=20, lines_rate=100)
    lab.fault(faults.AgentDiskFull, 10)


def logs_journal_at_its_bound(lab):
    """Hours without a hub: the oldest lines go first, counted, and no status goes before them."""
    lab.begin(hosts=1, rate=20, lines_rate=300, journal_bytes=MIB)
    lab.count()
    lab.hosts[0].wire.set(to_far=0, to_near=0)
    lab.wait_until_given_up()
    time.sleep(3)


def logs_agent_killed_between_pieces(lab):
    """Kills at any moment, while many lines have the same time and some come in pieces: position and lines agree."""
    lab.begin(rate=20, lines_rate=300, engine_tick_ms=50)
    for _ in range(20):
        for host in lab.hosts:
            lab.count()
            host.kill()
            host.start()
        time.sleep(lab.random.uniform(0.1, 0.6))


def logs_db_lost(lab):
    """The store of logs is gone, the hub's other one is not: agents send again what they hold, the rest is counted."""
    lab.begin(rate=40)
    time.sleep(2)
    lab.count()
    lab.room.history_may_go_back = True
    lab.room.hub.kill()
    for path in lab.room.hub.data.glob("logs.db*"):
        path.unlink()
    lab.room.ensure_hub()


def logs_db_older_than_the_rest(lab):
    """Only logs.db comes back from a backup."""
    _restore_one(lab, "logs.db")


def logs_db_newer_than_the_rest(lab):
    """All but logs.db comes back from a backup."""
    _restore_one(lab, "hub.db")


def _restore_one(lab, name):
    lab.begin(rate=40)
    copy = lab.room.dir / "backup"
    lab.room.copy_hub_data(copy)
    time.sleep(3)
    lab.count()
    lab.room.history_may_go_back = True
    lab.room.hub.kill()
    for path in lab.room.hub.data.glob(f"{name}*"):
        path.unlink()
    for path in copy.glob(f"{name}*"):
        shutil.copy(path, lab.room.hub.data)
    lab.room.ensure_hub()
    until("agents are back", lambda: all(lab.room.hub.target_state(host.name) == "connected" for host in lab.hosts), 60)


ALL = {function.__name__: function for function in (
    logs_hub_disk_full, logs_agent_disk_full, logs_journal_at_its_bound, logs_agent_killed_between_pieces, logs_db_lost,
    logs_db_older_than_the_rest, logs_db_newer_than_the_rest)}
