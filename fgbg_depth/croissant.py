"""croissant.json: the set in the words of Croissant 1.0 and of its extension for responsible use, for tools that know those.

All of it follows from the set's own files, so it can be made again at any time and comes out the same. It names files by their paths
below its own folder, and neither a repository nor a version nor a date: those are known only when a set is published. `manifest.json`
doesn't list it, as it holds the hashes that stand there.
"""

import json
import re

from . import schema
from .asset_tables import KINDS
from .card.error import CITATION, error_words
from .card.facts import ASSET_SPLIT, read_facts
from .card.licences import hub_id
from .card.metadata import DEPTH_TAGS, PRETTY_NAME, PRETTY_NAME_NO_DEPTH, TAGS, TOP_FOLDER
from .card.people import people_sentences
from .card.tables import COLUMN_TEXTS
from .files import write_text
from .folders import as_folder
from .manifest import MANIFEST_NAME

CROISSANT_NAME = "croissant.json"
NAME = "fgbg-depth-set"  # names are of letters, digits, dashes and underscores
CONFORMS_TO = ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"]
PARQUET = "application/x-parquet"
_TYPES = {"string": "sc:Text", "bool": "sc:Boolean", "int32": "sc:Integer", "int64": "sc:Integer", "float32": "sc:Float"}
_OTHER_FORMATS = {".json": "application/json", ".toml": "application/toml"}
_CC_LICENCE = re.compile(r"cc-(by(?:-nc)?(?:-nd|-sa)?)-(\d\.\d)")
_SPLIT_OF_PATH = r"(?:.*/)?(train|validation|test)/[^/]*\.parquet$"
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def write_croissant(folder):
    """Write a set's croissant.json, or write it anew.

    Args:
        folder: a finished set, manifest included.

    Raises:
        DataError: the set is unfinished.
    """
    write_text(as_folder(folder) / CROISSANT_NAME, croissant_text(read_facts(folder)))


def croissant_differs(folder):
    """Words on how croissant.json isn't what `write_croissant` would write; "" when it is.

    Raises:
        DataError: the set itself can't be read.
    """
    path = as_folder(folder) / CROISSANT_NAME
    if not path.is_file():
        return "is missing"
    return "" if path.read_bytes() == croissant_text(read_facts(folder)).encode() else "doesn't agree with the set's files"


def croissant_text(facts):
    """The text of croissant.json. Args: facts: card.facts.SetFacts."""
    return json.dumps(croissant(facts), indent=1, ensure_ascii=False) + "\n"


def croissant(facts):
    """The set as a JSON-LD dict.

    Args:
        facts: card.facts.SetFacts.
    """
    licences = sorted({e.licence.strip() for entries in facts.entries.values() for e in entries} - {""})
    has_depth = facts.recipe.has_depth
    table = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": NAME,
        "alternateName": PRETTY_NAME if has_depth else PRETTY_NAME_NO_DEPTH,
        "description": _description(facts),
        "conformsTo": CONFORMS_TO,
        "keywords": [*TAGS, *(DEPTH_TAGS if has_depth else ())],
        "isLiveDataset": False,
        **({"license": list(dict.fromkeys(map(licence_url, licences)))} if licences else {}),
        **({"citeAs": CITATION} if facts.cites_densedepth else {}),
        **_responsible_use(facts),
        "distribution": [*(_file_set(config) for config in schema.CONFIGS), *_file_objects(facts)],
        "recordSet": [_record_set(config, facts) for config in schema.CONFIGS],
    }
    return table


def licence_url(text):
    """The address of a licence where it is one of the Creative Commons, else the text as the source says it."""
    slug = hub_id(text) or ""
    if slug == "cc0-1.0":
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    match = _CC_LICENCE.fullmatch(slug)
    return f"https://creativecommons.org/licenses/{match[1]}/{match[2]}/" if match else text


def _description(facts):
    recipe, counts = facts.recipe, [len(facts.entries[kind]) for kind in KINDS]
    depth = f", a depth map that {facts.depth['name']} predicted from the composite" if facts.depth else ""
    return (
        f"{facts.rows:,} composites of {counts[1]:,} cut-outs over {counts[0]:,} backgrounds, {recipe.image_size} x {recipe.image_size} "
        f"pixels, with the mask of the cut-out{depth}, boxes, and the ids of the source pictures, which are in the set too."
    )


