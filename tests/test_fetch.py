"""`fgbg-depth fetch` against a real server on loopback: what comes, what a second run asks for, files that are there, the command."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from fetch_runs import fetch, reasons, sha256, sources, write_list
from real_runs import call

from fgbg_depth.assets.scan import scan_assets
from fgbg_depth.errors import AssetError, FolderError
from fgbg_depth.files import locked

pytestmark = pytest.mark.usefixtures("quick")

# --- the plain case ---


def test_pictures_come_with_their_sources_and_go_into_a_scan(server, photos, tmp_path):
    rows = [
        {
            "url": server.serve(f"{i}.png", photos[i]),
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
    assert report.received_bytes == sum(map(len, photos[:5]))
    found = sources(out)
    assert [row["file"] for row in found] == [row["file"] for row in rows]  # in the order of the list
    assert [row["sha256"] for row in found] == [sha256(data) for data in photos[:5]]
    for row, data in zip(rows, photos, strict=False):
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


def test_a_second_run_asks_for_nothing(server, photos, tmp_path):
    rows = [{"url": server.serve(f"{i}.png", photos[i]), "file": f"{i}.png"} for i in range(3)]
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


def test_the_number_of_workers_changes_nothing(server, photos, tmp_path):
    rows = [{"url": server.serve(f"{i}.png", photos[i]), "file": f"{i}.png", "licence": str(i)} for i in range(8)]
    tables = []
    for workers in (1, 6):
        folder = tmp_path / str(workers)
        folder.mkdir()
        fetch(folder, *rows, workers=workers)
        tables.append((folder / "out" / "SOURCES.csv").read_bytes())
    assert tables[0] == tables[1]


def test_rows_of_other_pictures_and_other_columns_stay(server, photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.png").write_bytes(photos[9])
    (out / "SOURCES.csv").write_text("file,license,note\nmine.png,own,taken in May\n")
    fetch(tmp_path, {"url": server.serve("a.png", photos[0]), "file": "a.png", "licence": "CC0-1.0"})
    assert [(row["file"], row["licence"], row["note"]) for row in sources(out)] == [
        ("a.png", "CC0-1.0", ""),
        ("mine.png", "own", "taken in May"),
    ]


# --- files that are there ---


def test_files_of_others_are_never_replaced(server, photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "text.png").write_bytes(b"words")
    (out / "other.png").write_bytes(photos[8])
    (out / "good.png").write_bytes(photos[1])
    (out / "adopted.png").write_bytes(photos[3])
    (out / "folder.png").mkdir()
    rows = [
        {"url": server.serve("0.png", photos[0]), "file": "text.png"},
        {"url": server.serve("2.png", photos[2]), "file": "other.png", "sha256": sha256(photos[2])},
        {"url": server.serve("1.png", photos[1]), "file": "good.png", "sha256": sha256(photos[1]).upper()},
        {"url": server.serve("3.png", photos[3]), "file": "adopted.png"},
        {"url": server.serve("4.png", photos[4]), "file": "folder.png"},
    ]
    report = fetch(tmp_path, *rows)
    assert (report.fetched, report.kept) == (0, 2) and server.log == []
    assert set(reasons(report)) == {"text.png", "other.png", "folder.png"}
    assert (out / "text.png").read_bytes() == b"words" and (out / "other.png").read_bytes() == photos[8]


def test_our_own_file_is_replaced_when_the_list_changes_and_a_changed_one_is_not(server, photos, tmp_path):
    urls = [server.serve(f"{i}.png", photos[i]) for i in range(2)]
    fetch(tmp_path, {"url": urls[0], "file": "a.png"}, {"url": urls[1], "file": "b.png"})
    (tmp_path / "out" / "b.png").write_bytes(photos[9])
    report = fetch(
        tmp_path,
        {"url": server.serve("2.png", photos[2]), "file": "a.png"},
        {"url": server.url("1.png"), "file": "b.png"},
    )
    assert (tmp_path / "out" / "a.png").read_bytes() == photos[2]
    assert "another file of that name" in reasons(report)["b.png"]
    assert (tmp_path / "out" / "b.png").read_bytes() == photos[9]


def test_links_cannot_lead_out(server, photos, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    report = fetch(tmp_path, {"url": server.serve("a.png", photos[0]), "file": "sub/a.png"})
    assert "leads out of the folder" in reasons(report)["sub/a.png"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_same_bytes_from_two_addresses(server, photos, tmp_path):
    rows = [{"url": server.serve(f"{name}.png", photos[0]), "file": f"{name}.png"} for name in "abc"]
    report = fetch(tmp_path, *rows)
    assert {file: "the same bytes as 'a.png'" in reason for file, reason in reasons(report).items()} == {"b.png": True, "c.png": True}
    assert len(scan_assets(tmp_path / "out", "background").assets) == 1


def test_a_signature_is_not_recorded_but_used(server, photos, tmp_path):
    row = {"url": server.serve("a.png", photos[0]) + "?width=3&X-Amz-Signature=abc", "file": "a.png"}
    other = {"url": server.serve("b.png", photos[1]) + "?width=3", "file": "b.png"}
    fetch(tmp_path, row, other)
    assert [one["url"] for one in sources(tmp_path / "out")] == [server.url("a.png"), server.url("b.png?width=3")]
    assert any(path.endswith("Signature=abc") for path, _ in server.log)
    assert fetch(tmp_path, row, other).kept == 2


def test_a_broken_table_or_a_held_folder_stops_before_the_first_request(server, photos, tmp_path):
    (tmp_path / "out").mkdir()
    row = {"url": server.serve("a.png", photos[0]), "file": "a.png"}
    with locked(tmp_path / "out"), pytest.raises(FolderError, match="in use"):
        fetch(tmp_path, row)
    (tmp_path / "out" / "SOURCES.csv").write_text("name,licence\na,b\n")
    with pytest.raises(AssetError, match="no column 'file'"):
        fetch(tmp_path, row)
    assert server.log == []


# --- the command ---


def test_the_command_and_its_exit_codes(server, photos, tmp_path):
    path = write_list(tmp_path, {"url": server.serve("a.png", photos[0]), "file": "a.png", "licence": "CC0-1.0"})
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


def test_an_interrupt_keeps_what_is_done(server, photos, tmp_path):
    rows = [{"url": server.serve(f"{i}.png", photos[i]), "file": f"{i}.png"} for i in range(3)]
    rows.append({"url": server.serve("slow.png", photos[3], pause_s=20), "file": "slow.png"})
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
    server.serve("slow.png", photos[3])
    assert call("fetch", path, tmp_path / "out", "--quiet").code == 0
    assert [name for name, _ in server.log if name != "/robots.txt"] == ["/slow.png"]
