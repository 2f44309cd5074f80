"""Finding and loading depth models: names, folders, the Hub's cache, damaged files, missing packages."""

import json
import os
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from densedepth import tiny
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel

from fgbg_depth.depth import load_depth_estimator
from fgbg_depth.depth.locate import MINI, NYU, ModelSource, embedded_folder, locate_model
from fgbg_depth.depth.pretrained import quiet_transformers
from fgbg_depth.errors import DepthModelError, UsageError, WeightsError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path):
    return tiny.save_densedepth(tmp_path / "tiny")


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    """An empty cache and no variable. Returns the cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FGBG_DEPTH_WEIGHTS", raising=False)
    return tmp_path / "cache" / "fgbg_depth"


def change_weights(folder, change):
    path = folder / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path, {"format": "pt"})


def run_python(code, **environment):
    """Run code in a process of its own. Returns its CompletedProcess."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


# Names


def test_names_that_need_no_search(folder, tmp_path):
    assert locate_model(MINI) == ModelSource(MINI, folder=embedded_folder())
    assert locate_model(folder) == ModelSource("tiny", folder=folder)
    assert locate_model(str(folder) + "/") == ModelSource("tiny", folder=folder)
    (tmp_path / "some.H5").write_bytes(b"")
    assert locate_model(tmp_path / "some.H5") == ModelSource("some.H5", keras_file=tmp_path / "some.H5")
    assert locate_model("org/name") == ModelSource("org/name", repo_id="org/name")
    assert locate_model("org/name@v1") == ModelSource("org/name", repo_id="org/name", revision="v1")


def test_a_folder_counts_before_the_hub(folder, monkeypatch):
    monkeypatch.chdir(folder.parent.parent)
    name = f"{folder.parent.name}/tiny"
    assert locate_model(name).folder.samefile(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./absent", "no such file or folder"),
        ("/absent/folder", "no such file or folder"),
        ("absent.h5", "no such file or folder. Expected densedepth-mini, densedepth-nyu"),
        ("models\\absent", "no such file or folder"),
        ("densedepth-nano", "no such file or folder. Expected densedepth-mini"),
        ("a/b/c", "no such file or folder"),
        ("", "holds no depth model|no such file"),
    ],
)
def test_names_that_stand_for_nothing(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DepthModelError, match=message):
        locate_model(name)


def test_paths_that_hold_no_model(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(
        DepthModelError, match=r"holds no depth model .found notes\.txt.*Expected config\.json"
    ):
        locate_model(tmp_path)
    with pytest.raises(DepthModelError, match=r"notes\.txt: a file that is no Keras \.h5"):
        locate_model(tmp_path / "notes.txt")


def test_none_and_stray_weights_are_wrong_use(folder):
    with pytest.raises(UsageError, match="'none' means no depth"):
        locate_model("none")
    with pytest.raises(UsageError, match="only go with 'densedepth-nyu'"):
        locate_model(MINI, weights=folder)


def test_nyu_is_looked_for_in_order(folder, no_weights, tmp_path, monkeypatch):
    expected = r"denied.*172,897,376 bytes.*`fgbg-depth convert-weights nyu\.h5 OUT`.*FGBG_DEPTH_WEIGHTS"
    with pytest.raises(DepthModelError, match=expected):
        locate_model(NYU)

    no_weights.mkdir(parents=True)
    (no_weights / "nyu.h5").write_bytes(b"")
    assert locate_model(NYU) == ModelSource(NYU, keras_file=no_weights / "nyu.h5", must_be_nyu=True)
    (no_weights / NYU).mkdir()
    (no_weights / NYU / "nyu.h5").write_bytes(b"")
    assert locate_model(NYU).keras_file == no_weights / NYU / "nyu.h5"
    (no_weights / NYU / "config.json").write_text("{}")
    assert locate_model(NYU).folder == no_weights / NYU

    monkeypatch.setenv("FGBG_DEPTH_WEIGHTS", str(folder))
    assert locate_model(NYU).folder == folder
    assert locate_model(NYU, weights=no_weights / "nyu.h5").keras_file == no_weights / "nyu.h5"

    # What is named has to be there: the next place isn't tried in silence.
    monkeypatch.setenv("FGBG_DEPTH_WEIGHTS", str(tmp_path / "absent"))
    with pytest.raises(DepthModelError, match=r"FGBG_DEPTH_WEIGHTS is .*absent', which isn't there"):
        locate_model(NYU)
    with pytest.raises(DepthModelError, match=r"the weights given is .*gone', which isn't there"):
        locate_model(NYU, weights=tmp_path / "gone")


def test_nyu_has_to_be_the_published_network(folder, no_weights, tmp_path):
    with pytest.raises(DepthModelError, match=r"blocks \[1, 2, 2, 1\], not densedepth-nyu"):
        load_depth_estimator(NYU, weights=folder)
    dpt = tiny.save_dpt(tmp_path / "dpt")
    with pytest.raises(DepthModelError, match="a 'dpt' model, not densedepth-nyu"):
        load_depth_estimator(NYU, weights=dpt)


def test_embedded_model_works():
    estimator = load_depth_estimator(MINI, batch_size=2)
    assert (estimator.name, estimator.kind, estimator.input_size) == (MINI, "metric", (224, 224))
    images = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    depth = estimator.predict(images)
    assert depth.shape == (1, 224, 224)
    assert 0.1 <= depth.min() < depth.max() <= 10


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"device": "cuda:7"}, "'cuda:7' can't be used: torch sees"),
        ({"device": "meta"}, "only cpu, cuda and mps"),
        ({"device": "gpu"}, "'gpu' is unknown"),
        ({"engine": "magic"}, "engine 'magic' is unknown. Expected one of: auto, torch, openvino"),
        ({"precision": "fp8"}, "precision 'fp8' is unknown. Expected one of: auto, fp32, bf16, fp16"),
        ({"batch_size": 0}, "batch size is 0"),
        ({"batch_size": 2.0}, "batch size is 2.0"),
        ({"num_threads": 0}, "threads is 0"),
        ({"input_size": 64}, "input size is 64"),
        ({"input_size": (64, 0)}, r"input size is \(64, 0\)"),
        ({"input_size": (100, 64)}, r"input size \(100, 64\).*multiples of 32"),
        ({"output": "relative-depth"}, "DenseDepth gives metres"),
    ],
)
def test_arguments_that_make_no_sense(folder, argument, message):
    with pytest.raises(UsageError, match=message):
        load_depth_estimator(folder, **argument)


