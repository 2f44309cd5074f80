"""Sets in S3: paths that read and write objects, with the few methods of pathlib.Path that a set needs.

`S3Path` has no `__fspath__`: what expects a local file fails loudly and can't make a folder named "s3:". Objects are written by
`upload` alone, which makes them appear whole or not at all. s3fs, an fsspec file system, finds credentials and endpoint and sends the
requests; it is imported when the first one is sent. Listings aren't cached: other machines write too.
"""

import contextlib
import fnmatch
import hashlib
import io
import re
from collections import namedtuple
from pathlib import PurePosixPath

from .errors import StorageError, UsageError

BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
HASH_NAME = "sha256"  # entry of an object's metadata, sent with its bytes
PUT_BYTES = 128 << 20  # an object up to this size is one PUT, from memory; a shard has about 50 MB
PART_BYTES = 64 << 20  # of a larger one: 10,000 parts are 640 GB
TAIL_BYTES = 128 << 10  # what the first look into a file fetches: its footer, which has up to 70 kB
READ_BYTES = 128 << 10  # smallest other fetch: the small columns of a row group lie side by side
GAP_BYTES = 128 << 10  # ranges that are closer than this are fetched as one

Stat = namedtuple("Stat", "st_size sha256 etag")  # bytes; hex digest that was sent with them or ""; the storage's own tag
_WRONG_KEYS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidSecurity")
_DENIED = ("AccessDenied", "AllAccessDisabled", "AccountProblem", "403")
_ELSEWHERE = ("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301", "307")
_NO_KEYS = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "NoAuthTokenError", "TokenRetrievalError")
_KEYS_HELP = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE with ~/.aws, or the role of this machine"
_ENDPOINT_HELP = "AWS_ENDPOINT_URL for a storage of your own"
_GO_ON = "Put that right and run the same command again; finished files are kept"


