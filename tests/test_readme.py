"""Every command and every line of Python in the README is run, in order, as a reader would run it."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLES

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)\)")
NOT_HERE = ("pip install",)  # what the environment of the tests has done already; the wheel has a test of its own
NOT_IN_TESTS = ("make test",)  # it is what runs this
IN_ANOTHER_TERMINAL = "python -m tests.hub"
SCRIPTS, SHORTER = "python scripts/", {"train_example.py": " --epochs 1 --size 32"}  # a reader's folder isn't the checkout
# The demo's rows are 864 with all pictures of the package, which takes a minute; with these they are 120.
DEMO_BACKGROUNDS = ("apartment_03.jpg", "ballroom_05.jpg", "bridge_01.jpg", "esplanade_03.jpg", "lab_07.jpg")  # of five scenes
DEMO_FOREGROUNDS = ("mh_03_walk.png", "photo_hopper.png", "mh_08_sit.png", "peep_02_WalkingBW.png")
EXPORT = re.compile(r"export (\w+)=(.*)")
LOADER_WARNING = "ignore:'set_vital' is deprecated:UserWarning"  # torchdata 0.11 under torch 2.13


def blocks(path):
    """(language, text) of the fenced blocks of a Markdown file."""
    return BLOCK.findall(path.read_text(encoding="utf-8"))


def test_readme_blocks_are_known():
    languages = {language for language, _ in blocks(ROOT / "README.md")}
    assert languages == {"bash", "python", ""}


@pytest.fixture(scope="module")
def reader(tmp_path_factory, nyu_h5):
    """A folder as a reader has it: a few backgrounds and cut-outs, and the authors' weights."""
    folder = tmp_path_factory.mktemp("reader")
    backgrounds, foregrounds = sorted((SAMPLES / "bg").glob("*.jpg")), sorted((SAMPLES / "fg").glob("*.png"))
    for name, pictures in (
        ("backgrounds", backgrounds[:3]),
        ("more_backgrounds", backgrounds[:4]),
        ("foregrounds", foregrounds[:1]),
    ):
        (folder / name).mkdir()
        for picture in pictures:
            shutil.copy(picture, folder / name)
    for source, pictures in (("bg", DEMO_BACKGROUNDS), ("fg", DEMO_FOREGROUNDS)):
        (folder / "samples" / source).mkdir(parents=True)
        for picture in (*pictures, "SOURCES.csv"):
            shutil.copy(SAMPLES / source / picture, folder / "samples" / source)
    os.link(nyu_h5, folder / "nyu.h5")
    return folder


@contextlib.contextmanager
def local_hub(command, path):
    """What the README starts in another terminal; yields the variables that it prints, which are pasted into this one."""
    hub = subprocess.Popen(
        ["bash", "-ec", f"exec {command}"], cwd=ROOT, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, text=True
    )
    try:
        variables = {}
        for line in hub.stdout:
            if line.startswith("# other tokens"):  # the last line of what it says
                break
            if match := EXPORT.fullmatch(line.strip()):
                variables[match[1]] = match[2]
        yield variables
    finally:
        hub.send_signal(signal.SIGINT)
        hub.communicate(timeout=30)


def test_readme_runs(reader, tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran, texts = [], [(language, text.replace("USER/", "alice/")) for language, text in blocks(ROOT / "README.md")]
    command = next(text.strip() for _, text in texts if text.startswith(IN_ANOTHER_TERMINAL))
    with local_hub(command.replace("hub_state", str(tmp_path / "hub_state")), path) as variables:
        assert {"HF_ENDPOINT", "HF_TOKEN", "HF_HOME"} <= set(variables)
        environment = {**os.environ, **variables, "PATH": path}
        for language, text in texts:
            commands = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()] if language == "bash" else []
            for command in commands:
                if command.startswith((*NOT_HERE, *NOT_IN_TESTS, IN_ANOTHER_TERMINAL)):
                    continue
                where = reader
                if command.startswith(SCRIPTS):
                    script = command.split()[1].removeprefix("scripts/")
                    command = command.replace(SCRIPTS, f"python {ROOT}/scripts/") + SHORTER.get(script, "")
                if command.startswith("make "):
                    command, where = f"{command} VENV={sys.prefix} DEMO={reader}/demo SAMPLES={reader}/samples", ROOT
                _run(["bash", "-ec", command], where, environment, command)
                ran.append(Path(command.split()[command.startswith(("fgbg-depth", "python "))]).name)
            if language == "python":
                _run([sys.executable, "-W", "error", "-W", LOADER_WARNING, "-c", text], reader, environment, text)
                ran.append("python")
    most = ["make", "generate", "plan", "python", "preview", "train_example.py", "convert-weights", "generate", "annotate", "verify"]
    hub = ["publish", "publish", "generate", "publish", "versions", "diff", "verify", "python", "python", "python"]
    assert ran == [*most, *hub, "generate", "generate", "finish", "drop-asset", "export-original", "import-original"]
    assert (reader / "demo" / "contact_sheet.png").stat().st_size > 50_000


def _run(command, where, environment, text):
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", ["README.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").glob("*.md")))])
def test_links_lead_somewhere(page):
    for target in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"
