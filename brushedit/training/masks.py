"""Holes for training: an object, everything but it, a box, or random brush strokes.

arXiv 2403.06976, section 4.1: half of BrushNet's training holes are segmented objects or what surrounds them, half are
random; BrushEdit (arXiv 2412.10316, section III-C) trains one network on both kinds. True = hole, as everywhere here.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from brushedit.masks import from_box
from brushedit.types import Box, Mask


@dataclass(frozen=True)
class HoleMix:
    """How often each kind of hole is drawn, as weights that need not sum to 1.

    Attributes
    ----------
    object, inverted : float
        A segmented object, or everything but it.
    box : float
        A box around a segmented object, a little larger than it.
    brush : float
        Random strokes; also drawn wherever a picture has no segmentation.
    smoothed : float
        The share of segmentations whose specks and spikes are opened away first.
    """

    object: float = 0.3
    inverted: float = 0.2
    box: float = 0.2
    brush: float = 0.3
    smoothed: float = 0.3


def draw_hole(
    rng: np.random.Generator, height: int, width: int, segmentation: Mask | None, mix: HoleMix
) -> Mask:
    """Draw one hole (height, width); never empty, though "inverted" may leave nothing to keep.

    Parameters
    ----------
    segmentation : Mask or None
        One object of the picture, or None where none is known.
    """
    if segmentation is None or not segmentation.any():
        return brush(rng, height, width)
    weights = np.array([mix.object, mix.inverted, mix.box, mix.brush])
    kind = int(rng.choice(4, p=weights / weights.sum()))
    if kind == 3:
        return brush(rng, height, width)
    subject = opened(segmentation) if rng.random() < mix.smoothed else segmentation
    if kind == 2:
        return box_around(rng, subject)
    hole = subject if kind == 0 else ~subject
    return hole if hole.any() else brush(rng, height, width)


def opened(mask: Mask) -> Mask:
    """Return the mask without parts thinner than 1/64 of the picture's shorter side; unchanged if nothing stays.

    The published trainer's kernel is 8 pixels on pictures of 512.
    """
    side = max(2, round(min(mask.shape) / 64))
    kernel = np.ones((side, side), np.uint8)
    smooth = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel).astype(np.bool_)
    return smooth if smooth.any() else mask


def box_around(rng: np.random.Generator, mask: Mask, slack: float = 0.15) -> Mask:
    """Return a filled box that holds the mask, each side moved out by up to `slack` of the box's longer side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    longer = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    left, top, right, bottom = (int(side) for side in rng.integers(0, int(slack * longer) + 1, 4))
    box = Box(
        int(columns[0]) - left,
        int(rows[0]) - top,
        int(columns[-1]) + 1 + right,
        int(rows[-1]) + 1 + bottom,
    )
    return from_box(box, *mask.shape)


def brush(rng: np.random.Generator, height: int, width: int) -> Mask:
    """Draw 1..3 broken strokes, a quarter of the shorter side wide; neither empty nor the whole picture.

    The published sampler, scaled with the picture: it may draw no stroke at all, which trains nothing.
    """
    thickness = max(1, min(height, width) // 4)
    reach = float(np.hypot(height, width)) / 8
    while True:
        canvas = np.zeros((height, width), np.uint8)
        for _ in range(rng.integers(1, 4)):
            _stroke(rng, canvas, thickness, reach)
        if canvas.any() and not canvas.all():
            return canvas.astype(np.bool_)


def _stroke(rng: np.random.Generator, canvas: "cv2.typing.MatLike", thickness: int, reach: float) -> None:
    height, width = canvas.shape[:2]
    spread = rng.uniform(-1, 1, 2) * (2 * np.pi / 15) + 2 * np.pi / 5
    corners = int(rng.integers(1, 8))
    points = [rng.uniform((0, 0), (width, height))]
    for i in range(corners):
        turn = rng.uniform(min(spread), max(spread)) + 1e-3
        # Strokes zigzag: every other leg turns back.
        angle = 2 * np.pi - turn if i % 2 else turn
        length = np.clip(rng.normal(reach, reach / 2), 0, 2 * reach)
        points.append(
            np.clip(points[-1] + length * np.array([np.cos(angle), np.sin(angle)]), 0, (width, height))
        )
    if rng.random() < 0.5:
        points = [(width, 0) + point * (-1, 1) for point in points]
    if rng.random() < 0.5:
        points = [(0, height) + point * (1, -1) for point in points]
    line = np.rint(points).astype(np.int32)
    cv2.polylines(canvas, [line], isClosed=False, color=1, thickness=thickness)
    for x, y in line:
        cv2.circle(canvas, (int(x), int(y)), thickness // 2, color=1, thickness=-1)