class S3Path:
    """An object or a folder (prefix) in S3, `s3://bucket/folder/name`. Made by `parse`; compares, sorts and hashes as a Path does."""

    def __init__(self, bucket, keys=(), seen=None):
        """Args: bucket; keys: names below it; seen: Stat of a listing that the path comes from, which saves a request."""
        self.bucket, self._keys, self._seen = bucket, tuple(keys), seen

    @classmethod
    def parse(cls, url):
        """The path that an s3:// URL names.

        Raises:
            UsageError: it isn't of the form s3://BUCKET/FOLDER. A login in it isn't repeated.
        """
        bucket, *keys = url.removeprefix("s3://").split("/")
        if "@" in bucket:
            raise UsageError(
                f"the s3:// URL holds a login or an endpoint before its bucket, expected s3://BUCKET/FOLDER. Credentials come from "
                f"{_KEYS_HELP}"
            )
        if not url.startswith("s3://") or not BUCKET_NAME.fullmatch(bucket):
            raise UsageError(f"{url}: bucket {bucket!r} is no name of a bucket; expected s3://BUCKET/FOLDER")
        keys = [key for key in keys if key]
        if {".", ".."} & set(keys):
            raise UsageError(f"{url} has '.' or '..' in it, which name nothing in S3; expected s3://BUCKET/FOLDER")
        return cls(bucket, keys)

    # --- names ---

    def __str__(self):
        return "/".join((f"s3://{self.bucket}", *self._keys))

    as_posix = __str__

    def __repr__(self):
        return f"S3Path({str(self)!r})"

    @property
    def parts(self):
        return f"s3://{self.bucket}", *self._keys

    @property
    def key(self):
        """The object's key."""
        return "/".join(self._keys)

    @property
    def name(self):
        return self._keys[-1] if self._keys else ""

    @property
    def stem(self):
        return PurePosixPath(self.name).stem

    @property
    def suffix(self):
        return PurePosixPath(self.name).suffix

    @property
    def parent(self):
        return S3Path(self.bucket, self._keys[:-1])

    def with_name(self, name):
        return self.parent / name

    def __truediv__(self, name):
        return S3Path(self.bucket, (*self._keys, *(key for key in str(name).split("/") if key)))

    def relative_to(self, other):
        """The PurePosixPath that leads from a folder to this path."""
        if not self.is_relative_to(other):
            raise ValueError(f"{self} isn't below {other}")
        return PurePosixPath(*self.parts[len(other.parts) :])

    def is_relative_to(self, other):
        return isinstance(other, S3Path) and self.parts[: len(other.parts)] == other.parts

    def resolve(self):
        return self

    def __eq__(self, other):
        return self.parts == other.parts if isinstance(other, S3Path) else NotImplemented

    def __lt__(self, other):
        return self.parts < other.parts if isinstance(other, S3Path) else NotImplemented

    def __hash__(self):
        return hash(self.parts)

    # --- what is there ---

    def stat(self):
        """The Stat of an object; FileNotFoundError when there is none."""
        if self._seen:
            return self._seen
        if not self._keys:
            raise FileNotFoundError(2, "no object", str(self))
        answer = self._call("head_object", Key=self.key)
        return Stat(answer["ContentLength"], answer.get("Metadata", {}).get(HASH_NAME, ""), answer["ETag"])

    def head(self):
        """As `stat`, by a request whatever a listing told: it alone tells the digest that was sent with the bytes."""
        return S3Path(self.bucket, self._keys).stat()

    def is_file(self):
        try:
            return bool(self.stat())
        except FileNotFoundError:
            return False

    def is_dir(self):
        return any(True for _ in self._list(count=1))

    def exists(self):
        return self.is_file() or self.is_dir()

    def is_symlink(self):
        return False

    def iterdir(self):
        """Paths of the objects and folders right below, in no promised order."""
        return self._list(delimiter="/")

    def glob(self, pattern):
        """Paths right below whose names match; `pattern` has no slash."""
        return (path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, pattern))

    def rglob(self, pattern):
        """All objects below whose names match. Folders aren't among them: S3 has none."""
        return (path for path in self._list() if fnmatch.fnmatchcase(path.name, pattern))

    def _list(self, delimiter="", count=1000):
        prefix, token = self.key and self.key + "/", {}
        while True:
            answer = self._call("list_objects_v2", Prefix=prefix, Delimiter=delimiter, MaxKeys=count, **token)
            for folder in answer.get("CommonPrefixes", ()):
                yield self / folder["Prefix"].removeprefix(prefix)
            for item in answer.get("Contents", ()):
                if not item["Key"].endswith("/"):  # such an empty object is what consoles make for a folder
                    path = self / item["Key"].removeprefix(prefix)
                    yield S3Path(path.bucket, path._keys, Stat(item["Size"], "", item["ETag"]))
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    # --- bytes ---

    def open(self, mode="rb"):
        """A file to read bytes from, in any order, or text."""
        if mode not in ("rb", "r"):
            raise ValueError(f"mode is {mode!r}, expected 'rb' or 'r'; objects are written by upload")
        file = S3File(self)
        return file if mode == "rb" else io.TextIOWrapper(io.BufferedReader(file), encoding="utf-8")

    def read_bytes(self):
        return self._read(None, None)

    def read_text(self, encoding="utf-8", errors="strict"):
        return self.read_bytes().decode(encoding, errors)

    def read_ranges(self, ranges):
        """Bytes of several (start, stop) ranges, fetched at the same time."""
        names = [f"{self.bucket}/{self.key}"] * len(ranges)
        with _answers(self):
            found = _storage().cat_ranges(names, [start for start, _ in ranges], [stop for _, stop in ranges])
            for data in found:
                if isinstance(data, Exception):
                    raise data
        return found

    def _read(self, start, stop):
        with _answers(self):
            return _storage().cat_file(f"{self.bucket}/{self.key}", start=start, end=stop)

    def _call(self, method, **arguments):
        with _answers(self):
            return _storage().call_s3(method, Bucket=self.bucket, **arguments)


class S3File(io.RawIOBase):
    """An object as a file to read: ranges are fetched as they are asked for."""

    def __init__(self, path):
        self._path, self._size, self._at = path, path.stat().st_size, 0
        self._held = {}  # start -> bytes: the end of the file, what was prefetched, and the last small fetch (None)

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self._at

    def seek(self, offset, whence=io.SEEK_SET):
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readall(self):
        return self.read()

    def read(self, size=-1):
        stop = self._size if size is None or size < 0 else min(self._size, self._at + size)
        data = self._range(self._at, stop) if stop > self._at else b""
        self._at += len(data)
        return data

    def readinto(self, buffer):
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def prefetch(self, ranges):
        """Fetch (start, stop) ranges at the same time and keep them; close ones are merged."""
        merged = []
        for start, stop in sorted(ranges):
            if merged and start - merged[-1][1] < GAP_BYTES:
                merged[-1][1] = max(stop, merged[-1][1])
            else:
                merged.append([start, stop])
        for (start, _), data in zip(merged, self._path.read_ranges(merged), strict=True):
            self._held[start] = start, data

    def _range(self, start, stop):
        for first, data in self._held.values():
            if first <= start and stop <= first + len(data):
                return data[start - first : stop - first]
        tail = max(0, self._size - TAIL_BYTES)
        if start >= tail:
            start_at, data = tail, self._path._read(tail, self._size)
            self._held[tail] = tail, data
        else:
            start_at, data = start, self._path._read(start, min(self._size, max(stop, start + READ_BYTES)))
            if stop - start < READ_BYTES:
                self._held[None] = start, data
        if len(data) < stop - start_at:
            raise StorageError(f"{self._path} has changed while it was read; run the same command again")
        return data[start - start_at : stop - start_at]


