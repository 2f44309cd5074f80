"""Names in a tree of 2020: `<bg>__<fg>_<k>` and `<bg>__flip_<fg>_<k>`, and the folders that hold them. Pure functions."""

import re
from dataclasses import dataclass

ROLE_OF = {"fg_bg": "image", "fg_bg_masks": "mask", "depth_maps": "depth", "inp_bg": "background", "inp_fg": "foreground"}
FOLDER_OF = {role: folder for folder, role in ROLE_OF.items()}
CUTOUT_MASKS = "inp_fg_masks"  # written, and passed over when a tree is read: a cut-out's alpha says more
ROW_ROLES = ("image", "mask", "depth")
ASSET_ROLES = ("background", "foreground")
SEPARATOR = "__"
FLIP = "flip_"
MAX_PLACEMENT_DIGITS = 6  # a recipe has at most 1,000,000 placements
_END = re.compile(rf"(.+)_(\d{{1,{MAX_PLACEMENT_DIGITS}}})", re.DOTALL)


@dataclass(frozen=True)
class RowName:
    """What the name of a composite says.

    Attributes:
        background, foreground: names as the tree has them.
        flipped: the cut-out is mirrored.
        placement: k.
        digits: how many digits k was written with, so that the name can be told again.
    """

    background: str
    foreground: str
    flipped: bool
    placement: int
    digits: int = 1

    @property
    def stem(self):
        """The name without its suffix."""
        flip = FLIP if self.flipped else ""
        return f"{self.background}{SEPARATOR}{flip}{self.foreground}_{self.placement:0{self.digits}d}"


def parse_stem(stem, folders=()):
    """Read a composite's name.

    Args:
        stem: the name without its suffix.
        folders: names of the folders around the file; the longest of them that the name begins with is the background, which may
            have "__" inside. Else the first "__" ends it.

    Returns:
        RowName, or None when the name isn't of this form.
    """
    mine = [folder for folder in folders if folder and stem.startswith(folder + SEPARATOR)]
    background = max(mine, key=len) if mine else stem.partition(SEPARATOR)[0]
    end = _END.fullmatch(stem[len(background) + len(SEPARATOR) :])
    if not background or not end or not stem.startswith(background + SEPARATOR):
        return None
    foreground, flipped = end[1], False
    if foreground.startswith(FLIP) and foreground != FLIP:
        foreground, flipped = foreground[len(FLIP) :], True
    return RowName(background, foreground, flipped, int(end[2]), len(end[2]))


def written_names(ids):
    """The names under which cut-outs are written: their ids, but for those that read as a mirrored one.

    Args:
        ids: ids of all cut-outs.

    Returns:
        {id: name}; `flip_x` becomes `flip-x`, with a number behind it where that is in use. annotations.txt holds the ids.
    """
    names, used = {}, {i for i in ids if not i.startswith(FLIP)}
    for asset_id in sorted(ids):
        names[asset_id] = asset_id
        if asset_id.startswith(FLIP):
            plain = "flip-" + asset_id[len(FLIP) :]
            tries = (plain, *(f"{plain}-{n}" for n in range(2, len(ids) + 2)))
            names[asset_id] = next(name for name in tries if name not in used)
            used.add(names[asset_id])
    return names
