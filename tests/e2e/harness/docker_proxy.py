"""A unix socket between agent and engine that writes down every request, and can misbehave on demand."""

import re
import socket
import threading

from .base import RECORDS

CHUNK = 65536


class RecordingDockerProxy:
    """Every request line goes to requests, and to the record of the whole test run unless no agent speaks through it."""

    def __init__(self, directory, engine_socket, name="agent", in_record=True):
        self._in_record = in_record
        self.socket = directory / f"{name}.sock"
        self.engine_socket = str(engine_socket)
        self.requests = []
        self._open = []
        self._flow = threading.Event()  # cleared: answers stop in the middle of the stream
        self._flow.set()
        self._garbage = None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.socket))
        self._listener.listen(32)
        threading.Thread(target=self._accept, daemon=True).start()

    # ---- misbehaviour

    def stall(self):
        """The engine stops answering: connections stay open and silent."""
        self._flow.clear()

    def flow(self):
        self._flow.set()

    def answer_with(self, raw):
        """Every new request gets these bytes instead of the engine's answer; None: the engine's again."""
        self._garbage = raw
        self.drop_connections()

    def drop_connections(self):
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self._listener.close()
        self._flow.set()
        self.drop_connections()
        self.socket.unlink(missing_ok=True)

    # ---- plumbing

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        engine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            engine.connect(self.engine_socket)
        except OSError:
            client.close()
            return
        self._open += [client, engine]
        threading.Thread(target=self._answers, args=(engine, client), daemon=True).start()
        self._requests(client, engine)
        for connection in (client, engine):
            if connection in self._open:
                self._open.remove(connection)
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _requests(self, client, engine):
        """Follows the request stream: heads, and bodies by their declared length, so that no body reads as a head."""
        pending, body_left = b"", 0
        try:
            while data := client.recv(CHUNK):
                if self._garbage is not None:
                    self._record(data.split(b"\r\n", 1)[0])
                    client.sendall(self._garbage)
                    return
                engine.sendall(data)
                pending += data
                while pending:
                    if body_left:
                        taken = min(body_left, len(pending))
                        pending, body_left = pending[taken:], body_left - taken
                        continue
                    head, end, rest = pending.partition(b"\r\n\r\n")
                    if not end:
                        break
                    self._record(head.split(b"\r\n", 1)[0])
                    if re.search(rb"(?im)^transfer-encoding:", head):
                        self._record(b"BODY request with a chunked body")
                    length = re.search(rb"(?im)^content-length:\s*(\d+)", head)
                    body_left, pending = int(length[1]) if length else 0, rest
        except OSError:
            pass

    def _answers(self, engine, client):
        try:
            while data := engine.recv(CHUNK):
                self._flow.wait()
                client.sendall(data)
        except OSError:
            pass
        try:
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _record(self, line):
        text = line.decode(errors="replace")
        self.requests.append(text)
        if not self._in_record:
            return
        RECORDS.mkdir(parents=True, exist_ok=True)
        with open(RECORDS / "docker-requests.log", "a") as record:
            record.write(text + "\n")
