"""A disk whose power can be cut: ext4 on a loop device over a file in memory, and the filesystem's shutdown ioctl."""

import fcntl
import os
import shutil
import struct

from harness.base import run

_EXT4_IOC_SHUTDOWN = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125
_NO_LOG_FLUSH = 2


class PowerDisk:
    """`mount` is where the disk's files are. Whoever writes there must be stopped (SIGSTOP, then a few milliseconds)
    before the cut: a sync under way while the filesystem goes down may return success for nothing."""

    def __init__(self, directory, name, megabytes=32):
        self.image = directory / f"{name}.img"
        self.mount = directory / name
        self.mount.mkdir(parents=True)
        with open(self.image, "wb") as file:
            file.truncate(megabytes << 20)
        # Without a log on the side the filesystem of a few megabytes is made in milliseconds.
        run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,nodiscard", "-J", "size=4", self.image])
        self._mount()

    def _mount(self):
        # mount sets the loop device to free itself.
        run(["mount", "-t", "ext4", "-o", "loop,nodiscard,noatime", self.image, self.mount])

    def cut(self):
        """Nothing reaches the disk any more."""
        folder = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def restore(self):
        """Power is back; nobody may have a file open. What was synced is there."""
        run(["umount", self.mount])
        self._mount()

    def fill(self):
        """Takes all the space that is left."""
        with open(self.mount / "filler", "ab") as file:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        file.write(b"\0" * size)
                        file.flush()
                except OSError:
                    continue

    def free(self):
        (self.mount / "filler").unlink(missing_ok=True)

    def remove(self):
        run(["umount", "--lazy", self.mount], check=False)
        self.image.unlink(missing_ok=True)
        shutil.rmtree(self.mount, ignore_errors=True)
