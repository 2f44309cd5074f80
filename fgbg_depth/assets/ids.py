"""Asset ids: file stems made safe and unique, and never changed by pictures that come later.

An id is made of a-z, 0-9, "-" and "_", begins and ends with a letter or digit, has no "__" inside (sample
keys are "<background>__<foreground>__..."), has at most 64 characters and is a valid file name everywhere.
"""

import re
import unicodedata
from pathlib import PurePosixPath

from ..errors import AssetError

MAX_ID_CHARS = 64  # two of them and the rest of a sample key stay under 200 characters
EMPTY_ID = "asset"  # for names of which nothing is left, such as ones in Chinese
_SUFFIX_DIGITS = (8, 16, 32, 56)  # of the sha256, behind an id in use; 8 do but for clashes on purpose
_DEVICES = re.compile(r"con|prn|aux|nul|com\d|lpt\d")  # names that Windows keeps for itself
# Letters that NFKD doesn't take apart
_LETTERS = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})


def safe_id(stem):
    """A valid id for any text; equal texts give equal ids, and a valid id stays as it is."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", stem).casefold())
    text = "".join(char for char in text if not unicodedata.combining(char)).translate(_LETTERS)
    text = re.sub(r"[^a-z0-9_-]+", "-", text)
    text = re.sub(r"__+", "_", re.sub(r"--+", "-", text))
    text = text.strip("_-")[:MAX_ID_CHARS].strip("_-") or EMPTY_ID
    return f"{EMPTY_ID}-{text}" if _DEVICES.fullmatch(text) else text


def assign_ids(files, taken=None):
    """Give each file an id of its own.

    Files are served in the order of their paths. The first of equal stems gets the plain id; the others get
    eight digits of their sha256 behind it. A picture that an earlier batch knows keeps the id that it had
    there.

    Args:
        files: mapping of posix path to sha256 (hex); no sha256 twice.
        taken: mapping of id to sha256 of all assets of earlier batches, also of those whose files are gone.

    Returns:
        dict of posix path to id.

    Raises:
        AssetError: no free id was found (only for names that were made to clash).
    """
    taken = taken or {}
    old = {sha256: asset_id for asset_id, sha256 in taken.items()}
    used = set(taken)
    ids = {}
    for file in sorted(files):
        sha256 = files[file]
        if sha256 in old:
            ids[file] = old[sha256]
            continue
        plain = safe_id(PurePosixPath(file).stem)
        candidates = [plain, *(_with_suffix(plain, sha256[:digits]) for digits in _SUFFIX_DIGITS)]
        free = [candidate for candidate in candidates if candidate not in used]
        if not free:
            raise AssetError(
                f"no free id for {file!r}: {', '.join(candidates)} are all in use; rename the file"
            )
        ids[file] = free[0]
        used.add(free[0])
    return ids


def _with_suffix(plain, digits):
    return f"{plain[: MAX_ID_CHARS - len(digits) - 1].strip('_-')}-{digits}"
