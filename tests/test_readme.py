"""Every command and every line of Python in the README is run, in order, as a reader would run it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLES

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)\)")
NOT_HERE = ("pip install",)  # what the environment of the tests has done already; the wheel has a test of its own
NOT_IN_TESTS = ("make test",)  # it is what runs this


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
    os.link(nyu_h5, folder / "nyu.h5")
    return folder


def test_readme_runs(reader):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = []
    for language, text in blocks(ROOT / "README.md"):
        commands = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()] if language == "bash" else []
        for command in commands:
            if command.startswith(NOT_HERE + NOT_IN_TESTS):
                continue
            where = reader
            if command.startswith("make "):
                command, where = f"{command} VENV={sys.prefix} DEMO={reader}/demo", ROOT
            _run(["bash", "-ec", command], where, path, command)
            ran.append(command.split()[1] if command.startswith("fgbg-depth") else command.split()[0])
        if language == "python":
            _run([sys.executable, "-W", "error", "-c", text], reader, path, text)
            ran.append("python")
    assert ran == ["make", "generate", "plan", "python", "convert-weights", "generate", "generate", "verify"]
    assert (reader / "demo" / "contact_sheet.png").stat().st_size > 50_000


def _run(command, where, path, text):
    done = subprocess.run(command, cwd=where, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", ["README.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").glob("*.md")))])
def test_links_lead_somewhere(page):
    for target in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"
