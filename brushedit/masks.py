"""Masks: made from shapes and pictures, grown, shrunk, feathered, cleaned, moved, combined and measured.

Distances are Euclidean, in pixels, from pixel centre to pixel centre. Nothing here changes its arguments, and
every function takes any mask from 1x1 up, empty and full ones included.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from brushedit.errors import InvalidMask, InvalidOption
from brushedit.types import Box, Mask


def from_box(box: Box, height: int, width: int) -> Mask:
    """Return the (height, width) mask of a box; what lies past the picture is cut off."""
    mask = np.zeros((height, width), np.bool_)
    mask[max(box.y0, 0) : max(box.y1, 0), max(box.x0, 0) : max(box.x1, 0)] = True
    return mask


def from_ellipse(box: Box, height: int, width: int) -> Mask:
    """Return the (height, width) mask of the ellipse in a box: every pixel whose centre it covers."""
    mask = np.zeros((height, width), np.bool_)
    inside = box.intersection(Box(0, 0, width, height))
    if inside.empty:
        return mask
    x = (2 * np.arange(inside.x0, inside.x1) + 1 - box.x0 - box.x1) / box.width
    y = (2 * np.arange(inside.y0, inside.y1) + 1 - box.y0 - box.y1) / box.height
    mask[inside.y0 : inside.y1, inside.x0 : inside.x1] = (y * y)[:, None] + (x * x)[None, :] <= 1
    return mask


def from_polygon(points: Sequence[tuple[float, float]], height: int, width: int) -> Mask:
    """Return the (height, width) mask of a polygon: every pixel whose centre lies inside (even-odd rule).

    Parameters
    ----------
    points : sequence of (x, y)
        Corners in pixels, (0, 0) being the picture's outer top left corner; they may lie past the picture.

    Raises
    ------
    InvalidMask
        Fewer than three points, or a coordinate that is no number within ±1,000,000.
    """
    corners = np.asarray(points, np.float64)
    if corners.ndim != 2 or corners.shape[0] < 3 or corners.shape[1] != 2 or not (abs(corners) <= 1e6).all():
        raise InvalidMask("a polygon needs three or more points (x, y) within ±1,000,000", param="points")
    crossings = np.zeros((height, width + 1), np.uint8)
    for (xa, ya), (xb, yb) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        top, bottom = np.clip(np.ceil(np.sort([ya, yb]) - 0.5), 0, height).astype(int)
        rows = np.arange(top, bottom)
        x = xa + (rows + 0.5 - ya) * ((xb - xa) / (yb - ya)) if bottom > top else rows
        crossings[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(int)] ^= 1
    return np.bitwise_xor.accumulate(crossings, axis=1)[:, :width].astype(np.bool_)


def from_alpha(alpha: NDArray[np.uint8]) -> Mask:
    """Return the mask of an alpha channel, (H, W) 0..255: clear (below 128) may change, as at OpenAI."""
    return _require_channel(alpha) < 128


def from_luminance(luminance: NDArray[np.uint8]) -> Mask:
    """Return the mask of a grey picture, (H, W) 0..255: white (128 and up) may change."""
    return _require_channel(luminance) >= 128


def grow(mask: Mask, px: float) -> Mask:
    """Return the mask and every pixel no further than `px` >= 0 from it."""
    _require_distance(px)
    grown = mask.copy()
    if px > 0 and (reach := _reach(mask, px)) is not None:
        window, distance = reach
        grown[window] = distance <= px
    return grown


def shrink(mask: Mask, px: float) -> Mask:
    """Return the pixels further than `px` >= 0 from everything outside the mask.

    What lies past the picture's border counts as inside: a mask at the border keeps its hold there.
    """
    return ~grow(~mask, px)


def feather(mask: Mask, px: float) -> NDArray[np.float32]:
    """Return float32 (H, W) weights: 1 inside the mask, falling smoothly to exactly 0 at `px` from it.

    The fall is the smoothstep 3t² - 2t³ of t = 1 - distance / px, flat at both ends; 0 is a hard edge.
    """
    _require_distance(px)
    weights = mask.astype(np.float32)
    if px > 0 and (reach := _reach(mask, px)) is not None:
        window, distance = reach
        t = np.clip(1 - distance / np.float32(px), 0, 1)
        weights[window] = t * t * (3 - 2 * t)
    return weights


def smooth(mask: Mask, px: float) -> Mask:
    """Return the mask without specks and spurs, then cracks and notches, thinner than about 2 `px`."""
    opened = grow(shrink(mask, px), px)
    return shrink(grow(opened, px), px)


def fill_holes(mask: Mask) -> Mask:
    """Return the mask and what it encloses: all that no path of 4-neighbours joins to the border."""
    framed = np.pad(mask.astype(np.uint8), 1)
    cv2.floodFill(framed, None, (0, 0), (2,), flags=4)
    return framed[1:-1, 1:-1] != 2


def largest_component(mask: Mask) -> Mask:
    """Return the largest island of 8-neighbours; of equal ones the one that starts higher up."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count == 1:
        return np.zeros_like(mask)
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])), np.bool_)


