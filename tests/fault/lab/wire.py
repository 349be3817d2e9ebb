"""The cable between the hub and one host: muster-fault-wire between two TUN devices."""

import select
import subprocess

from harness.base import BIN, run

HUB_ADDRESS = "10.77.0.1"
CLEAN = {"delay": 0.002, "jitter": 0, "loss": 0, "duplicate": 0, "reorder": 0, "corrupt": 0, "rate": 0, "to_far": 1,
         "to_near": 1}
_ANSWERS_WITHIN_S = 10


class Wire:
    def __init__(self, number, namespace, seed):
        self.number, self.namespace, self.seed = number, namespace, seed
        self.settings = dict(CLEAN)
        self.process = None
        self.plug()

    @property
    def host_address(self):
        return f"10.77.{self.number}.2"

    def plug(self):
        near, far = f"wire{self.number}", "hub"
        self.process = subprocess.Popen(
            [BIN / "muster-fault-wire", str(self.seed), near, f"/run/netns/{self.namespace}", far], text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._answer("ready")
        run(["ip", "address", "add", f"10.77.{self.number}.1", "peer", self.host_address, "dev", near])
        run(["ip", "link", "set", near, "up", "mtu", "1400"])
        inside = ["ip", "-netns", self.namespace]
        run([*inside, "address", "add", self.host_address, "peer", f"10.77.{self.number}.1", "dev", far])
        run([*inside, "link", "set", far, "up", "mtu", "1400"])
        run([*inside, "route", "add", "default", "dev", far])
        self.set()

    def unplug(self):
        """The devices vanish on both sides, and with them every route: neither side is told anything else."""
        self.process.stdin.close()
        self.process.wait(_ANSWERS_WITHIN_S)
        self.process.stdout.close()

    def set(self, **changes):
        self.settings.update(changes)
        self.process.stdin.write(" ".join(f"{name}={value}" for name, value in self.settings.items()) + "\n")
        self._answer("set")

    def clean(self):
        self.set(**CLEAN)

    def _answer(self, wanted):
        readable, _, _ = select.select([self.process.stdout], [], [], _ANSWERS_WITHIN_S)
        line = self.process.stdout.readline().strip() if readable else "nothing"
        assert line == wanted, f"the wire said {line!r}, not {wanted!r}"
