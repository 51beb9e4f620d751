"""PNG, JPEG and WebP containers, taken apart before anything is decoded.

Pillow is given the pixel data alone. Its own reading of metadata inflates text of any kind, and it warns
through the process-wide `warnings`, which a server with threads can neither silence nor collect; its size
limit is process-wide as well. The walks here inflate nothing but a colour profile, and that up to a limit.
"""

from app.pictures import png
from app.pictures.container import Container
from app.pictures.jpeg import take_apart_jpeg
from app.pictures.png import take_apart_png
from app.pictures.webp import take_apart_webp
from brushedit.errors import InvalidImage

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


def take_apart(data: bytes, max_pixels: int) -> Container:
    """Read a file's structure, the kind told by its content alone.

    Raises
    ------
    InvalidImage
        An unknown kind, or a file that is cut off or damaged.
    ImageTooLarge
        More than `max_pixels`, found before anything else is looked at.
    """
    if data.startswith(png.SIGNATURE):
        return take_apart_png(data, max_pixels)
    if data.startswith(b"\xff\xd8\xff"):
        return take_apart_jpeg(data, max_pixels)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return take_apart_webp(data, max_pixels)
    raise InvalidImage(f"{_kind(data)}; PNG, JPEG and WebP pictures are accepted", param="image")


def _kind(data: bytes) -> str:
    if not data:
        return "the file is empty"
    head = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    if data[4:8] == b"ftyp":
        return "this is a HEIC, AVIF or video file"
    for start, name in _OTHERS:
        if head.startswith(start):
            return f"this is a {name} file"
    return "this is not a picture"
