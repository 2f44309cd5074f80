"""Medians, the aim, and the table as Markdown."""

import statistics

NUMBERS = ("rows_per_s", "first_s")


def medians(results):
    """{way: {number: median over the rounds}}, with the lowest and highest rate, and peak memory."""
    found = {}
    for way, rounds in results.items():
        timed = [r for r in rounds if "peak_bytes" not in r]
        found[way] = {name: statistics.median(r[name] for r in timed) for name in NUMBERS}
        found[way] |= {"lowest": min(r["rows_per_s"] for r in timed), "highest": max(r["rows_per_s"] for r in timed)}
        peaks = [r["peak_bytes"] for r in rounds if "peak_bytes" in r]
        if peaks:
            found[way]["peak_bytes"] = max(peaks)
    return found


def check_same_rows(results):
    """Raise if some way lost, repeated or changed a row.

    Raises:
        RuntimeError: which ways differ.
    """
    seen = {}
    for way, rounds in results.items():
        for r in rounds:
            seen.setdefault((r["rows"], r["keys"], r["pixels"]), set()).add(way)
    if len(seen) > 1:
        raise RuntimeError("ways gave different rows: " + "; ".join(f"{sorted(ways)}: {rows}" for rows, ways in seen.items()))


def ratio(numbers, ways):
    """The aim: rate of our helpers, the better of the two, over that of the best peer; None without both.

    Returns:
        {"ours": way, "peer": way, "found": ratio, "reached": bool}.
    """
    ours = [name for name in numbers if ways[name].helpers]
    peers = [name for name in numbers if ways[name].peer]
    if not ours or not peers:
        return None

    def rate(name):
        return numbers[name]["rows_per_s"]

    best, peer = max(ours, key=rate), max(peers, key=rate)
    return {"ours": best, "peer": peer, "found": rate(best) / rate(peer), "reached": rate(best) >= rate(peer)}


def markdown(report, ways):
    """Table and notes of a report as one string."""
    lines = ["| way | samples/s | lowest to highest | first batch, s | peak memory, MB | files | MB | on disk | shuffles |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for name, n in sorted(report["medians"].items(), key=lambda item: -item[1]["rows_per_s"]):
        way, layout = ways[name], report["layouts"][ways[name].layout]
        cells = [way.title, f"{n['rows_per_s']:,.0f}", f"{n['lowest']:,.0f} to {n['highest']:,.0f}", f"{n['first_s']:.2f}"]
        cells += [f"{n['peak_bytes'] / 1e6:,.0f}" if "peak_bytes" in n else "-", f"{layout['files']:,}", f"{layout['bytes'] / 1e6:.1f}"]
        lines.append("| " + " | ".join([*cells, way.stores, way.shuffles]) + " |")
    aim = report["aim"]
    if aim:
        ours, peer, word = ways[aim["ours"]].title, ways[aim["peer"]].title, "reached" if aim["reached"] else "missed"
        lines += ["", f"{ours} / the best peer ({peer}): {aim['found']:.2f}; aimed at 1 or more: {word}."]
    lines += [f"\nLeft out: {what}: {why}." for what, why in report["left_out"].items()]
    return "\n".join(lines)
