"""`load_depth_estimator`: from a name to a depth model that is ready to run."""

import inspect
import re

import numpy as np
import torch
import transformers
from transformers import AutoImageProcessor

from fgbg_depth.depth import auto  # noqa: F401  registers DenseDepth with the Auto classes
from fgbg_depth.depth.configuration import DenseDepthConfig
from fgbg_depth.depth.convert import convert_keras_weights, file_sha256
from fgbg_depth.depth.engines import AUTO, OPENVINO, choose
from fgbg_depth.depth.estimator import DepthEstimator, check_batch_size
from fgbg_depth.depth.locate import NYU, cache_folder, locate_model
from fgbg_depth.depth.modeling import DenseDepthForDepthEstimation
from fgbg_depth.depth.networks import METRIC_DEPTH, DenseDepthNetwork, TransformersNetwork, output_of
from fgbg_depth.depth.pretrained import (
    COUNTER,
    fetch,
    load_pretrained,
    quiet_transformers,
    read_json,
    stable_settings,
    weights_digest,
)
from fgbg_depth.depth.torch_engine import CPU_BATCH, TorchRunner, find_batch_size
from fgbg_depth.errors import DepthModelError, UsageError

TRIAL_SIDE_PX = 224  # a usual size of composites
NYU_BLOCKS = [6, 12, 32, 32]  # DenseNet-169: what tells the published network from another DenseDepth
_PILLOW = {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}
_SNAPSHOT = re.compile(r"snapshots/([0-9a-f]{40})/")


def load_depth_estimator(
    name,
    device="cpu",
    input_size=None,
    batch_size=CPU_BATCH,
    weights=None,
    num_threads=None,
    engine="torch",
    precision="fp32",
    output=None,
):
    """Load a depth model.

    Args:
        name: `densedepth-mini` (embedded), `densedepth-nyu` (see `weights`), a local folder in `transformers`
            layout, a Keras .h5 file (converted once, into the cache folder), or a Hub repo id of any
            `transformers` depth-estimation model, with `@revision` behind it if wanted.
        device: "cpu", "cuda", "cuda:1", "mps".
        input_size: (height, width) at which the network sees a picture [pixels]; None: the model's own.
        batch_size: pictures per run of the network; part of what decides the last bit. None or "auto": 16 on the CPU, on a GPU what its
            memory allows, found by trying.
        weights: for `densedepth-nyu`: its converted folder or .h5 file; else FGBG_DEPTH_WEIGHTS, else the
            cache.
        num_threads: CPU threads of the network; None leaves torch's setting.
        engine: "torch", "openvino" (DenseDepth on the CPU), or "auto".
        precision: "fp32", "bf16" or "fp16" as the engine can (table in `engines.py`), or "auto". What `auto` became stands in the
            estimator's attributes and in `describe()`.
        output: what the model's numbers mean, for models that don't tell: "metric-depth", "relative-depth"
            (larger is farther) or "relative-inverse" (larger is nearer).

    Returns:
        DepthEstimator.

    Raises:
        UsageError: an argument makes no sense, or the device isn't there.
        MissingEngineError: the engine isn't installed.
        DepthModelError: the model isn't there, or is no depth model; the message says what to do.
        WeightsError: its weights are damaged or incomplete.
    """
    device = _checked_device(device)
    choose(engine, precision, device)  # what can't be is refused before anything is read
    batch_size = None if batch_size == AUTO else batch_size
    if batch_size is not None:
        check_batch_size(batch_size)
    if input_size is not None:
        input_size = _checked_size(input_size)
    source = locate_model(name, weights)
    folder = source.folder if source.keras_file is None else _converted(source.keras_file)
    location, revision = (source.repo_id, source.revision) if folder is None else (folder, None)
    config_file = fetch(location, "config.json", revision, required=True)
    snapshot = _SNAPSHOT.search(str(config_file).replace("\\", "/")) if source.repo_id else None
    commit = snapshot[1] if snapshot else None  # pin what is loaded to the files just seen
    config = read_json(config_file)
    is_densedepth = config.get("model_type") == DenseDepthConfig.model_type
    choice = choose(engine, precision, device, is_densedepth)
    if is_densedepth:
        network, digest, model = _densedepth(location, commit or revision, input_size, output)
        if source.must_be_nyu and model.config.block_config != NYU_BLOCKS:
            raise DepthModelError(
                f"{location}: a DenseDepth network with blocks {model.config.block_config}, not {NYU} "
                f"({NYU_BLOCKS}). Name the folder that convert-weights made from nyu.h5."
            )
    elif source.must_be_nyu:
        raise DepthModelError(f"{location}: a {config.get('model_type')!r} model, not {NYU}.")
    else:
        network, digest, model = _any_transformers(
            location, commit or revision, device, input_size, output, config, choice.precision
        )
    state = model.state_dict()
    num_values = sum(tensor.numel() for key, tensor in state.items() if not key.endswith(COUNTER))
    if is_densedepth:
        batch_size = _start_engine(network, model, choice, device, batch_size, num_threads)
    elif batch_size is None:
        height, width = network.input_size or (TRIAL_SIDE_PX, TRIAL_SIDE_PX)
        batch_size = find_batch_size(lambda count: network(np.full((count, height, width, 3), 128, np.uint8)), device)
    facts = {
        "architecture": type(model).__name__,
        "num_values": num_values,
        "repo_id": source.repo_id,
        "revision": commit or source.revision,
    }
    return DepthEstimator(network, source.name, digest, facts, batch_size, device, num_threads, choice)


