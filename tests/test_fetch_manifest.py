"""The list for `fetch`: what is wrong is found with its line; names, addresses and the order in which hosts are asked."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbg_depth.errors import UsageError
from fgbg_depth.fetch.manifest import parse_manifest, recorded, shown
from fgbg_depth.fetch.refusals import refusal
from fgbg_depth.fetch.transfer import asked_wait_s
from fgbg_depth.fetch.waiting import Line


def parse(*lines, header="url,file,licence"):
    return parse_manifest("\n".join([header, *lines]).encode(), "list.csv")


def test_columns_in_any_order_and_unknown_ones():
    rows, ignored = parse('b.png,"MIT, with a comma",https://x.org/b.png,17', header="File, License ,URL,Width")
    assert (rows[0].file, rows[0].licence, rows[0].url, rows[0].line) == ("b.png", "MIT, with a comma", "https://x.org/b.png", 2)
    assert ignored == ["Width"]
    assert parse_manifest(b"\xef\xbb\xbfurl,file\r\nhttp://x.org/a,./sub/a.png\r\n", "l")[0][0].file == "sub/a.png"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("url,name", "no column 'file'"),
        ("file,licence", "no column 'url'"),
        ("url;file;licence", "parted by semicolons"),
        ("url,file,url", "the column 'url' more than once"),
    ],
)
def test_wrong_headers(header, words):
    with pytest.raises(UsageError, match=words):
        parse("a,b,c", header=header)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("https://x.org/a.png,../a.png", "leads out of the folder"),
        ("https://x.org/a.png,/etc/a.png", "leads out of the folder"),
        ("https://x.org/a.png,a/../../b.png", "leads out of the folder"),
        ("https://x.org/a.png,..\\a.png", "leads out of the folder"),
        ("https://x.org/a.png,C:\\a.png", "leads out of the folder"),
        ("https://x.org/a.png,.hidden/a.png", "is hidden"),
        ("https://x.org/a.png,a\x07.png", "characters"),
        ("https://x.org/a.png,CSV.txt", "isn't named like a picture"),
        ("https://x.org/a.png,sub/SOURCES.csv", "isn't named like a picture"),
        (f"https://x.org/a.png,{'n' * 201}.png", "more than 200 bytes"),
        ("https://x.org/a.png,", "no file is named"),
        (",a.png", "no url is given"),
        ("ftp://x.org/a.png,a.png", "expected http or https"),
        ("file:///etc/passwd,a.png", "expected http or https"),
        ("https:///a.png,a.png", "names no host"),
        ("https://x.org:0x/a.png,a.png", "can't be read"),
        ("https://me:secret@x.org/a.png,a.png", "user name or a password"),
        ("https://x.org/a.png,a.png,MIT,more", "put quotes around commas"),
    ],
)
def test_wrong_lines_are_named(line, words):
    with pytest.raises(UsageError, match=words) as caught:
        parse("https://x.org/good.png,good.png,MIT", line)
    assert "line 3: " in str(caught.value) and "secret" not in str(caught.value) and "Nothing was fetched" in str(caught.value)


def test_names_that_clash():
    with pytest.raises(UsageError) as caught:
        parse("http://x.org/1,a.png", "http://x.org/2,A.png", "http://x.org/3,sub/b.png", "http://x.org/4,sub", "http://x.org/1,c.png")
    text = str(caught.value)
    assert "line 3: file 'A.png' was named before, in line 2" in text
    assert "line 5: file 'sub' is a folder in line 4" in text
    assert "line 6: the url was given before, in line 2" in text


def test_wrong_hash_empty_list_and_no_utf_8():
    with pytest.raises(UsageError, match="64 hex digits"):
        parse("http://x.org/1,a.png,12ab", header="url,file,sha256")
    wrong = {b"": "is empty", b"url,file\n": "names no picture", b"url,file\n\xff": "isn't UTF-8", b'url,file\n"a': "not CSV"}
    for data, words in wrong.items():
        with pytest.raises(UsageError, match=words):
            parse_manifest(data, "l")


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_no_name_leads_out_of_a_folder(name):
    from pathlib import Path

    quoted = '"' + name.replace('"', '""') + '"'
    try:
        rows, _ = parse_manifest(f"url,file\nhttp://x.org/1,{quoted}\n".encode("utf-8", "replace"), "l")
    except UsageError:
        return
    path = Path("/base/folder") / rows[0].file
    assert path.is_relative_to("/base/folder") and ".." not in path.parts and path != Path("/base/folder")


def test_addresses_as_they_are_shown_and_recorded():
    assert shown("https://me:pw@x.org:8443/a/b.png?token=1#part") == "https://x.org:8443/a/b.png?..."
    assert shown("https://x.org/a.png") == "https://x.org/a.png"
    assert recorded("https://x.org/a.png?w=3#part") == "https://x.org/a.png?w=3"
    for secret in ("X-Amz-Signature=1", "sig=1", "w=1&access_token=2", "Policy=x&Key-Pair-Id=y", "apiKey=1&api-key=2"):
        assert recorded(f"https://x.org/a.png?{secret}") == "https://x.org/a.png", secret
    assert recorded("https://x.org/a.png?keyword=chair") == "https://x.org/a.png?keyword=chair"


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        ("noai", True),
        ("NoImageAI, follow", True),
        ("all, none", True),
        ("nofollow", False),
        ("fgbg-depth: noindex", True),
        ("otherbot: noai", False),
        ("max-snippet:-1, noimageindex", True),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST", False),
        ("", False),
    ],
)
def test_robots_tags(value, refused):
    assert bool(refusal([("X-Robots-Tag", value)], "fgbg-depth")) == refused


def test_retry_after():
    assert asked_wait_s("7") == 7
    assert asked_wait_s("Wed, 21 Oct 2015 07:28:00 GMT", now=lambda: 1445412470.0) == 10
    assert asked_wait_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert asked_wait_s("") is None and asked_wait_s("soon") is None


def test_a_waiting_host_holds_no_other_up():
    line = Line([("slow", "s0"), ("slow", "s1"), ("quick", "q0"), ("quick", "q1")], per_host=1)
    line.admit("slow", 0.2)
    started = time.monotonic()
    taken = []
    while (found := line.take()) is not None:
        taken.append(found[1][1])
        line.done(found[0])
        if taken == ["q0", "q1"]:
            assert time.monotonic() - started < 0.15
    assert taken == ["q0", "q1", "s0", "s1"]
    assert time.monotonic() - started >= 0.4


def test_work_comes_again_and_threads_end():
    line = Line([("host", 0), ("host", 1)], per_host=2)
    line.admit("host")
    seen, lock = [], threading.Lock()

    def work():
        while (found := line.take()) is not None:
            host, numbered = found
            with lock:
                seen.append(numbered[1])
                first = seen.count(numbered[1]) == 1
            if first:
                line.again(host, numbered, 0.05, whole_host=True)
            else:
                line.done(host)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(seen) == [0, 0, 1, 1]