# Weights


def test_digest_is_of_content_not_of_place(folder, tmp_path):
    digest = load_depth_estimator(folder).weights_digest
    assert len(digest) == 64 and set(digest) <= set("0123456789abcdef")
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert load_depth_estimator(tmp_path / "elsewhere", batch_size=5).weights_digest == digest

    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "transformers_version": "1.0", "_name_or_path": "x"})
    )
    assert load_depth_estimator(folder).weights_digest == digest
    (folder / "config.json").write_text(json.dumps({**config, "max_depth_m": 20.0}))
    assert load_depth_estimator(folder).weights_digest != digest

    shutil.copyfile(tmp_path / "elsewhere" / "config.json", folder / "config.json")
    change_weights(folder, lambda state: state["encoder.norm.num_batches_tracked"].add_(5))
    assert load_depth_estimator(folder).weights_digest == digest  # no output depends on it
    change_weights(folder, lambda state: state["encoder.norm.running_var"].mul_(1.0001))
    assert load_depth_estimator(folder).weights_digest != digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("decoder.head.bias"), r"1 tensors are missing: decoder\.head\.bias"),
        (lambda state: state.update(extra=torch.ones(1)), "1 tensors are unknown: extra"),
        (lambda state: state.update({"decoder.head.bias": torch.ones(2)}), "wrong shape"),
        (
            lambda state: state["encoder.norm.weight"].fill_(np.nan),
            r"NaN or infinite values: encoder\.norm\.weight",
        ),
        (lambda state: state["encoder.norm.running_var"].fill_(np.inf), "encoder.norm.running_var"),
    ],
)
def test_unsound_weights_are_refused(folder, change, message):
    change_weights(folder, change)
    with pytest.raises(WeightsError, match=message):
        load_depth_estimator(folder)


@pytest.mark.parametrize("keep", [0, 7, 1000, -1])
def test_truncated_safetensors(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="safetensors file is damaged or truncated"):
        load_depth_estimator(folder)


def test_tensors_that_no_output_depends_on_may_be_missing(tmp_path):
    """Published DPT checkpoints lack them; transformers would fill in random numbers."""
    folder = tiny.save_dpt(tmp_path / "dpt")

    def drop(state):
        for name in [
            name for name in state if name.startswith("neck.fusion_stage.layers.0.residual_layer1.")
        ]:
            del state[name]

    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    whole = load_depth_estimator(folder, batch_size=1)
    change_weights(folder, drop)
    first, second = (load_depth_estimator(folder, batch_size=1) for _ in range(2))
    assert first.weights_digest == second.weights_digest
    np.testing.assert_array_equal(first.predict(images), whole.predict(images))
    change_weights(folder, lambda state: state.pop("head.head.0.weight"))
    with pytest.raises(WeightsError, match=r"1 tensors are missing: head\.head\.0\.weight"):
        load_depth_estimator(folder)


