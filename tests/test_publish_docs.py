"""The commands of docs/publishing.md do what it says, in its order, against the emulated Hub."""

import re
import shlex
import shutil

import publishing
from conftest import ROOT
from hub import HubServer, RealClient
from publishing import copy_of, first_set, run_main, second_set

PAGE = ROOT / "docs" / "publishing.md"
ELSEWHERE = ("generate", "convert-weights")  # commands with tests of their own
EXPECTED = {
    "publish": [
        "would be sent; nothing was sent now",
        "v1.0.0, because it is the first version",
        "v1.1.0, because 4 rows",
        "v3.0.0, because the schema changed",
    ],
    "annotate": ["16 rows of"],
    "versions": ["v1.1.0"],
    "diff": ["4 rows added"],
    "verify": ["v1.0.0 is good"],
    "rollback": ["is now v2.0.0"],
    "push-model": ["published"],
}


def commands():
    """The command lines of the page as lists of words."""
    for block in re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "fgbg-depth":
                yield words[1:]


def run_python(code):
    """Run the page's Python and give the tuple that it prints."""
    import ast
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "publishing.md", "exec"), {})
    return ast.literal_eval(out.getvalue())


def test_the_page_does_what_it_says(tmp_path):
    from fgbg_depth.depth.locate import embedded_folder

    folder, model = copy_of(first_set(), tmp_path / "my_set"), tmp_path / "densedepth-nyu"
    shutil.copytree(embedded_folder(), model)
    (model / "README.md").write_text("---\nlibrary_name: transformers\n---\n# Model\n")
    said = {verb: [] for verb in EXPECTED}
    with HubServer(tmp_path / "hub") as hub, RealClient(hub, tmp_path / "home", settings=publishing.SETTINGS) as client:
        for words in commands():
            verb = words[0]
            if verb == "generate" and "--append" in words:
                shutil.rmtree(folder)  # as it is after that command
                copy_of(second_set(), folder)
            if verb in ELSEWHERE:
                continue
            places = {"my_set": str(folder), "my_set_nyu": str(tmp_path / "nyu"), "densedepth-nyu": str(model)}
            code, out, err = client.run(run_main, *(places.get(w, w.replace("USER/", "alice/")) for w in words))
            assert code == 0, (words, err)
            said[verb].append(out)
        hub.check()
        code = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[1]
        assert len(client.run(run_python, code.replace("USER/", "alice/"))) == 4
    for verb, texts in EXPECTED.items():
        assert len(said[verb]) == len(texts), verb
        for out, text in zip(said[verb], texts, strict=True):
            assert text in out, (verb, out)
