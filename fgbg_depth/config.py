"""The recipe: all that decides the content of a data set, and nothing else.

A recipe is a frozen dataclass that is read from TOML, overridden by flags, and written back resolved. Its digest
goes into every file that it makes, so that files of two recipes never mix. What doesn't change a byte (number of
workers, folders, device index) is no part of it.
"""

import dataclasses
import difflib
import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .errors import RecipeError

FORMAT_VERSION = 1  # goes up when the same recipe would give other bytes
RECIPE_NAME = "recipe.toml"  # in a set
SPLIT_NAMES = ("train", "validation", "test")
MIN_IMAGE_SIZE_PX = 16
MAX_IMAGE_SIZE_PX = 4096
MAX_SEED = 2**63 - 1  # what TOML can hold
MAX_DEPTH_BATCH = 1024

CHOICES = {
    "background_fit": ("stretch", "crop", "pad"),
    "foreground_fit": ("contain", "stretch"),
    "mask": ("binary", "matte"),
    "image_format": ("jpeg", "png"),
    "mask_format": ("png",),
    "depth_output": ("", "metric-depth", "relative-depth", "relative-inverse"),
    "depth_encoding": ("relative8", "relative8_jpeg", "metric16"),
    "depth_engine": ("torch", "openvino", "auto"),
    "depth_precision": ("fp32", "bf16", "fp16", "auto"),
    "hold_out": ("background", "both", "none"),
}
NO_DEPTH = "none"
AUTO = "auto"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEX_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Recipe:
    """All that decides the content of a data set.

    Attributes:
        image_size: side of background, composite, mask and depth [pixels].
        background_fit: how a background becomes square: "stretch", "crop" (centre) or "pad" (black borders).
        foreground_size: (width, height) of the box that a cut-out is fitted into [pixels].
        foreground_fit: "contain" keeps the aspect, "stretch" fills the box.
        scale: None, or (lo, hi): each placement draws the cut-out's longer side, as a part of image_size,
            uniformly from it, in place of foreground_size.
        flips: add the mirrored cut-out.
        placements: distinct positions per cell (background, foreground, flip).
        overhang: largest part of the cut-out's box area that may leave the canvas, in [0, 1).
        mask: "binary" (0 or 255) or "matte" (the soft alpha).
        mask_threshold: a mask pixel is set where the placed 8-bit alpha >= this, 1..255.
        key_color: "" or "#rrggbb": the backdrop colour that is cut away from foregrounds without alpha.
        image_format, image_quality: how composites are stored; the quality counts for JPEG only.
        mask_format: masks are lossless.
        depth_model: a name, a local folder or file, a Hub repo id, or "none".
        depth_input_size: None (the model's own) or (width, height) at which the network sees the picture.
        depth_output: "" (known of the model), or what a model's numbers mean that doesn't tell: "metric-depth",
            "relative-depth" (larger is farther) or "relative-inverse" (larger is nearer).
        depth_encoding: "relative8", "relative8_jpeg" or "metric16".
        depth_engine, depth_precision, depth_batch: they move the last bit of the maps. "auto" is settled before the first row.
        hold_out: what validation and test don't share with train: "background", "both" or "none".
        splits: parts of the assets in train, validation and test; their sum is 1.
        rows_per_shard, first_shard_rows, rows_per_group: the layout of the Parquet files.
        seed: 0 is a seed like any other.
        imported: None, or the digest of the tree that the rows were read from: such a set was not made by this recipe, which then only
            says how its rows are stored. It has no flag, and `to_dict` leaves it out when it is None.
    """

    image_size: int = 224
    background_fit: str = "stretch"
    foreground_size: tuple[int, int] = (100, 70)
    foreground_fit: str = "contain"
    scale: tuple[float, float] | None = None
    flips: bool = True
    placements: int = 20
    overhang: float = 0.0
    mask: str = "binary"
    mask_threshold: int = 128
    key_color: str = ""
    image_format: str = "jpeg"
    image_quality: int = 90
    mask_format: str = "png"
    depth_model: str = "densedepth-mini"
    depth_input_size: tuple[int, int] | None = None
    depth_output: str = ""
    depth_encoding: str = "relative8"
    depth_engine: str = "torch"
    depth_precision: str = "fp32"
    depth_batch: int | str = 16
    hold_out: str = "background"
    splits: tuple[float, float, float] = (0.8, 0.1, 0.1)
    rows_per_shard: int = 2000
    first_shard_rows: int = 100
    rows_per_group: int = 100
    seed: int = 0
    imported: str | None = None

    def __post_init__(self):
        _check_types(self)
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                _fail(name, getattr(self, name), "one of " + ", ".join(map(repr, allowed)))
        _check_range(self, "image_size", MIN_IMAGE_SIZE_PX, MAX_IMAGE_SIZE_PX)
        if min(self.foreground_size) < 1 or max(self.foreground_size) > self.image_size:
            _fail("foreground_size", list(self.foreground_size), f"[width, height] in 1..image_size ({self.image_size})")
        if self.scale is not None and not 0 < self.scale[0] <= self.scale[1] <= 1:
            _fail("scale", list(self.scale), "[lo, hi] with 0 < lo <= hi <= 1")
        _check_range(self, "placements", 1, 1_000_000)
        if not 0 <= self.overhang < 1:
            _fail("overhang", self.overhang, "a part of the area, 0 <= overhang < 1")
        _check_range(self, "mask_threshold", 1, 255)
        if self.key_color and not _HEX_COLOUR.fullmatch(self.key_color):
            _fail("key_color", self.key_color, 'a colour such as "#00ff00", or ""')
        _check_range(self, "image_quality", 1, 100)
        if not self.depth_model.strip():
            _fail("depth_model", self.depth_model, 'a name, a folder, a Hub repo id, or "none"')
        size = self.depth_input_size
        if size is not None and (min(size) < MIN_IMAGE_SIZE_PX or max(size) > MAX_IMAGE_SIZE_PX):
            _fail("depth_input_size", list(size), f"[width, height] in {MIN_IMAGE_SIZE_PX}..{MAX_IMAGE_SIZE_PX}")
        if self.depth_batch != AUTO:
            _check_range(self, "depth_batch", 1, MAX_DEPTH_BATCH)
        if any(part < 0 for part in self.splits) or abs(sum(self.splits) - 1) > 1e-9 or self.splits[0] == 0:
            _fail("splits", list(self.splits), "three parts >= 0 whose sum is 1, train above 0")
        _check_range(self, "rows_per_shard", 1, 1_000_000)
        _check_range(self, "first_shard_rows", 1, self.rows_per_shard)
        _check_range(self, "rows_per_group", 1, self.rows_per_shard)
        _check_range(self, "seed", 0, MAX_SEED)
        if self.imported is not None and not _SHA256.fullmatch(self.imported):
            _fail("imported", self.imported, "64 hex digits")

    @property
    def has_depth(self):
        """False when the depth columns are left out."""
        return self.depth_model != NO_DEPTH

    def replace(self, **changes):
        """A copy with some fields changed, checked like a new one."""
        unknown = sorted(set(changes) - set(FIELD_NAMES))
        if unknown:
            raise RecipeError(_unknown_keys(unknown, "the call"))
        return dataclasses.replace(self, **{k: _as_field(k, v) for k, v in changes.items()})

    def to_dict(self):
        """Plain values in the order of the fields, None left out (TOML has no null); tuples become lists."""
        values = ((name, getattr(self, name)) for name in FIELD_NAMES)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values if v is not None}

    def digest(self, depth_weights=""):
        """sha256 of all that decides the content.

        Args:
            depth_weights: hex digest of the depth model's weights, "" without depth. It stands in for
                `depth_model`, so that a path never counts and other weights always do.

        Returns:
            64 hex digits.
        """
        if bool(depth_weights) != self.has_depth:
            raise ValueError("a recipe with depth needs the digest of its weights, one without has none")
        content = {"format": FORMAT_VERSION, **self.to_dict(), "depth_model": depth_weights or NO_DEPTH}
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


