"""What lens and room explain of the error in metres: on predictions whose factors are made, and refusals."""

import json

import numpy as np
import pytest

from fgbg_depth.depth.training.factors import factor_figures
from fgbg_depth.errors import DataError

NAMES = [f"{room:05d}_{view}" for room in range(12) for view in range(4)]
DEGREES = np.random.default_rng(0).uniform(50, 85, len(NAMES))
LENSES = dict(zip(NAMES, DEGREES.tolist(), strict=True))
TRUE_M = np.random.default_rng(1).uniform(1, 6, (len(NAMES), 8, 8))
ROOM = np.repeat(np.random.default_rng(2).normal(0, 0.3, 12), 4)


def figures(log_factor, lenses=LENSES, names=NAMES):
    return factor_figures(names, TRUE_M * np.exp(log_factor)[:, None, None], TRUE_M, lenses)


def test_a_factor_of_the_lens_goes_with_the_lens():
    found = figures(1.4 * np.log(np.tan(np.radians(DEGREES) / 2)) + 0.5)
    assert found["correlation"] == pytest.approx(1) and found["explained"] == pytest.approx(1)
    assert found["metres"] < 0.9 and found["room"] < 1
    assert found["lens"] == found["lens_and_room"] == found["view"] == 1


def test_a_factor_of_the_room_goes_with_the_room():
    found = figures(ROOM)
    assert found["room"] == found["view"] == 1 and found["metres"] < 0.9 and found["lens"] < 0.9
    assert found["deviation"] == pytest.approx(ROOM.std())


def test_both_together_need_both():
    found = figures(2 * np.log(np.tan(np.radians(DEGREES) / 2)) + ROOM)
    assert max(found["metres"], found["lens"], found["room"]) < found["lens_and_room"] <= found["view"] == 1


def test_a_room_is_told_by_the_other_rooms_alone():
    odd = np.zeros(len(NAMES))
    odd[:4] = 1.0  # the first room is unlike all others, and no line through those can know that
    assert figures(odd)["lens"] <= 44 / 48


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(DataError, match="1 views have no field of view, first 00003_1"):
        figures(ROOM, {name: value for name, value in LENSES.items() if name != "00003_1"})
    with pytest.raises(DataError, match=r"00000_0: a field of view of 190\.0 degrees"):
        figures(ROOM, LENSES | {"00000_0": 190.0})
    with pytest.raises(DataError, match="2 rooms; expected at least 3"):
        factor_figures(NAMES[:8], TRUE_M[:8], TRUE_M[:8], LENSES)


def test_a_file_of_lenses_is_read_or_refused(tmp_path, monkeypatch):
    from conftest import ROOT

    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import eval_depth

    (tmp_path / "good.json").write_text(json.dumps({"00017_0": 62}))
    assert eval_depth.read_lenses(tmp_path / "good.json") == {"00017_0": 62.0}
    for text in ("{", "[1]", '{"a": "wide"}', '{"a": null}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(eval_depth.UsageError, match=r"--lenses .*expected JSON such as"):
            eval_depth.read_lenses(tmp_path / "bad.json")
