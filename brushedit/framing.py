"""Frames: crops around the mask, with context, at the model's native resolution, and the way back.

A photo of any size is repainted crop by crop, so the cost of an edit follows from the number of frames
and not from the photo, and a small object is painted as large as a big one. `frames` says where to look;
`crop`, `crop_mask` and `paste` go there and back. Two frames never share a pixel of the picture, and
every masked pixel lies in exactly one:

    canvas = image
    for frame in frames(mask, native=512, multiple=64, context=0.5):
        painted = paint(crop(image, frame), crop_mask(mask, frame))
        canvas = paste(painted, frame, canvas)
"""

import math
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from brushedit import masks
from brushedit.errors import EmptyMask
from brushedit.types import Box, Image, Mask, require_image

MAX_FRAMES = 8
"""More than this and the nearest share one: every frame costs a whole diffusion run."""

MAX_ZOOM = 4
"""A crop's shorter side is at least native / 4 pixels where the picture has them. A smaller crop shows
the network more of its own upscaling than of the scene, and latents of 8 x 8 pixels already resolve 2 x 2
of the picture's."""

MAX_ASPECT = 2
"""Longer over shorter side of a crop: Stable Diffusion was trained on little beyond 1:2 and 2:1."""

MIN_CONTEXT = 1 / 16
"""Least margin, in longer sides of all that a crop is around: without it nothing beside the hole is seen,
and the blend's usual reach past the mask would end at the crop's edge."""

SHARING = 1.25
"""Two crops become one where the joint crop has at most this times their areas together: half the runs at
nearly the same resolution."""

CUBIC_REACH = 2
"""Pixels on either side that cubic interpolation, which enlarges crops, mixes into one."""

GRID = 6
"""Beyond GRID x GRID islands, those in one cell of a GRID x GRID grid over the picture start out
together: which of them to join is found by comparing all pairs."""


@dataclass(frozen=True)
class Frame:
    """A crop of the picture and the size at which it is painted.

    Attributes
    ----------
    box : Box
        The crop, in pixels of the picture. It reaches past the picture only where the picture itself is
        longer and thinner than 1:2, and then along the thin side.
    width, height : int
        The painted size, in pixels of the model.
    """

    box: Box
    width: int
    height: int


def frames(mask: Mask, *, native: int, multiple: int, context: float, margin: int = 0) -> tuple[Frame, ...]:
    """Return the 1..8 frames that together hold the mask, from the top left.

    Around the bounding box of each island of the mask comes a margin of `context` times the box's longer
    side; the crop is then widened to `MAX_ASPECT`, the least size of `MAX_ZOOM` and the painted size's
    own aspect ratio, and shifted into the picture. Islands whose crops overlap, or are nearly as cheap
    together, share a frame, whose margin follows from the largest of them.

    Parameters
    ----------
    mask : Mask
    native : int
        The side of the square pictures that the model was trained on; a frame has about native² pixels.
    multiple : int
        What the sides of a frame are multiples of; each is at least two of them.
    context : float
        Margin, in longer sides of the largest island's bounding box; see `MIN_CONTEXT`.
    margin : int
        Least margin in pixels: how far past the mask the blend reaches.

    Raises
    ------
    EmptyMask
        Nothing is masked.
    """
    height, width = mask.shape
    clusters = [_Cluster(box, max(box.width, box.height)) for box in masks.components(mask)]
    if not clusters:
        raise EmptyMask("nothing is masked, so there is nothing to repaint", param="mask")
    if len(clusters) > GRID * GRID:
        clusters = _grid_cells(clusters, height, width)

    @cache
    def frame(cluster: _Cluster) -> Frame:
        return _frame(cluster, height, width, native, multiple, context, margin)

    @cache
    def cost_of_sharing(a: _Cluster, b: _Cluster) -> float:
        one, other = frame(a).box, frame(b).box
        if not one.intersection(other).empty:
            return 0
        return frame(a.joined(b)).box.area / (one.area + other.area)

    while len(clusters) > 1:
        a, b = min(combinations(clusters, 2), key=lambda pair: cost_of_sharing(*pair))
        if len(clusters) <= MAX_FRAMES and cost_of_sharing(a, b) > SHARING:
            break
        clusters = [*(cluster for cluster in clusters if cluster not in (a, b)), a.joined(b)]
    return tuple(frame(c) for c in sorted(clusters, key=lambda cluster: (cluster.box.y0, cluster.box.x0)))


def crop(image: Image, frame: Frame) -> Image:
    """Return the frame's part of the picture, (frame.height, frame.width, 3); edges repeat past the picture."""
    require_image(image)
    return _resized(_cut(image, frame.box), frame.width, frame.height)


def crop_mask(mask: Mask, frame: Frame) -> Mask:
    """Return the frame's part of the mask, (frame.height, frame.width); its edges repeat as the picture's do.

    A painted pixel is masked where any masked pixel of the picture has a part in it: none of those is left
    unpainted, and nothing of what the mask hides shows in the pixels beside it.
    """
    part = _cut(mask.view(np.uint8), frame.box).view(np.bool_)
    reach = 0 if _shrinks(part.shape, frame.width, frame.height) else CUBIC_REACH
    return _touched(_touched(part, frame.height, reach, axis=0), frame.width, reach, axis=1)


