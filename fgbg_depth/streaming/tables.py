"""From units to rows: which bytes of a Parquet file a unit needs, and the rows in them.

Bytes are fetched by our own threads; pyarrow only ever decodes what lies in memory, in the thread of the consumer. It so never
calls back into Python from threads of its own, which is what aborts a process that leaves in the middle of a stream.
"""

import collections
import io
import os
import threading
import weakref

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError

TAIL_BYTES = 80 << 10  # the first read of a file: the largest footers of the usual layout have 75 kB
SMALL_FILE_BYTES = 1 << 18  # a file up to this size is read whole: cheaper than a second request
HOLE_BYTES = 1 << 16  # ranges this close are read as one: the masks of a row group between its pictures and depths
KEPT_FOOTERS_BYTES = 32 << 20  # of a process; those of 600 shards
KEPT_TAILS = 8  # tails of files, which often hold the rows of a small file too


class Tables:
    """Reads units of the files of one source. Safe to use from several threads.

    Args:
        files: HubFiles or FolderFiles.
    """

    def __init__(self, files):
        self.files = files
        _live.add(self)
        self._footers, self._kept_bytes, self._tails = collections.OrderedDict(), 0, collections.OrderedDict()
        self.renew_locks()

    def renew_locks(self):
        """New locks, for a process that was forked while others held them."""
        self._lock, self._locks = threading.Lock(), collections.defaultdict(threading.Lock)

    def __getstate__(self):
        return self.files  # what was read stays where it was read

    def __setstate__(self, files):
        self.__init__(files)

    def footer(self, file, halt=None):
        """pyarrow.parquet.FileMetaData of a file.

        Raises:
            DataError: it is no Parquet file, or has other rows than the manifest says.
        """
        with self._lock:
            lock = self._locks[file.sha256]
        with lock:
            text = self._kept(self._footers, file.sha256)
            if text is None:
                text = self._fetch_footer(file, halt)
        return _parse(text, file, self.files.name)

    def fetch(self, file, units, columns, halt=None):
        """Read the bytes of some units of a file.

        Args:
            file: File.
            units: [(first row, row after the last)].
            columns: names.
            halt: Halt.

        Returns:
            Loaded.
        """
        footer = self.footer(file, halt)
        groups = sorted({group for start, stop in units for group, _ in _groups(footer, start, stop)})
        tail = self._kept(self._tails, file.sha256)
        pieces = [tail] if tail else []
        for start, stop in _ranges(footer, groups, columns):
            if not _covers(tail, start, stop):
                pieces.append((start, self.files.read(file, start, stop, halt)))
        return Loaded(file, footer, columns, pieces, self.files.name)

    def column_bytes(self, file, columns):
        """Bytes that one row of these columns takes on average, by the footer of a file."""
        footer = self.footer(file)
        ranges = _ranges(footer, range(footer.num_row_groups), columns, hole_bytes=0)
        return sum(stop - start for start, stop in ranges) / max(1, footer.num_rows)

    def _fetch_footer(self, file, halt):
        start = 0 if file.size <= SMALL_FILE_BYTES else file.size - TAIL_BYTES
        tail = self.files.read(file, start, file.size, halt)
        size = int.from_bytes(tail[-8:-4], "little") + 8
        if tail[-4:] != b"PAR1" or size > file.size - 4:
            raise DataError(f"{file.path} of {self.files.name} is no Parquet file: it ends with {tail[-4:]!r}")
        if size > len(tail):
            start, tail = file.size - size, self.files.read(file, file.size - size, file.size, halt)
        text = tail[-size:]
        with self._lock:
            self._footers[file.sha256] = text
            self._tails[file.sha256] = (start, tail)
            self._kept_bytes += len(text)
            while self._kept_bytes > KEPT_FOOTERS_BYTES and len(self._footers) > 1:
                self._kept_bytes -= len(self._footers.popitem(last=False)[1])
            while len(self._tails) > KEPT_TAILS:
                self._tails.popitem(last=False)
        return text

    def _kept(self, cache, sha256):
        with self._lock:
            if sha256 in cache:
                cache.move_to_end(sha256)
            return cache.get(sha256)


class Loaded:
    """The bytes of some units of one file."""

    def __init__(self, file, footer, columns, pieces, name):
        self._file, self._footer, self._columns, self._pieces, self._name = file, footer, list(columns), pieces, name

    def rows(self, start, stop):
        """The rows of a unit, decoded.

        Args:
            start, stop: rows of the file.

        Returns:
            list of {column: value}; a picture is {"bytes": ..., "path": ...}.

        Raises:
            DataError: the bytes aren't what the footer says.
        """
        groups = _groups(self._footer, start, stop)
        source = _Pieces(self._file.size, self._pieces)
        try:
            with pq.ParquetFile(source, metadata=self._footer, pre_buffer=False) as opened:
                table = opened.read_row_groups([group for group, _ in groups], columns=self._columns, use_threads=False)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(f"{self._file.path} of {self._name}: rows {start} to {stop} can't be decoded: {error}") from error
        first = groups[0][1] if groups else start
        rows = table.slice(start - first, stop - start).to_pylist()
        if len(rows) != stop - start:
            raise DataError(f"{self._file.path} of {self._name}: {len(rows)} rows from row {start} on, expected {stop - start}")
        return rows


class _Pieces(io.RawIOBase):
    """A file of which only some pieces are there; reading elsewhere is an error, never zeros."""

    def __init__(self, size, pieces):
        self._size, self._pieces, self._place = size, pieces, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self._place

    def seek(self, offset, whence=os.SEEK_SET):
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        return self._place

    def read(self, size=-1):
        stop = self._size if size < 0 else min(self._size, self._place + size)
        for start, data in self._pieces:
            if start <= self._place and stop <= start + len(data):
                found = memoryview(data)[self._place - start : stop - start]
                self._place = stop
                return found
        raise OSError(f"bytes {self._place} to {stop} weren't read")


def _parse(text, file, name):
    try:
        footer = pq.read_metadata(pa.BufferReader(b"PAR1" + text))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file.path} of {name}: the footer can't be read: {error}") from error
    if footer.num_rows != file.rows:
        raise DataError(f"{file.path} of {name} has {footer.num_rows} rows, manifest.json says {file.rows}")
    return footer


def _groups(footer, start, stop):
    """[(row group, its first row)] that hold some of these rows."""
    found, first = [], 0
    for group in range(footer.num_row_groups):
        rows = footer.row_group(group).num_rows
        if first < stop and start < first + rows:
            found.append((group, first))
        first += rows
    return found


def _ranges(footer, groups, columns, hole_bytes=HOLE_BYTES):
    """Byte ranges of some columns of some row groups, sorted; those that are close to each other joined."""
    spans = []
    for group in groups:
        facts = footer.row_group(group)
        for number in range(facts.num_columns):
            chunk = facts.column(number)
            if chunk.path_in_schema.split(".")[0] in columns:
                start = chunk.data_page_offset
                if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
                    start = min(start, chunk.dictionary_page_offset)
                spans.append((start, start + chunk.total_compressed_size))
    joined = []
    for start, stop in sorted(spans):
        if joined and start - joined[-1][1] <= hole_bytes:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def _covers(piece, start, stop):
    return piece is not None and piece[0] <= start and stop <= piece[0] + len(piece[1])


def _renew_locks():
    for tables in list(_live):
        tables.renew_locks()


_live = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