def _start_engine(network, model, choice, device, batch_size, num_threads):
    """Give a DenseDepth network the engine that runs it; returns the batch size."""
    size = network.input_size
    if choice.engine == OPENVINO:
        from fgbg_depth.depth.openvino_engine import OpenVinoRunner

        batch_size = CPU_BATCH if batch_size is None else batch_size
        network.run = OpenVinoRunner(model, size, choice.precision, batch_size, num_threads)
    else:
        network.run = TorchRunner(model, size, device, choice.precision)
        if batch_size is None:
            batch_size = find_batch_size(lambda count: network.run(np.full((count, 3, *size), 0.5, np.float32)), device)
    return batch_size


def _densedepth(location, revision, input_size, output):
    if output not in (None, METRIC_DEPTH):
        raise UsageError(f"DenseDepth gives metres; output={output!r} doesn't go with it. Leave it out.")
    model = load_pretrained(location, revision, DenseDepthForDepthEstimation)
    digest = weights_digest(model, densedepth_settings(model.config))
    return DenseDepthNetwork(model.config, input_size), digest, model


def densedepth_settings(config):
    """The settings of a DenseDepthConfig that decide its output, as a JSON-able dict."""
    names = inspect.signature(DenseDepthConfig.__init__).parameters
    return {name: getattr(config, name) for name in names if name not in ("self", "kwargs")}


def _any_transformers(location, revision, device, input_size, output, config, precision):
    model = load_pretrained(location, revision)
    meaning = output_of(model.config, output)
    processor = _image_processor(location, revision)
    settings = {
        "config": stable_settings(config),
        "processor": read_json(fetch(location, "preprocessor_config.json", revision)),
        "output": meaning,
    }
    digest = weights_digest(model, settings)
    network = TransformersNetwork(model, processor, device, meaning, input_size, precision)
    _try_out(network, location, input_size)
    return network, digest, model


def _try_out(network, location, input_size):
    """Run a foreign model once, so that what it lacks here is known before the work begins."""
    picture = np.full((1, TRIAL_SIDE_PX, TRIAL_SIDE_PX, 3), 128, np.uint8)
    try:
        maps = network(picture)
    except Exception as error:  # other people's code: anything can come
        hint = ""
        if "tvF" in str(error):
            hint = " Its image processor needs torchvision: pip install torchvision."
        elif input_size is not None:
            hint = f" It may not take the input size {input_size}; leave that out."
        text = " ".join(str(error).split())
        raise DepthModelError(
            f"Depth model {str(location)!r} fails on a gray picture: {type(error).__name__}: {text}.{hint}"
        ) from error
    if maps.shape != picture.shape[:3]:
        raise DepthModelError(
            f"Depth model {str(location)!r} gives maps of shape {maps.shape} for pictures of "
            f"{picture.shape[:3]}. "
            "Expected one map of the same size for each."
        )


def _image_processor(location, revision):
    """The model's image processor, in its Pillow form where there is one, so that torchvision changes
    nothing."""
    arguments = {"revision": revision or "main", "trust_remote_code": False, **_PILLOW}
    try:
        with quiet_transformers():
            return AutoImageProcessor.from_pretrained(str(location), **arguments)
    except (OSError, ValueError, ImportError, KeyError, TypeError) as error:
        raise DepthModelError(
            f"Depth model {str(location)!r}: its image processor can't be loaded: {error}. Expected "
            "preprocessor_config.json beside config.json."
        ) from error


def _converted(keras_file):
    """The converted form of a .h5 file, from the cache if it was converted before."""
    sha256 = file_sha256(keras_file)
    folder = cache_folder() / "converted" / sha256[:32]
    if not (folder / "config.json").is_file():
        convert_keras_weights(keras_file, folder)
    return folder


def _checked_device(device):
    try:
        device = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise UsageError(f"Device {device!r} is unknown. Expected cpu, cuda, cuda:N or mps.") from error
    missing = None
    if device.type == "cuda" and not torch.cuda.is_available():
        missing = "torch sees no CUDA device here"
    elif device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        missing = f"torch sees {torch.cuda.device_count()} CUDA devices here"
    elif device.type == "mps" and not torch.backends.mps.is_available():
        missing = "torch sees no Metal device here"
    elif device.type not in ("cpu", "cuda", "mps"):
        missing = "only cpu, cuda and mps are supported"
    if missing:
        raise UsageError(f"Device {str(device)!r} can't be used: {missing}. Use cpu.")
    return device


def _checked_size(input_size):
    try:
        height, width = (int(side) for side in input_size)
    except (TypeError, ValueError):
        height = width = 0
    if height < 1 or width < 1:
        raise UsageError(f"Depth input size is {input_size!r}. Expected (height, width) in pixels.")
    return height, width
