"""WebP files: the canvas size of their three kinds, and the chunks of their RIFF container."""

from app.pictures.container import BROKEN_PROFILE, LARGEST_PROFILE, Container, cut_off, damaged, sized


def take_apart_webp(data: bytes, max_pixels: int) -> Container:
    """See `containers.take_apart`."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if len(data) < min(end, 30):
        raise cut_off("WebP")
    head = data[:30].ljust(30, b"\0")  # a lossless picture of one colour may take less
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
        raise damaged("WebP", "its header makes no sense")
    container = sized(Container("WEBP", sizes[head[12:16]], encoded=data), max_pixels)
    if end > len(data):
        raise cut_off("WebP")
    position, animation_frames = 12, 0
    while position + 8 <= end:
        name = data[position : position + 4]
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        content = slice(position + 8, position + 8 + length)
        if content.stop > end:
            raise cut_off("WebP")
        if name == b"ANMF":
            animation_frames += 1
        elif name == b"EXIF":
            container.exif = data[content]
        elif name == b"ICCP" and length > LARGEST_PROFILE:
            container.warnings.append(BROKEN_PROFILE)
        elif name == b"ICCP":
            container.icc_profile = data[content]
        position = content.stop + length % 2
    container.frames = max(1, animation_frames)
    return container
