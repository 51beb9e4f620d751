"""PNG files, taken apart chunk by chunk; nothing but a colour profile is inflated, and that up to a limit."""

import struct
import zlib
from collections.abc import Iterator

from app.pictures.container import BROKEN_PROFILE, LARGEST_PROFILE, Container, cut_off, damaged, sized

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_INCH = 0.0254  # metres
_COLOUR_CHUNKS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4}  # and how long each is
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # by colour type


def take_apart_png(data: bytes, max_pixels: int) -> Container:
    """See `containers.take_apart`."""
    header = data[8:33]
    if len(header) < 25:
        raise cut_off("PNG")
    length, name, width, height, depth, colour = struct.unpack(">I4sIIBB", header[:18])
    if (length, name) != (13, b"IHDR") or depth not in _DEPTHS.get(colour, ()):
        raise damaged("PNG", "its header makes no sense")
    container = sized(Container("PNG", (width, height), depth=depth), max_pixels)
    kept = [SIGNATURE]
    seen = {b"IDAT", b"fdAT"}
    for name, start, end in png_chunks(data):
        if name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            if zlib.crc32(data[start - 4 : end]) != int.from_bytes(data[end : end + 4]):
                raise damaged("PNG", f"the checksum of its {name.decode()} chunk is wrong")
            if name not in (b"PLTE", b"tRNS"):
                kept.append(data[start - 8 : end + 4])
        if name not in seen:  # of chunks that may come once, more are an attack or a mistake
            seen.add(name)
            _take(container, name, data[start:end])
    if colour != 3:
        container.palette = b""  # a suggestion for displays of few colours
    elif not 3 <= len(container.palette) <= 768 or len(container.palette) % 3:
        raise damaged("PNG", "it has no palette")
    if colour in (4, 6):
        container.transparency = None  # not allowed beside an alpha channel
    container.encoded = b"".join(kept)
    return container


def _take(container: Container, name: bytes, content: bytes) -> None:
    if name == b"PLTE":
        container.palette = content
    elif name == b"tRNS":
        container.transparency = content
    elif name == b"eXIf":
        container.exif = content
    elif name == b"pHYs" and len(content) == 9 and content[8] == 1:
        across, down = struct.unpack(">II", content[:8])
        container.dpi = (across * _INCH, down * _INCH)
    elif name == b"acTL" and len(content) == 8:
        container.frames = int.from_bytes(content[:4])
    elif len(content) == _COLOUR_CHUNKS.get(name):
        container.colour_chunks += ((name, content),)
    elif name == b"iCCP":
        _, _, compressed = content.partition(b"\0")
        container.icc_profile = inflate(compressed[1:], LARGEST_PROFILE)
        if container.icc_profile is None:
            container.warnings.append(BROKEN_PROFILE)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of the content of each PNG chunk up to IEND.

    Raises
    ------
    InvalidImage
        The file ends before its IEND chunk.
    """
    position = len(SIGNATURE)
    name = b""
    while name != b"IEND":
        if position + 12 > len(data):
            raise cut_off("PNG")
        (length,) = struct.unpack_from(">I", data, position)
        name = data[position + 4 : position + 8]
        start, position = position + 8, position + 12 + length
        if position > len(data):
            raise cut_off("PNG")
        yield name, start, start + length


def inflate(data: bytes, limit: int) -> bytes | None:
    """Return inflated data, or None where it is broken or longer than `limit`."""
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(data, limit)
    except zlib.error:
        return None
    return inflated if stream.eof else None
