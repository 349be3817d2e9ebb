"""A container that writes what the test tells it to, and what the hub says of it."""

import os
import re

from .base import until
from .docker_engine import IMAGE

_READ = "cat /pipe/err >&2 & exec cat /pipe/out"


class Scribe:
    def __init__(self, engine, folder, name, tty=False, options=(), restart="no"):
        self.engine, self.name = engine, name
        self.pipes = folder / f"pipes-{name}"
        self.pipes.mkdir()
        self._ends = {}
        for end in ("out", "err"):
            os.mkfifo(self.pipes / end)
            # Open for both, so that neither this nor the container waits for the other, and no end of file comes.
            self._ends[end] = os.open(self.pipes / end, os.O_RDWR)
        more = ["--tty"] if tty else []
        self.id = engine.container(name, "sh", "-c", _READ, restart=restart, image=IMAGE,
                                   options=["--volume", f"{self.pipes}:/pipe", *more, *options])

    def write(self, data, end="out"):
        data = data.encode() if isinstance(data, str) else data
        while data:
            data = data[os.write(self._ends[end], data):]

    def say(self, text, end="out"):
        self.write(text + "\n", end)

    def remove(self):
        self.engine.docker("rm", "--force", self.id)
        for fd in self._ends.values():
            os.close(fd)


def pages(hub, page_size=1000, **selection):
    """All entries of a selection."""
    entries, token = [], ""
    while True:
        page = hub.api("QueryLogs", selection=selection, page_size=page_size, page_token=token)
        entries += page.get("entries", [])
        token = page.get("next_page_token", "")
        if not token:
            return entries


def lines(hub, deployment, **selection):
    return [entry["line"] for entry in pages(hub, deployment=deployment, **selection) if "line" in entry]


def gaps(hub, deployment, **selection):
    return [entry["gap"] for entry in pages(hub, deployment=deployment, **selection) if "gap" in entry]


def texts(hub, deployment, **selection):
    return [line.get("text", "") for line in lines(hub, deployment, **selection)]


def wait_line(hub, deployment, text, timeout=10):
    """The line that holds the text, once there is one."""
    def found():
        page = hub.api("QueryLogs", selection={"deployment": deployment, "text": text}, page_size=50)
        return [entry["line"] for entry in page.get("entries", []) if "line" in entry]
    return until(f"a line with {text!r} is stored", found, timeout)[0]


def numbers(hub, deployment, prefix):
    """N of each line "PREFIX N", in the order in which the hub stored them."""
    found = sorted(lines(hub, deployment), key=lambda line: int(line["number"]))
    return [int(match[1]) for line in found if (match := re.fullmatch(rf"{prefix} (\d+)\s*", line.get("text", "")))]
