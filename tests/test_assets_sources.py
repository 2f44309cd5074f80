"""SOURCES.csv: how it may be written, and what is wrong."""

import pytest

from fgbg_depth.assets.sources import SourceRow, match_sources, parse_sources
from fgbg_depth.errors import AssetError

HEADER = "file,licence,author,source,group\n"


def rows(text):
    return {name: row for name, (_, row) in parse_sources(text.encode()).items()}


def test_all_columns():
    found = rows("file,licence,author,source,group,url\na.jpg,MIT,Ann,a book,room 1,https://x.org/a\n")
    assert found == {"a.jpg": SourceRow("MIT", "Ann", "a book", "room 1", "https://x.org/a")}


@pytest.mark.parametrize(
    "text",
    [
        "\ufefffile,licence,group\na.jpg,MIT,room\n",
        "group,file,licence\r\nroom,a.jpg,MIT\r\n",
        'file,licence,group,notes\n"a.jpg", MIT ,room,"x, y\nz"\n',
        "File,LICENSE,Group\n\n./a.jpg,MIT,room\n,,\n",
        "file,licence,group\na.jpg,MIT,room",
        "file,licence,group,,\na.jpg,MIT,room,,,,\n",
    ],
    ids=["bom", "order-crlf", "quotes-extra", "case-alias-blank", "no-newline", "spare-commas"],
)
def test_ways_to_write_it(text):
    assert rows(text) == {"a.jpg": SourceRow(licence="MIT", group="room")}


def test_short_rows_and_sub_folders():
    assert rows("file,licence\nrooms\\b.jpg\nrooms//./c.jpg,MIT\n") == {
        "rooms/b.jpg": SourceRow(),
        "rooms/c.jpg": SourceRow(licence="MIT"),
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty; expected the columns file, licence"),
        ("\n\n", "is empty"),
        ("name,licence\na.jpg,MIT\n", r"no column 'file' \(its columns: name, licence\)"),
        ("file;licence\na.jpg;MIT\n", "no column 'file'.*semicolons"),
        ("file,licence,license\na.jpg,MIT,MIT\n", "column 'licence' more than once"),
        (HEADER + "a.jpg,MIT,Ann,x,y,z\n", "line 2: 6 cells, but 5 columns; put quotes around commas"),
        (HEADER + "a.jpg\nb.jpg\n./a.jpg\n", "line 4: 'a.jpg' was named before, in line 2"),
        (HEADER + ",MIT\n", "line 2: no file is named"),
        (HEADER + "../a.jpg,MIT\n", "line 2: '../a.jpg' leads out of the folder"),
        (HEADER + "/etc/a.jpg,MIT\n", "leads out of the folder"),
        (HEADER + "C:\\a.jpg,MIT\n", "leads out of the folder"),
        (HEADER + 'a.jpg,"MIT\n', "line 2: not CSV"),
        ('"file\n', "line 1: not CSV"),
    ],
)
def test_what_is_wrong(text, reason):
    with pytest.raises(AssetError, match=reason):
        parse_sources(text.encode())


def test_all_wrong_lines_are_listed():
    with pytest.raises(AssetError, match=r"rooms/SOURCES.csv can't be used") as caught:
        parse_sources((HEADER + "../a.jpg\nb.jpg\nb.jpg\n").encode(), "rooms/SOURCES.csv")
    assert [reason[:7] for _, reason in caught.value.problems] == ["line 2:", "line 4:"]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_other_encodings_are_refused(encoding):
    with pytest.raises(AssetError, match="isn't UTF-8"):
        parse_sources((HEADER + "a.jpg,MIT,Zoë\n").encode(encoding))


def test_matching_rows_to_files():
    top = parse_sources((HEADER + "a.jpg,MIT\ngone.jpg,MIT\nrooms/b.jpg,CC0-1.0\n").encode())
    found, notes = match_sources({"SOURCES.csv": top}, ["a.jpg", "c.jpg", "rooms/b.jpg"])
    assert {file: row.licence for file, row in found.items()} == {"a.jpg": "MIT", "rooms/b.jpg": "CC0-1.0"}
    assert notes == [
        "SOURCES.csv: rows without a file: gone.jpg",
        "files without a row in SOURCES.csv: c.jpg",
    ]


def test_table_in_a_sub_folder_names_files_beside_it():
    table = parse_sources((HEADER + "b.jpg,MIT\n").encode())
    found, notes = match_sources({"rooms/SOURCES.csv": table}, ["rooms/b.jpg"])
    assert found["rooms/b.jpg"].licence == "MIT" and notes == []
    with pytest.raises(AssetError, match=r"rooms/SOURCES.csv line 2: 'rooms/b.jpg' is named in SOURCES.csv line 2 too"):
        match_sources({"SOURCES.csv": parse_sources(b"file\nrooms/b.jpg\n"), "rooms/SOURCES.csv": table}, ["rooms/b.jpg"])


def test_unicode_names_match_however_they_are_composed():
    table = parse_sources((HEADER + "cafe\u0301.jpg,MIT\n").encode())
    assert match_sources({"SOURCES.csv": table}, ["caf\u00e9.jpg"])[0]["caf\u00e9.jpg"].licence == "MIT"


def test_long_lists_in_notes_are_cut():
    table = parse_sources((HEADER + "".join(f"{i}.jpg\n" for i in range(9))).encode())
    assert match_sources({"SOURCES.csv": table}, [])[1] == [
        "SOURCES.csv: rows without a file: 0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 4 more"
    ]
