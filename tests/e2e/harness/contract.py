"""What docs/metrics.md and docs/jobs.md promise of /metrics, and what a page has."""

import re
from dataclasses import dataclass, field

from .base import ROOT

# Beside a histogram's own name.
HISTOGRAM_SUFFIXES = ("_bucket", "_sum", "_count")


@dataclass
class Family:
    type: str
    labels: frozenset = None  # of a documented one; None: the table has no such column
    help: str = ""
    series: set = field(default_factory=set)  # of a page: (sample name, frozenset of label pairs)


def documented():
    """Family name -> Family, from every table whose first two columns are family and type."""
    found = {}
    for page in ("metrics.md", "jobs.md"):
        columns = []
        for line in (ROOT / "docs" / page).read_text().splitlines():
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not line.startswith("|"):
                columns = []
            elif cells[:2] == ["family", "type"]:
                columns = cells
            elif columns and not set(cells[0]) <= {"-"}:
                names = re.findall(r"`([a-z_0-9]+)`", cells[0])
                row = dict(zip(columns, cells))
                for name in names:
                    labels = frozenset(re.findall(r"`(\w+)`", row["labels"])) if "labels" in row else None
                    # Both pages may tell of it; the one with labels says more.
                    if name not in found or found[name].labels is None:
                        found[name] = Family(row["type"], labels)
    return found


_SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse(text):
    """Family name -> Family with its series, of a page in text format 0.0.4."""
    found, current = {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current, help_text = line[7:].split(" ", 1)
            assert current not in found, f"{current} comes twice"
            found[current] = Family("untyped", help=help_text)
        elif line.startswith("# TYPE "):
            name, found[current].type = line[7:].split(" ")
            assert name == current, line
        elif line:
            name, labels, _ = _SAMPLE.match(line).groups()
            suffix = name.removeprefix(current)
            assert name.startswith(current) and suffix in ("", *HISTOGRAM_SUFFIXES), f"{name} within {current}"
            pairs = frozenset(_LABEL.findall(labels or ""))
            assert (name, pairs) not in found[current].series, f"twice: {line}"
            found[current].series.add((name, pairs))
    return found
