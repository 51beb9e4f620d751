"""A decoded picture, and what its file was: everything a written result has to follow."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from brushedit.types import Image

Format: TypeAlias = Literal["PNG", "JPEG", "WEBP"]
Mode: TypeAlias = Literal["L", "LA", "RGB", "RGBA", "P"]

Channel: TypeAlias = NDArray[np.uint8]
"""One uint8 sample per pixel, shape (H, W)."""


@dataclass(frozen=True, eq=False)
class Palette:
    """The colours of a palette PNG, and which one each pixel has.

    Attributes
    ----------
    colours : array
        RGBA uint8, shape (n, 4), n = 1..256.
    indices : Channel
        Upright, as the picture's pixels are.
    transparent : bool
        Whether the file gives its colours an opacity (a tRNS chunk).
    """

    colours: NDArray[np.uint8]
    indices: Channel
    transparent: bool


@dataclass(frozen=True, eq=False)
class Source:
    """What a picture's file was. The defaults describe a picture that came from no file.

    Attributes
    ----------
    format : {"PNG", "JPEG", "WEBP"}
    mode : {"L", "LA", "RGB", "RGBA", "P"}
        What a result is written as. Files of other modes (1 bit, 16 bit, CMYK, a transparent colour) are
        converted to the nearest of these, and `warnings` says so.
    orientation : int
        EXIF orientation, 1..8. The stored picture turned by it is the upright one.
    icc_profile : bytes or None
        Colour profile; None as well where it does not describe pictures of this mode.
    exif : bytes or None
        TIFF block without the "Exif" prefix, with its thumbnail blanked: that shows the picture before the
        edit.
    dpi : (float, float) or None
        Pixels per inch, from the container's own field.
    colour_chunks : tuple of (bytes, bytes)
        PNG chunks that say what the samples mean (gAMA, cHRM, sRGB, cICP): name and content.
    palette : Palette or None
        Of mode P.
    warnings : tuple of str
        What reading the file lost, a sentence each.
    """

    format: Format = "PNG"
    mode: Mode = "RGB"
    orientation: int = 1
    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    colour_chunks: tuple[tuple[bytes, bytes], ...] = ()
    palette: Palette | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in memory.

    Attributes
    ----------
    pixels : Image
        Upright: the file's EXIF orientation is applied.
    alpha : Channel or None
        Opacity, upright, 255 = opaque; None where the file has none.
    source : Source
    """

    pixels: Image
    alpha: Channel | None = None
    source: Source = field(default_factory=Source)


_COLOUR_SPACES: dict[Mode, bytes] = {
    "L": b"GRAY",
    "LA": b"GRAY",
    "RGB": b"RGB ",
    "RGBA": b"RGB ",
    "P": b"RGB ",
}


def fits(icc_profile: bytes, mode: Mode) -> bool:
    """Tell whether a colour profile is one for pictures of this mode (ICC.1, section 7.2)."""
    return (
        len(icc_profile) > 128
        and icc_profile[36:40] == b"acsp"
        and icc_profile[16:20] == _COLOUR_SPACES[mode]
    )


def luminance(pixels: Image) -> Channel:
    """Return ITU-R BT.601 luma, rounded; exactly v where R = G = B = v."""
    return np.asarray(PIL.Image.fromarray(pixels).convert("L"))
