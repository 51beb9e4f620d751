"""Zips of results, made while they are sent, with names people know their pictures by."""

import io
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from typing import Any, Final

from app.store.records import Store
from app.store.tables import Edit

SUFFIXES: Final = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
_SUFFIX: Final = re.compile(r"\.(png|jpe?g|webp)$", re.IGNORECASE)
_LONGEST: Final = 80
_RESERVED: Final = frozenset('<>:"/\\|?*')  # by one file system or another


def zipped(store: Store, ids: list[str]) -> Iterator[bytes]:
    """Yield a zip as it grows; no more than one picture is in memory."""
    sink = _Sink()
    taken: dict[str, int] = {}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for edit_id in ids:
            with store.database.read() as rows:
                edit = rows.get(Edit, edit_id)
            images: list[dict[str, Any]] = (edit.result or {}).get("images", []) if edit else []
            asked = edit.request["custom_id"] if edit else ""
            for image in images:
                name = edited_name(asked, SUFFIXES[image["media_type"]], taken)
                archive.writestr(name, store.blobs.get(image["file"]))
                yield sink.taken()
    yield sink.taken()


def zipped_session(store: Store, told: str, image: str, turns: list[Edit]) -> Iterator[bytes]:
    """Yield a zip of a session as it grows: `told` as JSON, the picture it began with, and what its turns made."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("session.json", told)
        picture = store.blobs.get(image)
        archive.writestr(f"input.{SUFFIXES[picture_type(picture)]}", picture)
        yield sink.taken()
        for turn in turns:
            images: list[dict[str, Any]] = (turn.result or {}).get("images", [])
            for number, made in enumerate(images):
                name = f"{turn.id}-{number}.{SUFFIXES[made['media_type']]}"
                archive.writestr(name, store.blobs.get(made["file"]))
                yield sink.taken()
    yield sink.taken()


def picture_type(data: bytes) -> str:
    """Return a stored picture's media type from its first bytes.

    The store knows contents, not uses: the same bytes may have come first as a file of no type.
    """
    if data.startswith(b"\x89PNG"):
        return "image/png"
    return "image/webp" if data.startswith(b"RIFF") else "image/jpeg"


def edited_name(asked: str, suffix: str, taken: dict[str, int]) -> str:
    """Return the name of a result's file: that of what was sent, without its folders, and ``-edited``.

    Parameters
    ----------
    asked : str
        What a client called the picture; anything.
    suffix : str
    taken : dict of str to int
        Names there are already, case-folded, with the last number given to one like it; the new one is added.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", _SUFFIX.sub("", asked)))[-1]
    clean = "".join(one if one.isprintable() and one not in _RESERVED else "_" for one in last)
    stem = f"{clean[:_LONGEST].strip(' .') or 'picture'}-edited"
    name = f"{stem}.{suffix}"
    first = name.casefold()
    while name.casefold() in taken:
        taken[first] += 1
        name = f"{stem}-{taken[first]}.{suffix}"
    taken[name.casefold()] = 1
    return name


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
