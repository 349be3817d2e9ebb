"""What can happen to a room. Each fault is a pair: it begins, and it ends; times and choices come from the seed."""

import shutil
import time


class Fault:
    """`room` and `random` are the round's. What end() leaves is a sound system again, except for what has to catch up."""

    # Seconds between begin and end.
    duration = (0.3, 2.5)
    # Parts that two faults do not harm at the same time: agent, wire, firewall, clock, engine of a host, hub, and the past: what is on
    # both disks may be taken from one of them, not from both.
    touches = ()

    def __init__(self, room, random, host=None):
        self.room, self.random = room, random
        self.host = host or random.choice(room.hosts)

    @property
    def name(self):
        return type(self).__name__

    def begin(self):
        raise NotImplementedError

    def end(self):
        pass


# ---- processes

class KillAgent(Fault):
    touches = ("agent",)

    def begin(self):
        self.host.kill()

    def end(self):
        self.host.ensure_running()


class KillAgentTwice(KillAgent):
    """Again while it recovers."""

    def end(self):
        self.host.ensure_running()
        time.sleep(self.random.uniform(0, 0.3))
        self.host.kill()
        self.host.ensure_running()


class KillHub(Fault):
    touches = ("hub",)

    def begin(self):
        self.room.hub.kill()

    def end(self):
        self.room.ensure_hub()


class KillHubTwice(KillHub):
    def end(self):
        self.room.ensure_hub()
        time.sleep(self.random.uniform(0, 0.5))
        self.room.hub.kill()
        self.room.ensure_hub()


class KillBoth(Fault):
    touches = ("agent", "hub")

    def begin(self):
        self.room.hub.kill()
        self.host.kill()

    def end(self):
        self.host.ensure_running()
        self.room.ensure_hub()


class PauseAgent(Fault):
    touches = ("agent",)
    duration = (0.5, 4)

    def begin(self):
        if self.host.running():
            self.host.process.pause()

    def end(self):
        self.host.ensure_running()


class PauseHub(Fault):
    touches = ("hub",)
    duration = (0.5, 4)

    def begin(self):
        self.room.hub.process.pause()

    def end(self):
        self.room.ensure_hub()


# ---- the engine

class EngineAway(Fault):
    touches = ("engine",)

    def begin(self):
        self.host.engine.stop()

    def end(self):
        self.host.engine.start()


class ContainerRestarts(Fault):
    touches = ("engine",)

    def begin(self):
        self.host.engine.restart_container(self.random.choice(list(self.host.engine.containers)))


# ---- the network

class Partition(Fault):
    touches = ("wire",)
    duration = (0.5, 4)

    def begin(self):
        self.host.wire.set(to_far=0, to_near=0)

    def end(self):
        self.host.wire.set(to_far=1, to_near=1)


class OneWayToHub(Partition):
    """Acks are lost, records arrive."""

    def begin(self):
        self.host.wire.set(to_far=0)


class OneWayToAgent(Partition):
    def begin(self):
        self.host.wire.set(to_near=0)


class BadWeather(Fault):
    touches = ("wire",)
    duration = (1, 4)

    def begin(self):
        self.host.wire.set(delay=self.random.uniform(0.01, 0.2), jitter=self.random.uniform(0, 0.1),
                           loss=self.random.uniform(0, 0.15), duplicate=self.random.uniform(0, 0.1),
                           reorder=self.random.uniform(0, 0.2), corrupt=self.random.uniform(0, 0.05))

    def end(self):
        self.host.wire.clean()


class SlowLine(Fault):
    """64 kbit/s."""
    touches = ("wire",)

    duration = (1, 4)

    def begin(self):
        self.host.wire.set(rate=8000)

    def end(self):
        self.host.wire.clean()


class HalfOpen(Fault):
    """The cable is gone on both sides, without a word to either."""
    touches = ("wire",)

    def begin(self):
        self.host.wire.unplug()

    def end(self):
        self.host.wire.plug()


