"""Small files for the emulated Hub, and their hashes."""

import hashlib

CARD = b"---\nlicense: mit\n---\n# A set\n"
SIZES_BYTES = (1000, 200_000, 500_000)  # of the data files of a folder to send


def bytes_of(seed, size):
    """Bytes that look random; a seed always gives the same ones."""
    return hashlib.shake_128(str(seed).encode()).digest(size)


def sha256(data):
    """As hex digits."""
    return hashlib.sha256(data).hexdigest()


def write_folder(folder):
    """A card, and large files data/0.parquet and so on, of `SIZES_BYTES`."""
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_bytes(CARD)
    for number, size in enumerate(SIZES_BYTES):
        (folder / "data" / f"{number}.parquet").write_bytes(bytes_of(number, size))
    return folder
