"""The pixel contract: what the painted region may change, how it fades into the picture, and the proof.

The region is the mask grown by `grow`. The weights are 1 inside the mask and fall to exactly 0 within the
region, so every sample outside it comes out of `blend` as it went in. `report` measures that on the
result.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from brushedit import masks
from brushedit.errors import InvalidOption
from brushedit.types import BlendReport, Image, Mask, require_image, require_mask

BAND_ROWS = 256
"""Rows blended at a time, so that a large picture needs no float copy of itself."""

RIM = range(-2, 1)
"""Lines of neighbouring pixels that make up the region's rim, counted from its edge, negative inside. The
blend ends inside the region, so a seam lies on the edge or up to two pixels within it."""

SURROUNDINGS = 4
"""Lines on either side of the rim that it is compared with."""

MAX_RIM = 200_000
"""Places along one direction of the rim that are looked at; of a longer rim, evenly spaced ones."""


def region(mask: Mask, grow: float) -> Mask:
    """Return the pixels that may change: the mask and all within `grow` >= 0 pixels of it."""
    return masks.grow(mask, grow)


def weights(mask: Mask, grow: float, blur: float) -> NDArray[np.float32]:
    """Return how much of the painted picture shows, float32 (H, W) in 0..1.

    1 inside the mask, exactly 0 outside `region(mask, grow)`, and a smoothstep over its last `blur`
    pixels, which is 0 at the region's edge. `blur` = 0 is a hard edge, `blur` = `grow` fades from the
    mask itself.

    Raises
    ------
    InvalidOption
        Not 0 <= blur <= grow.
    """
    if not 0 <= blur <= grow:
        raise InvalidOption(f"blur must be 0..grow ({grow}), not {blur}", param="blur")
    return masks.feather(masks.grow(mask, grow - blur), blur)


def blend(image: Image, painted: Image, weights: NDArray[np.float32]) -> Image:
    """Return image + weights x (painted - image), rounded to the nearest level.

    Where the weight is 0 the picture's own bytes are returned, where it is 1 the painted ones. All three
    are as large as the picture.
    """
    require_image(image)
    assert painted.shape == image.shape, (painted.shape, image.shape)
    assert weights.shape == image.shape[:2], (weights.shape, image.shape)
    blended = image.copy()
    box = masks.bounding_box(weights > 0)
    if box is None:
        return blended
    for y in range(box.y0, box.y1, BAND_ROWS):
        band = slice(y, min(y + BAND_ROWS, box.y1)), slice(box.x0, box.x1)
        mixed = np.subtract(painted[band], image[band], dtype=np.float32)
        mixed *= weights[band][..., None]
        mixed += image[band]
        blended[band] = np.rint(mixed, out=mixed)
    return blended


def report(image: Image, result: Image, region: Mask) -> BlendReport:
    """Return what a blend did, measured on its result against its input."""
    require_image(image)
    require_mask(region, image)
    assert result.shape == image.shape, (result.shape, image.shape)
    difference = np.asarray(cv2.absdiff(image, result), np.uint8)
    changed = (difference[..., 0] | difference[..., 1] | difference[..., 2]) != 0
    outside = difference[changed & ~region]
    return BlendReport(
        outside_max_delta=int(outside.max(initial=0)),
        outside_changed=int(np.count_nonzero(outside)),
        changed_fraction=masks.coverage(changed),
        region_fraction=masks.coverage(region),
        seam_score=seam_score(result, region),
    )


def seam_score(result: Image, region: Mask) -> float:
    """Return how much stronger the edge along a region's rim is than its surroundings, in 8-bit levels.

    Across every place of the region's edge runs a line of pixels at right angles to it. A step between
    two neighbours on it is the largest difference of their three samples. Averaging the steps at equal
    distance from the edge over all places gives the profile of the picture across the edge. The score is
    the highest step of the profile in the rim, less the larger of the means just inside and just outside,
    or 0 if that is negative: texture and gradients that run on across the rim cancel, a pasted patch off
    by n levels scores n. An object's own outline counts as a seam where the region ends on it.
    """
    steps = range(RIM.start - SURROUNDINGS, RIM.stop + SURROUNDINGS)
    sums, counts = np.zeros(len(steps)), np.zeros(len(steps))
    for turn in range(4):
        # Each turn looks at the edges that have the region on the left and the rest on the right.
        picture, inside = np.rot90(result, turn), np.rot90(region, turn)
        rows, columns = np.nonzero(inside[:, :-1] & ~inside[:, 1:])
        stride = 1 + rows.size // MAX_RIM
        rows, columns = rows[::stride], columns[::stride]
        for i, step in enumerate(steps):
            left = columns + step
            exists = (left >= 0) & (left + 1 < inside.shape[1])
            y, x = rows[exists], left[exists]
            # Where the region or the gap beside it is narrow, the line runs into the next edge: that is
            # another's.
            same_side = (inside[y, x] == (step <= 0)) & (inside[y, x + 1] == (step < 0))
            y, x = y[same_side], x[same_side]
            sums[i] += np.abs(picture[y, x].astype(np.int16) - picture[y, x + 1]).max(axis=1, initial=0).sum()
            counts[i] += y.size
    profile = sums / np.maximum(counts, 1)
    rim = slice(SURROUNDINGS, SURROUNDINGS + len(RIM))
    beside = max(_mean(sums[: rim.start], counts[: rim.start]), _mean(sums[rim.stop :], counts[rim.stop :]))
    return max(0.0, float(profile[rim].max()) - beside)


def _mean(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    return float(sums.sum() / max(counts.sum(), 1))
