"""How much of a picture an edit left alone: the figures by which results of any system compare."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from brushedit.errors import InvalidMask
from brushedit.types import Image, Mask, require_image, require_mask


@dataclass(frozen=True)
class Preservation:
    """A result against its input, outside the region that was to change.

    Attributes
    ----------
    size_kept : bool
        Whether the result is as large as the input; where not, it was resampled for the other figures.
    psnr : float
        Peak signal-to-noise ratio over all samples outside, dB; infinite where all are equal.
    exact_fraction : float
        Share of the pixels outside whose three samples are all equal, 0..1.
    """

    size_kept: bool
    psnr: float
    exact_fraction: float


def preservation(image: Image, result: Image, region: Mask) -> Preservation:
    """Measure a result outside a region of its input.

    Raises
    ------
    InvalidMask
        The region covers the whole picture.
    """
    height, width = require_image(image)
    require_image(result)
    require_mask(region, image)
    if region.all():
        raise InvalidMask("the region covers the whole picture: nothing is left to compare", param="mask")
    size_kept = result.shape == image.shape
    if not size_kept:
        result = np.asarray(cv2.resize(result, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    difference = image[~region].astype(np.float64) - result[~region]
    error = float((difference**2).mean())
    psnr = math.inf if error == 0 else 10 * math.log10(255**2 / error)
    return Preservation(size_kept, psnr, float((difference == 0).all(axis=1).mean()))
