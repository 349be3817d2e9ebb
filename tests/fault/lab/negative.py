"""Builds with one thing missing. Each goes through the same checks as the real ones, and each must fail them."""

from harness.base import BIN

from . import power_cuts, scenarios

CUTS = 40

# name -> (what runs, the build's program)
CONTROLS = {
    "journal-without-sync": ("agent", "muster-fault-journal-writer-no-sync"),
    "hub-without-sync": ("hub", "muster-fault-store-writer-no-sync"),
    "hub-acks-before-commit": ("hub", "muster-fault-store-writer-early-ack"),
    "hub-without-dedupe": ("scenario", "muster-hub-no-dedupe"),
}


def run(name, seed):
    what, program = CONTROLS[name]
    if what == "scenario":
        result = scenarios.run("acks_lost_batches_sent_again", seed, hub_binary=BIN / program)
        return result | {"caught": result["duplicated"] > 0}
    result = power_cuts.run(what, CUTS, seed, BIN / program)
    return result | {"caught": result["lost"] > 0 or result["damaged"] > 0}
