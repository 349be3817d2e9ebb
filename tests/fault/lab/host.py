"""A customer's host: a network namespace, a wire to the hub, a disk, and muster-fault-agent on it."""

import os
import shutil
import signal
import time

from harness.base import BIN, Process, run

from .clocks import faketime, write_clock
from .disk import PowerDisk
from .fake_engine import FakeEngine
from .oracle import Account, Oracle
from .wire import Wire

PAUSE_BEFORE_CUT_S = 0.005
MIB = 1 << 20
WAL_BYTES = 8 * MIB
# Written by a container and not yet in the journal's file.
IN_FLIGHT_LINES = 1000


class Host:
    def __init__(self, room, number, deployments=4, rate=40, journal_bytes=8 * MIB, disk_megabytes=32, binary=None,
                 message_bytes=0, lines_rate=40, engine_tick_ms=1):
        self.room, self.number = room, number
        self.name = f"host{number}"
        self.namespace = f"h{number}"
        self.binary = binary or BIN / "muster-fault-agent"
        self.deployments, self.rate, self.journal_bytes, self.message_bytes = deployments, rate, journal_bytes, message_bytes
        self.dir = room.dir / self.name
        self.dir.mkdir()
        run(["ip", "netns", "add", self.namespace])
        run(["ip", "-netns", self.namespace, "link", "set", "lo", "up"])
        self.wire = Wire(number, self.namespace, room.seed * 1000 + number)
        self.disk = PowerDisk(room.dir, f"disk{number}", disk_megabytes)
        # Outside the blast radius: a folder in memory.
        self.oracle = Oracle(self.dir)
        self.clock_offset_s = 0
        self.engine = FakeEngine(self.dir / "docker.sock", room.seed * 1000 + number, lines_rate,
                                 offset_s=lambda: self.clock_offset_s, tick_ms=engine_tick_ms)
        # Names of records that were on a disk which was replaced by an older one, or thrown away.
        self.excused = set()
        # Of each container the numbers of the lines that may be there twice, because the disk that knew how far they had
        # been read was replaced.
        self.rewound = {}
        self.clock_file = self.dir / "clock"
        self.process = None
        self.killed = False
        self.crashes = []
        self.clone = None
        self.starts = 0
        self.target = room.hub.create_target(self.name)
        self.ca_file = self.dir / "ca.pem"
        shutil.copy(room.hub.ca, self.ca_file)
        self.secret_file = self.dir / "secret"
        self.secret_file.touch(mode=0o600)
        self.secret_file.write_text(self.target["target_secret"] + "\n")

    @property
    def target_id(self):
        return self.target["target_id"]

    def deployment_of(self, container):
        """muster-fault-agent's deployments are d1, d2, ..., and the containers are dealt out to them."""
        return f"d{list(self.engine.containers).index(container) % self.deployments + 1}"

    @property
    def data(self):
        return self.disk.mount / "data"

    # ---- the agent

    def argv(self, data, oracle, engine=None):
        return ["nsenter", f"--net=/run/netns/{self.namespace}", self.binary, "--hub", self.room.hub.grpc, "--target-id",
                self.target_id, "--target-secret-file", self.secret_file, "--ca-file", self.ca_file, "--data-dir",
                data, "--oracle", oracle, "--deployments", self.deployments, "--rate", self.rate, "--message-bytes",
                self.message_bytes, "--journal-bytes", self.journal_bytes, "--seed",
                self.room.seed * 100000 + self.number * 1000 + self.starts,
                *(["--engine", engine.socket, *(word for container in engine.containers.values()
                                                for word in ("--container", _described(container)))] if engine else [])]

    def start(self):
        self.starts += 1
        self.killed = False
        self.process = Process(self.name, self.argv(self.data, self.oracle.next_file(), self.engine),
                               self.dir / f"agent-{self.starts}.log", self._env())
        return self

    def _env(self):
        return os.environ | (faketime(self.clock_file) if self.room.fakes_clocks else {})

    def set_clock(self, offset_s):
        self.clock_offset_s = offset_s
        write_clock(self.clock_file, offset_s)

    def running(self):
        return self.process is not None and self.process.running()

    def kill(self):
        self.note_crash()
        if self.process is not None:
            self.process.kill()
        self.killed = True

    def stop(self):
        self.process.stop()
        self.killed = True

    def ensure_running(self):
        self.note_crash()
        if self.running():
            self.process.resume()
        else:
            self.start()

    def note_crash(self):
        """An agent that is not there although nobody killed it."""
        if self.process is not None and not self.running() and not self.killed:
            self.crashes.append(f"{self.name}: the agent ended by itself, {self.process.popen.returncode}: "
                                f"{self.process.log()[-300:]}")
            self.killed = True

    def be_quiet(self):
        """No more changes: what is shown can be compared."""
        self.process.signal(signal.SIGUSR1)
        self.engine.be_quiet()

    # ---- the disk's troubles

    def cut_power(self):
        if self.running():
            self.process.pause()
            time.sleep(PAUSE_BEFORE_CUT_S)
        self.disk.cut()
        self.kill()
        self.disk.restore()

    def copy_data(self, to):
        """As a kill -9 of the agent would leave it. Returns the names of the records that it has told of until then."""
        if self.running():
            self.process.pause()
            time.sleep(PAUSE_BEFORE_CUT_S)
        shutil.copytree(self.data, to)
        known = set(self.oracle.read().records)
        if self.running():
            self.process.resume()
        return known

    def restore_data(self, copy):
        """The agent must not run."""
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.copytree(copy, self.data)
        run(["sync", "--file-system", self.data])

    def note_rewound(self, lines_then):
        """Behind a copy of the folder that was made when containers had written so much the agent reads their lines again."""
        for name, lines in self.engine.lines_written().items():
            self.rewound.setdefault(name, set()).update(range(max(1, len(lines_then[name]) - IN_FLIGHT_LINES), len(lines) + 1))

    def start_clone(self, data):
        """A second agent with this one's identity and a copy of its folder, on a machine without containers."""
        self.starts += 1
        self.clone_oracle = self.oracle.next_file()
        self.clone = Process(f"{self.name} clone", self.argv(data, self.clone_oracle),
                             self.dir / f"clone-{self.starts}.log", self._env())

    def stop_clone(self):
        """What the clone alone had is gone with it."""
        if self.clone is None:
            return
        self.clone.kill()
        self.clone = None
        account = self.oracle.read()
        self.excused |= {name for name in Account().follow([self.clone_oracle]).records if name[2] > account.acked[name[:2]]}

    def journal_file_bytes(self):
        total = 0
        for path in self.data.glob("journal.db*"):
            try:
                total += path.stat().st_size if not path.name.endswith("-shm") else 0
            except OSError:
                continue  # it has just gone
        return total

    def journal_bound(self):
        """The file's own bound, and a write-ahead log that has not been moved into it yet."""
        return self.journal_bytes + WAL_BYTES

    def iptables(self, *words):
        return run(["nsenter", f"--net=/run/netns/{self.namespace}", "iptables", *words])

    def close(self):
        self.stop_clone()
        self.kill()
        self.engine.close()
        self.wire.process.kill()
        self.wire.process.wait()
        self.disk.remove()


def _described(container):
    return f"{container.id}:{container.name}:{'tty' if container.has_tty else 'plain'}"
