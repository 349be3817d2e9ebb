"""Wall clocks that are set, by Debian's libfaketime; the monotonic clock is left alone."""

LIBRARY = "/usr/$LIB/faketime/libfaketime.so.1"


def write_clock(path, offset_s):
    fresh = path.with_suffix(".new")
    fresh.write_text(f"{offset_s:+d}s\n")
    fresh.rename(path)


def faketime(path):
    """The environment of a process whose clock follows the file."""
    if not path.exists():
        write_clock(path, 0)
    return {"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(path), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
