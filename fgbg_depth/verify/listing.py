"""The files of a set: those that the manifest lists and no others, and the small files whose content follows from the tables."""

import json
import re
import shlex
import tomllib

from ..asset_tables import KINDS
from ..dropped import DROPPED_NAME
from ..errors import CodecError, DataError
from ..finish import metadata_path
from ..folders import is_remote
from ..manifest import MANIFEST_NAME, OTHER_FILES, manifest_text, read_manifest
from ..stats import stats_json
from .pictures import check_container
from .recount import compare_statistics
from .tables import check_hash

TABLE_FOLDERS = ("data", "metadata", "backgrounds", "foregrounds")
CARD_NAME = "README.md"
_CARD_PICTURE = re.compile(r"assets/[\w./-]+\.png")


def read_listed(folder, found):
    """(manifest or None, its files); what is wrong with it goes to `found`."""
    try:
        manifest = read_manifest(folder)
    except DataError as error:
        found.add(MANIFEST_NAME, str(error))
        return None, {}
    listed = {}
    for name, facts in manifest["files"].items():
        parts = name.split("/")
        if not isinstance(facts, dict) or ".." in parts or name.startswith("/") or "\\" in name:
            found.add(MANIFEST_NAME, f"its entry {name!r} is malformed")
        else:
            listed[name] = facts
    if (folder / MANIFEST_NAME).read_text(encoding="utf-8") != manifest_text(manifest):
        found.add(MANIFEST_NAME, "isn't written as this package writes it; it was edited")
    return manifest, listed


def check_names(basis, manifest, found):
    """Compare the files that are there with those that are listed and planned.

    Returns:
        names of the Parquet files that belong to the set and are there, sorted.
    """
    folder, planned, present = basis.folder, planned_files(basis), []
    files = [path for top in TABLE_FOLDERS for path in (folder / top).rglob("*") if path.is_file()]
    for path in sorted([*files, *folder.glob(".*.part-*")]):
        name = path.relative_to(folder).as_posix()
        if path.name.startswith(".") and ".part-" in path.name:
            found.add(name, "was left by a run that was killed; the set may be unfinished", repair=basis.repairs.generate)
        elif basis.plan and name not in planned:
            found.add(name, "is none of the set's files: the plan has no such file", repair=basis.repairs.remove(name))
        elif manifest is not None and name not in basis.listed:
            found.add(name, "isn't listed in manifest.json", repair=basis.repairs.generate if basis.plan else basis.repairs.remove(name))
            present += [name] if basis.plan else []
        elif path.suffix == ".parquet":
            present.append(name)
    if (folder / DROPPED_NAME).is_file():
        if manifest is not None and DROPPED_NAME not in basis.listed:
            found.add(DROPPED_NAME, "isn't listed in manifest.json: a run of drop-asset was stopped", repair=basis.repairs.finish)
        check_hash(basis, DROPPED_NAME, found)
    for path in sorted([*folder.glob("*.py"), *folder.glob("*.parquet")]):
        found.add(path.name, "doesn't belong here: it changes how the folder is loaded", repair=basis.repairs.remove(path.name))
    for name in sorted({*basis.listed, *planned, *OTHER_FILES}):
        if not (folder / name).is_file():
            found.add(name, "is missing" + ("" if name in basis.listed else "; the plan has it"), repair=basis.repairs.generate)
    if manifest is not None:
        for name in sorted(set(planned) - set(basis.listed)):
            found.add(MANIFEST_NAME, f"doesn't list {name}, which the plan has")
    return present


def planned_files(basis):
    """{file: config} of all tables that the plan has; empty without one."""
    if basis.plan is None:
        return {}
    files = dict.fromkeys(basis.shards(), "default")
    files |= {metadata_path(basis.folder, *key).relative_to(basis.folder).as_posix(): "metadata" for key in basis.plan.rows}
    emptied = {f"{t.kind}s/b{t.batch:03d}.parquet": f"{t.kind}s" for t in basis.dropped.tombstones}  # a table that lost all it held stays
    return files | emptied | {f"{kind}s/{e.table.name}": f"{kind}s" for kind in KINDS for e in basis.entries[kind]}


