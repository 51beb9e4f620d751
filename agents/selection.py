"""Which detections are meant: ranked by words, relations, the instructor's box, or score."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agents.wording import Order, Relation, Wording
from brushedit.types import Box, Candidate, NormalizedBox, Which

_ALIKE: Final = 0.5
"""A detection scoring less than this share of the best is something else, not another instance."""

_AGREES: Final = 0.3
"""IoU from which a detection is what the instructor's box shows; language models draw loose boxes."""


def suppress(candidates: Sequence[Candidate], overlap: float = 0.5) -> tuple[Candidate, ...]:
    """Return the candidates, best first, without those whose IoU with a better one exceeds `overlap`."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: -c.score):
        if all(candidate.box.iou(better.box) <= overlap for better in kept):
            kept.append(candidate)
    return tuple(kept)


def alike(candidates: Sequence[Candidate]) -> list[int]:
    """Return the indices of the candidates (best first) that are instances of one thing, by their scores."""
    return [
        index for index, candidate in enumerate(candidates) if candidate.score >= _ALIKE * candidates[0].score
    ]


def nearest_to_box(candidates: Sequence[Candidate], indices: Sequence[int], box: Box | None) -> list[int]:
    """Return the indices, those first that the box shows; the order of the others stays."""
    if box is None:
        return list(indices)
    agreeing = [index for index in indices if candidates[index].box.iou(box) >= _AGREES]
    agreeing.sort(key=lambda index: -candidates[index].box.iou(box))
    return agreeing + [index for index in indices if index not in agreeing]


def in_order(
    candidates: Sequence[Candidate], indices: Sequence[int], wording: Wording, size: tuple[int, int]
) -> list[int]:
    """Return the indices that the wording's orders, ordinal and count pick; empty where there are too few.

    Parameters
    ----------
    size : (int, int)
        Height and width of the picture.
    """
    boxes = {index: candidates[index].box for index in indices}
    ranks = {
        index: sum(_ORDER_KEYS[order](box, list(boxes.values()), size) for order in wording.orders)
        for index, box in boxes.items()
    }
    ordered = sorted(indices, key=lambda index: ranks[index])
    ordinal = wording.ordinal or 1
    if ordinal > 0:
        return ordered[ordinal - 1 : ordinal - 1 + wording.count]
    end = len(ordered) + ordinal + 1
    return ordered[max(0, end - wording.count) : max(0, end)]


def pick(
    candidates: Sequence[Candidate],
    indices: Sequence[int],
    wording: Wording,
    which: Which,
    size: tuple[int, int],
    find: Callable[[Wording], Sequence[Box]],
) -> list[int]:
    """Return the indices that the wording leaves of several, best first; none where it excludes none that is known.

    Parameters
    ----------
    which : Which
        Whether orders mean a part of the picture of (H, W), as long as nothing is counted, or one in a row.
    find : callable
        Returns the boxes of the wording's anchors.
    """
    left = list(indices)
    if wording.relation is not None and len(left) > 1:
        left = related(candidates, left, wording, find(wording))
    part = which is Which.ALL and not wording.counted
    if left and wording.orders and part:
        left = in_part(candidates, left, wording, size)
    if left and wording.excluded is not None:
        spared = _spared(candidates, left, wording.excluded, size, find)
        left = [index for index in left if index not in spared] if spared else []
    if left and wording.orders and not part:
        left = in_order(candidates, left, wording, size)
    return left


def _spared(
    candidates: Sequence[Candidate],
    indices: Sequence[int],
    excluded: Wording,
    size: tuple[int, int],
    find: Callable[[Wording], Sequence[Box]],
) -> list[int]:
    """Return the indices that are excluded, none where the words do not tell."""
    if not excluded.telling:
        return []
    which = Which.ALL if excluded.several and not excluded.counted else Which.ONE
    spared = pick(candidates, indices, excluded, which, size, find)
    return spared if which is Which.ALL else spared[: excluded.count]


def in_part(
    candidates: Sequence[Candidate], indices: Sequence[int], wording: Wording, size: tuple[int, int]
) -> list[int]:
    """Return the indices in the part of them that "all on the left" or "the small ones" means.

    Sides are halves of the picture of (H, W), its middle what is half as wide and high; what is large or in front
    is so beside the mean of them all.
    """
    held = set(indices)
    for order in wording.orders:
        # Each by itself: several in the middle are no middle ones of a row.
        ranks = [_ORDER_KEYS[order](box, [box], size) for box in (candidates[index].box for index in indices)]
        limit = _LIMITS.get(order, sum(ranks) / len(ranks))
        held &= {index for index, rank in zip(indices, ranks, strict=True) if rank <= limit}
    return [index for index in indices if index in held]


def related(
    candidates: Sequence[Candidate], indices: Sequence[int], wording: Wording, anchors: Sequence[Box]
) -> list[int]:
    """Return the indices that stand in the wording's relation to the anchors, closest first, no anchor among them.

    Next to a thing, or between two, so many as are counted stand in any case, and others where they are near.
    """
    assert wording.relation
    holds = _HOLDS[wording.relation]
    anchor = anchors[0]
    if wording.relation is Relation.BETWEEN:
        anchor = Box(
            *(round((a + b) / 2) for a, b in zip(_edges(anchors[0]), _edges(anchors[1]), strict=True))
        )
    held = [
        index
        for index in indices
        if all(candidates[index].box.iou(other) < _AGREES for other in anchors)
        and holds(candidates[index].box, anchor)
    ]
    held.sort(
        key=lambda index: (gap(candidates[index].box, anchor), _distance(candidates[index].box, anchor))
    )
    near = _NEAR.get(wording.relation, lambda _box, _anchors: True)
    return [
        index
        for place, index in enumerate(held)
        if place < wording.count or near(candidates[index].box, anchors)
    ]


def gap(box: Box, other: Box) -> float:
    """Return the distance between two boxes in pixels, 0 where they touch."""
    return math.hypot(
        max(0, other.x0 - box.x1, box.x0 - other.x1),
        max(0, other.y0 - box.y1, box.y0 - other.y1),
    )


def to_pixels(box: NormalizedBox, size: tuple[int, int]) -> Box:
    """Return an instructor's box in pixels of a picture of (H, W), inside it and never empty."""
    height, width = size
    x0, x1 = _span(box[0], box[2], width)
    y0, y1 = _span(box[1], box[3], height)
    return Box(x0, y0, x1, y1)


