"""PNG, JPEG and WebP containers, taken apart before anything is decoded.

Pillow is given the pixel data alone. Its own reading of metadata inflates text of any kind, and it warns
through the process-wide `warnings`, which a server with threads can neither silence nor collect; its size
limit is process-wide as well. The walks here inflate nothing but a colour profile, and that up to a limit.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.pictures import exif
from app.pictures.records import Format
from brushedit.errors import ImageTooLarge, InvalidImage

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_PROFILE = 8 * 2**20
"""Bytes of an ICC profile; printing profiles have up to 3 MB."""

_INCH = 0.0254  # metres
_COLOUR_CHUNKS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4}
_MOST_SCANS = (
    500  # of a progressive JPEG; real ones have about ten, and each costs a pass over the whole picture
)
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_OTHERS = (
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"BM", "BMP"),
    (b"%PDF", "PDF"),
    (b"<svg", "SVG"),
    (b"<?xml", "SVG or XML"),
    (b"8BPS", "Photoshop"),
)


@dataclass
class Container:
    """What a file says about its picture, with the pixel data still encoded.

    Attributes
    ----------
    format : Format
    size : (int, int)
        Width and height as stored.
    encoded : bytes
        The file, less everything that does not change the samples.
    depth : int
        Bits per sample.
    palette : bytes
        A palette PNG's PLTE, three bytes a colour.
    transparency : bytes or None
        PNG's tRNS: an opacity for each palette entry, or the one transparent colour.
    frames : int
        Pictures of an animation.
    """

    format: Format
    size: tuple[int, int]
    encoded: bytes = b""
    depth: int = 8
    palette: bytes = b""
    transparency: bytes | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    colour_chunks: tuple[tuple[bytes, bytes], ...] = ()
    frames: int = 1
    warnings: list[str] = field(default_factory=list[str])


def take_apart(data: bytes, max_pixels: int) -> Container:
    """Read a file's structure, the kind told by its content alone.

    Raises
    ------
    InvalidImage
        An unknown kind, or a file that is cut off or damaged.
    ImageTooLarge
        More than `max_pixels`, found before anything else is looked at.
    """
    if data.startswith(PNG_SIGNATURE):
        return _png(data, max_pixels)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data, max_pixels)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data, max_pixels)
    raise InvalidImage(f"{_kind(data)}; PNG, JPEG and WebP pictures are accepted", param="image")


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of the content of each PNG chunk up to IEND.

    Raises
    ------
    InvalidImage
        The file ends before its IEND chunk.
    """
    position = len(PNG_SIGNATURE)
    name = b""
    while name != b"IEND":
        if position + 12 > len(data):
            raise _cut_off("PNG")
        (length,) = struct.unpack_from(">I", data, position)
        name = data[position + 4 : position + 8]
        start, position = position + 8, position + 12 + length
        if position > len(data):
            raise _cut_off("PNG")
        yield name, start, start + length


def inflate(data: bytes, limit: int) -> bytes | None:
    """Return inflated data, or None where it is broken or longer than `limit`."""
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(data, limit)
    except zlib.error:
        return None
    return inflated if stream.eof else None


def _kind(data: bytes) -> str:
    if not data:
        return "the file is empty"
    head = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    if data[4:8] == b"ftyp":
        return (
            "this is a HEIC or AVIF file"
            if data[8:11] in (b"hei", b"mif", b"avi")
            else "this is a video file"
        )
    for start, name in _OTHERS:
        if head.startswith(start):
            return f"this is a {name} file"
    return "this is not a picture"


def _cut_off(name: str) -> InvalidImage:
    return InvalidImage(f"the {name} file is cut off; it may not have been copied completely", param="image")


def _damaged(name: str, what: str) -> InvalidImage:
    return InvalidImage(f"the {name} file is damaged: {what}", param="image")


def _sized(container: Container, max_pixels: int) -> Container:
    width, height = container.size
    if width == 0 or height == 0:
        raise _damaged(container.format, f"it says that it is {width}x{height} pixels large")
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"the picture has {width}x{height} pixels, {width * height / 1e6:.1f} million; "
            f"at most {max_pixels / 1e6:.1f} million are accepted",
            param="image",
        )
    return container


def _png(data: bytes, max_pixels: int) -> Container:
    header = data[8:33]
    if len(header) < 25:
        raise _cut_off("PNG")
    length, name, width, height, depth, colour = struct.unpack(">I4sIIBB", header[:18])
    if (length, name) != (13, b"IHDR") or depth not in _PNG_DEPTHS.get(colour, ()):
        raise _damaged("PNG", "its header makes no sense")
    container = _sized(Container("PNG", (width, height), depth=depth), max_pixels)
    kept = [PNG_SIGNATURE]
    for name, start, end in png_chunks(data):
        if name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            if zlib.crc32(data[start - 4 : end]) != int.from_bytes(data[end : end + 4]):
                raise _damaged("PNG", f"the checksum of its {name.decode()} chunk is wrong")
            if name not in (b"PLTE", b"tRNS"):
                kept.append(data[start - 8 : end + 4])
        if name not in (b"IDAT", b"fdAT"):
            _png_chunk(container, name, data[start:end])
    if colour != 3:
        container.palette = b""  # a suggestion for displays of few colours
    elif not 3 <= len(container.palette) <= 768 or len(container.palette) % 3:
        raise _damaged("PNG", "it has no palette")
    if colour in (4, 6):
        container.transparency = None  # not allowed beside an alpha channel
    container.encoded = b"".join(kept)
    return container


