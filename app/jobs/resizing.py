"""Results in another size than their input's, for clients that ask for one."""

import re
from typing import Final

import numpy as np
import PIL.Image

from app.pictures import Picture, Source, decode, encode
from app.refusals import InvalidRequest

_SIZE: Final = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)


def wanted_size(size: str | None) -> tuple[int, int] | None:
    """Return (width, height), or None for "auto" and nothing; raise `InvalidRequest` for what is no size."""
    if size is None or size == "auto":
        return None
    match = _SIZE.fullmatch(size)
    if not match or not all(16 <= int(side) <= 8192 for side in match.groups()):
        raise InvalidRequest("size must be auto, or WIDTHxHEIGHT of 16 to 8192 each", param="size")
    return int(match[1]), int(match[2])


def resized(data: bytes, size: str | None) -> bytes:
    """Return a picture file in a size; "auto" and None leave it as it is, which is as large as its input."""
    wanted = wanted_size(size)
    if wanted is None:
        return data
    picture = decode(data)
    height, width = picture.pixels.shape[:2]
    if wanted == (width, height):
        return data
    colour = picture.pixels
    samples = colour if picture.alpha is None else np.dstack([colour, picture.alpha])
    # Pillow weighs colours by their alpha, so that nothing of what is transparent shows at the edges.
    made = np.asarray(PIL.Image.fromarray(samples).resize(wanted, PIL.Image.Resampling.LANCZOS))
    pixels = np.ascontiguousarray(made[:, :, :3])
    alpha = None if picture.alpha is None else np.ascontiguousarray(made[:, :, 3])
    profile = picture.source.icc_profile
    like = Picture(pixels, alpha, Source(mode="RGB" if alpha is None else "RGBA", icc_profile=profile))
    return encode(pixels, like, format=picture.source.format.lower())