def check_manifest(basis, manifest, found):
    """Compare the manifest's facts with those of the tables."""
    planned = planned_files(basis)
    for name, facts in basis.listed.items():
        config = planned.get(name)
        if facts.get("config") != config and (config or name in OTHER_FILES):
            found.add(MANIFEST_NAME, f"its entry {name!r} has config {facts.get('config')!r}, expected {config!r}")
    if not basis.digest:
        return
    depth = manifest.get("depth") or {}
    told = [
        ("recipe_digest", manifest.get("recipe_digest"), basis.digest),
        ("asset_lists", manifest.get("asset_lists"), {str(batch): digest for batch, digest in basis.lists.items()}),
        ("the depth model's weights_digest", depth.get("weights_digest"), (basis.depth or {}).get("weights_digest")),
        ("the depth model's kind", depth.get("kind"), (basis.depth or {}).get("kind")),
        ("the depth model's name", depth.get("name"), (basis.depth or {}).get("name")),
    ]
    if basis.plan:
        left_out = {str(batch): cells for batch, cells in basis.plan.left_out.items()}
        told.append(("cells_left_out", manifest.get("cells_left_out"), left_out))
        lacking = {name: len(rows) for name, rows in basis.lacking.items()} or None
        told.append(("rows_left_out", manifest.get("rows_left_out"), lacking))
    for what, stated, expected in told:
        if stated != expected and (basis.lists or what != "asset_lists"):
            source = "data files" if what == "rows_left_out" else "asset tables"
            found.add(MANIFEST_NAME, f"{what} is {stated!r}, the {source} say {expected!r}")
    libraries = manifest.get("libraries")
    if not isinstance(libraries, dict) or not all(isinstance(v, str) for pair in libraries.items() for v in pair):
        found.add(MANIFEST_NAME, f"libraries is {libraries!r}, expected a table of versions")


def check_recipe_file(basis, found):
    """Compare recipe.toml with the recipe that the asset tables hold; True when they agree."""
    name = "recipe.toml"
    if not (basis.folder / name).is_file():
        return False
    try:
        table = tomllib.loads((basis.folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        found.add(name, f"can't be read: {error}")
        return False
    good = True
    expected = basis.recipe.to_dict() | ({"depth_weights": basis.weights} if basis.weights else {})
    for field in sorted({*table, *expected}) if basis.digest else ():
        if table.get(field) != expected.get(field):
            words = f"{field} is {table.get(field)!r}; the set was made with {expected.get(field)!r}"
            mended = _set_field(basis.folder / name, field, table, expected)
            found.add(name, words, repair=basis.repairs.generate if is_remote(basis.folder) else mended)
            good = False
    return good and check_hash(basis, name, found) is not False


def _set_field(path, field, table, expected):
    """A command line that puts one field of a TOML file right."""
    file, line = shlex.quote(str(path)), f"{field} = {json.dumps(expected.get(field), ensure_ascii=False)}"
    if field not in expected:
        return f"sed -i {shlex.quote(f'/^{field} *=/d')} {file}"
    if field not in table:
        return f"echo {shlex.quote(line)} >> {file}"
    return f"sed -i {shlex.quote(f's/^{field} *=.*/{line}/')} {file}"


def check_stats_file(basis, tallies, found):
    """Compare stats.json, byte for byte, with the merged statistics of the footers; `tallies` None when they can't be had."""
    name = "stats.json"
    if not (basis.folder / name).is_file():
        return
    check_hash(basis, name, found)
    if tallies is None:
        return
    data = (basis.folder / name).read_bytes()
    if data == stats_json(tallies).encode():
        return
    for split, column, words in compare_statistics(data.decode("utf-8", "replace"), tallies):
        found.add(name, f"{split}: {words}" if split else words, None, column or None)


def check_card(basis, found):
    """Compare the card and croissant.json with the data, and see that the card's pictures are there."""
    path = basis.folder / CARD_NAME
    if not path.is_file():
        found.add(CARD_NAME, "is missing")
        return
    from ..card.write import card_differences
    from ..croissant import CROISSANT_NAME, croissant_differs

    try:
        for words in card_differences(basis.folder):
            found.add(CARD_NAME, words.removeprefix(f"{CARD_NAME}, "))
    except Exception as error:  # it reads the same files, which may be damaged in any way
        if not found.about_tables():
            found.add(CARD_NAME, f"can't be compared with the data: {error}")
    try:
        words = croissant_differs(basis.folder)
        if words:
            found.add(CROISSANT_NAME, words)
    except Exception as error:  # as above
        if not found.about_tables():
            found.add(CROISSANT_NAME, f"can't be compared with the data: {error}")
    for name in sorted(set(_CARD_PICTURE.findall(path.read_text(encoding="utf-8", errors="replace")))):
        if not (basis.folder / name).is_file():
            found.add(name, "is missing; the card shows it")
            continue
        try:
            check_container((basis.folder / name).read_bytes(), "png")
        except CodecError as error:
            found.add(name, str(error))