class Reset(Fault):
    """Every connection of the host is refused with RST."""
    touches = ("firewall",)

    rule = ("OUTPUT", "-p", "tcp", "--dport")

    def begin(self):
        self.words = [*self.rule, str(self.room.hub.grpc_port), "-j", "REJECT", "--reject-with", "tcp-reset"]
        self.host.iptables("-A", *self.words)

    def end(self):
        self.host.iptables("-D", *self.words)


# ---- disks

class CutAgentPower(Fault):
    touches = ("agent",)

    def begin(self):
        self.host.cut_power()

    def end(self):
        self.host.ensure_running()


class CutHubPower(Fault):
    touches = ("hub",)

    def begin(self):
        self.room.cut_hub_power()

    def end(self):
        self.room.ensure_hub()


class AgentDiskFull(Fault):
    touches = ("agent",)
    duration = (1, 4)

    def begin(self):
        self.host.disk.fill()

    def end(self):
        self.host.disk.free()


class HubDiskFull(Fault):
    touches = ("hub",)
    duration = (1, 4)

    def begin(self):
        # A hub that is killed then comes back with what it could store.
        self.room.history_may_go_back = True
        self.room.hub_disk.fill()

    def end(self):
        self.room.hub_disk.free()


# ---- folders that go back in time

class HubRestored(Fault):
    """The hub is stopped, and started on a copy of its folder from before."""
    touches = ("hub", "past")

    duration = (0.5, 3)

    def begin(self):
        self.room.history_may_go_back = True
        self.copy = self.room.dir / f"hub-backup-{time.monotonic_ns()}"
        self.room.copy_hub_data(self.copy)

    def end(self):
        self.room.hub.kill()
        self.room.restore_hub_data(self.copy)
        self.room.ensure_hub()
        shutil.rmtree(self.copy)


class AgentRolledBack(Fault):
    """What the agent recorded since the copy and the hub had not acknowledged is gone with the disk."""
    touches = ("agent", "past")

    duration = (0.5, 3)

    def begin(self):
        self.copy = self.room.dir / f"agent-copy-{time.monotonic_ns()}"
        self.lines = self.host.engine.lines_written()
        self.known = self.host.copy_data(self.copy)

    def end(self):
        self.host.kill()
        account = self.host.oracle.read()
        self.host.note_rewound(self.lines)
        self.host.excused |= {name for name in set(account.records) - self.known if name[2] > account.acked[name[:2]]}
        self.host.restore_data(self.copy)
        self.host.start()
        shutil.rmtree(self.copy)


class AgentCloned(Fault):
    """For a while two agents have one identity and one past."""
    touches = ("agent", "past")

    duration = (1, 3)

    def begin(self):
        self.copy = self.room.dir / f"clone-{time.monotonic_ns()}"
        self.host.copy_data(self.copy)
        self.host.start_clone(self.copy)

    def end(self):
        self.host.stop_clone()
        # The one that was superseded waits for minutes; a person who finds the clone starts it again.
        self.host.kill()
        self.host.start()
        shutil.rmtree(self.copy)


# ---- clocks

class ClockStep(Fault):
    """The host's clock is set; the monotonic one goes on."""
    touches = ("clock",)

    duration = (0.5, 3)

    def begin(self):
        self.host.set_clock(self.random.choice([-3600, -600, -1, 60, 3600, 86400]))

    def end(self):
        self.host.set_clock(0)


class HubClockStep(Fault):
    touches = ("hub",)
    duration = (0.5, 3)

    def begin(self):
        self.room.set_hub_clock(self.random.choice([-3600, -60, 60, 3600]))

    def end(self):
        self.room.set_hub_clock(0)


CLOCKS = (ClockStep, HubClockStep)
KINDS = [KillAgent, KillAgentTwice, KillHub, KillHubTwice, KillBoth, PauseAgent, PauseHub, Partition, OneWayToHub,
         OneWayToAgent, BadWeather, SlowLine, HalfOpen, Reset, CutAgentPower, CutHubPower, AgentDiskFull, HubDiskFull,
         HubRestored, AgentRolledBack, AgentCloned, EngineAway, ContainerRestarts, ClockStep, HubClockStep]
