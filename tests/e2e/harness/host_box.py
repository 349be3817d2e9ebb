"""Hosts of their own on one machine: a network namespace with a veth pair, a mount namespace whose root is an overlay
over this machine's, and a process namespace, so that an installer may write where it likes and nothing stays."""

import itertools
import os
import shutil
import time

from .base import Process, run, short_dir, until

# The one address under which every box reaches the hub.
HUB_ADDRESS = "10.211.255.1"
_numbers = itertools.count(1)

_SETUP = """
set -e
mount --make-rprivate /
mount -t tmpfs none {dir}/layer
mkdir {dir}/layer/upper {dir}/layer/work
mount -t overlay overlay -o lowerdir=/,upperdir={dir}/layer/upper,workdir={dir}/layer/work {dir}/root
cd {dir}/root
mount -t proc none proc
mount --rbind /dev dev
mount -t sysfs none sys
for path in run var/run tmp; do [ -L $path ] || mount -t tmpfs none $path; done
mkdir -p {shared} && mount --bind {dir}/shared {shared_inside}
hostname {name}
exec chroot . /bin/sh -c 'rm -f /etc/resolv.conf; : > /etc/resolv.conf; echo {machine_id} > /etc/machine-id; touch /shared-ready; exec sleep 1000000'
"""


def add_hub_address():
    run(["ip", "address", "replace", f"{HUB_ADDRESS}/32", "dev", "lo"])


def remove_hub_address():
    run(["ip", "address", "del", f"{HUB_ADDRESS}/32", "dev", "lo"], check=False)


class HostBox:
    """self.shared is one folder that the box sees as /shared: sockets and files go through it."""

    def __init__(self, name):
        self.name = name
        number = next(_numbers)
        tag = f"{os.getpid() % 100000}{number}"
        self.netns = f"mst{tag}"
        self.link = f"mst{tag}"
        self.address = f"10.211.{number}.2"
        self.dir = short_dir("box")
        self.shared = self.dir / "shared"
        for sub in ("layer", "root", "shared"):
            (self.dir / sub).mkdir()
        run(["ip", "netns", "add", self.netns])
        run(["ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.netns])
        run(["ip", "address", "add", f"10.211.{number}.1/24", "dev", self.link])
        run(["ip", "link", "set", self.link, "up"])
        for words in (["link", "set", "lo", "up"], ["address", "add", f"{self.address}/24", "dev", "eth0"],
                      ["link", "set", "eth0", "up"], ["route", "add", "default", "via", f"10.211.{number}.1"]):
            run(["ip", "-netns", self.netns, *words])
        script = _SETUP.format(dir=self.dir, name=name, machine_id=os.urandom(16).hex(),
                               shared=f"{self.dir}/root/shared", shared_inside=f"{self.dir}/root/shared")
        self.process = Process(f"box {name}", [
            "ip", "netns", "exec", self.netns, "unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child",
            "sh", "-c", script], self.dir / "box.log")
        self._init = until(f"host {name} is up", self._find_init, 10, every=0.05)

    def _find_init(self):
        assert self.process.running(), self.process.log()
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        for pid in open(children).read().split():
            if os.path.exists(f"/proc/{pid}/root/shared-ready"):
                return int(pid)
        return None

    @property
    def prefix(self):
        """Words that make the command after them run on this host."""
        return ["nsenter", "--target", str(self._init), "--all", "--root", "--wd=/"]

    def run(self, *argv, **more):
        return run([*self.prefix, *argv], **more)

    def path(self, inside):
        """Where a file of this host is seen from outside."""
        return f"/proc/{self._init}/root{inside}"

    def write(self, inside, text, mode=0o644):
        with open(self.path(inside), "w") as file:
            file.write(text)
        os.chmod(self.path(inside), mode)

    def disconnect(self):
        run(["ip", "link", "set", self.link, "down"])

    def reconnect(self):
        run(["ip", "link", "set", self.link, "up"])

    def stop(self):
        self.process.kill()
        run(["ip", "link", "del", self.link], check=False)
        run(["ip", "netns", "del", self.netns], check=False)
        time.sleep(0.05)
        shutil.rmtree(self.dir, ignore_errors=True)
