"""Mask files: which pixels may change, told by white, black or transparency."""

import io
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import PIL.Image

from app.pictures.reading import MAX_PIXELS, decode, read_bytes
from app.pictures.records import Picture, luminance
from brushedit.errors import ImageTooLarge, InvalidImage, InvalidMask
from brushedit.types import Mask

Polarity: TypeAlias = Literal["auto", "white", "black", "alpha"]

_THRESHOLD = 128


def read_mask(
    path: Path,
    shape: tuple[int, int],
    *,
    polarity: Polarity = "auto",
    resize: Literal["error", "nearest"] = "error",
    max_pixels: int = MAX_PIXELS,
) -> Mask:
    """Read a mask file. See `decode_mask`; the message of an `InvalidMask` names the path."""
    try:
        return decode_mask(read_bytes(path), shape, polarity=polarity, resize=resize, max_pixels=max_pixels)
    except InvalidImage as error:
        raise InvalidMask(error.message, param="mask") from error
    except InvalidMask as error:
        raise InvalidMask(f"{path}: {error.message}", param="mask") from error


def decode_mask(
    data: bytes,
    shape: tuple[int, int],
    *,
    polarity: Polarity = "auto",
    resize: Literal["error", "nearest"] = "error",
    max_pixels: int = MAX_PIXELS,
) -> Mask:
    """Decode a mask in any picture format and mode, turned upright by its own EXIF orientation.

    Parameters
    ----------
    data : bytes
    shape : (int, int)
        Height and width of the upright picture the mask is for.
    polarity : {"auto", "white", "black", "alpha"}
        What may change: light pixels (luminance of 128 and more), dark ones, or transparent ones (alpha below
        128). "auto" is "alpha" where any pixel is not fully opaque, as OpenAI's masks are, and "white"
        otherwise.
    resize : {"error", "nearest"}
        What to do with a mask of another size.
    max_pixels : int

    Returns
    -------
    Mask
        May be empty.

    Raises
    ------
    InvalidMask
        Not a picture, another size, or no alpha channel although `polarity` is "alpha".
    ImageTooLarge
        More than `max_pixels`.
    """
    try:
        picture = decode(data, max_pixels=max_pixels)
    except InvalidImage as error:
        raise InvalidMask(error.message, param="mask") from error
    except ImageTooLarge as error:
        raise ImageTooLarge(error.message.replace("picture", "mask", 1), param="mask") from error
    return _fitted(_selected(picture, polarity), shape, resize)


def encode_mask(mask: Mask) -> bytes:
    """Return a mask as a grey PNG, white = may change."""
    out = io.BytesIO()
    # Large plain areas: a higher level takes several times as long and saves little.
    PIL.Image.fromarray(mask * np.uint8(255)).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _selected(picture: Picture, polarity: Polarity) -> Mask:
    alpha = picture.alpha
    if polarity == "auto":
        polarity = "white" if alpha is None or (alpha == 255).all() else "alpha"
    if polarity == "alpha":
        if alpha is None:
            raise InvalidMask("the mask has no alpha channel to tell what may change", param="mask")
        return alpha < _THRESHOLD
    white = luminance(picture.pixels) >= _THRESHOLD
    return white if polarity == "white" else ~white


def _fitted(mask: Mask, shape: tuple[int, int], resize: Literal["error", "nearest"]) -> Mask:
    if mask.shape == shape:
        return mask
    (height, width), (rows, columns) = shape, mask.shape
    if resize == "error":
        raise InvalidMask(
            f"the mask is {columns}x{rows} pixels large, the picture {width}x{height}; "
            "give one of the same size, or stretch it with --mask-resize nearest (mask_resize=nearest)",
            param="mask",
        )
    grey = PIL.Image.fromarray(mask * np.uint8(255))
    return np.asarray(grey.resize((width, height), PIL.Image.Resampling.NEAREST)) > 0
