"""`fgbg-depth fetch` against a real server on loopback: what comes, what is refused, what is tried again, what a second run asks for."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from picture_files import encode, noise
from picture_server import PictureServer
from real_runs import call

from fgbg_depth.assets.scan import scan_assets
from fgbg_depth.errors import AssetError, FolderError
from fgbg_depth.fetch import run as fetch_run
from fgbg_depth.fetch.options import FetchOptions
from fgbg_depth.fetch.run import fetch_pictures
from fgbg_depth.files import locked

COLUMNS = ("url", "file", "licence", "author", "source", "group", "sha256")


@pytest.fixture(scope="module")
def pictures():
    """Ten different PNGs of about 3 kB."""
    return [encode(noise(30, 34, seed=seed), "PNG") for seed in range(10)]


@pytest.fixture
def server():
    server = PictureServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No long pauses between tries."""
    monkeypatch.setattr(fetch_run, "FIRST_WAIT_S", 0.02)


def write_list(folder, *rows):
    """A manifest; rows are dicts."""
    path = folder / "list.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def fetch(folder, *rows, **options):
    """Fetch rows into folder/out."""
    options = {"timeout_s": 5, **options}
    return fetch_pictures(write_list(folder, *rows), folder / "out", FetchOptions(**options))


def reasons(report):
    return {file: reason for _, file, _, reason in report.failed}