def upload(source, path, only_new=False):
    """Send a local file to S3; the object appears when all of it is there, with its sha256 in the metadata.

    Args:
        source: the local file.
        path: S3Path.
        only_new: leave what is there alone. Some storages that aren't Amazon's don't know this and replace it.

    Raises:
        FileExistsError: with `only_new`, there is an object already.
        StorageError: the storage refuses it or can't be reached; there is no object then, or the old one.
    """
    size, told = source.stat().st_size, {"Metadata": {HASH_NAME: _sha256_of(source)}}
    condition = {"IfNoneMatch": "*"} if only_new else {}
    if size <= PUT_BYTES:
        path._call("put_object", Key=path.key, Body=source.read_bytes(), **told, **condition)
        return
    begun = {"Key": path.key, "UploadId": path._call("create_multipart_upload", Key=path.key, **told)["UploadId"]}
    try:
        parts = []
        with open(source, "rb") as file:
            while data := file.read(PART_BYTES):
                tag = path._call("upload_part", Body=data, PartNumber=len(parts) + 1, **begun)["ETag"]
                parts.append({"PartNumber": len(parts) + 1, "ETag": tag})
        path._call("complete_multipart_upload", MultipartUpload={"Parts": parts}, **begun, **condition)
    except BaseException:
        with contextlib.suppress(StorageError, FileNotFoundError):  # the first error is what has to be told
            path._call("abort_multipart_upload", **begun)
        raise


def check_folder(folder):
    """See that a bucket can be listed and that the folder's name isn't that of an object, before any work.

    Raises:
        UsageError: it is an object.
        StorageError: the bucket is missing, or credentials or connection are.
    """
    if not folder.is_dir() and folder.is_file():
        raise UsageError(f"{folder} is an object, expected a folder (it may be missing); choose another --out")


def _sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _storage():
    try:
        import fsspec
        import s3fs  # noqa: F401 - fsspec's own words on a missing one are others
    except ImportError as error:
        raise UsageError(f"s3:// needs s3fs, which can't be imported ({error}); run `pip install 'fgbg-depth[s3]'`") from error
    return fsspec.filesystem("s3", use_listings_cache=False)


@contextlib.contextmanager
def _answers(path):
    """Turn what s3fs, botocore and aiohttp raise into FileNotFoundError, FileExistsError or a StorageError without their own words.

    Those may hold endpoints with logins or parts of requests.
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        response = next((e.response for e in (error, error.__cause__) if isinstance(getattr(e, "response", None), dict)), {})
        code = str(response.get("Error", {}).get("Code", ""))
        if isinstance(error, FileNotFoundError) and code != "NoSuchBucket":
            raise FileNotFoundError(2, "no such object", str(path)) from error
        if isinstance(error, FileExistsError) or code == "PreconditionFailed":
            raise FileExistsError(17, "there is an object already", str(path)) from error
        words = _words(path, error, code)
        if words is None:
            raise
        raise StorageError(f"{path}: {words}. {_GO_ON}") from error


def _words(path, error, code):
    """What went wrong and what to do; None for what isn't the storage's doing."""
    kind = type(error).__name__
    if code == "NoSuchBucket":
        return f"there is no bucket {path.bucket!r}; make it, or name another one"
    if code in _WRONG_KEYS:
        return f"the credentials are wrong or have expired ({code}); they come from {_KEYS_HELP}"
    if code in _DENIED:
        return f"the credentials may not do that ({code}); reading takes s3:ListBucket and s3:GetObject, writing s3:PutObject too"
    if code in _ELSEWHERE:
        return f"bucket {path.bucket!r} is in another region ({code}); set AWS_DEFAULT_REGION, or {_ENDPOINT_HELP}"
    if code:
        return f"the storage refused it ({code})"
    if kind in _NO_KEYS:
        return f"no credentials were found ({kind}); set {_KEYS_HELP}"
    if kind == "ProfileNotFound" or (isinstance(error, ValueError) and "endpoint" in str(error).lower()):
        return f"the settings can't be used ({kind}); look at AWS_PROFILE, AWS_ENDPOINT_URL and ~/.aws/config"
    if isinstance(error, OSError) or type(error).__module__.split(".")[0] in ("botocore", "aiobotocore", "aiohttp", "fsspec"):
        return f"the storage can't be reached, or broke off ({kind}); look at the network, and at {_ENDPOINT_HELP}"
    return None