def test_pickled_weights_are_never_opened(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04not opened")
    with pytest.raises(DepthModelError, match=r"no model\.safetensors.*pickled weights .* are never opened"):
        load_depth_estimator(folder)


def test_broken_config(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(DepthModelError, match="not a readable JSON file"):
        load_depth_estimator(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "densedepth", "growth_rate": -1}))
    with pytest.raises(DepthModelError, match="growth_rate is -1"):
        load_depth_estimator(folder)


def test_a_model_of_another_kind(tmp_path):
    config = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9
    )
    tiny.save(BertModel(config), {}, tmp_path / "bert")
    with pytest.raises(DepthModelError, match="not a depth-estimation model"):
        load_depth_estimator(tmp_path / "bert")


def test_code_from_the_repo_is_never_run(folder):
    ran = folder / "ran"
    (folder / "modeling_custom.py").write_text(
        f"open({str(ran)!r}, 'w')\nclass Custom: pass\nCustomConfig = Custom\n"
    )
    auto_map = {
        "AutoConfig": "modeling_custom.CustomConfig",
        "AutoModelForDepthEstimation": "modeling_custom.Custom",
    }
    (folder / "config.json").write_text(json.dumps({"model_type": "custom_depth", "auto_map": auto_map}))
    with pytest.raises(DepthModelError, match="needs Python code from its repo, which is never run"):
        load_depth_estimator(folder)
    assert not ran.exists()


def test_missing_image_processor(tmp_path):
    folder = tiny.save_dpt(tmp_path / "dpt")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(DepthModelError, match="image processor can't be loaded"):
        load_depth_estimator(folder)


def test_foreign_model_that_fails_is_found_before_the_work(tmp_path):
    folder = tiny.save_dpt(tmp_path / "dpt")
    with pytest.raises(
        DepthModelError, match=r"fails on a gray picture: RuntimeError.*input size \(96, 64\)"
    ):
        load_depth_estimator(folder, input_size=(96, 64))  # this kind of DPT takes squares only


# Processes of their own


def test_hub_model_from_the_cache_without_a_network(folder, tmp_path):
    """The Hub's cache layout, made by hand; the commit is recorded, and nothing is asked of the network."""
    repo = tmp_path / "hub" / "models--org--tiny-depth"
    shutil.copytree(folder, repo / "snapshots" / COMMIT)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    done = run_python(
        """
        import json
        from fgbg_depth.depth import load_depth_estimator
        from fgbg_depth.errors import DepthModelError
        estimator = load_depth_estimator("org/tiny-depth")
        print(json.dumps(estimator.describe()))
        try:
            load_depth_estimator("org/other")
        except DepthModelError as error:
            print(error)
        """,
        HF_HUB_CACHE=str(tmp_path / "hub"),
        HF_HUB_OFFLINE="1",
    )
    assert done.returncode == 0, done.stderr
    described, refusal = done.stdout.splitlines()
    described = json.loads(described)
    assert (described["name"], described["repo_id"]) == ("org/tiny-depth", "org/tiny-depth")
    assert described["revision"] == COMMIT
    assert described["weights_digest"] == load_depth_estimator(folder).weights_digest
    assert "'org/other': config.json can't be had" in refusal


def test_importing_the_package_loads_nothing_heavy():
    done = run_python(
        """
        import sys
        import fgbg_depth.depth, fgbg_depth.depth.postprocess, fgbg_depth.depth.locate
        import fgbg_depth.commands.convert
        from fgbg_depth.depth.keras_weights import read_keras_weights
        print(sorted({"torch", "transformers", "safetensors"} & set(sys.modules)))
        """
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_missing_package_is_named_with_its_cure(package):
    done = run_python(
        f"""
        import sys
        sys.modules[{package!r}] = None
        import fgbg_depth.depth
        from fgbg_depth.errors import DepthModelError
        try:
            fgbg_depth.depth.load_depth_estimator
        except DepthModelError as error:
            print(isinstance(error, ImportError), error)
        """
    )
    assert done.stdout.startswith(f"True Depth models need the package {package}"), done.stderr
    assert 'pip install "fgbg-depth[depth]"' in done.stdout


def test_unknown_names_are_attribute_errors():
    import fgbg_depth.depth

    assert set(fgbg_depth.depth.__all__) <= set(dir(fgbg_depth.depth))
    for name in fgbg_depth.depth.__all__:
        assert getattr(fgbg_depth.depth, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        fgbg_depth.depth.Nonsense  # noqa: B018


def test_quiet_transformers_puts_its_settings_back():
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with quiet_transformers():
        assert not logging.is_progress_bar_enabled()
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
