"""Large files by Xet, as the production Hub takes them: the real `hf_xet` sends them, to its own kind of store in a folder.

A hub with `Options.xet` hands out tokens that name that folder. A commit that names a file of it by its sha256 finds it there;
from then on the hub has it as it has every large file. `hf_xet` must be installed where the hub runs.
"""

import shutil
import struct
import tempfile
import time
from pathlib import Path

from . import accounts
from .routing import Router
from .wire import HubError, Response

router = Router()
LIFETIME_S = 3600
# A shard's header, and each of its records: https://huggingface.co/docs/xet/shard
_HEADER_BYTES = _RECORD_BYTES = 48
_HASH_BYTES = 32
_WITH_VERIFICATION, _WITH_SHA256 = 1 << 31, 1 << 30
_END = b"\xff" * _HASH_BYTES


@router.route("GET", "{api}/xet-write-token/{revision}", needs="own")
def write_token(hub, request):
    if not hub.options.xet:
        raise HubError(404, f"Cannot GET {request.path}", headers={"X-No-Route": "1"})
    proposal = request.flag("create_pr") or request.args["revision"].startswith("refs/pr/")
    (accounts.check_propose if proposal else accounts.check_write)(request.who, request.repo)
    place, ends = f"local://{_store(hub)}", int(time.time()) + LIFETIME_S
    names = {"X-Xet-Cas-Url": place, "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": str(ends)}
    return Response.json({"casUrl": place, "accessToken": "xet", "exp": ends}, headers=names)


def take(hub, repo, sha256):
    """The File of a large object; one that came by Xet is put together first. None when it never came."""
    if not repo.large_file(sha256) and (found := _sent(_store(hub)).get(sha256)):
        _assemble(_store(hub), repo, sha256, *found)
    return repo.large_file(sha256)


def _store(hub):
    folder = Path(hub.store.root).resolve() / "xet"
    folder.mkdir(exist_ok=True)
    return folder


def _sent(store):
    """{sha256: (hash by Xet, size)} of the files in a store, as its shards tell."""
    return {sha256: facts for path in store.glob("xet/xorbs/shards/*.mdb") for sha256, facts in _files(path.read_bytes())}


def _files(shard):
    at = _HEADER_BYTES
    while (record := shard[at : at + _HASH_BYTES]) != _END:
        flags, count = struct.unpack_from("<II", shard, at + _HASH_BYTES)
        at += _RECORD_BYTES
        sizes = (struct.unpack_from("<I", shard, at + _RECORD_BYTES * i + _HASH_BYTES + 4)[0] for i in range(count))
        size_bytes = sum(sizes)
        at += _RECORD_BYTES * count * (2 if flags & _WITH_VERIFICATION else 1)
        if flags & _WITH_SHA256:
            yield _hex(shard[at : at + _HASH_BYTES]), (_hex(record), size_bytes)
            at += _RECORD_BYTES


def _hex(value):
    """A hash as Xet writes it: four little-endian numbers."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", value))


def _assemble(store, repo, sha256, xet_hash, size_bytes):
    """Let `hf_xet` read a file out of a copy of the store, which the sender still holds open."""
    import hf_xet

    with tempfile.TemporaryDirectory() as temporary:
        copy, out = shutil.copytree(store, Path(temporary) / "store"), Path(temporary) / "file"
        with hf_xet.XetSession().new_file_download_group(endpoint=f"local://{copy}") as group:
            group.start_download_file(hf_xet.XetFileInfo(xet_hash, size_bytes), str(out))
        repo.store_large([out.read_bytes()], sha256, size_bytes)
