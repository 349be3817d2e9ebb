"""One experiment in namespaces of its own (network, mounts, processes): whatever it leaves behind goes with it."""

import itertools
import shutil
import time
from pathlib import Path

from harness.base import alive, run
from harness.hub import Hub

from .clocks import faketime, write_clock
from .disk import PowerDisk
from .host import Host
from .wire import HUB_ADDRESS

# Inside a room nothing else uses these.
PAUSE_BEFORE_CUT_S = 0.005


def enter(argv):
    """Words that run argv in a room, and end everything in it when that ends."""
    return ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *map(str, argv)]


class Room:
    def __init__(self, seed, hub_binary=None, fakes_clocks=False):
        run(["mount", "-t", "tmpfs", "tmpfs", _made("/run/netns")])
        run(["ip", "link", "set", "lo", "up"])
        run(["ip", "address", "add", f"{HUB_ADDRESS}/32", "dev", "lo"])
        self.seed = seed
        self.dir = Path("/mnt")
        run(["mount", "-t", "tmpfs", "tmpfs", self.dir])
        self.fakes_clocks = fakes_clocks
        # Somebody restored an older copy, or the disk was full: what is shown may be older for a moment.
        self.history_may_go_back = False
        self.hub_clock_was_set = False
        self.hosts = []
        self._numbers = itertools.count(1)
        self.hub_disk = PowerDisk(self.dir, "hubdisk", 96)
        self.hub = LabHub(self.dir / "hub", self.hub_disk.mount / "data", hub_binary)
        self.hub_clock = self.dir / "hub-clock"
        if fakes_clocks:
            self.hub.preload = faketime(self.hub_clock)
        self.hub.start()

    def add_host(self, **options):
        host = Host(self, next(self._numbers), **options)
        self.hosts.append(host)
        return host

    # ---- the hub's troubles

    def ensure_hub(self):
        if self.hub.process.running():
            self.hub.process.resume()
        else:
            self.hub.start()

    def set_hub_clock(self, offset_s):
        self.hub_clock_was_set = True
        write_clock(self.hub_clock, offset_s)

    def cut_hub_power(self):
        self.hub.killed_us.append(time.monotonic_ns() // 1000)
        if self.hub.process.running():
            self.hub.process.pause()
            time.sleep(PAUSE_BEFORE_CUT_S)
        self.hub_disk.cut()
        self.hub.process.kill()
        self.hub_disk.restore()

    def copy_hub_data(self, to):
        """As a kill -9 of the hub would leave it."""
        self.hub.process.pause()
        time.sleep(PAUSE_BEFORE_CUT_S)
        shutil.copytree(self.hub.data, to)
        self.hub.process.resume()

    def restore_hub_data(self, copy):
        """The hub must not run."""
        shutil.rmtree(self.hub.data)
        shutil.copytree(copy, self.hub.data)
        run(["sync", "--file-system", self.hub.data])

    def close(self):
        for host in self.hosts:
            host.close()
        for process in list(alive):
            process.kill()
        self.hub_disk.remove()

    def keep(self, to):
        """Copies logs, oracles and databases for a person to look at."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.dir, to, ignore=shutil.ignore_patterns("*.img", "filler", "lost+found", "*.sock"))


class LabHub(Hub):
    """The hub of the end-to-end tests with its data on a disk of the lab, reached by every host at one address."""

    def __init__(self, directory, data, binary):
        super().__init__(directory, bind="0.0.0.0", public_host=HUB_ADDRESS, start=False)
        self.data = data
        self.binary = binary
        self.preload = {}
        self.killed_us = []

    def argv(self):
        words = super().argv()
        return [self.binary or words[0], *words[1:]]

    def kill(self):
        self.killed_us.append(time.monotonic_ns() // 1000)
        super().kill()

    def full_env(self):
        return super().full_env() | self.preload

    @property
    def grpc(self):
        return f"{HUB_ADDRESS}:{self.grpc_port}"

    @property
    def database(self):
        return self.data / "hub.db"


def _made(path):
    Path(path).mkdir(parents=True, exist_ok=True)
    return path
