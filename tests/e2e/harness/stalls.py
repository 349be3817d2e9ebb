"""How long the machine made a process wait that wanted to run: limits of time are widened by that much, so that a busy
machine is not taken for a slow hub. Never by more than MAX_S: a limit that nothing exceeds is none."""

import threading
import time

MAX_S = 1
_EVERY_S = 0.01


class Stalls:
    def __init__(self):
        self._longest = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _loop(self):
        before = time.monotonic()
        while not self._stop.wait(_EVERY_S):
            now = time.monotonic()
            self._longest = max(self._longest, now - before - _EVERY_S)
            before = now

    def longest_s(self):
        """So far."""
        return self._longest

    def allowance_s(self):
        """So far; two processes that the machine kept waiting may stand one behind the other."""
        return min(2 * self._longest, MAX_S)

    def stop(self):
        self._stop.set()
        self._thread.join()
