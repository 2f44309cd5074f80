"""The report as Markdown."""

from .layouts import LAYOUTS

MB, KB = 10**6, 1000


def markdown(report):
    """The tables of a report of `bench`."""
    rows, size = report["rows"], report["data_bytes"]
    lines = [
        f"{rows['base']:,} rows, {size['base'] / MB:.1f} MB of data files; {rows['appended'] - rows['base']:,} rows more with one more "
        f"background.",
        "",
        "| new version | files sent | blobs, MB | other requests, KB | s | new chunks, MB | hf_xet, MB | hf_xet, new machine, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(case) for case in report["cases"]]
    columns = report["columns"]
    names = sorted(columns["annotated"], key=columns["annotated"].get, reverse=True)
    lines += ["", "| column | before, MB | after `annotate`, MB |", "|---|---|---|"]
    lines += [f"| `{name}` | {columns['base'][name] / MB:.2f} | {columns['annotated'][name] / MB:.2f} |" for name in names]
    lines += ["", f"| new chunks of the data files, MB | {' | '.join(LAYOUTS)} |", "|---" * (len(LAYOUTS) + 1) + "|"]
    for title, found in report["layouts"].items():
        lines.append(f"| {title} | {' | '.join(f'{found[layout] / MB:.2f}' for layout in LAYOUTS)} |")
    return "\n".join(lines)


def _row(case):
    cells = [f"`{case['way']}`: {case['title']}", f"{case['files']:,}", f"{case['blob_bytes'] / MB:.2f}"]
    cells += [f"{case['other_bytes'] / KB:.1f}", f"{case['seconds']:.1f}", f"{case['chunk_bytes'] / MB:.2f}"]
    xet = case["hf_xet"]
    cells += [f"{xet[name] / MB:.2f}" if xet else "not installed" for name in ("bytes", "forgetful_bytes")]
    return f"| {' | '.join(cells)} |"
