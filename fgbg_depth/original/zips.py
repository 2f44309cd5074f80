"""One zip for each background, from rows that lie in a random order.

One pass over the data files appends each row's pictures to a spool file of its background; then each spool becomes a zip, sorted by name,
and goes. So memory holds the names of one background at a time, and the disk the pictures twice for a while. Spools are temporary
files: a run that was killed makes them again, for those backgrounds alone whose zip isn't there yet.
"""

import zipfile

import numpy as np

from ..files import temp_path, whole_file
from .encoding import encode_for_tree, suffix_of

ROWS_GATHERED = 200  # rows between two visits to the spools: few files are opened, and few rows are in memory
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can tell: the same bytes at any time
ZIP_MODE = 0o100644 << 16


def write_zips(writing, data, progress):
    """Write the zips that aren't there.

    Args:
        writing: exporting.Writing.
        data: names of the data files.
        progress: progress.Quiet or a subclass.

    Returns:
        number of zips written.
    """
    wanted = {asset_id for asset_id, name in writing.names["background"].items() if not _zip_path(writing, name).is_file()}
    if not wanted:
        return 0
    spools = {asset_id: Spool(temp_path(writing.folder / f"{asset_id}.spool")) for asset_id in wanted}
    try:
        _fill(writing, data, spools, progress)
        with progress.task("write zips", len(spools)) as bar:
            for done, asset_id in enumerate(sorted(spools), 1):
                _write_zip(_zip_path(writing, writing.names["background"][asset_id]), spools[asset_id])
                spools[asset_id].remove()
                bar.update(done)
    finally:
        for spool in spools.values():
            spool.remove()
    return len(wanted)


def _zip_path(writing, name):
    return writing.folder / f"{name}.zip"


def _fill(writing, data, spools, progress):
    done = 0
    with progress.task("gather rows", len(data)) as bar:
        for name in data:
            for count, row in enumerate(writing.rows(name, writing.columns()), 1):
                spool = spools.get(row["background"])
                if spool is not None:
                    for role in writing.roles:
                        picture = encode_for_tree(role, row[role], writing.lossless)
                        spool.add(writing.path(role, row, suffix_of(picture)), picture)
                if count % ROWS_GATHERED == 0:
                    _flush(spools)
            _flush(spools)
            done += 1
            bar.update(done)


def _flush(spools):
    for spool in spools.values():
        spool.flush()


def _write_zip(path, spool):
    with whole_file(path) as temp, zipfile.ZipFile(temp, "w", zipfile.ZIP_STORED) as archive:
        for name, picture in spool.sorted():
            info = zipfile.ZipInfo(name, ZIP_TIME)
            info.create_system, info.external_attr = 3, ZIP_MODE  # as written on Unix, on any system
            archive.writestr(info, picture)


class Spool:
    """Pictures of one background in the order in which they came, in one file: lengths of name and picture, name, picture."""

    def __init__(self, path):
        self._path, self._waiting = path, []

    def add(self, name, picture):
        """Keep one picture until the next `flush`."""
        encoded = name.encode()
        self._waiting += [np.array([len(encoded), len(picture)], "<i8").tobytes(), encoded, picture]

    def flush(self):
        """Append what is kept to the file."""
        if self._waiting:
            with open(self._path, "ab") as file:
                file.writelines(self._waiting)
            self._waiting = []

    def sorted(self):
        """Yield (name, picture) by name."""
        if not self._path.is_file():
            return
        with open(self._path, "rb") as file:
            places = {}
            while head := file.read(16):
                name_bytes, picture_bytes = np.frombuffer(head, "<i8").tolist()
                name = file.read(name_bytes).decode()
                places[name] = file.tell(), picture_bytes
                file.seek(picture_bytes, 1)
            for name in sorted(places):
                file.seek(places[name][0])
                yield name, file.read(places[name][1])

    def remove(self):
        """Take the file away, if it is there."""
        self._path.unlink(missing_ok=True)
