"""Byte ranges of the files of a set on disk; the counterpart of `hub_files`."""

from pathlib import Path

from ..errors import DataError


class FolderFiles:
    """Reads files below a folder. Safe to use from several threads.

    Args:
        folder: the set's folder.
    """

    revision = None

    def __init__(self, folder):
        self.folder = Path(folder)

    @property
    def name(self):
        """For messages."""
        return str(self.folder)

    def read(self, file, start, stop, halt=None):
        """Bytes [start, stop) of a file.

        Args:
            file: catalog.File.
            start, stop: offsets [bytes].
            halt: Halt, or None; when it is set this ends with Stopped.

        Raises:
            DataError: the file is gone, or isn't the one that the manifest names.
        """
        if halt is not None:
            halt.check()
        path = self.folder / file.path
        try:
            with open(path, "rb") as opened:
                size = opened.seek(0, 2)
                if size != file.size:
                    raise DataError(f"{path} has {size:,} bytes, manifest.json says {file.size:,}; {_LOOK} {self.folder}`")
                opened.seek(start)
                data = opened.read(stop - start)
        except OSError as error:
            raise DataError(f"{path} can't be read: {error}; {_LOOK} {self.folder}`") from error
        if len(data) != stop - start:
            raise DataError(f"{path}: {len(data):,} bytes at {start:,}, expected {stop - start:,}; it changes while it is read")
        return data


_LOOK = "look with `fgbg-depth verify"
