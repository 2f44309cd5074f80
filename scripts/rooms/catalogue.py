"""The furniture file: CC0 models of Sweet Home 3D's "BlendSwap-CC-0" library, their sizes, meshes and colours.

The file is a zip with Wavefront OBJ models and a catalogue of their sizes in centimetres. Debian's package `sweethome3d-furniture` holds it
as /usr/share/sweethome3d/furniture/BlendSwap-CC-0.sh3f. Everything in a picture is opaque: a pane has one depth, not two.
"""

import functools
import io
import posixpath
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fgbg_depth.errors import DataError, UsageError

DEFAULT_FILE = Path("/usr/share/sweethome3d/furniture/BlendSwap-CC-0.sh3f")
PROPERTIES = "PluginFurnitureCatalog.properties"
LEFT_OUT = {"antiqueChair"}  # its cane seat is a picture with holes, whose depth would be that of the seat
MAX_OBJ_BYTES = 1_800_000  # larger models are seen no better at 224 pixels
KEPT_MODELS = 200  # parsed models in memory, about 1 MB each: the whole file
MAX_TEXTURE_PX = 512
HOW_TO_GET = (
    "get Debian's package sweethome3d-furniture (apt-get download sweethome3d-furniture; dpkg -x sweethome3d-furniture_*.deb .) "
    "and give its usr/share/sweethome3d/furniture/BlendSwap-CC-0.sh3f with --furniture"
)


@dataclass(frozen=True)
class Size:
    """Outer size of a model and how high its underside is usually mounted [m]."""

    width: float
    height: float
    depth: float
    elevation: float = 0.0


@dataclass(frozen=True)
class Part:
    """The triangles of a model that share a material.

    Attributes:
        vertices: (N, 3) float64, in the model's own units and place; x right, y up, z to its front.
        faces: (M, 3) int.
        uv: (N, 2) float64, v upwards.
        normals: (N, 3) float64 or None.
        color: (3,) sRGB in [0, 1].
        texture: name of a picture in the file, or None.
        gloss: exponent of the highlight (Ns), 0 to 1000.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    normals: np.ndarray | None
    color: tuple
    texture: str | None
    gloss: float


class Catalogue:
    """The furniture file, open.

    Attributes:
        sizes: dict name -> Size, of all models that are used, sorted by name.
    """

    def __init__(self, path=DEFAULT_FILE):
        """Args: path: the .sh3f file. Raises UsageError if it is missing, DataError if it isn't such a file."""
        self.path = Path(path)
        if not self.path.is_file():
            raise UsageError(f"{self.path}: no such furniture file; {HOW_TO_GET}")
        try:
            self._zip = zipfile.ZipFile(self.path)
            text = self._zip.read(PROPERTIES).decode("latin-1")
        except (zipfile.BadZipFile, KeyError) as error:
            raise DataError(f"{self.path}: is no furniture library ({error}); expected a zip with {PROPERTIES}; {HOW_TO_GET}") from error
        self._names = {name.lower(): name for name in self._zip.namelist()}
        self._models, self.sizes = {}, {}
        for name, (model, size) in sorted(read_properties(text).items()):
            stored = self._names.get(model.lower())
            if stored and name not in LEFT_OUT and self._zip.getinfo(stored).file_size <= MAX_OBJ_BYTES:
                self._models[name], self.sizes[name] = stored, size
        if not self.sizes:
            raise DataError(f"{self.path}: none of the models in its catalogue is in it; {HOW_TO_GET}")
        self.parts = functools.lru_cache(KEPT_MODELS)(self._parts)
        self.texture = functools.lru_cache(KEPT_MODELS)(self._texture)

    def _parts(self, name):
        """List of Part of a model."""
        path = self._models[name]
        return parse_obj(self._read(path), lambda mtl: self._read(posixpath.join(posixpath.dirname(path), mtl)))

    def _texture(self, name, texture):
        """(H, W, 3) uint8 RGB of a model's picture, or None if the file doesn't hold it (some models name one that they lack)."""
        stored = self._names.get(posixpath.normpath(posixpath.join(posixpath.dirname(self._models[name]), texture)).lower())
        if stored is None:
            return None
        picture = Image.open(io.BytesIO(self._zip.read(stored))).convert("RGB")
        picture.thumbnail((MAX_TEXTURE_PX, MAX_TEXTURE_PX))
        return np.array(picture)

    def _read(self, path):
        stored = self._names.get(posixpath.normpath(path).lower())
        return self._zip.read(stored).decode("latin-1") if stored else ""


