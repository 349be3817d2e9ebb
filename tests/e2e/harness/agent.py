"""muster-agent run, on this machine or on a host of its own."""

import os

from .base import BIN, Process, run


class Agent:
    def __init__(self, directory, hub, target, name="agent", runtime="docker", docker_socket=None, prefix=(),
                 hub_address=None, start=True, extra=(), env=None):
        """target: the answer of `target create`."""
        self.dir = directory / name
        self.dir.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.hub = hub
        self.target_id = target["target_id"]
        self.secret_file = self.dir / "secret"
        self.write_secret(target["target_secret"])
        self.runtime = runtime
        self.docker_socket = docker_socket
        self.prefix = list(prefix)
        self.hub_address = hub_address or hub.grpc
        self.extra = list(extra)
        self.env = env or {}
        self.process = None
        self.starts = 0
        if start:
            self.start()

    def write_secret(self, secret):
        """Replaces the file in one step, as an installer does."""
        fresh = self.secret_file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(secret + "\n")
        fresh.rename(self.secret_file)

    def argv(self):
        words = [*self.prefix, BIN / "muster-agent", "run", "--hub", self.hub_address, "--target-id", self.target_id,
                 "--target-secret-file", self.secret_file, "--data-dir", self.dir / "data", "--runtime", self.runtime,
                 "--ca-file", self.hub.ca]
        return words + (["--docker-socket", self.docker_socket] if self.docker_socket else []) + self.extra

    def start(self):
        self.starts += 1
        self.process = Process(self.name, self.argv(), self.dir / f"agent-{self.starts}.log", os.environ | self.env)
        return self

    def log(self):
        return "".join(path.read_text(errors="replace") for path in sorted(self.dir.glob("agent-*.log")))

    def alive(self):
        """Whether `status --alive` says so, and what it says."""
        done = run([*self.prefix, BIN / "muster-agent", "status", "--alive", "--data-dir", self.dir / "data"], check=False)
        assert done.returncode in (0, 5), done
        return done.returncode == 0, done.stdout

    def kill(self):
        self.process.kill()

    def stop(self):
        if self.process and self.process.running():
            assert self.process.stop() == 0, self.log()[-2000:]
