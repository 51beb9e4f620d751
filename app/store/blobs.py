"""Pictures and files by the SHA-256 of their bytes, in a folder or an S3-compatible store."""

import hashlib
import re
import secrets
import time
from collections.abc import Iterator
from typing import Any, Final, final

import fsspec

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def digest_of(data: bytes) -> str:
    """Return the name that bytes are stored under."""
    return hashlib.sha256(data).hexdigest()


@final
class BlobStore:
    """A content-addressed store.

    Parameters
    ----------
    root : str
        Folder or fsspec address, such as ``s3://bucket/prefix``.
    """

    def __init__(self, root: str) -> None:
        files, path = (
            fsspec.core.url_to_fs(root, use_listings_cache=False)
            if "://" in root
            else fsspec.core.url_to_fs(root)
        )
        self._files: Any = files
        self._root: str = path.rstrip("/")
        self._local = "://" not in root or root.startswith("file://")

    def put(self, data: bytes, digest: str) -> None:
        """Store bytes under their digest, if they are not there yet."""
        path = self._path(digest)
        if not self._local:
            # Sent again rather than asked for: two questions would take longer than most pictures.
            self._files.pipe_file(path, data)
            return
        if self._files.exists(path):
            return
        # A crash in the middle of writing must not leave half a file under the digest of the whole.
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        part = f"{path}.{secrets.token_hex(8)}.part"
        self._files.pipe_file(part, data)
        self._files.mv(part, path)

    def get(self, digest: str) -> bytes:
        """Return the bytes, or raise `FileNotFoundError`."""
        return self._files.cat_file(self._path(digest))

    def has(self, digest: str) -> bool:
        """Tell whether the bytes are there."""
        return self._files.exists(self._path(digest))

    def remove(self, digest: str) -> None:
        """Remove the bytes; nothing happens where they are gone already."""
        try:
            self._files.rm_file(self._path(digest))
        except FileNotFoundError:
            return

    def ages(self) -> Iterator[tuple[str, float]]:
        """Yield the digest of everything stored, and how many seconds ago it was written."""
        for path, about in self._files.find(self._root, detail=True).items():
            name = path.rpartition("/")[2]
            if _DIGEST.fullmatch(name):
                # A folder says mtime (seconds), S3 LastModified, other stores created (dates).
                at = about.get("mtime") or about.get("LastModified") or about["created"]
                yield name, time.time() - (at if isinstance(at, float) else at.timestamp())

    def _path(self, digest: str) -> str:
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is no SHA-256 digest")
        return f"{self._root}/{digest[:2]}/{digest[2:4]}/{digest}"