FIELD_NAMES = tuple(field.name for field in dataclasses.fields(Recipe))
_TUPLES = {"foreground_size": (int, 2), "scale": (float, 2), "depth_input_size": (int, 2), "splits": (float, 3)}
_OPTIONAL = {"scale", "depth_input_size", "imported"}
_OR_AUTO = {"depth_batch"}  # whole numbers that may be "auto" instead
_SCALARS = {f.name: f.type for f in dataclasses.fields(Recipe) if f.name not in _TUPLES} | {"imported": str, "depth_batch": int}


def load_recipe(path, **overrides):
    """Read a recipe from a TOML file.

    Args:
        path: the file. Keys that it lacks have their defaults.
        overrides: fields that replace what the file says; None means "not given".

    Raises:
        RecipeError: the file is missing or no TOML, a key is unknown, or a value is impossible.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: the recipe can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid TOML: {error}") from None
    unknown = sorted(set(table) - set(FIELD_NAMES) - {"depth_weights"})
    if unknown:
        raise RecipeError(_unknown_keys(unknown, str(path)))
    table.pop("depth_weights", None)  # written for readers; the weights themselves are hashed again
    table.update({k: v for k, v in overrides.items() if v is not None})
    try:
        return Recipe().replace(**table)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from None


def recipe_to_toml(recipe, depth_weights=""):
    """The resolved recipe as TOML text; `load_recipe` reads it back equal, but for the depth model's path.

    A local folder or file of a depth model is written by its name alone: the folder goes to the Hub, and paths
    of the maker's machine say nothing there. `depth_weights` identifies the weights.
    """
    values = recipe.to_dict()
    values["depth_model"] = portable_model_name(recipe.depth_model)
    lines = ["# The resolved recipe of this data set: all that decides its content."]
    lines += [f"{name} = {_toml(value)}" for name, value in values.items()]
    if depth_weights:
        lines.append(f'depth_weights = "{depth_weights}"')
    return "\n".join(lines) + "\n"


def portable_model_name(depth_model):
    """A depth model's name without the folders of this machine: a path becomes its last part."""
    looks_local = depth_model.startswith((".", "/", "~", "\\")) or ":" in depth_model or depth_model.count("/") > 1
    if looks_local or Path(depth_model).exists():
        return Path(depth_model).expanduser().resolve().name or depth_model
    return depth_model


