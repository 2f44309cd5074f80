"""`fgbg-depth fetch` and the hosts: what is tried again, what is refused, whose wish counts, how often a host is asked."""

import json
import time

import pytest
from fetch_runs import fetch, reasons, sha256, write_list
from picture_files import encode, noise
from picture_server import PictureServer

from fgbg_depth.assets.scan import scan_assets
from fgbg_depth.fetch.options import FetchOptions
from fgbg_depth.fetch.run import fetch_pictures

pytestmark = pytest.mark.usefixtures("quick")

# --- tried again ---


def test_passing_failures_are_tried_again(server, photos, tmp_path):
    server.serve("busy.png", photos[0], first=[(429, [("Retry-After", "1")])])
    server.serve("broken.png", photos[1], first=[(500, []), (503, [])])
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


def test_a_dropped_transfer_goes_on_where_it_broke(server, photos, tmp_path):
    server.serve("a.png", photos[0], headers=(("ETag", '"v1"'),), ranges=True, drop_after=1200)
    server.serve("b.png", photos[1], drop_after=1200)  # no validator: from the beginning
    rows = [{"url": server.url(f"{name}.png"), "file": f"{name}.png"} for name in "ab"]
    report = fetch(tmp_path, *rows)
    assert report.fetched == 2 and not report.failed
    for number, name in enumerate("ab"):
        assert (tmp_path / "out" / f"{name}.png").read_bytes() == photos[number]
    second = server.asked("a.png")[1]
    assert second["if-range"] == '"v1"' and 0 < int(second["range"].removeprefix("bytes=").rstrip("-")) <= 1200
    assert "range" not in server.asked("b.png")[1]


def test_a_later_run_goes_on_with_a_part_and_notices_a_new_picture(server, photos, tmp_path):
    for number, name in enumerate(("same", "new")):
        server.serve(f"{name}.png", photos[number], headers=(("ETag", '"v1"'),), ranges=True, drop_after=1200)
    rows = [{"url": server.url(f"{name}.png"), "file": f"{name}.png"} for name in ("same", "new")]
    report = fetch(tmp_path, *rows, retries=0)
    assert set(reasons(report)) == {"same.png", "new.png"}
    assert all(1200 >= path.stat().st_size > 0 for path in (tmp_path / "out" / ".fetch").glob("*.part"))
    server.serve("new.png", photos[2], headers=(("ETag", '"v2"'),), ranges=True)
    report = fetch(tmp_path, *rows)
    assert report.fetched == 2
    assert (tmp_path / "out" / "same.png").read_bytes() == photos[0]
    assert (tmp_path / "out" / "new.png").read_bytes() == photos[2]
    assert all("range" in server.asked(f"{name}.png")[-1] for name in ("same", "new"))
    assert not (tmp_path / "out" / ".fetch").exists() and not (tmp_path / "out" / "fetch-failures.txt").exists()


def test_parts_of_pictures_that_are_no_longer_wanted_go(server, photos, tmp_path):
    server.serve("b.png", photos[1], headers=(("ETag", '"v1"'),), ranges=True, drop_after=1200)
    rows = [{"url": server.serve("a.png", photos[0]), "file": "a.png"}, {"url": server.url("b.png"), "file": "b.png"}]
    assert len(fetch(tmp_path, *rows, retries=0).failed) == 1
    assert len(list((tmp_path / "out" / ".fetch").glob("*.part"))) == 1
    assert fetch(tmp_path, rows[0]).kept == 1
    assert not (tmp_path / "out" / ".fetch").exists()


def test_a_silent_and_a_dripping_server_end(server, photos, tmp_path, monkeypatch):
    server.serve("silent.png", photos[0], pause_s=2)
    server.serve("drip.png", photos[1], pause_s=0.25)
    monkeypatch.setattr("fgbg_depth.fetch.transfer.SLOWEST_FACTOR", 1)
    rows = [{"url": server.url(f"{name}.png"), "file": f"{name}.png"} for name in ("silent", "drip")]
    report = fetch(tmp_path, *rows, retries=0, timeout_s=0.4)
    assert "no answer in time" in reasons(report)["silent.png"]
    assert reasons(report)["drip.png"] == "still not there after 0.4 s; given up after 1 try"


def test_no_server_at_all(tmp_path):
    server = PictureServer()
    url = server.url("a.png")
    server.close()
    report = fetch(tmp_path, {"url": url, "file": "a.png"}, retries=1)
    assert "could not be made" in reasons(report)["a.png"] and "after 2 tries" in reasons(report)["a.png"]