def _png_chunk(container: Container, name: bytes, content: bytes) -> None:
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
            container.warnings.append("The colour profile is broken or too large and was left out.")


def _jpeg(data: bytes, max_pixels: int) -> Container:
    container: Container | None = None
    kept = [data[:2]]
    metadata: list[tuple[int, bytes]] = []
    position = 2
    while True:
        position = data.find(b"\xff", position)
        if position < 0 or position + 4 > len(data):
            raise _cut_off("JPEG")
        marker = data[position + 1]
        if marker == 0xFF or marker < 0xC0 or 0xD0 <= marker <= 0xD8:  # padding and markers without content
            position += 1 if marker == 0xFF else 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        if end > len(data):
            raise _cut_off("JPEG")
        content = data[position + 4 : end]
        if marker in _FRAME_HEADERS:
            if len(content) < 6 or container is not None:
                raise _damaged("JPEG", "its frame header makes no sense")
            depth, height, width = struct.unpack(">BHH", content[:5])
            if depth != 8:
                raise InvalidImage(
                    f"JPEG pictures of {depth} bits per sample are not accepted", param="image"
                )
            container = _sized(Container("JPEG", (width, height)), max_pixels)
        elif marker == 0xDA:
            break
        is_metadata = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if is_metadata:
            metadata.append((marker, content))
        # JFIF and Adobe segments say how the components become colours.
        if not is_metadata or (marker == 0xE0 and content.startswith(b"JFIF")) or marker == 0xEE:
            kept.append(data[position:end])
        position = end
    if container is None:
        raise _damaged("JPEG", "it has no frame header")
    scans = data[position:]
    if b"\xff\xd9" not in scans:
        raise _cut_off("JPEG")
    if scans.count(b"\xff\xda") > _MOST_SCANS:
        raise _damaged("JPEG", f"it has more than {_MOST_SCANS} scans")
    _jpeg_metadata(container, metadata)
    container.encoded = b"".join([*kept, scans])
    return container


def _jpeg_metadata(container: Container, segments: list[tuple[int, bytes]]) -> None:
    pieces: dict[int, bytes] = {}
    counts: set[int] = set()
    for marker, content in segments:
        if marker == 0xE0 and content.startswith(b"JFIF") and len(content) >= 12:
            unit, across, down = struct.unpack(">BHH", content[7:12])
            if unit in (1, 2) and across and down:
                scale = 1.0 if unit == 1 else 2.54
                container.dpi = (across * scale, down * scale)
        elif marker == 0xE1 and content.startswith(exif.PREFIX) and container.exif is None:
            container.exif = content
        elif marker == 0xE2 and content.startswith(b"ICC_PROFILE\0") and len(content) > 14:
            pieces[content[12]] = content[14:]
            counts.add(content[13])
        elif marker == 0xE2 and content.startswith(b"MPF\0"):
            container.warnings.append(
                "Only the main picture of the file is used, not those stored behind it."
            )
    if pieces and counts == {len(pieces)}:
        container.icc_profile = b"".join(pieces[number] for number in sorted(pieces))
    if pieces and (container.icc_profile is None or len(container.icc_profile) > LARGEST_PROFILE):
        container.icc_profile = None
        container.warnings.append("The colour profile is broken or too large and was left out.")


def _webp(data: bytes, max_pixels: int) -> Container:
    head = data[:30]
    if len(head) < 30:
        raise _cut_off("WebP")
    packed = int.from_bytes(head[21:25], "little")
    sizes = {
        b"VP8X": (int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1),
        b"VP8L": ((packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1),
        b"VP8 ": (
            int.from_bytes(head[26:28], "little") & 0x3FFF,
            int.from_bytes(head[28:30], "little") & 0x3FFF,
        ),
    }
    if head[12:16] not in sizes:
        raise _damaged("WebP", "its header makes no sense")
    container = _sized(Container("WEBP", sizes[head[12:16]], encoded=data), max_pixels)
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise _cut_off("WebP")
    position, animation_frames = 12, 0
    while position + 8 <= end:
        name, length = (
            data[position : position + 4],
            int.from_bytes(data[position + 4 : position + 8], "little"),
        )
        content = slice(position + 8, position + 8 + length)
        if content.stop > end:
            raise _cut_off("WebP")
        if name == b"ANMF":
            animation_frames += 1
        elif name == b"EXIF":
            container.exif = data[content]
        elif name == b"ICCP" and length <= LARGEST_PROFILE:
            container.icc_profile = data[content]
        position = content.stop + length % 2
    container.frames = max(1, animation_frames)
    return container