def without_specks(mask: Mask, share: float) -> Mask:
    """Return the islands of 8-neighbours that have at least `share` (0..1) of the largest one's pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    kept = areas >= share * areas[1:].max(initial=0)
    kept[0] = False
    return np.asarray(kept[labels], np.bool_)


def components(mask: Mask) -> tuple[Box, ...]:
    """Return the bounding box of every island of 8-neighbours; () for an empty mask."""
    stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2]
    return tuple(Box(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist())


def invert(mask: Mask) -> Mask:
    """Return what the mask leaves out."""
    return ~mask


def move(mask: Mask, dx: int, dy: int) -> Mask:
    """Return the mask `dx` to the right and `dy` down; what leaves the picture is lost."""
    height, width = mask.shape
    moved = np.zeros_like(mask)
    target = Box(dx, dy, dx + width, dy + height).intersection(Box(0, 0, width, height))
    if not target.empty:
        moved[target.y0 : target.y1, target.x0 : target.x1] = mask[
            target.y0 - dy : target.y1 - dy, target.x0 - dx : target.x1 - dx
        ]
    return moved


def union(a: Mask, b: Mask) -> Mask:
    """Return what either mask covers."""
    _require_same_size(a, b)
    return a | b


def intersect(a: Mask, b: Mask) -> Mask:
    """Return what both masks cover."""
    _require_same_size(a, b)
    return a & b


def subtract(a: Mask, b: Mask) -> Mask:
    """Return what the first mask covers and the second does not."""
    _require_same_size(a, b)
    return a & ~b


def coverage(mask: Mask) -> float:
    """Return the share of all pixels that the mask covers, 0..1."""
    return int(np.count_nonzero(mask)) / mask.size


def bounding_box(mask: Mask) -> Box | None:
    """Return the smallest box around the mask, or None where it is empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _reach(mask: Mask, px: float) -> tuple[tuple[slice, slice], NDArray[np.float32]] | None:
    """Return the window of all pixels within `px` of the mask's box, and their distance to the mask."""
    box = bounding_box(mask)
    if box is None:
        return None
    margin = math.ceil(px)
    window = (
        slice(max(box.y0 - margin, 0), box.y1 + margin),
        slice(max(box.x0 - margin, 0), box.x1 + margin),
    )
    outside = (~mask[window]).astype(np.uint8)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return window, np.asarray(distance, np.float32)


def _require_distance(px: float) -> None:
    if not 0 <= px < math.inf:
        raise InvalidOption(f"a distance must be 0 or more pixels, not {px}", param="px")


def _require_channel(channel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if channel.dtype != np.uint8 or channel.ndim != 2 or channel.size == 0:
        raise InvalidMask(
            f"expected one uint8 channel (H, W), got {channel.dtype} {channel.shape}", param="mask"
        )
    return channel


def _require_same_size(a: Mask, b: Mask) -> None:
    if a.shape != b.shape:
        raise InvalidMask(
            f"the masks differ in size: {a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]}", param="mask"
        )
