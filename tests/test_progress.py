"""What progress looks like: counted work, work that counts nothing, and how numbers are written."""

import io
import time

import pytest
import rich.console

from fgbg_depth import progress
from fgbg_depth.progress import Bar, Plain, clock, size


@pytest.fixture
def moments(monkeypatch):
    """A clock that stands still; `moments.pass_s(5)` moves it."""

    class Moments:
        now = 100.0

        def pass_s(self, seconds):
            self.now += seconds

    moments = Moments()
    monkeypatch.setattr(progress.time, "monotonic", lambda: moments.now)
    return moments


def test_lines_of_counted_work(moments):
    stream = io.StringIO()
    with Plain(stream).task("make rows", 100, done=20, unit="rows") as task:
        moments.pass_s(5)
        task.update(30)  # too early for a line
        moments.pass_s(5)
        task.update(40)
        moments.pass_s(10)
        task.update(100)
    assert stream.getvalue().splitlines() == [
        "make rows: 40 of 100 rows, 2.0 rows/s, 30 s left",
        "make rows: 100 of 100 rows, 4.0 rows/s, 0 s left",
        "make rows: 100 of 100 rows in 20.0 s, 4.0 rows/s",
    ]


def test_work_that_counts_nothing_has_no_count_and_no_rate(moments):
    stream = io.StringIO()
    with Plain(stream).task("contact sheets", None):
        moments.pass_s(17.4)
    with Plain(stream).task("read the recipe", None):
        moments.pass_s(1)  # short work isn't worth a line
    assert stream.getvalue() == "contact sheets in 17.4 s\n"


def test_a_task_learns_its_total_late(moments):
    stream = io.StringIO()
    with Plain(stream).task("find the pictures", None) as task:
        moments.pass_s(10)
        task.update(1000)
        moments.pass_s(10)
        task.update(4000, total=5000)
    assert stream.getvalue().splitlines()[0] == "find the pictures: 1,000 files, 100.0 files/s"
    assert stream.getvalue().splitlines()[1] == "find the pictures: 4,000 of 5,000 files, 200.0 files/s, 5 s left"


def test_the_bar_shows_counts_only_where_something_is_counted(monkeypatch):
    stream, console = io.StringIO(), rich.console.Console
    monkeypatch.setattr(rich.console, "Console", lambda **_: console(file=stream, force_terminal=True, width=120, no_color=True))
    with Bar().task("contact sheets", None):
        time.sleep(0.01)
    assert "contact sheets" in stream.getvalue() and "files" not in stream.getvalue() and "0/" not in stream.getvalue()
    with Bar().task("make rows", 2000, unit="rows") as task:
        task.update(1500)
    assert "1,500 of 2,000 rows" in stream.getvalue()


def test_times_and_sizes_as_people_read_them():
    assert [clock(seconds) for seconds in (0.4, 99, 125, 7260, 200_000)] == ["0 s", "99 s", "2 min", "2 h 1 min", "2 d 7 h"]
    assert [size(count) for count in (999, 1500, 22_000_000, 3e15)] == ["999 bytes", "1.5 kB", "22.0 MB", "3,000.0 TB"]
