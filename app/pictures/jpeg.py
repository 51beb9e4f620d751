"""JPEG files, taken apart segment by segment up to the first scan."""

import struct

from app.pictures import exif
from app.pictures.container import BROKEN_PROFILE, LARGEST_PROFILE, Container, cut_off, damaged, sized
from brushedit.errors import InvalidImage

_MOST_SCANS = 500  # of a progressive JPEG; real ones have about ten, and each costs a pass over the picture
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def take_apart_jpeg(data: bytes, max_pixels: int) -> Container:
    """See `containers.take_apart`."""
    container: Container | None = None
    kept = [data[:2]]
    metadata: list[tuple[int, bytes]] = []
    position = 2
    while True:
        position = data.find(b"\xff", position)
        if position < 0 or position + 4 > len(data):
            raise cut_off("JPEG")
        marker = data[position + 1]
        if marker == 0xFF or marker < 0xC0 or 0xD0 <= marker <= 0xD8:  # padding and markers without content
            position += 1 if marker == 0xFF else 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        if end > len(data):
            raise cut_off("JPEG")
        content = data[position + 4 : end]
        if marker in _FRAME_HEADERS:
            if len(content) < 6 or container is not None:
                raise damaged("JPEG", "its frame header makes no sense")
            depth, height, width = struct.unpack(">BHH", content[:5])
            if depth != 8:
                raise InvalidImage(
                    f"JPEG pictures of {depth} bits per sample are not accepted", param="image"
                )
            container = sized(Container("JPEG", (width, height)), max_pixels)
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
        raise damaged("JPEG", "it has no frame header")
    scans = data[position:]
    if b"\xff\xd9" not in scans:
        raise cut_off("JPEG")
    if scans.count(b"\xff\xda") > _MOST_SCANS:
        raise damaged("JPEG", f"it has more than {_MOST_SCANS} scans")
    _read_metadata(container, metadata)
    container.encoded = b"".join([*kept, scans])
    return container


def _read_metadata(container: Container, segments: list[tuple[int, bytes]]) -> None:
    pieces: dict[int, bytes] = {}
    counts: set[int] = set()
    several = False
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
            several = True
    if several:
        container.warnings.append("Only the main picture of the file is used, not those stored behind it.")
    if pieces and counts == {len(pieces)}:
        container.icc_profile = b"".join(pieces[number] for number in sorted(pieces))
    if pieces and (container.icc_profile is None or len(container.icc_profile) > LARGEST_PROFILE):
        container.icc_profile = None
        container.warnings.append(BROKEN_PROFILE)
