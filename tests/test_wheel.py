"""The wheel holds what the package needs at run time, and no more."""

import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT, run_cli

from fgbg_depth.preview.page import SCRIPTS


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_is_complete_and_small(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "fgbg_depth/cli.py",
        "fgbg_depth/dataset_card.md",
        "fgbg_depth/depth/weights/densedepth-mini/model.safetensors",
        "fgbg_depth/preview/page.css",
        "fgbg_depth/preview/page.html",
        "fgbg_depth/samples/LICENSES.txt",
    ):
        assert needed in names
    assert {f"fgbg_depth/preview/{script}" for script in SCRIPTS} < set(names)
    assert sum(name.startswith("fgbg_depth/samples/bg/") and name.endswith(".jpg") for name in names) == 12
    assert not [name for name in names if name.startswith(("tests/", "scripts/", "builder/"))]
    assert wheel.stat().st_size < 6e6


def test_wheel_works_away_from_the_checkout(wheel, tmp_path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    flags = ["--depth-model", "none", "--placements", "1", "--splits", "1", "0", "0", "--quiet", "--workers", "1"]
    samples = site / "fgbg_depth" / "samples"
    done = run_cli(
        "generate", "--backgrounds", samples / "bg", "--foregrounds", samples / "fg", "--out", "set", *flags,
        cwd=tmp_path, env={"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert "288 rows" in done.stdout
    card = (tmp_path / "set" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
