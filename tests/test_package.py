"""The package as a whole: its names, its layers, what importing it costs, and that nothing drifts."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import fgbg_depth
from fgbg_depth.cli import VERBS
from fgbg_depth.commands import recipe_flags
from fgbg_depth.config import FIELD_NAMES

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fgbg_depth"
HEAVY = ("torch", "transformers", "datasets", "huggingface_hub", "pyarrow", "numpy", "PIL", "cv2")
MAY_IMPORT = {
    "torch": lambda path: bool({"depth", "training", "cutouts"} & set(path.parts)),
    "torchvision": lambda path: path.parts[0] == "training",
    "transformers": lambda path: bool({"depth", "cutouts"} & set(path.parts)),
    "huggingface_hub": lambda path: bool({"card", "hub", "depth"} & set(path.parts)) or path.stem.startswith("hub_"),
    "datasets": lambda path: path.stem.startswith("load") or "streaming" in path.parts,
}


@functools.cache
def modules():
    return sorted(PACKAGE.rglob("*.py"))


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def imports(path):
    """Names of the modules that a file imports, at the top or inside functions; relative ones are resolved."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    ours, found = {module_name(p) for p in modules()}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            base = ".".join(part for part in (base, node.module or "") if part)
            for alias in node.names:  # `from . import module` imports the module, not the package's names
                found.append(f"{base}.{alias.name}" if f"{base}.{alias.name}" in ours else base)
    return tuple(found)


def test_all_names_are_there():
    for name in fgbg_depth.__all__:
        assert getattr(fgbg_depth, name) is not None
    assert sorted(fgbg_depth.__all__) == fgbg_depth.__all__
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        fgbg_depth.nonsense  # noqa: B018


def test_importing_loads_nothing_heavy():
    code = f"import sys, fgbg_depth, fgbg_depth.errors; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_loads_no_network():
    code = "import sys; from fgbg_depth.cli import main; main(['--help']); print([m for m in ('torch', 'datasets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_heavy_libraries_stay_in_their_layers():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules()
        for name in imports(path)
        for library, allowed in MAY_IMPORT.items()
        if name.split(".")[0] == library and not allowed(path.relative_to(PACKAGE))
    ]
    assert wrong == []


def test_imports_run_one_way():
    """No cycles among our modules, lazy imports included, but for the names that a package's __init__ hands out."""
    graph = {}
    for path in modules():
        graph[module_name(path)] = {found for found in imports(path) if found.startswith("fgbg_depth.")}
    names = set(graph)
    seen, under_way = set(), []

    def visit(name):
        if name in under_way:
            raise AssertionError(" -> ".join([*under_way[under_way.index(name) :], name]))
        if name in seen or name not in names:
            return
        under_way.append(name)
        for target in sorted(graph[name]):
            visit(target)
        under_way.pop()
        seen.add(name)

    for name in sorted(names):
        visit(name)


def test_every_recipe_field_has_a_flag():
    flags = {*recipe_flags._NUMBERS, *recipe_flags._TEXTS, *recipe_flags._CHOICE_HELP, "flips"}
    assert flags == set(FIELD_NAMES) - {"imported"}  # that one only an import writes


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help(verb):
    done = subprocess.run([sys.executable, "-m", "fgbg_depth", verb, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: fgbg-depth {verb}")


def test_wrong_use_is_exit_code_2():
    for words in ([], ["nonsense"], ["generate"], ["generate", "--nonsense"]):
        done = subprocess.run([sys.executable, "-m", "fgbg_depth", *words], capture_output=True, text=True)
        assert done.returncode == 2, words
        assert "usage:" in done.stderr and "Traceback" not in done.stderr


def test_version_is_in_the_changelog():
    assert f"## {fgbg_depth.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_module_is_in_the_architecture():
    """Each module, or its package, stands in the table of docs/architecture.md."""
    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in modules():
        top = path.relative_to(PACKAGE).parts[0]
        name = f"`{top}/`" if top != path.name else f"`{path.stem}`"
        if not path.stem.startswith("__") and top != "samples":
            assert name in table, f"{name} is missing in docs/architecture.md"