def sources(folder):
    with open(folder / "SOURCES.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# --- the plain case ---


def test_pictures_come_with_their_sources_and_go_into_a_scan(server, pictures, tmp_path):
    rows = [
        {
            "url": server.serve(f"{i}.png", pictures[i]),
            "file": f"scene{i % 2}/p{9 - i}.png",
            "licence": "CC0-1.0",
            "author": f"Ann, No. {i}",
            "source": "a page",
            "group": f"g{i % 2}",
        }
        for i in range(5)
    ]
    report = fetch(tmp_path, *rows)
    out = tmp_path / "out"
    assert (report.fetched, report.kept, report.failed) == (5, 0, ())
    assert report.received_bytes == sum(map(len, pictures[:5]))
    found = sources(out)
    assert [row["file"] for row in found] == [row["file"] for row in rows]  # in the order of the list
    assert [row["sha256"] for row in found] == [sha256(data) for data in pictures[:5]]
    for row, data in zip(rows, pictures, strict=False):
        assert (out / row["file"]).read_bytes() == data
    assets = {asset.file: asset for asset in scan_assets(out, "background").assets}
    for row in rows:
        asset = assets[row["file"]]
        assert (asset.licence, asset.author, asset.source) == ("CC0-1.0", row["author"], "a page")
        assert (asset.url, asset.group) == (row["url"], row["group"])
    assert sorted(path.name for path in out.iterdir()) == ["SOURCES.csv", "scene0", "scene1"]  # nothing is left behind
    agents = {headers["user-agent"] for _, headers in server.log}
    assert len(agents) == 1 and agents.pop().startswith("fgbg-depth/")
    assert len(server.asked("robots.txt")) == 1


def test_a_second_run_asks_for_nothing(server, pictures, tmp_path):
    rows = [{"url": server.serve(f"{i}.png", pictures[i]), "file": f"{i}.png"} for i in range(3)]
    fetch(tmp_path, *rows)
    table = (tmp_path / "out" / "SOURCES.csv").read_bytes()
    server.log.clear()
    again = fetch(tmp_path, *rows)
    assert (again.fetched, again.kept, server.log) == (0, 3, [])
    assert (tmp_path / "out" / "SOURCES.csv").read_bytes() == table
    (tmp_path / "out" / "1.png").unlink()
    third = fetch(tmp_path, *rows)
    assert (third.fetched, third.kept) == (1, 2)
    assert [path for path, _ in server.log if path != "/robots.txt"] == ["/1.png"]
    assert (tmp_path / "out" / "SOURCES.csv").read_bytes() == table


def test_the_number_of_workers_changes_nothing(server, pictures, tmp_path):
    rows = [{"url": server.serve(f"{i}.png", pictures[i]), "file": f"{i}.png", "licence": str(i)} for i in range(8)]
    tables = []
    for workers in (1, 6):
        folder = tmp_path / str(workers)
        folder.mkdir()
        fetch(folder, *rows, workers=workers)
        tables.append((folder / "out" / "SOURCES.csv").read_bytes())
    assert tables[0] == tables[1]


def test_rows_of_other_pictures_and_other_columns_stay(server, pictures, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.png").write_bytes(pictures[9])
    (out / "SOURCES.csv").write_text("file,license,note\nmine.png,own,taken in May\n")
    fetch(tmp_path, {"url": server.serve("a.png", pictures[0]), "file": "a.png", "licence": "CC0-1.0"})
    assert [(row["file"], row["licence"], row["note"]) for row in sources(out)] == [
        ("a.png", "CC0-1.0", ""),
        ("mine.png", "own", "taken in May"),
    ]


# --- tried again ---


def test_passing_failures_are_tried_again(server, pictures, tmp_path):
    server.serve("busy.png", pictures[0], first=[(429, [("Retry-After", "1")])])
    server.serve("broken.png", pictures[1], first=[(500, []), (503, [])])
    server.serve("never.png", status=502)
    rows = [{"url": server.url(f"{name}.png"), "file": f"{name}.png"} for name in ("busy", "broken", "never")]
    started = time.monotonic()
    report = fetch(tmp_path, *rows, retries=2)
    assert time.monotonic() - started >= 1  # Retry-After counts
    assert report.fetched == 2
    assert reasons(report) == {"never.png": "the server says 502 (Bad Gateway); given up after 3 tries"}
    assert len(server.asked("never.png")) == 3


def test_a_long_wait_is_left_for_another_run(server, tmp_path):
    server.serve("a.png", first=[(429, [("Retry-After", "4000")])])
    report = fetch(tmp_path, {"url": server.url("a.png"), "file": "a.png"})
    assert "asks to wait 4,000 s" in reasons(report)["a.png"]
    assert len(server.asked("a.png")) == 1


def test_a_dropped_transfer_goes_on_where_it_broke(server, pictures, tmp_path):
    server.serve("a.png", pictures[0], headers=(("ETag", '"v1"'),), ranges=True, drop_after=1200)
    server.serve("b.png", pictures[1], drop_after=1200)  # no validator: from the beginning
    rows = [{"url": server.url(f"{name}.png"), "file": f"{name}.png"} for name in "ab"]
    report = fetch(tmp_path, *rows)
    assert report.fetched == 2 and not report.failed
    for number, name in enumerate("ab"):
        assert (tmp_path / "out" / f"{name}.png").read_bytes() == pictures[number]
    second = server.asked("a.png")[1]
    assert second["if-range"] == '"v1"' and 0 < int(second["range"].removeprefix("bytes=").rstrip("-")) <= 1200
    assert "range" not in server.asked("b.png")[1]


def test_a_later_run_goes_on_with_a_part_and_notices_a_new_picture(server, pictures, tmp_path):
    for number, name in enumerate(("same", "new")):
        server.serve(f"{name}.png", pictures[number], headers=(("ETag", '"v1"'),), ranges=True, drop_after=1200)
    rows = [{"url": server.url(f"{name}.png"), "file": f"{name}.png"} for name in ("same", "new")]
    report = fetch(tmp_path, *rows, retries=0)
    assert set(reasons(report)) == {"same.png", "new.png"}
    assert all(1200 >= path.stat().st_size > 0 for path in (tmp_path / "out" / ".fetch").glob("*.part"))
    server.serve("new.png", pictures[2], headers=(("ETag", '"v2"'),), ranges=True)
    report = fetch(tmp_path, *rows)
    assert report.fetched == 2
    assert (tmp_path / "out" / "same.png").read_bytes() == pictures[0]
    assert (tmp_path / "out" / "new.png").read_bytes() == pictures[2]
    assert all("range" in server.asked(f"{name}.png")[-1] for name in ("same", "new"))
    assert not (tmp_path / "out" / ".fetch").exists() and not (tmp_path / "out" / "fetch-failures.txt").exists()


def test_parts_of_pictures_that_are_no_longer_wanted_go(server, pictures, tmp_path):
    server.serve("b.png", pictures[1], headers=(("ETag", '"v1"'),), ranges=True, drop_after=1200)
    rows = [{"url": server.serve("a.png", pictures[0]), "file": "a.png"}, {"url": server.url("b.png"), "file": "b.png"}]
    assert len(fetch(tmp_path, *rows, retries=0).failed) == 1
    assert len(list((tmp_path / "out" / ".fetch").glob("*.part"))) == 1
    assert fetch(tmp_path, rows[0]).kept == 1
    assert not (tmp_path / "out" / ".fetch").exists()


def test_a_silent_and_a_dripping_server_end(server, pictures, tmp_path, monkeypatch):
    server.serve("silent.png", pictures[0], pause_s=2)
    server.serve("drip.png", pictures[1], pause_s=0.25)
    monkeypatch.setattr("fgbg_depth.fetch.transfer.SLOWEST_FACTOR", 1)
    rows = [{"url": server.url(f"{name}.png"), "file": f"{name}.png"} for name in ("silent", "drip")]
    report = fetch(tmp_path, *rows, retries=0, timeout_s=0.4)
    assert "no answer in time" in reasons(report)["silent.png"]
    assert "still not there after 0.4 s" in reasons(report)["drip.png"]


def test_no_server_at_all(tmp_path):
    server = PictureServer()
    url = server.url("a.png")
    server.close()
    report = fetch(tmp_path, {"url": url, "file": "a.png"}, retries=1)
    assert "could not be made" in reasons(report)["a.png"] and "after 2 tries" in reasons(report)["a.png"]


# --- refused ---


def test_what_cannot_be_had_is_named_and_the_rest_comes(server, pictures, tmp_path):
    html = b"<!DOCTYPE html><html><body>Please log in</body></html>"
    loop = server.url("loop.png")
    server.serve("loop.png", status=302, headers=(("Location", loop),))
    server.serve("file.png", status=302, headers=(("Location", "file:///etc/passwd"),))
    server.serve("user.png", status=301, headers=(("Location", "http://me:secret@127.0.0.1/x.png"),))
    server.serve("there.png", pictures[0])
    rows = {
        "good": server.serve("moved.png", status=301, headers=(("Location", "/there.png"),)),
        "gone": server.url("gone.png"),
        "page": server.serve("page.png", html),
        "cut": server.serve("cut.png", pictures[1][:-20]),
        "hash": server.serve("hash.png", pictures[2]),
        "large": server.serve("large.png", encode(noise(80, 80), "PNG")),
        "endless": server.serve("endless.png", encode(noise(80, 81), "PNG"), no_length=True),
        "packed": server.serve("packed.png", pictures[3], headers=(("Content-Encoding", "gzip"),)),
        "loop": loop,
        "scheme": server.url("file.png"),
        "user": server.url("user.png"),
    }
    table = [{"url": url, "file": f"{name}.png", "sha256": "0" * 64 if name == "hash" else ""} for name, url in rows.items()]
    report = fetch(tmp_path, *table, max_bytes=10_000)
    found = {file.removesuffix(".png"): reason for file, reason in reasons(report).items()}
    assert set(found) == set(rows) - {"good"}
    for name, words in {
        "gone": "404",
        "page": "an HTML page",
        "cut": "cut off",
        "hash": f"its sha256 is {sha256(pictures[2])}, the list expects 0000",
        "large": "the bound is 10,000",
        "endless": "the bound is 10,000",
        "packed": "packed (gzip)",
        "loop": "more than 5 redirects",
        "scheme": "begins with 'file'",
        "user": "a user name or a password",
    }.items():
        assert words in found[name], found[name]
    assert "secret" not in str(report)
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [".fetch", "SOURCES.csv", "fetch-failures.txt", "good.png"]
    assert [path.name for path in (out / ".fetch").iterdir()] == ["failures.json"]
    listed = json.loads((out / ".fetch" / "failures.json").read_text())
    assert [one["file"] for one in listed] == [row["file"] for row in table if row["file"] in reasons(report)]
    assert [asset.file for asset in scan_assets(out, "background").assets] == ["good.png"]  # the folder can be used as it is


def test_robots_and_opt_out_are_respected(server, pictures, tmp_path):
    server.serve("robots.txt", b"User-agent: *\nDisallow: /private/\nDisallow: /*.gif$\nAllow: /private/open.png\n")
    tags = {
        "noai": [("X-Robots-Tag", "noai, nosnippet")],
        "ours": [("X-Robots-Tag", "otherbot: noindex"), ("X-Robots-Tag", "fgbg-depth: noimageai")],
        "others": [("X-Robots-Tag", "otherbot: noindex"), ("X-Robots-Tag", "unavailable_after: 1 Jan 2099")],
        "tdm": [("TDM-Reservation", "1")],
        "free": [("TDM-Reservation", "0")],
    }
    for number, (name, headers) in enumerate(tags.items()):
        server.serve(f"{name}.png", pictures[number], headers=headers)
    server.serve("private/secret.png", pictures[5])
    server.serve("private/open.png", pictures[6])
    server.serve("a.gif", pictures[7])
    server.serve("sly.png", status=302, headers=(("Location", "/private/secret.png"),))
    paths = [*(f"{name}.png" for name in tags), "private/secret.png", "private/open.png", "a.gif", "sly.png"]
    rows = [{"url": server.url(path), "file": path} for path in paths]
    found = reasons(fetch(tmp_path, *rows))
    assert found["noai.png"] == "its owner opts out (X-Robots-Tag: noai)"
    assert found["ours.png"] == "its owner opts out (X-Robots-Tag: noimageai)"
    assert "tdm-reservation" in found["tdm.png"]
    for path in ("private/secret.png", "a.gif", "sly.png"):
        assert "robots.txt" in found[path] and "forbids it to fgbg-depth" in found[path]
    assert set(found) == {"noai.png", "ours.png", "tdm.png", "private/secret.png", "a.gif", "sly.png"}
    assert server.asked("private/secret.png") == server.asked("a.gif") == []
    server.log.clear()
    assert not fetch(tmp_path, *rows[:-1], permitted=("127.0.0.1",)).failed  # the owner's word
    assert server.asked("robots.txt") == []


def test_unreadable_robots_forbid_all(server, pictures, tmp_path):
    server.serve("robots.txt", status=500)
    row = {"url": server.serve("a.png", pictures[0]), "file": "a.png"}
    assert "can't be read (500)" in reasons(fetch(tmp_path, row, retries=1))["a.png"]
    assert server.asked("a.png") == []
    server.serve("robots.txt", b"User-agent: *\nAllow: /\n", first=[(500, [])])
    assert fetch(tmp_path, row, retries=1).fetched == 1


def test_hosts_are_not_pressed(server, pictures, tmp_path):
    rows = [{"url": server.serve(f"{i}.png", pictures[i], pause_s=0.03), "file": f"{i}.png"} for i in range(8)]
    fetch(tmp_path, *rows, workers=8, per_host=2)
    assert server.most_at_once == 2


def test_crawl_delay_and_delay_keep_requests_apart(server, pictures, tmp_path):
    rows = [{"url": server.serve(f"{i}.png", pictures[i]), "file": f"{i}.png"} for i in range(3)]
    started = time.monotonic()
    fetch(tmp_path, *rows, delay_s=0.15)
    assert time.monotonic() - started >= 0.3
    server.serve("robots.txt", b"User-agent: *\nCrawl-delay: 0.4\n")
    (tmp_path / "slow").mkdir()
    started = time.monotonic()
    fetch(tmp_path / "slow", *rows[:2])
    assert time.monotonic() - started >= 0.4


def test_a_redirect_cannot_reach_into_a_private_net(server, pictures, tmp_path):
    """The list's host is public (as far as the resolver says), the target is this machine."""

    def resolve(host, port, **more):
        return [(None, None, None, "", ("93.184.216.34" if host == "localhost" else host, port))]

    server.serve("target.png", pictures[0])
    server.serve("a.png", status=302, headers=(("Location", server.url("target.png")),))
    path = write_list(tmp_path, {"url": server.url("a.png", host="localhost"), "file": "a.png"})
    report = fetch_pictures(path, tmp_path / "out", FetchOptions(retries=0), resolve=resolve)
    assert "from the public net to a private address" in reasons(report)["a.png"]
    assert server.asked("target.png") == []


# --- files that are there ---


def test_files_of_others_are_never_replaced(server, pictures, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "text.png").write_bytes(b"words")
    (out / "other.png").write_bytes(pictures[8])
    (out / "good.png").write_bytes(pictures[1])
    (out / "adopted.png").write_bytes(pictures[3])
    (out / "folder.png").mkdir()
    rows = [
        {"url": server.serve("0.png", pictures[0]), "file": "text.png"},
        {"url": server.serve("2.png", pictures[2]), "file": "other.png", "sha256": sha256(pictures[2])},
        {"url": server.serve("1.png", pictures[1]), "file": "good.png", "sha256": sha256(pictures[1]).upper()},
        {"url": server.serve("3.png", pictures[3]), "file": "adopted.png"},
        {"url": server.serve("4.png", pictures[4]), "file": "folder.png"},
    ]
    report = fetch(tmp_path, *rows)
    assert (report.fetched, report.kept) == (0, 2) and server.log == []
    assert set(reasons(report)) == {"text.png", "other.png", "folder.png"}
    assert (out / "text.png").read_bytes() == b"words" and (out / "other.png").read_bytes() == pictures[8]


def test_our_own_file_is_replaced_when_the_list_changes_and_a_changed_one_is_not(server, pictures, tmp_path):
    urls = [server.serve(f"{i}.png", pictures[i]) for i in range(2)]
    fetch(tmp_path, {"url": urls[0], "file": "a.png"}, {"url": urls[1], "file": "b.png"})
    (tmp_path / "out" / "b.png").write_bytes(pictures[9])
    report = fetch(
        tmp_path,
        {"url": server.serve("2.png", pictures[2]), "file": "a.png"},
        {"url": server.url("1.png"), "file": "b.png"},
    )
    assert (tmp_path / "out" / "a.png").read_bytes() == pictures[2]
    assert "another file of that name" in reasons(report)["b.png"]
    assert (tmp_path / "out" / "b.png").read_bytes() == pictures[9]


def test_links_cannot_lead_out(server, pictures, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    report = fetch(tmp_path, {"url": server.serve("a.png", pictures[0]), "file": "sub/a.png"})
    assert "leads out of the folder" in reasons(report)["sub/a.png"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_same_bytes_from_two_addresses(server, pictures, tmp_path):
    rows = [{"url": server.serve(f"{name}.png", pictures[0]), "file": f"{name}.png"} for name in "abc"]
    report = fetch(tmp_path, *rows)
    assert {file: "the same bytes as 'a.png'" in reason for file, reason in reasons(report).items()} == {"b.png": True, "c.png": True}
    assert len(scan_assets(tmp_path / "out", "background").assets) == 1


def test_a_signature_is_not_recorded_but_used(server, pictures, tmp_path):
    row = {"url": server.serve("a.png", pictures[0]) + "?width=3&X-Amz-Signature=abc", "file": "a.png"}
    other = {"url": server.serve("b.png", pictures[1]) + "?width=3", "file": "b.png"}
    fetch(tmp_path, row, other)
    assert [one["url"] for one in sources(tmp_path / "out")] == [server.url("a.png"), server.url("b.png?width=3")]
    assert any(path.endswith("Signature=abc") for path, _ in server.log)
    assert fetch(tmp_path, row, other).kept == 2


def test_a_broken_table_or_a_held_folder_stops_before_the_first_request(server, pictures, tmp_path):
    (tmp_path / "out").mkdir()
    row = {"url": server.serve("a.png", pictures[0]), "file": "a.png"}
    with locked(tmp_path / "out"), pytest.raises(FolderError, match="in use"):
        fetch(tmp_path, row)
    (tmp_path / "out" / "SOURCES.csv").write_text("name,licence\na,b\n")
    with pytest.raises(AssetError, match="no column 'file'"):
        fetch(tmp_path, row)
    assert server.log == []


# --- the command ---


def test_the_command_and_its_exit_codes(server, pictures, tmp_path):
    path = write_list(tmp_path, {"url": server.serve("a.png", pictures[0]), "file": "a.png", "licence": "CC0-1.0"})
    ended = call("fetch", path, tmp_path / "out", "--quiet")
    assert ended.code == 0 and "1 picture fetched" in ended.out and ended.err == ""
    path = write_list(
        tmp_path, {"url": server.url("a.png"), "file": "a.png"}, {"url": server.url("no.png") + "?token=xyz", "file": "no.png"}
    )
    ended = call("fetch", path, tmp_path / "out", "--quiet", "--json", "--contact", "me@example.org")
    assert ended.code == 1
    result = json.loads(ended.out)
    assert (result["fetched"], result["kept"]) == (0, 1)
    assert result["failed"] == [
        {"line": 3, "file": "no.png", "url": server.url("no.png?..."), "reason": "the server says 404 (not there)"}
    ]
    assert "failed: line 3: no.png" in ended.err and "xyz" not in ended.err + ended.out
    assert "2 of 2 pictures have no licence" in ended.err
    assert server.asked("no.png?token=xyz")[0]["user-agent"].endswith("(me@example.org)")
    for words in (["--workers", "0"], ["--timeout", "0"], ["--contact", "a\nb"], ["--max-bytes", "0"]):
        assert call("fetch", path, tmp_path / "out", *words).code == 2
    assert call("fetch", tmp_path / "missing.csv", tmp_path / "out").code == 2


def test_an_interrupt_keeps_what_is_done(server, pictures, tmp_path):
    rows = [{"url": server.serve(f"{i}.png", pictures[i]), "file": f"{i}.png"} for i in range(3)]
    rows.append({"url": server.serve("slow.png", pictures[3], pause_s=20), "file": "slow.png"})
    path = write_list(tmp_path, *rows)
    command = [sys.executable, "-m", "fgbg_depth", "fetch", str(path), str(tmp_path / "out"), "--per-host", "4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 30
        while time.monotonic() < until and not (server.asked("slow.png") and len(list((tmp_path / "out").glob("[0-9].png"))) == 3):
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "run the same command again to go on" in err, err
    assert "Traceback" not in err
    assert [row["file"] for row in sources(tmp_path / "out")] == ["0.png", "1.png", "2.png"]
    server.log.clear()
    server.serve("slow.png", pictures[3])
    assert call("fetch", path, tmp_path / "out", "--quiet").code == 0
    assert [name for name, _ in server.log if name != "/robots.txt"] == ["/slow.png"]
