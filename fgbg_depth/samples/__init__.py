"""The pictures that the package carries, for the demo and for trying things out.

Twelve backgrounds (`bg/`, 320 x 240 JPEG) and twelve cut-outs (`fg/`, PNG with alpha), each folder with its
SOURCES.csv; their licences are in LICENSES.txt.
"""

from pathlib import Path

from ..errors import UsageError

FOLDERS = {"background": "bg", "foreground": "fg"}


def sample_folder(kind):
    """Folder of the sample pictures of one kind, ready for `scan_assets`.

    Args:
        kind: "background" or "foreground".

    Raises:
        UsageError: another kind is asked for.
    """
    if kind not in FOLDERS:
        raise UsageError(f"kind is {kind!r}; expected 'background' or 'foreground'")
    return Path(__file__).parent / FOLDERS[kind]
