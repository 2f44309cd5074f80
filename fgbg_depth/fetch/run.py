"""`fetch_pictures`: all pictures of a list into a folder, some at a time, as far as they can be had.

Whole, checked files appear under their names; what was received of others waits in the hidden folder `.fetch`. A second run takes what
is there and asks for the rest. Each failure is named; the others go on.
"""

import contextlib
import hashlib
import threading
import time
import warnings
from pathlib import Path

from ..assets.pictures import decode_pixels
from ..errors import AssetError, UsageError
from ..files import locked, storage_errors, sweep, whole_file
from ..progress import Quiet
from .manifest import origin_of, parse_manifest
from .options import PRODUCT, FetchOptions, FetchReport
from .records import FETCHED, KEPT, SCRATCH, Records
from .refusals import refusal
from .robots import Robots
from .transfer import Failure, Later, Part, Stopped, Transfer
from .waiting import Line

FIRST_WAIT_S = 1.0  # before the second try; doubled for each further one
MAX_WAIT_S = 300  # a server that asks for more is left for another run
LOOK_EVERY_S = 0.2  # how often the progress is shown
PATIENCE_S = 2.0  # at the end of a run that is stopped, for threads that wait for a server


def fetch_pictures(manifest, folder, options=None, progress=None, resolve=None):
    """Fetch the pictures of a list.

    Args:
        manifest: path of the CSV, see `parse_manifest`.
        folder: where they shall be; may hold some of them, and others.
        options: FetchOptions.
        progress: progress.Quiet or a subclass.
        resolve: in place of socket.getaddrinfo.

    Returns:
        FetchReport. SOURCES.csv names what is there, in the order of the list, other rows of an earlier one behind them.

    Raises:
        UsageError: the list or an option is wrong; nothing was fetched.
        AssetError: the folder's SOURCES.csv can't be used.
        FolderError: another run holds the folder.
        StorageError: the disk is full or can't be written.
        KeyboardInterrupt: stopped; what is there is in SOURCES.csv.
    """
    started, folder, options, progress = time.monotonic(), Path(folder), options or FetchOptions(), progress or Quiet()
    wanted, ignored = _read_manifest(Path(manifest))
    with locked(folder):
        sweep(folder)
        records = Records(folder, wanted, options.max_pixels)
        try:
            received_bytes = _fetch_missing(records, wanted, options, progress, resolve)
        finally:
            failed = records.settle()
    notes = [f"columns that were ignored: {', '.join(ignored)}"] if ignored else []
    without = sum(not row.licence for row in wanted)
    if without:
        have = "has" if without == 1 else "have"
        notes.append(f"{without:,} of {len(wanted):,} pictures {have} no licence in the list: the card will say that it is not known")
    kinds = [kind for kind, _ in records.results.values()]
    seconds = time.monotonic() - started
    return FetchReport(folder, kinds.count(FETCHED), kinds.count(KEPT), received_bytes, seconds, tuple(failed), tuple(notes))


def _read_manifest(path):
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the list {path} can't be read: {error.strerror}") from error
    return parse_manifest(data, str(path))


def _fetch_missing(records, wanted, options, progress, resolve):
    """Fetch what isn't there; returns the bytes received."""
    with progress.task("look at what is there", len(wanted)) as task, _no_warnings():
        missing = []
        for number, row in enumerate(wanted, 1):
            if not records.is_there(row) and row.file not in records.failures:
                missing.append(row)
            task.update(number)
    if not missing:
        return 0
    scratch = records.folder / SCRATCH
    with storage_errors(scratch):
        scratch.mkdir(exist_ok=True)
    run = _Run(records, missing, options, resolve)
    with progress.task("fetch pictures", len(wanted), len(wanted) - len(missing)) as task, _no_warnings():
        run.all(lambda: task.update(len(records.results) + len(records.failures)))
    return run.received_bytes


