"""Paths, waiting, ports, and a child process that is always cleaned up."""

import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(os.environ.get("MUSTER_BIN_DIR", ROOT / "build/release/bin"))
RECORDS = Path(os.environ.get("MUSTER_E2E_RECORDS", ROOT / "build/e2e"))
AS_ROOT = os.geteuid() == 0

# Processes of the running test session; their logs are shown with a failure, and none outlives the session.
alive = []


def short_dir(name):
    """A new folder with a short path: the address of a unix socket ends at 107 bytes."""
    return Path(tempfile.mkdtemp(prefix=f"mst-{name}-", dir="/tmp"))


def until(what, condition, timeout, every=0.03):
    """Polls until condition() is truthy and returns that; fails by name when the time is over."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}; last seen: {result!r}")
        time.sleep(every)


_given_ports = set()


def free_port():
    """A port nobody listens on, below the range that outgoing connections take; another one each time."""
    while True:
        port = random.randint(20000, 31000)
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            _given_ports.add(port)
            return port


class Process:
    """One child process with its output in a file."""

    def __init__(self, name, argv, log_path, env=None, cwd=None):
        self.name = name
        self.log_path = Path(log_path)
        self._log = open(self.log_path, "ab")
        self.popen = subprocess.Popen(
            [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=env,
            cwd=cwd, start_new_session=True)
        alive.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def signal(self, number):
        os.kill(self.pid, number)

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        if self.running():
            self.popen.kill()
        self._ended()

    def stop(self, timeout=15):
        """Asks with SIGTERM; a process that does not end in time is killed and reported."""
        if not self.running():
            return self._ended()
        self.signal(signal.SIGCONT)
        self.popen.terminate()
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self._ended()
            raise AssertionError(f"{self.name} did not end within {timeout} s of SIGTERM") from None
        return self._ended()

    def wait(self, timeout):
        self.popen.wait(timeout)
        return self._ended()

    def _ended(self):
        self.popen.wait()
        self._log.close()
        if self in alive:
            alive.remove(self)
        return self.popen.returncode


def run(argv, check=True, timeout=60, **more):
    """subprocess.run with text output; a failure shows what was printed."""
    argv = [str(word) for word in argv]
    done = subprocess.run(argv, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL if "input" not in more else None, timeout=timeout, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def timestamp(text):
    """Seconds since 1970 of an RFC 3339 time, fractions kept."""
    from datetime import datetime
    assert text.endswith("Z"), f"not UTC: {text}"
    head, _, fraction = text[:-1].partition(".")
    return datetime.fromisoformat(head + "+00:00").timestamp() + (float("0." + fraction) if fraction else 0.0)
