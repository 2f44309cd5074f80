"""An environment with `datasets` 3.6, the last line of versions that run loading scripts, and what it says of our sets.

The environment is made once, in .cache/datasets36 of the checkout, from the pins in constraints-datasets36.txt, and anew
when they change. `python tests/old_datasets.py` makes it beforehand.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
HOME = TESTS.parent / ".cache" / "datasets36"
PINS = TESTS / "constraints-datasets36.txt"
PACKAGES = ("datasets", "pillow")
STAMP = "made-of.txt"
INSTALL_SECONDS = 1800
JOBS_SECONDS = 600


def old_python():
    """The interpreter of the environment, which is made if it isn't there or was made of other pins.

    Raises:
        RuntimeError: it can't be made; the text has pip's last words.
    """
    made_of = hashlib.sha256(PINS.read_bytes() + repr((PACKAGES, sys.version_info[:2])).encode()).hexdigest()
    stamp = HOME / STAMP
    with _locked(HOME.with_suffix(".lock")):
        if not stamp.is_file() or stamp.read_text() != made_of:
            shutil.rmtree(HOME, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(HOME)])
            _run([str(HOME / "bin" / "python"), "-m", "pip", "install", "--quiet", "--constraint", str(PINS), *PACKAGES])
            stamp.write_text(made_of)
    return HOME / "bin" / "python"


def ask_old_datasets(jobs, folder, **environment):
    """Let `datasets` 3.6 do jobs of describe_rows.py, all in one process.

    Args:
        jobs: list of keyword arguments of `load_dataset`.
        folder: an empty folder for its caches.
        environment: further variables.

    Returns:
        list of answers.
    """
    questions, answers = folder / "jobs.json", folder / "answers.json"
    questions.write_text(json.dumps(jobs), encoding="utf-8")
    variables = {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", **environment}
    command = [str(old_python()), str(TESTS / "describe_rows.py"), str(questions), str(answers)]
    _run(command, timeout=JOBS_SECONDS, cwd=folder, env={**_clean_environment(), **variables})
    return json.loads(answers.read_text(encoding="utf-8"))


def assert_same_answer(answer, expected, features):
    """An answer agrees with what today's plain loading gives.

    Args:
        answer: {split: description} by `datasets` 3.6.
        expected: the same by the newest version.
        features: those that the schema says; the two versions write them differently.
    """
    assert list(answer) == list(expected)
    for split, found in answer.items():
        assert found["features"] == features
        assert found["rows"] == expected[split]["rows"]
        assert found["pictures"] == expected[split]["pictures"]


def _run(command, timeout=INSTALL_SECONDS, **options):
    options.setdefault("env", _clean_environment())
    done = subprocess.run(command, timeout=timeout, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def _clean_environment():
    """Without what would mix the other environment in: the constraints of ours, its caches and module paths."""
    mixing = ("PIP_CONSTRAINT", "PIP_REQUIREMENT", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {k: v for k, v in os.environ.items() if k not in mixing and not k.startswith("HF_")}


@contextlib.contextmanager
def _locked(path):
    """One process at a time makes the environment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    print(old_python())
