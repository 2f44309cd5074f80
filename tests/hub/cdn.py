"""The other port: large objects by signed URL, without tokens."""

import hashlib

from .routing import Router
from .wire import HubError, Response, send_file

router = Router()


def _open(hub, request, action):
    """The repo and fields of a signed request; a token is refused, as storage refuses two ways to sign in."""
    if request.headers.get("Authorization") is not None:
        raise HubError(400, "InvalidArgument: only one auth mechanism allowed; an Authorization header came with a signed URL")
    fields = hub.signer.check(request, action)
    repo = hub.store.by_uid(request.args["uid"])
    if repo is None:
        raise HubError(404, "NoSuchKey: the repository is gone")
    return repo, fields


@router.route("GET HEAD", "/{uid}/{oid}")
def get(hub, request):
    repo, _ = _open(hub, request, "get")
    oid = request.args["oid"]
    stored = repo.large_file(oid)
    if stored is None:
        raise HubError(404, f"NoSuchKey: {oid}")
    return send_file(request, repo.large_path(oid), stored.size, {"ETag": f'"{oid}"', "Cache-Control": "public, max-age=31536000"})


@router.route("PUT", "/{uid}/{oid}")
def put(hub, request):
    is_part = request.param("uploadId") is not None
    repo, fields = _open(hub, request, "part" if is_part else "put")
    size = int(fields["size"])
    if request.body.length not in (None, size):
        raise HubError(400, f"EntityTooSmall or EntityTooLarge: {request.body.length} bytes, {size} were announced")
    if is_part:
        return _put_part(repo, fields, request.body, size)
    repo.store_large(request.body.pieces(), request.args["oid"], size)
    return Response(200, {"ETag": f'"{request.args["oid"]}"'})


def _put_part(repo, fields, body, size):
    folder = repo.folder / "incoming" / fields["uploadId"]
    folder.mkdir(exist_ok=True)
    path, digest, count = folder / fields["partNumber"], hashlib.md5(), 0
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        for piece in body.pieces():
            digest.update(piece)
            count += len(piece)
            file.write(piece)
    if count != size:
        raise HubError(400, f"EntityTooSmall or EntityTooLarge: {count} bytes, {size} were announced")
    etag = f'"{digest.hexdigest()}"'
    path.with_suffix(".etag").write_text(etag)
    temporary.replace(path)
    return Response(200, {"ETag": etag})
