"""`fgbg-depth verify`: good sets are good, what is printed, and the command that is told mends each kind of damage."""

import dataclasses
import shlex
import subprocess

import pytest
from real_runs import call, call_good, tree
from small_sets import NAMES, recipe, small_set
from verify_sets import ALL_ROWS, FOREGROUNDS, METADATA, ROW, SHARD, flip_bit, replace_text, rewrite, value_of, verify

from fgbg_depth.config import Recipe
from fgbg_depth.verify import verify_set

# --- good sets ---


@pytest.mark.parametrize("name", NAMES)
def test_good_set_is_good_and_left_alone(name):
    folder = small_set(name)
    before = tree(folder)
    model = ("--depth-model", recipe(name).depth_model) if name == "unscaled" else ()
    report = verify(folder, "--rebuild", ALL_ROWS, *model, code=0)
    assert report["good"] and report["findings"] == [] and report["notes"] == []
    assert report["rows"] == report["rebuilt"] > 0
    assert report["depth_rebuilt"] == (report["rows"] if recipe(name).has_depth else 0)
    assert tree(folder) == before


def test_summary_for_people(original):
    ended = call_good("verify", original, "--quiet", "--workers", "1", "--rebuild", "7")
    assert ended.out.startswith(f"{original} is good: ") and "80 rows" in ended.out and "7 rows made anew" in ended.out


@pytest.mark.parametrize(
    "changes",
    [
        {"mask": "matte", "image_format": "png", "overhang": 0.5},
        {"scale": (0.2, 0.6), "hold_out": "both", "splits": (0.6, 0.4, 0.0), "background_fit": "pad"},
        {"hold_out": "none", "splits": (1.0, 0.0, 0.0), "foreground_fit": "stretch", "mask_threshold": 1, "image_quality": 50},
    ],
)
def test_all_ways_of_making_rows_are_verified(changes, original_pictures, tmp_path):
    from fgbg_depth.generate import generate
    from fgbg_depth.prepare import Options

    layout = {"image_size": 48, "foreground_size": (20, 16), "rows_per_shard": 20, "first_shard_rows": 8, "rows_per_group": 5}
    made = Recipe(**{**layout, "placements": 2, "depth_model": "none", **changes})
    generate(tmp_path / "set", made, Options(original_pictures.backgrounds, original_pictures.foregrounds, num_workers=1))
    report = verify_set(tmp_path / "set", rebuild=ALL_ROWS, num_workers=1)
    assert report.findings == () and report.rebuilt == report.rows > 0


def test_workers_change_nothing_of_the_report(damaged):
    flip_bit(damaged / SHARD, value_of(damaged / SHARD, "image", ROW)[0] + 900)
    flip_bit(damaged / FOREGROUNDS, value_of(damaged / FOREGROUNDS, "image", 1)[0] + 200)
    one, two = (verify_set(damaged, rebuild=20, num_workers=workers) for workers in (1, 2))
    assert one.findings and dataclasses.replace(one, seconds=0) == dataclasses.replace(two, seconds=0)


# --- wrong use, and what is printed ---


@pytest.mark.parametrize(
    ("flags", "words"), [(("--rebuild", "-1"), "expected 0 or more rows"), (("--workers", "0"), "expected at least 1"), ((), "")]
)
def test_wrong_use(original, tmp_path, flags, words):
    folder = original if flags else tmp_path
    ended = call("verify", folder, "--quiet", *flags)
    assert ended.code == 2 and (words or "holds no set") in ended.err


def test_no_folder(tmp_path):
    assert call("verify", tmp_path / "none").code == 2


def test_findings_for_people(damaged):
    rewrite(damaged, SHARD, lambda values: values.__setitem__("bbox", [[0, 0, 1, 1]] * 24))
    for number in range(40):
        (damaged / f"data/train/strange-{number:02d}.txt").write_text("")
    ended = call("verify", damaged, "--quiet", "--workers", "1")
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert sum("strange-" in line and not line.startswith("  rm") for line in lines) + sum("bbox" in line for line in lines) <= 50
    assert any(line.startswith("... and ") and line.endswith(" more (all are in --json)") for line in lines)
    assert f"  rm {damaged / SHARD} && fgbg-depth generate --backgrounds BACKGROUNDS" in ended.out
    assert lines[-1].startswith(f"{damaged}: ") and "problems in" in lines[-1]


# --- repairs ---


def flip_image(folder):
    flip_bit(folder / SHARD, value_of(folder / SHARD, "image", ROW)[0] + 700)


def change_stats(folder):
    replace_text(folder / "stats.json", '"validation": {', '"evaluation": {')


REPAIRED = {
    "data file": flip_image,
    "missing data file": lambda folder: (folder / SHARD).unlink(),
    "metadata table": lambda folder: flip_bit(folder / METADATA, 100),
    "asset table": lambda folder: flip_bit(folder / FOREGROUNDS, value_of(folder / FOREGROUNDS, "image", 0)[0] + 99),
    "statistics": change_stats,
    "manifest": lambda folder: (folder / "manifest.json").unlink(),
    "recipe": lambda folder: replace_text(folder / "recipe.toml", "seed = 0", "seed = 8"),
    "strange file": lambda folder: (folder / "data/test/more.parquet").write_text("x"),
    "card": lambda folder: (folder / "README.md").unlink(),
    "contact sheet": lambda folder: (folder / "assets/masks.png").unlink(),
}


@pytest.mark.parametrize("name", REPAIRED)
def test_the_commands_that_are_told_repair_the_set(name, original, damaged, original_pictures):
    REPAIRED[name](damaged)
    assert tree(damaged) != tree(original)
    for repair in dict.fromkeys(finding["repair"] for finding in verify(damaged)["findings"]):
        for kind in ("backgrounds", "foregrounds"):
            repair = repair.replace(kind.upper(), str(getattr(original_pictures, kind)))
        for command in repair.split(" && "):
            words = shlex.split(command)
            if words[0] == "fgbg-depth":
                call_good(*words[1:], *(("--quiet", "--workers", "1") if words[1] == "generate" else ()))
            else:
                subprocess.run(command, shell=True, check=True)
    verify(damaged, code=0)
    assert tree(damaged) == tree(original)
