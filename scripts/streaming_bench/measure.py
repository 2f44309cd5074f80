"""Runs one measurement after the other, each in a fresh process with empty caches, over the slow link."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import asdict
from pathlib import Path

from bench_rows.process import SCRIPTS

LIMIT_S = 600  # of one measurement


def measure(hub, way, name, facts, python=None):
    """One measurement.

    Args:
        hub: HubServer, slow.
        way: ways.Way.
        name: one of ways.MEASURES.
        facts: as `readers.Reader` takes them, but "endpoint" and "cache".
        python: interpreter, or None for this one.

    Returns:
        dict of what `read` printed, and "bytes" and "requests" of both ports. What was sent until the reader's process
        was gone counts, so also what it had fetched ahead.

    Raises:
        RuntimeError: the reader failed.
    """
    with tempfile.TemporaryDirectory() as home:
        cache = Path(home) / "cache"
        cache.mkdir()
        job = {"way": asdict(way), "measure": name, "facts": {**facts, "endpoint": hub.endpoint, "cache": str(cache)}}
        env = {**os.environ, **hub.env(Path(home) / "hf", token=None), "PYTHONPATH": str(SCRIPTS)}
        mark = hub.log.mark()
        command = [python or sys.executable, "-m", "streaming_bench.read", json.dumps(job)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=LIMIT_S)
        hub.log.wait_idle(60)
    if done.returncode:
        raise RuntimeError(f"{way.name}, {name}: the reader ended with exit code {done.returncode}:\n{done.stderr[-3000:]}")
    entries = hub.log.filter(since=mark)
    failed = [str(entry) for entry in entries if (entry.status or 500) >= 500]
    if failed:
        raise RuntimeError(f"{way.name}, {name}: the local Hub failed: {failed[0]}")
    return {**json.loads(done.stdout.splitlines()[-1]), "bytes": sum(e.bytes_out for e in entries), "requests": len(entries)}


def download_s(hub, repo, files):
    """Seconds of getting files one after the other, each by one GET and its redirect: what the link alone takes."""
    started = time.perf_counter()
    for name in files:
        with urllib.request.urlopen(f"{hub.endpoint}/datasets/{repo}/resolve/main/{name}") as answer:
            while answer.read(1 << 20):
                pass
    return time.perf_counter() - started


def rounds(hub, ways, measures, facts, num_rounds, pythons, say):
    """All measurements, ways in turn.

    Args:
        hub, ways, measures: as above.
        facts: {layout: dict}.
        num_rounds: how often.
        pythons: {way name: interpreter}.
        say: function of one line, for progress.

    Returns:
        {way name: {measure: [dict, one for each round]}}.
    """
    results = {way.name: {name: [] for name in measures} for way in ways}
    for number in range(num_rounds):
        for name in measures:
            for way in ways:
                found = measure(hub, way, name, facts[way.layout], pythons.get(way.name))
                results[way.name][name].append(found)
                mb, s = found["bytes"] / 1e6, found["seconds"]
                say(f"round {number + 1} of {num_rounds}: {name:<9}{way.name:<11}{mb:8.1f} MB {found['requests']:4} requests {s:6.2f} s")
    check_same_rows(results)
    return results


def check_same_rows(results):
    """Every way gave every row, and the same pixels.

    Raises:
        RuntimeError: one didn't.
    """
    for name in ("pass", "metadata", "workers"):
        seen = {}
        for way, measures in results.items():
            for r in measures.get(name, ()):
                seen.setdefault((r["rows"], r["keys"], r["pixels"]), way)
        if len(seen) > 1:
            raise RuntimeError(f"{name}: the ways gave different rows: {seen}")
