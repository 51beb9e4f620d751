"""What a picture file says about itself, before anything is decoded."""

from dataclasses import dataclass, field

from app.pictures.records import Format
from brushedit.errors import ImageTooLarge, InvalidImage

NAMES: dict[Format, str] = {"PNG": "PNG", "JPEG": "JPEG", "WEBP": "WebP"}
LARGEST_PROFILE = 8 * 2**20
"""Bytes of an ICC profile; printing profiles have up to 3 MB."""
BROKEN_PROFILE = "The colour profile is broken or too large and was left out."


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


def cut_off(name: str) -> InvalidImage:
    """Return the error of a file that ends too early."""
    return InvalidImage(f"the {name} file is cut off; it may not have been copied completely", param="image")


def damaged(name: str, what: str) -> InvalidImage:
    """Return the error of a file that contradicts its format."""
    return InvalidImage(f"the {name} file is damaged: {what}", param="image")


def sized(container: Container, max_pixels: int) -> Container:
    """Return the container, or raise `InvalidImage` (no pixels) or `ImageTooLarge`."""
    width, height = container.size
    if width == 0 or height == 0:
        raise damaged(NAMES[container.format], f"it says that it is {width}x{height} pixels large")
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"the picture has {width}x{height} = {width * height:,} pixels; "
            f"at most {max_pixels:,} are accepted",
            param="image",
        )
    return container
