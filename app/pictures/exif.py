"""EXIF as far as an edit needs it: orientation is read, the thumbnail blanked, the rest carried over."""

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

PREFIX = b"Exif\0\0"
LARGEST = 65533 - len(PREFIX)
"""Bytes that one JPEG segment can hold; no longer block is carried over."""

_ORIENTATION = 0x0112
_THUMBNAIL_TAGS = (
    (0x0201, 0x0202),
    (0x0111, 0x0117),
)  # where it lies and how long it is: JPEG, one TIFF strip
_INTEGERS = {1: "B", 3: "H", 4: "I"}  # EXIF types BYTE, SHORT, LONG

# Orientation -> whether rows and columns are swapped, then whether the result is flipped top-bottom,
# left-right.
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def to_upright(stored: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn an array of shape (H, W, ...) as stored into the one that is shown."""
    swapped, upside_down, mirrored = _TURNS[orientation]
    turned = stored.swapaxes(0, 1) if swapped else stored
    return np.ascontiguousarray(turned[:: -1 if upside_down else 1, :: -1 if mirrored else 1])


def to_stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo `to_upright`."""
    swapped, upside_down, mirrored = _TURNS[orientation]
    turned = upright[:: -1 if upside_down else 1, :: -1 if mirrored else 1]
    return np.ascontiguousarray(turned.swapaxes(0, 1) if swapped else turned)


def only_orientation(orientation: int) -> bytes:
    """Return the smallest EXIF block that says how a picture is turned."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)


def orientation_of(block: bytes) -> int | None:
    """Return the orientation 1..8 (1 where none is given), or None where the block is no EXIF.

    Own code, because Pillow reports what is odd in an EXIF block through the process-wide `warnings`.
    """
    order = _byte_order(block)
    if order is None:
        return None
    stated = _integers(block, order, _ifd0(block, order)).get(_ORIENTATION, 1)
    return stated if stated in _TURNS else 1


def without_thumbnail(block: bytes) -> bytes:
    """Return the block with its thumbnail zeroed and unlinked; every other offset in it stays valid."""
    order = _byte_order(block)
    if order is None:
        return block
    first = _ifd0(block, order)
    link = first + 2 + 12 * _entry_count(block, order, first)
    if link + 4 > len(block):
        return block
    (second,) = struct.unpack_from(order + "I", block, link)
    if second == 0:
        return block
    blanked = bytearray(block)
    tags = _integers(block, order, second)
    for place, length in _THUMBNAIL_TAGS:
        start = min(tags.get(place, 0), len(block))
        end = min(start + tags.get(length, 0), len(block))
        blanked[start:end] = bytes(end - start)
    blanked[link : link + 4] = bytes(4)
    return bytes(blanked)


def _byte_order(block: bytes) -> str | None:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    return order if len(block) >= 8 else None


def _ifd0(block: bytes, order: str) -> int:
    return struct.unpack_from(order + "I", block, 4)[0]


def _entry_count(block: bytes, order: str, ifd: int) -> int:
    return struct.unpack_from(order + "H", block, ifd)[0] if ifd + 2 <= len(block) else 0


def _integers(block: bytes, order: str, ifd: int) -> dict[int, int]:
    return dict(_single_integers(block, order, ifd))


def _single_integers(block: bytes, order: str, ifd: int) -> Iterator[tuple[int, int]]:
    for entry in range(ifd + 2, ifd + 2 + 12 * _entry_count(block, order, ifd), 12):
        if entry + 12 > len(block):
            return
        tag, kind, count = struct.unpack_from(order + "HHI", block, entry)
        if count == 1 and kind in _INTEGERS:
            yield tag, struct.unpack_from(order + _INTEGERS[kind], block, entry + 8)[0]
