"""Starts that must fail, and what they say."""

import subprocess

from .base import run

# A start that fails must fail at once, not hang.
FAILS_WITHIN_S = 15


def ended(argv, **more):
    """Runs a program that should end by itself soon."""
    try:
        return run(argv, check=False, timeout=FAILS_WITHIN_S, **more)
    except subprocess.TimeoutExpired as expired:
        raise AssertionError(f"still running after {FAILS_WITHIN_S} s: {' '.join(map(str, argv))}") from expired


def fails_to_start(hub):
    """The message with which the hub refuses to start."""
    done = ended(hub.argv(), env=hub.full_env())
    assert done.returncode == 1, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.stderr.strip(), "it failed without a word"
    return done.stderr


def database_of(hub):
    """The hub's SQLite file: told by its first bytes, not by its name."""
    for path in sorted(hub.data.iterdir()):
        if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3":
            return path
    raise AssertionError(f"no database in {hub.data}")
