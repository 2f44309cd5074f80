"""Git's object ids, so that blob, tree and commit ids are the real ones."""

import hashlib


def object_id(kind, data):
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data).hexdigest()


def blob_id(data):
    return object_id("blob", data)


def lfs_pointer(sha256, size_bytes):
    """What git keeps in place of a large file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size_bytes}\n".encode()


def tree_ids(files):
    """Ids of all folders of a tree.

    Args:
        files: {path: object with .oid}.

    Returns:
        dict: {folder: tree id}; the root is "".
    """
    folders = {"": {}}
    for path, file in files.items():
        parent = _add_folder(folders, path.rpartition("/")[0])
        parent[path.rpartition("/")[2]] = ("100644", file.oid)
    ids = {}
    # Deepest first, so that the id of a folder is known when its parent needs it.
    for folder in sorted(folders, key=lambda f: -len(f.split("/")) if f else 1):
        entries = dict(folders[folder])
        for child in entries:
            path = f"{folder}/{child}" if folder else child
            if entries[child] is None:
                entries[child] = ("40000", ids[path])
        ids[folder] = object_id("tree", _tree_data(entries))
    return ids


def _add_folder(folders, folder):
    """The entries of a folder, made known to all folders above it; None stands for a folder whose id isn't known yet."""
    if folder not in folders:
        folders[folder] = {}
        above = _add_folder(folders, folder.rpartition("/")[0])
        above[folder.rpartition("/")[2]] = None
    return folders[folder]


def _tree_data(entries):
    # Git sorts a folder as if its name ended with a slash.
    order = sorted(entries, key=lambda name: name.encode() + (b"/" if entries[name][0] == "40000" else b""))
    return b"".join(b"%s %s\0" % (entries[n][0].encode(), n.encode()) + bytes.fromhex(entries[n][1]) for n in order)


def commit_id(tree, parents, author, seconds, message):
    who = f"{author} <{author}@users.noreply> {seconds} +0000"
    lines = [f"tree {tree}", *(f"parent {p}" for p in parents), f"author {who}", f"committer {who}", "", message]
    return object_id("commit", "\n".join(lines).encode())