# --- refused ---


def test_what_cannot_be_had_is_named_and_the_rest_comes(server, photos, tmp_path):
    html = b"<!DOCTYPE html><html><body>Please log in</body></html>"
    loop = server.url("loop.png")
    server.serve("loop.png", status=302, headers=(("Location", loop),))
    server.serve("file.png", status=302, headers=(("Location", "file:///etc/passwd"),))
    server.serve("user.png", status=301, headers=(("Location", "http://me:secret@127.0.0.1/x.png"),))
    server.serve("there.png", photos[0])
    rows = {
        "good": server.serve("moved.png", status=301, headers=(("Location", "/there.png"),)),
        "gone": server.url("gone.png"),
        "page": server.serve("page.png", html),
        "cut": server.serve("cut.png", photos[1][:-20]),
        "hash": server.serve("hash.png", photos[2]),
        "large": server.serve("large.png", encode(noise(80, 80), "PNG")),
        "endless": server.serve("endless.png", encode(noise(80, 81), "PNG"), no_length=True),
        "packed": server.serve("packed.png", photos[3], headers=(("Content-Encoding", "gzip"),)),
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
        "hash": f"its sha256 is {sha256(photos[2])}, the list expects 0000",
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


def test_robots_and_opt_out_are_respected(server, photos, tmp_path):
    server.serve("robots.txt", b"User-agent: *\nDisallow: /private/\nDisallow: /*.gif$\nAllow: /private/open.png\n")
    tags = {
        "noai": [("X-Robots-Tag", "noai, nosnippet")],
        "ours": [("X-Robots-Tag", "otherbot: noindex"), ("X-Robots-Tag", "fgbg-depth: noimageai")],
        "others": [("X-Robots-Tag", "otherbot: noindex"), ("X-Robots-Tag", "unavailable_after: 1 Jan 2099")],
        "tdm": [("TDM-Reservation", "1")],
        "free": [("TDM-Reservation", "0")],
    }
    for number, (name, headers) in enumerate(tags.items()):
        server.serve(f"{name}.png", photos[number], headers=headers)
    server.serve("private/secret.png", photos[5])
    server.serve("private/open.png", photos[6])
    server.serve("a.gif", photos[7])
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


def test_unreadable_robots_forbid_all(server, photos, tmp_path):
    server.serve("robots.txt", status=500)
    row = {"url": server.serve("a.png", photos[0]), "file": "a.png"}
    assert "can't be read (500)" in reasons(fetch(tmp_path, row, retries=1))["a.png"]
    assert server.asked("a.png") == []
    server.serve("robots.txt", b"User-agent: *\nAllow: /\n", first=[(500, [])])
    assert fetch(tmp_path, row, retries=1).fetched == 1


def test_hosts_are_not_pressed(server, photos, tmp_path):
    rows = [{"url": server.serve(f"{i}.png", photos[i], pause_s=0.03), "file": f"{i}.png"} for i in range(8)]
    fetch(tmp_path, *rows, workers=8, per_host=2)
    assert server.most_at_once == 2


def test_crawl_delay_and_delay_keep_requests_apart(server, photos, tmp_path):
    rows = [{"url": server.serve(f"{i}.png", photos[i]), "file": f"{i}.png"} for i in range(3)]
    started = time.monotonic()
    fetch(tmp_path, *rows, delay_s=0.15)
    assert time.monotonic() - started >= 0.3
    server.serve("robots.txt", b"User-agent: *\nCrawl-delay: 0.4\n")
    (tmp_path / "slow").mkdir()
    started = time.monotonic()
    fetch(tmp_path / "slow", *rows[:2])
    assert time.monotonic() - started >= 0.4


def test_a_redirect_cannot_reach_into_a_private_net(server, photos, tmp_path):
    """The list's host is public (as far as the resolver says), the target is this machine."""

    def resolve(host, port, **more):
        return [(None, None, None, "", ("93.184.216.34" if host == "localhost" else host, port))]

    server.serve("target.png", photos[0])
    server.serve("a.png", status=302, headers=(("Location", server.url("target.png")),))
    path = write_list(tmp_path, {"url": server.url("a.png", host="localhost"), "file": "a.png"})
    report = fetch_pictures(path, tmp_path / "out", FetchOptions(retries=0), resolve=resolve)
    assert "from the public net to a private address" in reasons(report)["a.png"]
    assert server.asked("target.png") == []