def paste(painted: Image, frame: Frame, image: Image) -> Image:
    """Return a copy of the picture with a painted frame, (frame.height, frame.width, 3), in its place.

    Outside the frame's box the copy equals the picture; at scale 1, `paste` undoes `crop` bit for bit.
    """
    assert painted.shape == (frame.height, frame.width, 3), painted.shape
    height, width = require_image(image)
    box, inside = frame.box, _inside(frame.box, height, width)
    pasted = image.copy()
    pasted[inside.y0 : inside.y1, inside.x0 : inside.x1] = _resized(painted, box.width, box.height)[
        inside.y0 - box.y0 : inside.y1 - box.y0, inside.x0 - box.x0 : inside.x1 - box.x0
    ]
    return pasted


@dataclass(frozen=True)
class _Cluster:
    """Islands that share a frame: the box around them, and the longer side of the largest."""

    box: Box
    longest: int

    def joined(self, other: "_Cluster") -> "_Cluster":
        return _Cluster(self.box.union(other.box), max(self.longest, other.longest))


def _frame(
    cluster: _Cluster, height: int, width: int, native: int, multiple: int, context: float, least: int
) -> Frame:
    box = cluster.box
    # Between the islands the picture shows as well, so the margin follows from the largest, not from
    # their spread.
    margin = math.ceil(max(context * cluster.longest, MIN_CONTEXT * max(box.width, box.height), least))
    w = min(max(box.width + 2 * margin, native // MAX_ZOOM), width)
    h = min(max(box.height + 2 * margin, native // MAX_ZOOM), height)
    # Past the picture's side only where the picture is thinner than MAX_ASPECT: otherwise the longer
    # side, which lies inside, bounds the shorter one below the picture's own.
    w, h = max(w, math.ceil(h / MAX_ASPECT)), max(h, math.ceil(w / MAX_ASPECT))
    painted_width, painted_height = _painted_size(w / h, native, multiple)
    # The painted size is a little off the crop's aspect ratio; more of the picture is better than a
    # stretched one.
    wide, high = round(h * painted_width / painted_height), round(w * painted_height / painted_width)
    w, h = max(w, min(wide, width)), max(h, min(high, height))
    x, y = _start(box.x0, box.x1, w, width), _start(box.y0, box.y1, h, height)
    return Frame(Box(x, y, x + w, y + h), painted_width, painted_height)


def _painted_size(aspect: float, native: int, multiple: int) -> tuple[int, int]:
    """Return width and height of about native² pixels; rounding makes the size squarer, never thinner."""
    longer_over_shorter = max(aspect, 1 / aspect)
    longer = max(2, round(native * math.sqrt(longer_over_shorter) / multiple)) * multiple
    shorter = max(2, math.ceil(longer / longer_over_shorter / multiple)) * multiple
    return (longer, shorter) if aspect >= 1 else (shorter, longer)


def _start(first: int, last: int, length: int, limit: int) -> int:
    """Return the start of a span of `length` around first..last, inside 0..limit or else centred on it."""
    if length >= limit:
        return (limit - length) // 2
    return min(max((first + last - length) // 2, 0), limit - length)


def _grid_cells(clusters: list[_Cluster], height: int, width: int) -> list[_Cluster]:
    cells: dict[tuple[int, int], _Cluster] = {}
    for cluster in clusters:
        box = cluster.box
        cell = (box.y0 + box.y1) * GRID // (2 * height), (box.x0 + box.x1) * GRID // (2 * width)
        cells[cell] = cells.get(cell, cluster).joined(cluster)
    return list(cells.values())


def _cut(samples: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Return the box's part of a picture or mask; past its sides the nearest row or column repeats."""
    inside = _inside(box, *samples.shape[:2])
    part = cv2.copyMakeBorder(
        samples[inside.y0 : inside.y1, inside.x0 : inside.x1],
        inside.y0 - box.y0,
        box.y1 - inside.y1,
        inside.x0 - box.x0,
        box.x1 - inside.x1,
        cv2.BORDER_REPLICATE,
    )
    return np.asarray(part, np.uint8)


def _inside(box: Box, height: int, width: int) -> Box:
    return box.intersection(Box(0, 0, width, height))


def _resized(image: Image, width: int, height: int) -> Image:
    if image.shape[:2] == (height, width):
        return image
    # Averaging areas is the filter that neither aliases nor rings when shrinking; it cannot enlarge.
    shrinks = _shrinks(image.shape, width, height)
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def _shrinks(shape: tuple[int, ...], width: int, height: int) -> bool:
    return height <= shape[0] and width <= shape[1]


def _touched(mask: Mask, length: int, reach: int, *, axis: int) -> Mask:
    """Return the mask with one axis scaled to `length`.

    True where any pixel is that the new one overlaps, or that lies within `reach` of those.
    """
    extent, new = mask.shape[axis], np.arange(length)
    before = np.insert(np.cumsum(mask, axis=axis, dtype=np.int32), 0, 0, axis=axis)
    first = np.maximum(new * extent // length - reach, 0)
    past = np.minimum(-(-(new + 1) * extent // length) + reach, extent)
    return before.take(past, axis=axis) > before.take(first, axis=axis)
