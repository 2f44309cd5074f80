"""The preview's HTML: template, style, scripts and data in one file that asks for nothing.

The page's own Content-Security-Policy forbids every request and every script and style but these two, by their hashes. All words
from the set go into the page as JSON, and from there as text nodes: nothing in them is ever read as HTML.
"""

import base64
import hashlib
import html
import json
from importlib import resources

import cv2
import numpy as np

from .. import __version__
from ..errors import DataError

GENERATOR = "fgbg-depth preview"
SCRIPTS = ("dom.js", "png.js", "depth.js", "rows.js", "zoom.js", "charts.js", "sources.js", "start.js")
COLOUR_MAPS = {"depth": cv2.COLORMAP_VIRIDIS, "heat": cv2.COLORMAP_MAGMA}  # even steps for the eye, and darker means less
LEVELS = 256


def render_page(contents):
    """The page as text.

    Args:
        contents: dict of `contents.read_contents`.

    Returns:
        str; equal contents give equal text.

    Raises:
        DataError: the contents hold a number that JSON has no word for.
    """
    script = '"use strict";\n' + "\n".join(_file(name) for name in SCRIPTS)
    style = _file("page.css")
    parts = {
        "CSP": _policy(script, style),
        "GENERATOR": f"{GENERATOR} {__version__}",
        "TITLE": html.escape(contents["name"]),
        "STYLE": style,
        "DATA": _json({**contents, "colours": {name: _colours(number) for name, number in COLOUR_MAPS.items()}}),
        "SCRIPT": script,
    }
    text = _file("page.html")
    head, *rest = text.split("{{")
    pieces = [head]
    for piece in rest:  # in one pass, so that nothing in the data is taken for a mark
        name, _, tail = piece.partition("}}")
        pieces += [parts[name], tail]
    return "".join(pieces)


def is_ours(path):
    """True when a file is a preview that was written before."""
    with open(path, "rb") as file:
        return f'<meta name="generator" content="{GENERATOR} '.encode() in file.read(4096)


def _file(name):
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _policy(script, style):
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data: blob:; "
        f"base-uri 'none'; form-action 'none'"
    )


def _hash(text):
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value):
    """JSON that may stand in an HTML script element whatever texts it holds."""
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise DataError(f"the set's numbers can't be shown: {error}; `fgbg-depth verify` tells where") from error
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _colours(number):
    """A colour map as 256 times rrggbb."""
    bgr = cv2.applyColorMap(np.arange(LEVELS, dtype=np.uint8), number)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).tobytes().hex()
