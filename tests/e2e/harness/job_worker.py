#!/usr/bin/python3
"""A job that increments: pushes to the agent's socket, some at a time, each under an id of its own. It notes how many
were answered; killed and started again it repeats what was not, under the same ids. Ends with 0 when all counted."""

import os
import socket
import sys
import time

AT_ONCE = 50


def push(worker, number):
    return (f'push load id={worker}-{number} success\n'
            f'counter load_runs_total{{worker="{worker}"}} 1\n'
            f'counter load_all_total 1\n'
            f'histogram load_seconds {number % 7}\n'
            f'buckets load_seconds 1 2 5\nend\n')


def main(path, worker, count, pause, note):
    fd = os.open(note, os.O_RDWR | os.O_CREAT, 0o600)
    done = int(os.pread(fd, 20, 0) or b"0")
    while done < count:
        try:
            with socket.socket(socket.AF_UNIX) as agent:
                agent.settimeout(20)
                agent.connect(path)
                answers = agent.makefile()
                while done < count:
                    batch = range(done, min(done + AT_ONCE, count))
                    agent.sendall("".join(push(worker, number) for number in batch).encode())
                    for _ in batch:
                        answer = answers.readline()
                        if not answer.startswith("ok"):
                            if answer and not answer.startswith(("error BUSY", "error STORE_FAILED", "error DISK_FULL")):
                                sys.exit(f"refused: {answer}")
                            raise OSError("again")
                        done += 1
                        os.pwrite(fd, b"%020d" % done, 0)
                    time.sleep(pause)
        except OSError:
            time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