def _toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return repr(value)


def _as_field(name, value):
    """Give a value from TOML or a flag the field's type where nothing is lost by it."""
    if name in _TUPLES:
        if value is None and name in _OPTIONAL:
            return None
        kind, length = _TUPLES[name]
        if not isinstance(value, (list, tuple)) or len(value) != length:
            _fail(name, value, f"a list of {length} numbers")
        return tuple(float(v) if kind is float and type(v) is int else v for v in value)
    if _SCALARS[name] is float and type(value) is int:
        return float(value)
    return value


def _check_types(recipe):
    for name, kind in _SCALARS.items():
        value = getattr(recipe, name)
        if type(value) is kind or (value is None and name in _OPTIONAL) or (value == AUTO and name in _OR_AUTO):
            continue
        _fail(name, value, f"of type {kind.__name__}" + (f", or {AUTO!r}" if name in _OR_AUTO else ""))
    for name, (kind, length) in _TUPLES.items():
        value = getattr(recipe, name)
        if value is None and name in _OPTIONAL:
            continue
        if type(value) is not tuple or len(value) != length or any(type(v) is not kind for v in value):
            _fail(name, value, f"{length} numbers of type {kind.__name__}")


def _check_range(recipe, name, low, high):
    value = getattr(recipe, name)
    if not low <= value <= high:
        _fail(name, value, f"in {low}..{high}")


def _fail(name, value, expected):
    raise RecipeError(f"recipe field {name} is {value!r}, but must be {expected}")


def _unknown_keys(names, where):
    hints = []
    for name in names:
        close = difflib.get_close_matches(name, FIELD_NAMES, 1)
        hints.append(f"{name!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
    return f"{where}: unknown recipe key {', '.join(hints)}; known are {', '.join(FIELD_NAMES)}"