def _span(a: int, b: int, length: int) -> tuple[int, int]:
    low, high = min(a, b), max(a, b)
    start = min(max(0, math.floor(low * length / 1000)), length - 1)
    return start, max(start + 1, min(length, math.ceil(high * length / 1000)))


def _edges(box: Box) -> tuple[int, int, int, int]:
    return box.x0, box.y0, box.x1, box.y1


def center(box: Box) -> tuple[float, float]:
    """Return the middle (x, y) of a box."""
    return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2


def _distance(box: Box, other: Box) -> float:
    return math.dist(center(box), center(other))


def _longer(box: Box) -> int:
    return max(box.width, box.height)


def _from_middle_one(box: Box, boxes: Sequence[Box], size: tuple[int, int]) -> float:
    """Rank by steps from the middle one of a row of three or more, of fewer by distance from the center."""
    if len(boxes) < 3:
        return _from_center(box, boxes, size)
    spread = [max(values) - min(values) for values in zip(*map(center, boxes), strict=True)]
    axis = 0 if spread[0] >= spread[1] else 1
    row = sorted(center(other)[axis] for other in boxes)
    return abs(row.index(center(box)[axis]) - (len(row) - 1) / 2)


def _from_center(box: Box, boxes: Sequence[Box], size: tuple[int, int]) -> float:
    del boxes
    height, width = size
    x, y = center(box)
    return math.hypot(x / width - 0.5, y / height - 0.5)


_OrderKey = Callable[[Box, Sequence[Box], tuple[int, int]], float]
_ORDER_KEYS: Final[Mapping[Order, _OrderKey]] = {
    Order.LEFT: lambda box, _, size: center(box)[0] / size[1],
    Order.RIGHT: lambda box, _, size: -center(box)[0] / size[1],
    Order.TOP: lambda box, _, size: center(box)[1] / size[0],
    Order.BOTTOM: lambda box, _, size: -center(box)[1] / size[0],
    Order.CENTER: _from_center,
    Order.MIDDLE: _from_middle_one,
    # What stands nearer to the camera on a ground reaches further down in the picture.
    Order.FRONT: lambda box, _, size: -box.y1 / size[0],
    Order.BACK: lambda box, _, size: box.y1 / size[0],
    Order.LARGEST: lambda box, _, size: -box.area / (size[0] * size[1]),
    Order.SMALLEST: lambda box, _, size: box.area / (size[0] * size[1]),
    Order.TALLEST: lambda box, _, size: -box.height / size[0],
    Order.SHORTEST: lambda box, _, size: box.height / size[0],
    Order.WIDEST: lambda box, _, size: -box.width / size[1],
}

_LIMITS: Final[Mapping[Order, float]] = {
    Order.LEFT: 0.5,
    Order.RIGHT: -0.5,
    Order.TOP: 0.5,
    Order.BOTTOM: -0.5,
    Order.CENTER: 0.25,
    Order.MIDDLE: 0.25,
}
"""How far up an order's keys its part of the picture reaches."""

_HOLDS: Final[Mapping[Relation, Callable[[Box, Box], bool]]] = {
    Relation.BETWEEN: lambda _box, _anchor: True,
    Relation.NEXT_TO: lambda _box, _anchor: True,
    Relation.LEFT_OF: lambda box, anchor: center(box)[0] < center(anchor)[0],
    Relation.RIGHT_OF: lambda box, anchor: center(box)[0] > center(anchor)[0],
    Relation.ABOVE: lambda box, anchor: center(box)[1] < center(anchor)[1],
    Relation.BELOW: lambda box, anchor: center(box)[1] > center(anchor)[1],
    Relation.ON: lambda box, anchor: (
        center(box)[1] < anchor.y1 and min(box.x1, anchor.x1) > max(box.x0, anchor.x0)
    ),
    Relation.INSIDE: lambda box, anchor: not box.intersection(anchor).empty,
    Relation.IN_FRONT_OF: lambda box, anchor: box.y1 > anchor.y1,
    Relation.BEHIND: lambda box, anchor: box.y1 < anchor.y1,
}

_NEAR: Final[Mapping[Relation, Callable[[Box, Sequence[Box]], bool]]] = {
    Relation.NEXT_TO: lambda box, anchors: gap(box, anchors[0]) <= (_longer(box) + _longer(anchors[0])) / 2,
    # In the circle whose diameter leads from the one's middle to the other's.
    Relation.BETWEEN: lambda box, anchors: (
        math.dist(center(box), [sum(values) / 2 for values in zip(*map(center, anchors), strict=True)])
        <= _distance(*anchors) / 2
    ),
}