def read_properties(text):
    """Names, files and sizes from the text of the catalogue.

    Returns:
        dict name -> (path in the zip, Size); the name is that of the OBJ file.
    """
    entries = {}
    for match in re.finditer(r"^(model|width|depth|height|elevation)#(\d+)=(.*)$", text, re.MULTILINE):
        entries.setdefault(int(match[2]), {})[match[1]] = match[3].strip()
    result = {}
    for entry in entries.values():
        if {"model", "width", "depth", "height"} <= entry.keys():
            cm = {key: float(entry.get(key, 0)) / 100 for key in ("width", "height", "depth", "elevation")}
            result[posixpath.basename(entry["model"]).removesuffix(".obj")] = (entry["model"].lstrip("/"), Size(**cm))
    return result


def parse_obj(text, read_mtl):
    """Parts of a Wavefront OBJ model.

    Args:
        text: the file's text.
        read_mtl: function from the name of a material library to its text, "" if there is none.

    Returns:
        list of Part, in the order in which their materials are first used.
    """
    positions, coordinates, normals, materials, corners = [], [], [], {}, {}
    current = corners.setdefault("", [])
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            positions.append(words[1:4])
        elif words[0] == "vt":
            coordinates.append(words[1:3])
        elif words[0] == "vn":
            normals.append(words[1:4])
        elif words[0] == "usemtl":
            current = corners.setdefault(line.strip()[6:].strip(), [])
        elif words[0] == "mtllib":
            materials.update(parse_mtl(read_mtl(line.strip()[6:].strip())))
        elif words[0] == "f":
            ring = [_corner(word) for word in words[1:]]
            for i in range(1, len(ring) - 1):
                current += (ring[0], ring[i], ring[i + 1])
    v = np.array(positions, np.float64).reshape(-1, 3)
    vt = np.array(coordinates, np.float64).reshape(-1, 2)
    vn = np.array(normals, np.float64).reshape(-1, 3)
    return [_part(np.array(c), v, vt, vn, materials.get(m, {})) for m, c in corners.items() if c]


def parse_mtl(text):
    """dict of material name -> dict with what is used of it: Kd (3 floats), Ns (float), map_Kd (file name)."""
    materials, current = {}, {}
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "newmtl":
            current = materials.setdefault(line.strip()[6:].strip(), {})
        elif words[0] == "Kd":
            current["Kd"] = tuple(float(w) for w in words[1:4])
        elif words[0] == "Ns":
            current["Ns"] = float(words[1])
        elif words[0] == "map_Kd":
            current["map_Kd"] = line.strip()[6:].strip()
    return materials


def _corner(word):
    numbers = [int(n) if n else 0 for n in word.split("/")]
    return (*numbers, 0, 0)[:3]


def _part(corners, v, vt, vn, material):
    for column, array in enumerate((v, vt, vn)):
        negative = corners[:, column] < 0  # counted from the end
        corners[negative, column] += len(array) + 1
    unique, inverse = np.unique(corners, axis=0, return_inverse=True)
    uv = vt[unique[:, 1] - 1] if len(vt) and (unique[:, 1] > 0).all() else np.zeros((len(unique), 2))
    normals = None
    if len(vn) and (unique[:, 2] > 0).all():
        normals = vn[unique[:, 2] - 1]
        if not (np.linalg.norm(normals, axis=1) > 1e-6).all():
            normals = None
    faces = inverse.reshape(-1, 3)
    color = tuple(min(max(c, 0.0), 1.0) for c in material.get("Kd", (0.7, 0.7, 0.7)))
    return Part(v[unique[:, 0] - 1], faces, uv, normals, color, material.get("map_Kd"), material.get("Ns", 10.0))
