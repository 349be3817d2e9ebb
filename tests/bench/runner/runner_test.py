"""The runner of the benchmarks with programs of three lines: what it reads, writes, and finds worse."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import compare  # noqa: E402
import programs  # noqa: E402
import report  # noqa: E402
from figures import bound_text, make, to_text  # noqa: E402


# Name, value and options of figure(); what is written down besides name, value, unit and the options; the text.
FIGURES = [
    (("resident", 923.4, "MiB"), {}, {"better": "less"}, "     resident: 923 MiB"),
    (("lost", 0), {"at_most": 0}, {"better": "less", "ok": True}, "ok   lost: 0, must be at most 0"),
    (("pushes", 19999, "/s"), {"at_least": 20000}, {"better": "more", "ok": False},
     "MISS pushes: 19999 /s, must be at least 20000"),
    (("program", 16055552, "bytes"), {"at_most": 16777216}, {"ok": True},
     "ok   program: 16055552 bytes, must be at most 16777216"),
    (("outages", 2), {"at_least": 1, "at_most": 1}, {"ok": False}, "MISS outages: 2, must be at least 1 and at most 1"),
    (("scrape", 12, "ms"), {"beside": ("a loop", 8), "at_most": 15, "ratio_at_most": 1.25},
     {"ratio": 1.5, "beside": "a loop", "beside_value": 8, "ok": False},
     "MISS scrape: 12 ms, must be at most 15; 1.5 of a loop (8 ms), must be at most 1.25"),
    (("x", 1), {"beside": ("nothing", 0), "ratio_at_most": 1}, {"ratio": None, "ok": False},
     "MISS x: 1; no number of nothing (0), must be at most 1"),
]


@pytest.mark.parametrize("words,options,written,text", FIGURES)
def test_a_figure_is_judged_and_told(words, options, written, text):
    found = make(*words, **options)
    assert {key: found[key] for key in written} == written
    assert to_text(found) == text


@pytest.mark.parametrize("options", [{"atmost": 1}, {"ratio_at_most": 1}])
def test_a_bound_that_nothing_can_hold_is_refused(options):
    with pytest.raises(TypeError):
        make("x", 1, **options)


def program(folder, name, body):
    path = folder / name
    path.write_text(f"#!/usr/bin/python3\nimport sys\nsys.dont_write_bytecode = True\n"
                    f"sys.path.insert(0, {str(Path(__file__).resolve().parents[1])!r})\n"
                    f"from figures import exit_code, figure, left_out\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("body,figures,left_out,failed,is_bad", [
    ("figure('a', 1, at_most=2)\nsys.exit(exit_code())", 1, None, "", False),
    ("figure('a', 3, at_most=2)\nsys.exit(exit_code())", 1, None, "", True),
    ("figure('a', 3, at_most=2)", 1, None, "", True),
    ("left_out('no engine')", 0, "no engine", "", False),
    ("", 0, None, "told no figure", True),
    ("figure('a', 1)\nsys.exit(1)", 1, None, "ended with 1", True),
    ("figure('a', 1)\nimport os\nos.abort()", 1, None, "ended with -6", True),
])
def test_a_run_is_what_the_program_told(tmp_path, body, figures, left_out, failed, is_bad):
    # What an earlier run told is no part of it.
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/p.jsonl").write_text('{"name":"old","value":1,"unit":""}\n')
    result = programs.run("p", program(tmp_path, "p.py", body), tmp_path)
    assert (len(result["figures"]), result["left_out"], result["failed"]) == (figures, left_out, failed)
    assert programs.ended_badly(result) == is_bad


def test_programs_are_what_can_be_executed(tmp_path):
    for name in ("build/release/bin/hub_x_bench", "build/release/bin/muster-hub", "tests/bench/fleet.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)
    (tmp_path / "tests/bench/figures.py").touch(mode=0o644)
    known = programs.programs(tmp_path)
    assert list(known) == ["hub_x_bench", "fleet"]
    assert list(programs.chosen(["tests/bench/fleet.py"], known)) == ["fleet"]
    assert programs.chosen([], known) == known
    with pytest.raises(programs.Failure, match="unknown: fleet2; there are fleet, hub_x_bench"):
        programs.chosen(["fleet2"], known)


def result_of(name, figures, **more):
    return {"program": name, "at": "2026-11-29 12:00 UTC", "commit": "0123456789", "seconds": 12.3,
            "machine": "A machine", "figures": figures, "left_out": None, "failed": "", **more}


def test_the_report_has_each_figure_beside_its_limit():
    text = report.render([
        result_of("hub_x_bench", [
            make("scrape", 12.34, "ms", ("a loop", 8), at_most=15, ratio_at_most=1.25), make("a|b", 1e6, "bytes")]),
        result_of("log_latency", [], left_out="it needs root"),
        result_of("fleet", [make("lost", 0, at_most=0)], failed="ended with -6")], ["kubernetes"])
    for row in ("A machine.", "3 figures; of 2 that must be something 1 held.", "- missed: hub_x_bench: scrape",
                "- missed: fleet: ended with -6", "Not measured: kubernetes.",
                "2026-11-29 12:00 UTC, commit 0123456789, 12 s.",
                "| scrape | 12.3 ms | 8 ms, a loop | 1.54 | at most 15; ratio at most 1.25 | **MISSED** |",
                "| a\\|b | 1000000 bytes |  |  |  |  |", "| lost | 0 |  |  | at most 0 | held |",
                "Left out: it needs root.", "**FAILED**: ended with -6."):
        assert row in text.splitlines(), row


def test_the_machine_is_told_in_a_line(tmp_path):
    for name, text in {"proc/cpuinfo": "model name\t: Some CPU\ncpu MHz\t\t: 2596.124\n",
                       "proc/meminfo": "MemTotal: 25165824 kB\n", "etc/os-release": 'NAME="Debian GNU/Linux"\n',
                       "etc/debian_version": "12.11\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    line = report.machine(tmp_path)
    assert line.startswith("Some CPU, ") and line.endswith(", Debian 12.11")
    assert " cores at 2596 MHz, 24 GiB; Linux " in line


@pytest.mark.parametrize("before,after,more_is_better,is_count,word", [
    ([1000], [1010], False, True, ""),
    ([1000], [1011], False, True, "worse"),
    ([1000], [980], False, True, "better"),
    ([1.0, 1.1, 1.2], [1.3, 1.25, 1.2], False, False, ""),  # within what the runs differ by
    ([1.0, 1.1, 1.05], [1.3, 1.25, 1.2], False, False, "worse"),
    ([1.0, 1.1, 1.05], [1.3, 1.25, 1.2], True, False, "better"),
    ([1.0, 1.0, 1.0], [1.02, 1.02, 1.02], False, False, ""),
    ([0.9, 0.9, 0.9], [0.8, 0.8, 0.8], True, False, "worse"),
    ([0], [0], False, True, ""),
])
def test_worse_is_what_differs_by_more_than_the_runs_do(before, after, more_is_better, is_count, word):
    assert compare.verdict(before, after, more_is_better, is_count)[0] == word


def test_only_instructions_and_ratios_are_compared():
    figures = [make("count", 100, "instructions", ("less", 50)), make("time", 3, "ms", ("a loop", 2)),
               make("size", 9, "MiB")]
    assert compare.comparable(figures) == {"count": (100, False), "time": (1.5, False)}


def test_a_figure_that_one_side_has_not_is_not_compared():
    found = list(compare.rows("hub_x_bench", [{"a": (1.0, False)}] * 3, [{"a": (2.0, False), "new": (1.0, False)}] * 3))
    assert found == [("hub_x_bench: a", 1.0, 2.0, 1.0, "worse")]
    assert compare.table(found, "0123456789abcdef").splitlines()[1].endswith("+100.0% worse")


@pytest.mark.parametrize("names,wanted", [
    (["hub_x_bench"], ["bin/hub_x_bench"]),
    (["instructions"], ["bin/agent_paths_bench", "bin/hub_paths_bench"]),
    (["fleet"], ["bin/muster", "bin/muster-agent", "bin/muster-echo", "bin/muster-hub", "bin/muster-load"]),
])
def test_what_a_comparison_builds(names, wanted):
    assert compare.targets(names) == wanted


def repository(folder):
    def git(*words):
        subprocess.run(["git", "-C", folder, "-c", "user.name=t", "-c", "user.email=t@example.com", *words], check=True,
                       capture_output=True)

    git("init")
    git("commit", "--allow-empty", "-m", "old")
    (folder / "tests/bench").mkdir(parents=True)
    (folder / "tests/bench/figures.py").touch()
    git("add", "tests")
    git("commit", "-m", "figures")


def test_another_commit_is_checked_out_beside(tmp_path, monkeypatch):
    repository(tmp_path)
    monkeypatch.setattr(compare, "ROOT", tmp_path)
    monkeypatch.setattr(compare, "OUT", tmp_path / "build/bench")
    monkeypatch.setattr(compare, "git", lambda *words, root=tmp_path: programs.git(*words, root=root))
    for ref, message in (("HEAD~1", "is older than the figures"), ("nowhere", "'nowhere' is no commit"),
                         ("--all", "'--all' is no commit"), ("", "'' is no commit")):
        with pytest.raises(programs.Failure, match=message):
            compare.check_out(ref)
    tree, sha = compare.check_out("HEAD")
    assert (tree / "tests/bench/figures.py").exists() and len(sha) == 40
    assert compare.check_out("HEAD") == (tree, sha)
    (tree / "mine").touch()
    with pytest.raises(programs.Failure, match="has changes"):
        compare.check_out("HEAD")
    assert (tree / "mine").exists()


def test_figures_of_both_languages_read_the_same(tmp_path):
    path = tmp_path / "f.jsonl"
    # As common/testing/figures_test.cc has it.
    path.write_text('{"name":"scrape","value":12,"unit":"ms","better":"less","at_most":15,"beside":"a loop",'
                    '"beside_value":8,"ratio":1.5,"ratio_at_most":1.25,"ok":false}\n')
    found, why = programs.read_figures(path)
    assert why is None
    assert json.dumps(found[0], sort_keys=True) == json.dumps(
        make("scrape", 12, "ms", ("a loop", 8), at_most=15, ratio_at_most=1.25), sort_keys=True)
    assert bound_text(found[0], "ratio_") == "at most 1.25"
