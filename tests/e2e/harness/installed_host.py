"""A customer's host: a box with a Docker engine behind a recording proxy, on which the connect command is pasted."""

import os

from .docker_proxy import RecordingDockerProxy

# What `sudo sh` needs where sudo is not installed: root already is what it asks for.
SUDO = "#!/bin/sh\nexec \"$@\"\n"


class InstalledHost:
    def __init__(self, box, engine):
        self.box = box
        self.proxy = RecordingDockerProxy(box.shared, engine.socket)
        box.run("ln", "-sfn", f"/shared/{self.proxy.socket.name}", "/run/docker.sock")
        if box.run("which", "sudo", check=False).returncode != 0:
            box.write("/usr/local/bin/sudo", SUDO, 0o755)

    def paste(self, command, check=True, timeout=90):
        """Runs the line as a person would, in a shell of the host."""
        return self.box.run("sh", "-c", command, check=check, timeout=timeout)

    def agents(self):
        """Process numbers, as seen from here, of agents that run on the host."""
        namespace = os.stat(f"/proc/{self.box._init}/ns/pid").st_ino
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat(f"/proc/{pid}/ns/pid").st_ino != namespace:
                    continue
                argv = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
            except OSError:
                continue
            if argv[0].endswith(b"muster-agent") and b"run" in argv:
                found.append(int(pid))
        return found

    def files_holding(self, secret):
        """Files on the host, written since it came up, that hold the secret: path -> mode."""
        search = f"find / -xdev -newer /shared-ready -type f -exec grep -lF -- {secret} {{}} + || true"
        found = self.box.run("sh", "-c", search).stdout.split()
        return {path: os.stat(self.box.path(path)).st_mode & 0o777 for path in found}

    def stop(self):
        self.proxy.close()
