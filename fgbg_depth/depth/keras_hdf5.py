"""Reads a Keras 2 whole-model .h5 as plain data: no Keras, no pickle, nothing outside the file.

HDF5 can point elsewhere: soft and external links, virtual data sets, external storage. Keras writes none of
these, so each is refused. Every object is met through a plain hard link, once; only float tensors and text
are read.

A file from `model.save` looks like this:

    /                                 attributes keras_version, backend, model_config (JSON)
    /model_weights                    attribute layer_names
    /model_weights/<layer>            attribute weight_names; layer names hold slashes, so groups nest
    /model_weights/<layer>/<weight>   a data set
"""

import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from fgbg_depth.errors import UsageError, WeightsError

IGNORED_ROOT_GROUPS = ("optimizer_weights",)  # model.save adds it after training; no output needs it
EMPTY_GROUPS = ("top_level_model_weights",)  # tf-keras writes it beside the layers
MAX_DEPTH_OF_GROUPS = 16  # Keras nests four deep; a bound against a file that nests for ever

_FOREIGN_STARTS = (
    (b"PK\x03\x04", "a zip archive (a .keras file or a torch checkpoint?)"),
    (b"\x80\x02", "a Python pickle, which is never opened"),
    (b"\x80\x04", "a Python pickle, which is never opened"),
    (b"version https://git-lfs", "a git LFS pointer: the real file was not fetched"),
    (b"<", "a web page or XML error message: the download failed"),
)


@dataclass
class KerasFile:
    """What an open Keras file says about itself; `read` fetches one tensor.

    Attributes:
        path: the file.
        keras_version: e.g. "2.2.4", "" if the file doesn't say.
        model_config: the parsed JSON.
        layer_names: in file order.
        tensors: weight name -> h5py data set, in file order; all of them float32 in shape but not yet read.
    """

    path: Path
    keras_version: str
    model_config: dict
    layer_names: list
    tensors: dict = field(repr=False)

    def read(self, name):
        """One tensor as a float32 array in Keras' axis order.

        Raises:
            WeightsError: it can't be read, or holds NaN or infinite values.
        """
        data_set = self.tensors[name]
        with _hdf5_errors(self.path):
            stored_bytes = data_set.id.get_storage_size()
            array = data_set[()] if stored_bytes else None
        if array is None:
            raise WeightsError(
                f"{self.path}: tensor {name!r} was declared but never written. Expected its values."
            )
        bad = np.count_nonzero(~np.isfinite(array))
        if bad:
            raise WeightsError(
                f"{self.path}: tensor {name!r} holds {bad} values of {array.size} that are NaN or infinite. "
                "Expected finite weights; the file is damaged or its training diverged."
            )
        return array


@contextmanager
def open_keras_file(path):
    """Open and check the container; the tensors are read one by one with `KerasFile.read`.

    Args:
        path: a .h5 file as Keras 2 (or tf-keras) writes it by `model.save`.

    Yields:
        KerasFile.

    Raises:
        UsageError: there is no such file.
        WeightsError: not HDF5, truncated, not a whole Keras 2 model, or it points outside itself.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such file. Expected a Keras .h5 file.")
    _check_signature(path)
    with ExitStack() as stack:
        with _hdf5_errors(path):
            file = stack.enter_context(h5py.File(path, "r"))
            keras_file = _inspect(path, file)
        yield keras_file


@contextmanager
def _hdf5_errors(path):
    """The many exceptions by which h5py tells of a damaged file, as WeightsError."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise WeightsError(
            f"{path}: the HDF5 library can't read it: {error}. "
            "The file is truncated or damaged; get it again."
        ) from error


def _check_signature(path):
    try:
        with path.open("rb") as stream:
            start = stream.read(64)
    except OSError as error:
        raise WeightsError(f"{path}: can't be read: {error}.") from error
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return
    found = next((what for prefix, what in _FOREIGN_STARTS if start.lstrip().startswith(prefix)), None)
    found = found or ("an empty file" if not start else f"something else (it starts with {start[:8]!r})")
    raise WeightsError(f"{path}: not an HDF5 file but {found}. Expected a Keras .h5 file such as nyu.h5.")


