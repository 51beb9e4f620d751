"""Zips of results, made while they are sent."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any, Final

from app.store.records import Store
from app.store.tables import Edit

SUFFIXES: Final = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


def zipped(store: Store, ids: list[str]) -> Iterator[bytes]:
    """Yield a zip as it grows; no more than one picture is in memory."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for edit_id in ids:
            with store.database.read() as rows:
                edit = rows.get(Edit, edit_id)
            images: list[dict[str, Any]] = (edit.result or {}).get("images", []) if edit else []
            for number, image in enumerate(images):
                name = f"{edit.batch_index if edit else 0:06d}-{number}.{SUFFIXES[image['media_type']]}"
                archive.writestr(name, store.blobs.get(image["file"]))
                yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """A file that can only be written on, and gives what was written once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
