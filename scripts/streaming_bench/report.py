"""Medians, the aims, and the tables as Markdown."""

import statistics

from .ways import BATCH_ROWS

TITLES = {
    "first": "First sample",
    "batch": f"First batch of {BATCH_ROWS}",
    "pass": "Full pass, decoded",
    "metadata": "Metadata only",
    "workers": "Full pass by a DataLoader with 2 workers",
}
FIRST_PART = 0.1  # aim: of the push_to_hub default's bytes to the first sample
METADATA_PART = 0.02  # aim: of the set's bytes


def medians(results):
    """{way: {measure: {number: median over the rounds}}}, with samples per second where all rows were decoded."""
    found = {}
    for way, measures in results.items():
        found[way] = {}
        for name, rounds in measures.items():
            row = {key: statistics.median(r[key] for r in rounds) for key in ("bytes", "requests", "seconds", "peak_bytes", "rows")}
            row |= {"fastest_s": min(r["seconds"] for r in rounds), "slowest_s": max(r["seconds"] for r in rounds)}
            if name in ("pass", "workers"):
                row["rows_per_s"] = row["rows"] / row["seconds"]
            found[way][name] = row
    return found


def aims(numbers, ways, set_bytes):
    """What is aimed at and what was found: list of dicts with "aim", "found" (a ratio), "at_most", "reached".

    Args:
        numbers: what `medians` gives.
        ways: {name: Way} of what was measured.
        set_bytes: of our data files of the split.
    """
    ours = [name for name in ("ours", "stream") if name in numbers]
    peers = [name for name in numbers if ways[name].peer]
    found = []

    def add(aim, value, at_most):
        found.append({"aim": aim, "found": value, "at_most": at_most, "reached": value <= at_most})

    for name in ours:
        mine, title = numbers[name], ways[name].title
        default = numbers.get("default")
        if default and "first" in mine:
            add(f"{title}: bytes to the first sample / those of push_to_hub's default", _ratio(mine, default, "first", "bytes"), FIRST_PART)
        if "metadata" in mine:
            add(f"{title}: bytes of a metadata pass / bytes of the set", mine["metadata"]["bytes"] / set_bytes, METADATA_PART)
        for measure in ("pass", "workers"):
            if measure not in mine:
                continue
            what = f"{title}: seconds of a {TITLES[measure].lower()}"
            if default:
                add(f"{what} / those of push_to_hub's default", _ratio(mine, default, measure, "seconds"), 1)
            if peers:
                best = min(peers, key=lambda peer: numbers[peer][measure]["seconds"])
                add(f"{what} / those of the best peer ({best})", _ratio(mine, numbers[best], measure, "seconds"), 1)
    return found


def _ratio(mine, other, measure, key):
    return mine[measure][key] / other[measure][key]


def markdown(report, ways):
    """The tables and notes of a report as one string."""
    lines = []
    for name in report["measures"]:
        rate = name in ("pass", "workers")
        lines += [f"\n### {TITLES[name]}\n"]
        lines += ["| way | MB | requests | seconds | lowest to highest |" + (" rows/s |" if rate else "") + " peak memory, MB |"]
        lines += ["|---|---|---|---|---|---|" + ("---|" if rate else "")]
        for way, measures in report["medians"].items():
            n = measures[name]
            cells = [ways[way].title, f"{n['bytes'] / 1e6:.2f}", f"{n['requests']:.0f}", f"{n['seconds']:.2f}"]
            cells += [f"{n['fastest_s']:.2f} to {n['slowest_s']:.2f}"]
            cells += [f"{n['rows_per_s']:,.0f}"] if rate else []
            cells += [f"{n['peak_bytes'] / 1e6:,.0f}"]
            lines.append("| " + " | ".join(cells) + " |")
    lines += ["\n### Aims\n", "| aim | found | at most | |", "|---|---|---|---|"]
    lines += [f"| {a['aim']} | {a['found']:.3f} | {a['at_most']} | {'reached' if a['reached'] else 'missed'} |" for a in report["aims"]]
    lines += ["\n### Layouts\n", "| layout | data files | MB |", "|---|---|---|"]
    lines += [f"| {name} | {facts['files']} | {facts['bytes'] / 1e6:.1f} |" for name, facts in report["layouts"].items()]
    notes = [f"* {ways[name].title}: {ways[name].note}." for name in report["medians"] if ways[name].note]
    lines += [""] + [f"* {title}: {why}" for title, why in report["left_out"].items()] + notes
    return "\n".join(lines)
