"""Real processes under faults: a hub and agents, each host in a network namespace of its own behind a wire that
misbehaves, on disks whose power can be cut, and a checker that knows what every agent recorded."""

import sys
from pathlib import Path

# The end-to-end tests' harness: processes, ports, waiting, the hub.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "e2e"))
