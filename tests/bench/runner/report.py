"""The page that ./dev bench writes."""

import os
import platform
from pathlib import Path

from figures import bound_text, show

HEAD = """# Benchmarks

`./dev bench` writes this page; what each program does is in [testing.md](testing.md), "Benchmarks". Absolute values
drift with what else a machine does, ratios to what was measured in the same run less
(between two runs of the fleet, where each side takes ten minutes, by 15 %), instructions not at all.
"""


def machine(root=Path("/")):
    """In one line."""
    def field(path, key):
        for line in (root / path).read_text().splitlines():
            name, _, value = line.partition(":" if ":" in line else "=")
            if name.strip() == key:
                return value.strip().strip('"')
        return "unknown"

    # Where it changes all the time: the most that it can be.
    most = root / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"
    mhz = int(most.read_text()) // 1000 if most.exists() else field("proc/cpuinfo", "cpu MHz").partition(".")[0]
    gib = int(field("proc/meminfo", "MemTotal").split()[0]) / (1 << 20)
    system = field("etc/os-release", "NAME").split()[0]
    if system == "Debian":
        system += " " + (root / "etc/debian_version").read_text().strip()
    return (f"{field('proc/cpuinfo', 'model name')}, {os.cpu_count()} cores at {mhz} MHz, {gib:.0f} GiB; "
            f"Linux {platform.release()}, {system}")


def escaped(text):
    return text.replace("|", "\\|")


def _row(found):
    unit = f" {found['unit']}" if found["unit"] else ""
    beside = f"{show(found['beside_value'])}{unit}, {found['beside']}" if "beside" in found else ""
    ratio = show(found["ratio"]) if "ratio" in found else ""
    of_ratio = bound_text(found, "ratio_")
    must = "; ".join(filter(None, [bound_text(found), of_ratio and f"ratio {of_ratio}"]))
    held = {True: "held", False: "**MISSED**", None: ""}[found.get("ok")]
    cells = [found["name"], show(found["value"]) + unit, beside, ratio, must, held]
    return "| " + " | ".join(map(escaped, cells)) + " |"


def section(result):
    lines = [f"## {result['program']}", f"{result['at']}, commit {result['commit']}, {result['seconds']:.0f} s.", ""]
    if result["failed"]:
        lines += [f"**FAILED**: {result['failed']}.", ""]
    if result["left_out"]:
        lines += [f"Left out: {result['left_out']}.", ""]
    if result["figures"]:
        lines += ["| figure | value | beside, in the same run | ratio | must be | |", "|---|---|---|---|---|---|"]
        lines += [_row(found) for found in result["figures"]] + [""]
    return lines


def failures(results):
    """What is wrong, one line each."""
    for result in results:
        if result["failed"]:
            yield f"{result['program']}: {result['failed']}"
        for found in result["figures"]:
            if not found.get("ok", True):
                yield f"{result['program']}: {found['name']}"


def render(results, missing):
    """`results` of the programs, each with its machine; `missing` are programs that have none."""
    figures = [found for result in results for found in result["figures"]]
    judged = [found for found in figures if "ok" in found]
    wrong = list(failures(results))
    lines = [HEAD]
    lines += [f"{each}.\n" for each in sorted({result["machine"] for result in results})]
    lines += [f"{len(figures)} figures; of {len(judged)} that must be something {sum(f['ok'] for f in judged)} held."]
    lines += [f"- missed: {escaped(each)}" for each in wrong]
    if missing:
        lines.append(f"\nNot measured: {', '.join(missing)}.")
    lines.append("")
    for result in results:
        lines += section(result)
    return "\n".join(lines).rstrip() + "\n"