def _responsible_use(facts):
    """The properties of the extension that the set's own files can fill."""
    depth = facts.depth
    return {
        "rai:dataCollection": "Source pictures were collected by whoever made the set; the configs backgrounds and foregrounds tell "
        "author, licence and source of each, as far as they are known. " + _MADE[bool(facts.recipe.imported)],
        "rai:dataCollectionType": ["Others: pictures put together by a program from existing ones"],
        "rai:dataPreprocessingProtocol": [_preprocessing(facts.recipe)],
        "rai:dataAnnotationProtocol": ["Masks and boxes are of what was pasted; people and things in the backgrounds aren't annotated."],
        "rai:machineAnnotationTools": [
            _MASKS[bool(facts.recipe.imported)],
            *([f"{depth['name']}: depth maps; pseudo-labels, not ground truth"] if depth else []),
        ],
        "rai:dataBiases": [
            "Nobody has balanced or measured what the source pictures show: neither people nor places stand for any population.",
            "Where cut-outs lie follows no real scene.",
        ],
        "rai:dataLimitations": [
            "The composites are pasted, not photographed: no shadows, and light, perspective and size don't fit the background.",
            f"Rows of one background or cut-out are much alike: all variety comes from {len(facts.entries['background']):,} backgrounds "
            f"and {len(facts.entries['foreground']):,} cut-outs.",
            *([error_words(depth)] if depth else []),
        ],
        "rai:personalSensitiveInformation": people_sentences(facts),
        "rai:dataReleaseMaintenancePlan": "Versions are tags, which never move; the highest number is the newest. Pictures that are taken "
        "out on request leave with all of their rows, in a new major version.",
    }


_MADE = {False: "All rows were made from them by a program.", True: "The rows were imported as they were found."}
_MASKS = {False: "fgbg_depth: masks follow from the alpha of the cut-outs", True: "fgbg_depth: masks were cut from those that were found"}


def _preprocessing(recipe):
    if recipe.imported:
        return "The rows were imported; how they were made is known only as far as their files tell."
    return (
        f"Backgrounds were brought to {recipe.image_size} x {recipe.image_size} pixels ({recipe.background_fit}); cut-outs were scaled "
        f"({recipe.foreground_fit}), placed at random and blended by their alpha. recipe.toml has every value."
    )


def _file_set(config):
    top = TOP_FOLDER.get(config, config)
    return {
        "@type": "cr:FileSet",
        "@id": f"{config}-files",
        "name": f"{config}-files",
        "description": f"Parquet files of the config {config}.",
        "encodingFormat": PARQUET,
        "includes": f"{top}/*.parquet",
    }


def _file_objects(facts):
    """Every file that the manifest lists, with its hash."""
    for name, file in facts.manifest["files"].items():
        suffix = name[name.rindex(".") :]
        yield {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{file['bytes']} B",
            "encodingFormat": _OTHER_FORMATS.get(suffix, PARQUET),
            "sha256": file["sha256"],
        }


def _record_set(config, facts):
    columns = schema.features(schema.config_columns(config, facts.recipe.has_depth))
    fields = [_field(config, name, feature) for name, feature in columns.items()]
    if "split" not in columns:
        source = {"fileSet": {"@id": f"{config}-files"}, "extract": {"fileProperty": "fullpath"}, "transform": {"regex": _SPLIT_OF_PATH}}
        texts = {"@id": f"{config}/split", "name": "split", "description": "train, validation or test"}
        fields.append({"@type": "cr:Field", **texts, "dataType": "sc:Text", "source": source})
    sizes = facts.sizes[config]
    per_split = ", ".join(f"{size.rows:,} in {split}" for split, size in sizes.items())
    rows = per_split if set(sizes) != {ASSET_SPLIT} or config in ("default", "metadata") else f"{sizes[ASSET_SPLIT].rows:,}"
    return {
        "@type": "cr:RecordSet",
        "@id": config,
        "name": config,
        "description": f"{_RECORDS[config]} Rows: {rows}.",
        "key": {"@id": f"{config}/{'key' if 'key' in columns else 'id'}"},
        "field": fields,
    }


_RECORDS = {
    "default": "Composite, mask, depth if there is any, boxes and ids.",
    "metadata": "The rows of default without their pictures.",
    "backgrounds": "The source pictures of the backgrounds.",
    "foregrounds": "The source pictures of the cut-outs, with their masks.",
}


def _field(config, name, feature):
    kind, extra = feature["_type"], {}
    source = {"fileSet": {"@id": f"{config}-files"}, "extract": {"column": name}}
    if kind == "Image":
        data_type = "sc:ImageObject"
        source["transform"] = {"jsonPath": "bytes"}
    elif kind == "Sequence":
        data_type, extra = _TYPES[feature["feature"]["dtype"]], {"repeated": True}
    else:
        data_type = _TYPES[feature["dtype"]]
    texts = {"@type": "cr:Field", "@id": f"{config}/{name}", "name": name, "description": COLUMN_TEXTS[name]}
    return {**texts, "dataType": data_type, **extra, "source": source}


__all__ = ["CROISSANT_NAME", "MANIFEST_NAME", "croissant", "croissant_differs", "croissant_text", "licence_url", "write_croissant"]