class _Run:
    """Threads that fetch the missing pictures of a list."""

    def __init__(self, records, missing, options, resolve):
        self.received_bytes = 0
        self._records, self._options, self._tries, self._errors = records, options, {}, []
        self._stopped, self._lock = threading.Event(), threading.Lock()
        more = {} if resolve is None else {"resolve": resolve}
        self._transfer = Transfer(options.agent, options.timeout_s, options.max_bytes, self._stopped, **more)
        self._line = Line([(row.origin, row) for row in missing], options.per_host, options.delay_s)
        self._robots = Robots(self._transfer.small, PRODUCT, options.permitted, self._line.admit)

    def all(self, show):
        """Fetch until nothing is left to try; `show` is called now and then."""
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._options.workers)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(LOOK_EVERY_S)
                    show()
        finally:
            with self._lock:  # from here on no thread puts a picture into the folder
                self._stopped.set()
            self._line.stop()
            end = time.monotonic() + PATIENCE_S
            for thread in threads:
                if thread.ident is not None:
                    thread.join(max(0.0, end - time.monotonic()))
            if not any(thread.is_alive() for thread in threads):
                self._transfer.close()
        if self._errors:
            raise self._errors[0]

    def _work(self):
        """Fetch one picture after the other until none is left."""
        try:
            while (taken := self._line.take()) is not None:
                self._try(*taken)
        except Stopped:
            return
        except Exception as error:  # a full disk, or a fault of ours: it ends the run, which raises it
            self._errors.append(error)
            self._stopped.set()
            self._line.stop()

    def _try(self, host, numbered):
        row = numbered[1]
        try:
            self._fetch(row)
        except Later as later:
            wait_s = self._wait_s(row, later)
            if wait_s is not None:
                self._line.again(host, numbered, wait_s, later.whole_host)
                return
        except Failure as failure:
            self._fail(row, str(failure))
        self._line.done(host)

    def _wait_s(self, row, later):
        """Seconds until the next try; None when there is none, which is then written down."""
        number = self._tries[row.file] = self._tries.get(row.file, 0) + 1
        wait_s = FIRST_WAIT_S * 2 ** (number - 1) if later.wait_s is None else later.wait_s
        if number > self._options.retries:
            self._fail(row, f"{later}; given up after {number} {'try' if number == 1 else 'tries'}")
        elif wait_s > MAX_WAIT_S:
            self._fail(row, f"{later}; it asks to wait {wait_s:,.0f} s, run the same command again then")
        else:
            return wait_s
        return None

    def _fail(self, row, reason):
        with self._lock:
            self._records.failures[row.file] = reason

    def _fetch(self, row):
        folder = self._records.folder
        part = Part(folder / SCRATCH / f"{hashlib.sha256(row.url.encode()).hexdigest()[:32]}.part")
        with storage_errors(part.path):
            self._transfer.picture(row.url, part, self._check)
            data = part.path.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        try:
            if row.sha256 and found != row.sha256:
                raise Failure(f"its sha256 is {found}, the list expects {row.sha256}")
            decode_pixels(data, max_pixels=self._options.max_pixels)
        except (AssetError, Failure) as error:
            part.clear()
            raise Failure(str(error)) from error
        with self._lock:
            if self._stopped.is_set():
                raise Stopped
            self.received_bytes += len(data)
            try:
                with whole_file(folder / row.file) as temp:
                    part.path.replace(temp)
            except (FileExistsError, NotADirectoryError) as error:
                part.clear()
                raise Failure("a part of its path is a file; move that away") from error
            self._records.results[row.file] = (FETCHED, found)
        part.clear()

    def _check(self, url, headers):
        """Raise Failure when a host doesn't want a picture to be taken."""
        origin = origin_of(url)
        if headers is None:
            self._robots.check(origin, url)
        elif not self._robots.is_permitted(origin):
            reason = refusal(headers, PRODUCT)
            if reason:
                raise Failure(reason)


@contextlib.contextmanager
def _no_warnings():
    """Pillow warns of odd metadata, which play no part here. Filters are global: no thread may set them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
