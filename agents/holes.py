"""Holes: how much more than a thing itself is repainted, for it to go without a trace or to take another shape."""

from typing import Final

import numpy as np

from agents.nouns import same_noun
from agents.wording import bare_noun
from brushedit import masks
from brushedit.framing import MAX_FRAMES
from brushedit.types import Box, EditKind, EditStep, Mask, Region

_RIM: Final = 0.04
"""Reach of soft edges and reflected colour around a thing, in its longer sides."""

_EDGE: Final = 0.03
"""What a mask that is a little tight leaves of a thing's old colour around it, in its longer sides."""

_FOOT: Final = (0.75, 0.25, 0.15)
"""The ground that a thing's contact shadow darkens: an ellipse about its lower edge, so many of the thing's widths
to either side, and so many of its longer sides up and down."""

_SPECK: Final = 0.05
"""Share of its largest part below which an island of a thing's mask is a slip of the segmenter."""

_AIR: Final = (0.125, 0.06)
"""Room around a thing that takes another shape, on every side, in its width and its height."""


def hole(thing: Mask, step: EditStep) -> Mask:
    """Return what has to be repainted for one thing of a step: the thing, and what its kind of edit needs beside it.

    A removed thing leaves its contact shadow behind, and a thing that becomes another one its silhouette, which
    BrushNet would fill out again, unless these are repainted as well. One that is changed keeps its silhouette, but
    not the rim of its old colour.
    """
    box = box_of(thing)
    if box is None:
        return thing
    if step.kind is EditKind.REMOVE:
        return _with_shadow(thing, box)
    if step.kind is not EditKind.LOCAL:
        return thing
    return thing | masks.from_box(_aired(box), *thing.shape) if appears(step) else _grown(thing, box, _EDGE)


def carries(other: Mask, box: Box | None, beyond: Mask) -> bool:
    """Return whether the thing in a box (see `box_of`) stands on another one, which its shadow falls on.

    That fills most of what is repainted beyond the thing, or lies under its foot and juts out on both sides.
    """
    if 2 * np.count_nonzero(other & beyond) > np.count_nonzero(beyond):
        return True
    wide = masks.bounding_box(other)
    if box is None or wide is None or box.y1 >= len(other):
        return False
    under = other[box.y1, (box.x0 + box.x1) // 2]
    return bool(under) and wide.x0 < box.x0 and wide.x1 > box.x1


def box_of(thing: Mask) -> Box | None:
    """Return a thing's box, that of its mask's specks left out: it would reach for them."""
    return masks.bounding_box(masks.without_specks(thing, _SPECK))


def split(region: Region) -> tuple[Mask, ...]:
    """Return a region's mask in parts, one for each of the things chosen: what lies nearest to its box's middle.

    Several things that are to change get a painting each: in one hole the caption, which speaks of one, would be met by
    one. Removed things leave the same ground behind, and more than `framing.MAX_FRAMES` would take too long.
    """
    boxes = [region.candidates[index].box for index in region.chosen]
    if not 1 < len(boxes) <= MAX_FRAMES:
        return (region.mask,)
    ys, xs = np.nonzero(region.mask)
    distances = [
        np.maximum(
            abs(2 * xs + 1 - box.x0 - box.x1) / box.width, abs(2 * ys + 1 - box.y0 - box.y1) / box.height
        )
        for box in boxes
    ]
    nearest = np.argmin(distances, axis=0)
    parts: list[Mask] = []
    for number in range(len(boxes)):
        mine = nearest == number
        part = np.zeros_like(region.mask)
        part[ys[mine], xs[mine]] = True
        parts.append(part)
    return tuple(part for part in parts if part.any())


def _with_shadow(thing: Mask, box: Box) -> Mask:
    side, (across, up, down) = max(box.width, box.height), _FOOT
    middle = (box.x0 + box.x1) / 2
    foot = Box(
        round(middle - across * box.width),
        round(box.y1 - up * side),
        round(middle + across * box.width),
        round(box.y1 + down * side),
    )
    return _grown(thing, box, _RIM) | masks.from_ellipse(foot, *thing.shape)


def _grown(thing: Mask, box: Box, reach: float) -> Mask:
    """Return a mask grown by so many of its longer sides, a pixel at least."""
    return masks.grow(thing, max(1, round(reach * max(box.width, box.height))))


def appears(step: EditStep) -> bool:
    """Return whether something new is to appear: added, or a caption that does not mention what the step is about."""
    if step.kind is not EditKind.LOCAL:
        return step.kind is EditKind.ADD
    named = _words(bare_noun(step.target))
    return bool(named) and not any(same_noun(named[-1], word) for word in _words(step.caption))


def _words(text: str) -> list[str]:
    return [word.strip(".,;:!?\"'()") for word in text.lower().split()]


def _aired(box: Box) -> Box:
    wide, high = round(_AIR[0] * box.width), round(_AIR[1] * box.height)
    return Box(box.x0 - wide, box.y0 - high, box.x1 + wide, box.y1 + high)
