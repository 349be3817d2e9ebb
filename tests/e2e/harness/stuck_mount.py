"""stuck_mount.py FOLDER PROGRAM [ARGUMENT]...: mounts a filesystem there that never answers, then becomes the program.

It is one of FUSE whose server does not even answer the greeting, so whoever looks at it waits until the program ends."""

import ctypes
import os
import sys

folder, program = sys.argv[1], sys.argv[2:]
libc = ctypes.CDLL(None, use_errno=True)
server = os.open("/dev/fuse", os.O_RDWR)
os.set_inheritable(server, True)
options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
if libc.mount(b"server:/export", os.fsencode(folder), b"fuse", 0, options) != 0:
    sys.exit(f"mount {folder}: {os.strerror(ctypes.get_errno())}")
os.execv(program[0], program)
