"""Path patterns of .gitattributes (which files are large) and .gitignore (which files a push leaves out)."""

import re

# What a new data set repository on the Hub treats as large, in short.
_LARGE = """
7z arrow avro bin bz2 ckpt ftz gz h5 joblib lfs.* lz4 mds mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl pt pth
rar safetensors tar.* tar tflite tgz wasm xz zip zst pcm sam raw aac flac mp3 ogg wav bmp gif png tiff jpg jpeg webp mp4 webm
"""
DEFAULT_ATTRIBUTES = "".join(f"*.{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in _LARGE.split())
DEFAULT_ATTRIBUTES += "saved_model/**/* filter=lfs diff=lfs merge=lfs -text\n*tfevents* filter=lfs diff=lfs merge=lfs -text\n"


def is_large(attributes, path):
    """Whether .gitattributes sends a path to large file storage; the last line that matches decides.

    Args:
        attributes: text of the file.
        path: from the root of the repository.
    """
    large = False
    for line in attributes.splitlines():
        pattern, *settings = line.split() if line.strip() and not line.startswith("#") else ("",)
        filters = [s for s in settings if s.lstrip("-!").partition("=")[0] == "filter"]
        if filters and _regex(pattern).fullmatch(path):
            large = filters[-1] == "filter=lfs"
    return large


def is_ignored(gitignore, path):
    """Whether .gitignore leaves a path out; the last line that matches decides, `!` takes it in again."""
    ignored = False
    for line in gitignore.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keep = pattern.startswith("!")
        pattern = pattern.lstrip("!")
        folders = ["/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 1)]
        # A pattern for a folder leaves out all that lies below it.
        candidates = folders if pattern.endswith("/") else [*folders, path]
        if any(_regex(pattern.rstrip("/")).fullmatch(candidate) for candidate in candidates):
            ignored = not keep
    return ignored


def _regex(pattern):
    """One pattern as a regular expression for whole paths: without a slash inside it holds for names in any folder."""
    anywhere = "/" not in pattern.strip("/") and not pattern.startswith("/")
    parts = re.split(r"(/\*\*/|\*\*/|/\*\*|\*|\?|\[[^\]]*\])", pattern.lstrip("/"))
    meaning = {"/**/": "/(?:.*/)?", "**/": "(?:.*/)?", "/**": "/.*", "*": "[^/]*", "?": "[^/]"}
    body = "".join(meaning.get(p) or (p.replace("[!", "[^") if p.startswith("[") else re.escape(p)) for p in parts)
    return re.compile(("(?:.*/)?" if anywhere else "") + body)
