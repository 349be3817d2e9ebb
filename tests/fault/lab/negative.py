"""Builds with one thing missing, and a round in which nothing happens. Each goes through the same checks as the real ones,
and each must fail them."""

from harness.base import BIN

from . import power_cuts, rounds, scenarios

CUTS = 40

# name -> (what runs, the build's program)
CONTROLS = {
    "journal-without-sync": ("agent", "muster-fault-journal-writer-no-sync"),
    "hub-without-sync": ("hub", "muster-fault-store-writer-no-sync"),
    "hub-acks-before-commit": ("hub", "muster-fault-store-writer-early-ack"),
    "hub-without-dedupe": ("scenario", "muster-hub-no-dedupe"),
    "positions-of-logs-apart": ("log-scenario", "muster-fault-agent-log-position-apart"),
    "logs-go-on-by-time": ("log-scenario", "muster-fault-agent-log-skip-by-time"),
    "too-little-traffic": ("round", "muster-hub"),
}


def run(name, seed):
    what, program = CONTROLS[name]
    if what == "scenario":
        result = scenarios.run("acks_lost_batches_sent_again", seed, hub_binary=BIN / program)
        return result | {"caught": result["duplicated"] > 0}
    if what == "log-scenario":
        result = scenarios.run("logs_agent_killed_between_pieces", seed, agent_binary=BIN / program)
        return result | {"caught": result["lost"] + result["duplicated"] > 0}
    if what == "round":
        result = _idle_round(seed)
        return result | {"caught": any(problem.startswith("invalid") for problem in result["problems"])}
    result = power_cuts.run(what, CUTS, seed, BIN / program)
    return result | {"caught": result["lost"] > 0 or result["damaged"] > 0}


def _idle_round(seed):
    """Everything works, and proves nothing."""
    experiment = rounds.Round(seed, hosts=1, rate=2)
    try:
        experiment.warm_up(records=2)
        experiment.faults_end()
        experiment.converge()
        experiment.drain()
        return rounds.result(experiment, experiment.judge())
    finally:
        experiment.close()