def _inspect(path, file):
    version = _text(file.attrs.get("keras_version", ""))
    if version and not version.startswith("2."):
        raise WeightsError(
            f"{path}: written by Keras {version}, whose layer and weight names differ. Expected Keras 2 "
            "(or tf-keras, which is Keras 2): load it there and save it again with model.save."
        )
    if "model_weights" not in file:
        kind = "weights without a network (save_weights)" if "layer_names" in file.attrs else "no Keras model"
        raise WeightsError(f"{path}: holds {kind}. Expected a whole model, as model.save writes it.")
    if "model_config" not in file.attrs:
        raise WeightsError(
            f"{path}: has no model_config, so its activations can't be known. Expected a whole model, as "
            "model.save writes it."
        )
    try:
        model_config = json.loads(_text(file.attrs["model_config"]))
    except ValueError as error:
        raise WeightsError(f"{path}: its model_config is no JSON ({error}). The file is damaged.") from error
    for name in file:
        if name != "model_weights" and name not in IGNORED_ROOT_GROUPS:
            raise WeightsError(f"{path}: unknown object /{name}. Expected only /model_weights.")
    weights = _hard_link(path, file, "model_weights")
    groups, data_sets = {}, {}
    _walk(path, weights, "", groups, data_sets, seen=set(), depth=0)
    layer_names = _names(path, weights, "layer_names")
    return KerasFile(path, version, model_config, layer_names, _tensors(path, layer_names, groups, data_sets))


def _walk(path, group, prefix, groups, data_sets, seen, depth):
    """Collect all groups and data sets below `group` by path, following hard links only."""
    if depth > MAX_DEPTH_OF_GROUPS:
        raise WeightsError(
            f"{path}: groups nest deeper than {MAX_DEPTH_OF_GROUPS} at {prefix!r}. Not a Keras file."
        )
    for name in group:
        item, where = _hard_link(path, group, name), f"{prefix}{name}"
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            raise WeightsError(
                f"{path}: {where!r} is linked twice. Expected each object once, as Keras writes them."
            )
        seen.add(address)
        if isinstance(item, h5py.Group):
            groups[where] = item
            _walk(path, item, where + "/", groups, data_sets, seen, depth + 1)
        elif isinstance(item, h5py.Dataset):
            if item.is_virtual or item.external:
                raise WeightsError(
                    f"{path}: tensor {where!r} keeps its values in other files. Expected them inside."
                )
            data_sets[where] = item
        else:
            raise WeightsError(f"{path}: {where!r} is neither a group nor a tensor. Not a Keras file.")


def _hard_link(path, group, name):
    link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        target = f"{getattr(link, 'filename', '')}:{getattr(link, 'path', '')}".lstrip(":")
        raise WeightsError(
            f"{path}: {group.name.rstrip('/')}/{name} is a {type(link).__name__} to {target!r}. "
            "Links are never followed; expected the tensors themselves."
        )
    return group[name]


def _tensors(path, layer_names, groups, data_sets):
    """Match what layer_names and weight_names promise with what is stored, both ways."""
    if len(set(layer_names)) != len(layer_names):
        raise WeightsError(f"{path}: layer_names names a layer twice.")
    tensors, places = {}, []
    for layer in layer_names:
        if layer not in groups:
            raise WeightsError(f"{path}: layer {layer!r} is named but has no group. The file is incomplete.")
        for weight in _names(path, groups[layer], "weight_names"):
            data_set = data_sets.pop(f"{layer}/{weight}", None)
            if data_set is None:
                raise WeightsError(f"{path}: tensor {weight!r} of layer {layer!r} is missing from the file.")
            if not weight.startswith(f"{layer}/"):
                raise WeightsError(
                    f"{path}: tensor {weight!r} lies in the group of layer {layer!r}. Refused."
                )
            if weight in tensors:
                raise WeightsError(f"{path}: two tensors have the name {weight!r}.")
            if data_set.dtype != np.dtype("<f4"):
                raise WeightsError(f"{path}: tensor {weight!r} has type {data_set.dtype}. Expected float32.")
            tensors[weight] = data_set
            places.append(f"{layer}/{weight}")
    if data_sets:
        raise WeightsError(f"{path}: unknown tensor {min(data_sets)!r}, which no layer names. Refused.")
    known = {*layer_names, *EMPTY_GROUPS}
    for place in [*layer_names, *places]:
        known.update(str(parent) for parent in PurePosixPath(place).parents)
    unknown = sorted(set(groups) - known)
    if unknown:
        raise WeightsError(f"{path}: unknown group {unknown[0]!r}, which is no layer. Refused.")
    return tensors


def _names(path, group, attribute):
    if attribute not in group.attrs:
        raise WeightsError(f"{path}: {group.name} has no attribute {attribute}. Expected a Keras 2 file.")
    return [_text(name) for name in np.asarray(group.attrs[attribute]).ravel()]


def _text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
