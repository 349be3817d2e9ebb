"""A Docker engine of the tests' own: Debian's dockerd on its own socket and data folder."""

import http.client
import json
import os
import shutil
import signal
import socket
import tarfile
import threading
import time
from pathlib import Path

from .base import Process, run, short_dir, until

IMAGE = "muster-test:1"
APPLETS = ["sh", "sleep", "test", "true", "false", "touch", "rm", "echo", "cat", "date", "kill"]
FOREVER = ["sh", "-c", "trap 'exit 0' TERM; touch /tmp/ready; while :; do sleep 1000 & wait; done"]


class UnixHttp(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path, timeout=30):
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class DockerEngine:
    def __init__(self):
        self.dir = short_dir("docker")
        self.socket = self.dir / "d.sock"
        self._start()
        self._import_image()

    def _start(self):
        # Neither bridge nor firewall rules: the containers need no network, and the host's stays as it was.
        self.process = Process("dockerd", [
            "dockerd", "--host", f"unix://{self.socket}", "--data-root", self.dir / "data", "--exec-root",
            self.dir / "exec", "--pidfile", self.dir / "pid", "--bridge=none", "--iptables=false",
            "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"], self.dir / "dockerd.log")
        until("dockerd answers", self._answers, 60, every=0.1)

    def restart(self):
        """Containers that are to be restarted always come back with it."""
        self.process.stop(30)
        self._start()

    def _answers(self):
        assert self.process.running(), f"dockerd ended:\n{self.process.log()[-2000:]}"
        try:
            return self.api("GET", "/_ping")[0] == 200
        except OSError:
            return False

    def _import_image(self):
        archive = self.dir / "image.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add("/bin/busybox", "bin/busybox")
            for applet in APPLETS:
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
            for name in ("tmp", "proc", "sys", "dev", "etc"):
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
                tar.addfile(folder)
        for name in (IMAGE, IMAGE.replace(":1", ":2")):
            self.docker("import", archive, name)

    def api(self, method, path, body=None):
        """One call of the Engine API with raw bytes or JSON; returns status and body."""
        connection = UnixHttp(self.socket)
        try:
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def docker(self, *argv, **more):
        return run(["docker", "--host", f"unix://{self.socket}", *argv], **more).stdout.strip()

    def container(self, name, *command, restart="no", labels=None, image=IMAGE, options=()):
        """Runs a container that belongs to no Compose project; returns its id."""
        words = ["run", "--detach", "--name", name, "--network", "none", "--restart", restart, *options]
        for key, value in (labels or {}).items():
            words += ["--label", f"{key}={value}"]
        return self.docker(*words, image, *(command or FOREVER))

    def compose(self, project, services, *command):
        """docker-compose with services given as values; without a command: up --detach."""
        path = self.dir / f"{project}.json"
        for service in services.values():
            service.setdefault("image", IMAGE)
            service.setdefault("network_mode", "none")
            service.setdefault("command", FOREVER)
            service.setdefault("stop_grace_period", "1s")
        path.write_text(json.dumps({"version": "2.4", "services": services}))
        run(["docker-compose", "--project-name", project, "--file", path, *(command or ("up", "--detach"))],
            env=os.environ | {"DOCKER_HOST": f"unix://{self.socket}"}, timeout=120)

    def inspect(self, container):
        return json.loads(self.docker("inspect", container))[0]

    def containers(self, project=None):
        only = ["--filter", f"label=com.docker.compose.project={project}"] if project else []
        return self.docker("ps", "--all", "--quiet", "--no-trunc", *only).split()

    def remove_all(self):
        ids = self.containers()
        if ids:
            self.docker("rm", "--force", "--volumes", *ids)

    def stop(self):
        if self.process.running():
            self.remove_all()
            self.process.stop(30)
        self._end_leftovers()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _end_leftovers(self):
        """Shims of containers that were restarting when the engine ended, and the network namespaces it mounted."""
        for entry in os.listdir("/proc"):
            try:
                words = Path("/proc", entry, "cmdline").read_bytes() if entry.isdigit() else b""
                if words.startswith(b"/usr/bin/containerd-shim") and str(self.dir).encode() in words:
                    os.kill(int(entry), signal.SIGKILL)
            except OSError:
                continue  # it has ended meanwhile
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(f"{self.dir}/")), reverse=True):
            run(["umount", "--lazy", mount], check=False)


class EventLog:
    """The engine's own account of what happened when: the yardstick for how fast the hub knows."""

    def __init__(self, engine):
        self._connection = UnixHttp(engine.socket, timeout=None)
        self._connection.request("GET", "/events")
        self._response = self._connection.getresponse()
        self._events = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            for line in iter(self._response.readline, b""):
                with self._changed:
                    self._events.append(json.loads(line))
                    self._changed.notify_all()
        except (OSError, ValueError, AttributeError):
            pass  # closed

    def find(self, action, container, number=1, after=0.0, timeout=60):
        """Waits for the number-th event of that action since `after`; returns its time in seconds since 1970."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                times = [event["timeNano"] / 1e9 for event in self._events
                         if event.get("Type") == "container" and event["Action"].startswith(action)
                         and event["Actor"]["ID"].startswith(container) and event["timeNano"] / 1e9 >= after]
                if len(times) >= number:
                    return times[number - 1]
                remaining = deadline - time.monotonic()
                assert remaining > 0, f"no {action} event number {number} of {container} within {timeout} s"
                self._changed.wait(remaining)

    def close(self):
        self._connection.sock and self._connection.sock.shutdown(socket.SHUT_RDWR)
