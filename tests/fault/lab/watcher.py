"""Looks at the hub's API all the time, as an operator would, and remembers what it showed."""

import collections
import threading
import time

from .checker import number_of

_EVERY_S = 0.1
Shown = collections.namedtuple("Shown", "monotonic_us target_id name status number")


class Watcher:
    def __init__(self, room):
        self._room = room
        self.shown = []
        self.journal_excess = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _loop(self):
        while not self._stop.wait(_EVERY_S):
            for host in self._room.hosts:
                size, bound = host.journal_file_bytes(), host.journal_bound()
                if size > bound:
                    self.journal_excess.append(f"{host.name}: the journal has {size} bytes, {bound} is its bound")
            try:
                self.shown += look(self._room)
            except (OSError, ValueError, AssertionError):
                continue  # the hub is away

    def stop(self):
        self._stop.set()
        self._thread.join()


def look(room):
    now = time.monotonic_ns() // 1000
    rows = room.hub.api("ListDeployments").get("deployments", [])
    return [Shown(now, row["target_id"], row["name"], row["status"].removeprefix("DEPLOYMENT_STATUS_").lower(),
                  number_of(row.get("message", ""))) for row in rows]
