"""Reading of rooms with exact depth, and their split by room.

A folder holds `NNNNN_V.jpg` (square sRGB picture) and `NNNNN_V.png` (16-bit, depth in millimetres along the optical
axis) for view V of room NNNNN. Views of one room share walls and furniture, so they are never divided between splits.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fgbg_depth.errors import DataError, UsageError

SIDE_PX = 224  # side of every picture and depth map: what the network sees
TEST_PERCENT = 10  # rooms that only the evaluation opens
WATCH_PERCENT = 4  # rooms that the training's progress line is measured on, so that nothing is chosen by the test rooms
NAME = re.compile(r"(\d+)_(\d+)\.jpg")


@dataclass(frozen=True)
class Rooms:
    """Views in memory.

    Attributes:
        names: list of str, "NNNNN_V", sorted.
        images: (N, 224, 224, 3) uint8 RGB.
        depth_mm: (N, 224, 224) uint16, depth [mm].
    """

    names: list
    images: np.ndarray
    depth_mm: np.ndarray

    def __len__(self):
        return len(self.names)


def split_of_room(room):
    """The split of a room: "test", "watch" or "train", by a hash of its number, so that later rooms move none.

    Args:
        room: str, the room's number as in the file name, e.g. "00017".
    """
    percent = int.from_bytes(hashlib.sha256(f"room {room}".encode()).digest()[:8], "big") % 100
    if percent < TEST_PERCENT:
        return "test"
    return "watch" if percent < TEST_PERCENT + WATCH_PERCENT else "train"


def list_views(folder):
    """Names of all views of a folder, sorted, each checked to have both files.

    Raises:
        UsageError: it is no folder, or holds no view.
        DataError: a view has no depth map.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the folder with the rooms (NNNNN_V.jpg and NNNNN_V.png)")
    names = sorted(p.stem for p in folder.iterdir() if NAME.fullmatch(p.name))
    if not names:
        raise UsageError(f"{folder}: no file is named NNNNN_V.jpg; give the folder that holds the views themselves")
    alone = [n for n in names if not (folder / f"{n}.png").is_file()]
    if alone:
        raise DataError(f"{folder}: {len(alone)} views have no depth map beside them, first {alone[0]}.png; restore or remove them")
    return names


def load_rooms(folder, split):
    """Read all views of one split into memory.

    Args:
        folder: folder of the views.
        split: "train", "watch" or "test".

    Returns:
        Rooms; 250 kB for each view.

    Raises:
        UsageError: bad folder, or no room falls into the split.
        DataError: a picture can't be read or has another size or type.
    """
    folder = Path(folder)
    names = [n for n in list_views(folder) if split_of_room(n.split("_")[0]) == split]
    if not names:
        raise UsageError(f"{folder}: no room of it falls into the split {split!r}; more rooms are needed")
    images = np.empty((len(names), SIDE_PX, SIDE_PX, 3), np.uint8)
    depth_mm = np.empty((len(names), SIDE_PX, SIDE_PX), np.uint16)
    for i, name in enumerate(names):
        images[i] = _read(folder / f"{name}.jpg", cv2.IMREAD_COLOR, np.uint8, (SIDE_PX, SIDE_PX, 3))[:, :, ::-1]
        depth_mm[i] = _read(folder / f"{name}.png", cv2.IMREAD_UNCHANGED, np.uint16, (SIDE_PX, SIDE_PX))
    return Rooms(names, images, depth_mm)


def _read(path, flag, dtype, shape):
    """One picture as OpenCV reads it (BGR), or a DataError that names it."""
    array = cv2.imread(str(path), flag)
    if array is None:
        raise DataError(f"{path}: can't be read as a picture; restore it or remove both files of the view")
    if array.dtype != dtype or array.shape != shape:
        raise DataError(f"{path}: is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
    return array
