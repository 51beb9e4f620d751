"""Figures by which a result is compared with its input, on arrays alone: MSE, PSNR, SSIM.

The published evaluator divides the squared error, summed over the three channels, by the number of kept
*pixels*. Its MSE is therefore three times the usual one and its PSNR 4.77 dB lower. Both are here.
"""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from brushedit.errors import InvalidMask
from brushedit.types import Image, Mask, require_image, require_mask

PSNR_CAP: Final = 1000.0
"""What the published evaluator calls equal pictures, dB."""

_EQUAL: Final = 1e-10
_WINDOW: Final = 11
_SIGMA: Final = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def published_mse(image: Image, result: Image, kept: Mask) -> float:
    """Return the squared error (samples 0..1) summed over channels and kept pixels, over the number of kept pixels."""
    return 3 * mse(image, result, kept)


def published_psnr(image: Image, result: Image, kept: Mask) -> float:
    """Return the PSNR of `published_mse`, dB; `PSNR_CAP` where that is below 1e-10."""
    error = published_mse(image, result, kept)
    return PSNR_CAP if error < _EQUAL else -10 * math.log10(error)


def mse(image: Image, result: Image, kept: Mask) -> float:
    """Return the mean squared error of samples (0..1) over the kept pixels.

    Raises
    ------
    InvalidImage, InvalidMask
        Pictures of different sizes, or no kept pixel.
    """
    require_comparable(image, result, kept)
    difference = image[kept].astype(np.float64) - result[kept]
    return float((difference**2).mean()) / 255**2


def psnr(image: Image, result: Image, kept: Mask) -> float:
    """Return the usual PSNR over all samples of the kept pixels, dB; infinite where all are equal."""
    error = mse(image, result, kept)
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(image: Image, result: Image, kept: Mask | None = None) -> float:
    """Return the mean structural similarity, -1..1, of the whole pictures or around the kept pixels.

    No published script computes SSIM over a mask; this is the mean of `ssim_map` where it is kept.
    """
    similarity = ssim_map(image, result)
    if kept is None:
        return float(similarity.mean())
    require_comparable(image, result, kept)
    return float(similarity[kept].mean())


def ssim_map(image: Image, result: Image) -> NDArray[np.float64]:
    """Return the structural similarity around each pixel, float64 (H, W), mean of the three channels.

    Wang et al. 2004: a Gaussian window of 11 x 11, sigma 1.5, K1 = 0.01, K2 = 0.03, population variances;
    borders mirrored. The pictures are equally large, and at least 6 pixels wide and high.
    """
    require_image(image)
    require_image(result)
    x, y = image.astype(np.float64), result.astype(np.float64)
    mean_x, mean_y = _local(x), _local(y)
    variance_x = _local(x * x) - mean_x**2
    variance_y = _local(y * y) - mean_y**2
    covariance = _local(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return np.asarray((luminance * structure).mean(axis=2), np.float64)


def _local(values: NDArray[np.float64]) -> NDArray[np.float64]:
    blurred = cv2.GaussianBlur(values, (_WINDOW, _WINDOW), _SIGMA, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float64)


def require_comparable(image: Image, result: Image, kept: Mask) -> None:
    """Raise where two pictures and a mask do not go together, or nothing is kept."""
    require_image(image)
    require_image(result)
    require_mask(kept, image)
    require_mask(kept, result)
    if not kept.any():
        raise InvalidMask("no pixel is kept: there is nothing to compare", param="mask")
