"""Folders of source pictures made for a test, and why files in them were refused."""

from picture_files import disc, encode, noise


def put(folder, **files):
    """Write files; a name's "__" stands for "/" and "_DOT_" for "."."""
    for name, data in files.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def photo(seed=0):
    """Bytes of a small background."""
    return encode(noise(12, 16, seed=seed), "PNG")


def cut_out(seed=0):
    """Bytes of a small foreground."""
    return encode(disc(24, colour=(seed, 100, 200)), "PNG")


def reasons(caught):
    """{file: why it was refused} of a caught AssetError."""
    return dict(caught.value.problems)
