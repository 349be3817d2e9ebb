"""./dev bench --compare REF: what got worse since another commit. Both run on the same machine, in turns. Instructions
are compared one by one; of what takes time only the ratio to what was measured beside it in the same run."""

import os
import shutil
import statistics
import subprocess

from figures import show
from programs import OUT, ROOT, Failure, ended_badly, git, note, run

INSTRUCTIONS = "instructions"
# What a count may grow by, and a ratio even where all runs agree: other addresses of the same code have as much.
COUNT_TOLERANCE = 0.01
RATIO_TOLERANCE = 0.03
# When none are named: three minutes for both.
QUICK = ("instructions", "hub_exposition_bench", "hub_store_bench")
PATHS = ("hub_paths_bench", "agent_paths_bench")
SERVERS = ("muster-hub", "muster-agent", "muster", "muster-load", "muster-echo")


def comparable(figures):
    """name -> (value, more is better) of what can be compared"""
    found = {}
    for figure in figures:
        value = figure["value"] if figure["unit"] == INSTRUCTIONS else figure.get("ratio")
        if value is not None:
            found[figure["name"]] = (value, figure["better"] == "more")
    return found


def verdict(before, after, more_is_better, is_count):
    """("worse" | "better" | "", change): of values that are further apart than the runs of either side are."""
    old, new = statistics.median(before), statistics.median(after)
    spread = max(max(values) - min(values) for values in (before, after))
    allowed = max(spread, abs(old) * (COUNT_TOLERANCE if is_count else RATIO_TOLERANCE))
    change = new / old - 1 if old else 0.0
    if abs(new - old) <= allowed:
        return "", change
    return ("better" if (new > old) == more_is_better else "worse"), change


def rows(name, before, after):
    """(figure, before, after, change, verdict) of the runs of a program, each the comparable figures of one."""
    of_both = [key for key in after[-1] if all(key in each for each in before + after)]
    for key in of_both:
        old, new = ([each[key][0] for each in runs] for runs in (before, after))
        word, change = verdict(old, new, after[-1][key][1], name == INSTRUCTIONS)
        yield f"{name}: {key}", statistics.median(old), statistics.median(new), change, word


def table(found, ref):
    lines = [f"{'':70} {ref[:12]:>12} {'now':>12} {'change':>8}"]
    for name, old, new, change, word in found:
        lines.append(f"{name:70} {show(old):>12} {show(new):>12} {100 * change:+7.1f}% {word}".rstrip())
    return "\n".join(lines)


def check_out(ref):
    """The tree of REF: one work tree below build/, kept for the next time."""
    try:
        sha = git("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    except Failure as failure:
        raise Failure(f"{ref!r} is no commit") from failure
    if subprocess.run(["git", "-C", ROOT, "cat-file", "-e", f"{sha}:tests/bench/figures.py"], check=False,
                      capture_output=True).returncode:
        raise Failure(f"{ref} is older than the figures of ./dev bench, and cannot be compared with")
    tree = OUT / "reference"
    if (tree / ".git").exists():
        if git("status", "--porcelain", root=tree):
            raise Failure(f"{tree} has changes that are not mine; put them elsewhere")
        git("checkout", "--quiet", "--detach", sha, root=tree)
    else:
        OUT.mkdir(parents=True, exist_ok=True)
        git("worktree", "add", "--force", "--quiet", "--detach", tree, sha)
    return tree, sha


def targets(names):
    wanted = [f"bin/{name}" for name in names if name.endswith("_bench")]
    if INSTRUCTIONS in names:
        wanted += [f"bin/{name}" for name in PATHS]
    if any(not name.endswith("_bench") and name != INSTRUCTIONS for name in names):
        wanted += [f"bin/{name}" for name in SERVERS]
    return sorted(set(wanted))


def build(tree, names):
    """What of the names is there."""
    def call(*words, **more):
        return subprocess.run(list(words), cwd=tree, check=False, **more)

    note(f"building {tree.relative_to(ROOT)}")
    done = call("cmake", "--preset", "release", capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{tree}: cmake failed: {done.stderr[-2000:]}")
    built = []
    jobs = os.environ.get("MUSTER_JOBS", str(min(2, os.cpu_count())))
    for target in targets(names):
        if call("ninja", "-C", "build/release", "-t", "query", target, capture_output=True).returncode:
            continue
        if call("ninja", "-C", "build/release", "-j", jobs, target, stdout=subprocess.DEVNULL).returncode:
            raise Failure(f"{tree}: {target} cannot be built")
        built.append(target)
    return built


def compare(ref, names, known, rounds):
    """Prints the table. The exit code: 1 when something got worse."""
    names = list(names or QUICK)
    if INSTRUCTIONS in names and not shutil.which("valgrind"):
        raise Failure("instructions are counted with valgrind, which is not installed")
    tree, sha = check_out(ref)
    built = build(tree, names)
    found, lost = [], []
    for name in names:
        theirs = tree / known[name].relative_to(ROOT)
        if not theirs.exists() or (name.endswith("_bench") and f"bin/{name}" not in built):
            lost.append(name)
            continue
        before, after = [], []
        for _ in range(1 if name == INSTRUCTIONS else rounds):
            for path, runs in ((theirs, before), (known[name], after)):
                result = run(name, path, OUT / "compare")
                if result["failed"]:
                    raise Failure(f"{path}: {result['failed']}")
                if ended_badly(result):
                    note(f"{path} misses what it must be")
                runs.append(comparable(result["figures"]))
        found += rows(name, before, after)
    print(table(found, sha))
    for name in lost:
        note(f"{name} is not there at {ref}")
    worse = [row for row in found if row[4] == "worse"]
    for name, _, _, change, _ in worse:
        print(f"worse: {name}, {100 * change:+.1f}%")
    print(f"{len(found)} figures, {len(worse)} got worse")
    return 1 if worse or not found else 0
