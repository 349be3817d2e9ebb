"""A Docker engine of one host as far as the collector of logs asks it: GET /containers/ID/logs on a Unix socket. It lives
outside of what is broken, so that what containers wrote is known; how it answers is told in docs/logs.md, "Collection".

A container writes numbered lines, "NAME line N ...", from 1 on without a hole."""

import http.server
import random
import socketserver
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

# Docker cuts lines there.
PIECE_BYTES = 16 * 1024
STDOUT, STDERR = 1, 2
# Lines of a burst come at once: 250 KiB, some of which make a chunk at the hub, and few enough for the agent's rate.
BURST_LINES = 200
BURST_LINE_BYTES = 1250
BURST_EVERY_S = 4
LONG_LINE_BYTES = 40 * 1024


@dataclass
class Message:
    stream: int
    time_ns: int
    text: bytes  # with its newline, unless it is a piece


@dataclass
class Container:
    name: str
    has_tty: bool
    messages: list = field(default_factory=list)
    # Messages that were rotated away; the list holds what came after them.
    rotated: int = 0
    # What it wrote: of line N, at index N - 1, its length without the newline and its time in microseconds.
    lines: list = field(default_factory=list)
    # Rises when its streams are to end.
    restarts: int = 0

    @property
    def id(self):
        return self.name.encode().hex().ljust(64, "0")

    @property
    def end(self):
        return self.rotated + len(self.messages)


class FakeEngine:
    """`offset_s` is called for what the host's clock was set by."""

    def __init__(self, socket, seed, lines_per_s, names=("web", "db", "tty"), offset_s=lambda: 0, tick_ms=1):
        self.socket = socket
        self.containers = {name: Container(name, has_tty=name == "tty") for name in names}
        self._by_id = {container.id: container for container in self.containers.values()}
        self._random = random.Random(seed)
        self._lines_per_s = lines_per_s
        self._offset_s = offset_s
        # Of the engine's clock: lines written within one have the same time.
        self._tick_ns = tick_ms * 1_000_000
        self._changed = threading.Condition()
        self._quiet = threading.Event()
        self._server = None
        self._epoch = 0
        self.start()
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()

    # ---- what the lab does with it

    def start(self):
        self.socket.unlink(missing_ok=True)
        self._server = _Server(str(self.socket), _handler(self))
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        """The daemon is gone; containers go on writing (live-restore)."""
        server, self._server = self._server, None
        if server is None:
            return
        with self._changed:
            self._epoch += 1
            self._changed.notify_all()
        server.shutdown()
        server.close_connections()
        server.server_close()
        self.socket.unlink(missing_ok=True)

    def restart_container(self, name):
        """Its streams end; what it writes from now on comes in new ones."""
        with self._changed:
            self.containers[name].restarts += 1
            self._changed.notify_all()

    def rotate(self, name, keep):
        """Only the last `keep` messages stay."""
        with self._changed:
            container = self.containers[name]
            gone = max(0, len(container.messages) - keep)
            del container.messages[:gone]
            container.rotated += gone

    def be_quiet(self):
        self._quiet.set()
        self._writer.join()

    def close(self):
        self._quiet.set()
        self.stop()

    def lines_written(self):
        with self._changed:
            return {name: list(container.lines) for name, container in self.containers.items()}

    # ---- what containers do

    def _write(self):
        pause = 1 / self._lines_per_s
        names = list(self.containers)
        while not self._quiet.wait(pause):
            name = self._random.choice(names)
            is_burst = self._random.random() < pause / BURST_EVERY_S
            with self._changed:
                for _ in range(BURST_LINES if is_burst else 1):
                    is_long = self._random.random() < 0.002
                    self._write_line(self.containers[name], LONG_LINE_BYTES if is_long else
                                     BURST_LINE_BYTES if is_burst else self._random.randrange(20, 300))
                self._changed.notify_all()

    def _write_line(self, container, length):
        text = f"{container.name} line {len(container.lines) + 1} ".encode().ljust(length, b"x")
        now_ns = (time.time_ns() + int(self._offset_s() * 1e9)) // self._tick_ns * self._tick_ns
        container.lines.append((len(text), now_ns // 1000))
        text += b"\n"
        stream = STDOUT if container.has_tty else self._random.choice((STDOUT, STDOUT, STDERR))
        for at in range(0, len(text), PIECE_BYTES):
            container.messages.append(Message(stream, now_ns, text[at:at + PIECE_BYTES]))

    # ---- what the agent asks

    def container(self, container_id):
        return self._by_id.get(container_id)

    def stream(self, container, since_ns, tail, follow):
        """Bytes as an engine from 23.0 on sends them: `since` hides messages only until the first one at or after it."""
        with self._changed:
            epoch, restarts = self._epoch, container.restarts
            at = container.rotated if tail is None else max(container.rotated, container.end - tail)
            hides = True
        while True:
            with self._changed:
                at = max(at, container.rotated)
                new = container.messages[at - container.rotated:]
                at += len(new)
                if not new:
                    if not follow or self._epoch != epoch or container.restarts != restarts:
                        return
                    self._changed.wait(1)
                    continue
            visible = []
            for message in new:
                hides = hides and message.time_ns < since_ns
                if not hides:
                    visible.append(_framed(container, message))
            if visible:
                yield b"".join(visible)


def _framed(container, message):
    seconds, nanoseconds = divmod(message.time_ns, 10**9)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z "
    content = stamp.encode() + message.text
    if container.has_tty:
        return content.replace(b"\n", b"\r\n")
    return struct.pack(">BxxxI", message.stream, len(content)) + content


def _nanoseconds(text):
    """SECONDS[.FRACTION], as the engine reads `since`."""
    seconds, _, fraction = text.partition(".")
    return int(seconds or 0) * 10**9 + int((fraction + "0" * 9)[:9])


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address, handler):
        self._connections = set()
        super().__init__(address, handler)

    def process_request(self, request, client_address):
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self):
        """Cut where they are: also in the middle of a frame."""
        for connection in list(self._connections):
            try:
                connection.shutdown(2)
            except OSError:
                continue

    def handle_error(self, request, client_address):
        """A client that went away is nothing to tell."""


def _handler(engine):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def address_string(self):
            return "agent"

        def log_message(self, *_):
            pass

        def do_GET(self):
            url = urllib.parse.urlsplit(self.path)
            parts = [part for part in url.path.split("/") if part and not part.startswith("v1.")]
            asked = dict(urllib.parse.parse_qsl(url.query))
            container = engine.container(parts[1]) if len(parts) == 3 and parts[0] == "containers" else None
            if container is None or parts[2] != "logs":
                return self.send_error(404)
            tail = asked.get("tail", "all")
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.docker.raw-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            follow = asked.get("follow") in ("1", "true")
            for data in engine.stream(container, _nanoseconds(asked.get("since", "0")),
                                      None if tail == "all" else int(tail), follow):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True

    return Handler
