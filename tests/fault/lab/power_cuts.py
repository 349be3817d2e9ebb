"""Power cuts in volume: a writer that uses the real journal (or the real store) is stopped, its disk loses power, and the
next writer tells what it found."""

import collections
import random
import signal
import subprocess
import time
from pathlib import Path

from harness.base import BIN
from harness.base import run as command

from .disk import PowerDisk

WRITERS = {"agent": "muster-fault-journal-writer", "hub": "muster-fault-store-writer"}
# From the writer's first commit to the cut.
WRITES_FOR_S = (0.002, 0.03)
STOPPED_BEFORE_CUT_S = 0.004
# A cut that met no writing proves nothing.
MIN_RECORDS_PER_CUT = 10


class Writer:
    def __init__(self, program, folder):
        self.process = subprocess.Popen([program, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.head = []
        for line in self.process.stdout:
            self.head.append(line.decode().split())
            if self.head[-1] == ["writing"]:
                return
        raise AssertionError(f"the writer ended: {self.process.stderr.read().decode()[-500:]}")

    def cut(self, disk):
        """The lines it wrote since it began to write; those that a cut made it write do not count."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_BEFORE_CUT_S)
        disk.cut()
        self.process.kill()
        said = self.process.stdout.read().decode()
        self.process.wait()
        self.process.stderr.close()
        self.process.stdout.close()
        return [line.split() for line in said.split("\n")[:-1]]


def run(side, cuts, seed, program=None):
    rng = random.Random(seed)
    disk = _disk()
    acked = lost = damaged = 0
    promised = collections.Counter()  # (epoch, lane) -> sequence, of the last run
    problems = []
    try:
        for number in range(cuts + 1):
            try:
                writer = Writer(program or BIN / WRITERS[side], disk.mount)
            except AssertionError as error:
                damaged += 1
                problems.append(f"cut {number}: {error}")
                break
            found = {(words[1], words[2]): int(words[4]) for words in writer.head if words[0] == "found"}
            damaged += sum(words[0] == "damaged" for words in writer.head)
            for name, sequence in promised.items():
                lost += max(0, sequence - found.get(name, 0))
            if number == cuts:
                writer.process.kill()
                writer.process.communicate()
                break
            time.sleep(rng.uniform(*WRITES_FOR_S))
            promised = collections.Counter()
            for _, epoch, lane, sequence in writer.cut(disk):
                promised[epoch, lane] = int(sequence)
            acked += sum(promised.values())
            disk.restore()
    finally:
        disk.remove()
    if lost:
        problems.append(f"{lost} records that were durable are not there")
    if damaged:
        problems.append(f"{damaged} times what is there is not what was written")
    if acked < cuts * MIN_RECORDS_PER_CUT:
        problems.append(f"invalid: {acked} records are too few for {cuts} cuts")
    return {"cuts": cuts, "acked": acked, "lost": lost, "damaged": damaged, "problems": problems}


def _disk():
    command(["mount", "-t", "tmpfs", "tmpfs", "/mnt"])
    return PowerDisk(Path("/mnt"), "power")
