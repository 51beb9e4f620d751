"""Boxes a little off and clicks, as people and detectors give them to a segmenter."""

from collections.abc import Sequence

import numpy as np

from brushedit.types import Box, Mask
from models.toybox.pictures import Picture

LEAST = 24
"""Pixels that must be seen of a thing for it to be asked for."""


def shown(picture: Picture) -> list[int]:
    """Return the indices of the things of which enough can be seen."""
    return [i for i, layer in enumerate(picture.layers) if int(layer.visible.sum()) >= LEAST]


def jitter_box(
    rng: np.random.Generator, box: Box, jitter: float, size: Sequence[int]
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return a box (x0, y0, x1, y1) whose sides are off by up to a share of its lengths, inside (height, width)."""
    off = rng.uniform(-jitter, jitter, 4) * np.tile((box.x1 - box.x0, box.y1 - box.y0), 2)
    moved = np.array((box.x0, box.y0, box.x1, box.y1)) + off
    return np.clip(moved, 0, np.tile((size[1], size[0]), 2)).astype(np.float32)


def draw_clicks(
    rng: np.random.Generator, mask: Mask, count: int
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float32]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return places (count, 2) as x, y and labels (count,): 1 on the mask; all but the first may be off it, 0."""
    places, labels = [], []
    for number in range(count):
        on = number == 0 or rng.random() < 0.6
        rows, columns = np.nonzero(mask if on else ~mask)
        at = int(rng.integers(len(rows)))
        places.append((columns[at] + 0.5, rows[at] + 0.5))
        labels.append(int(on))
    return np.array(places, dtype=np.float32), np.array(labels, dtype=np.int64)
