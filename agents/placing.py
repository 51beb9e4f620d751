"""Where an added thing goes: a box from words and anchors, inside the picture and never empty."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agents.selection import center
from agents.wording import Order, Relation, Wording
from brushedit.types import Box, Point

_SIDE: Final = 0.35
"""Side of an added thing, in shorter sides of the picture, where nothing says how large it is."""

_MOST: Final = 0.5
"""Largest side of a thing added beside an anchor, likewise: a vase on a table is no second table."""

_COLUMNS: Final[Mapping[Order, float]] = {Order.LEFT: 0.2, Order.RIGHT: 0.8}
_ROWS: Final[Mapping[Order, float]] = {
    Order.TOP: 0.2,
    Order.BOTTOM: 0.8,
    Order.FRONT: 0.8,
    Order.BACK: 0.4,
    Order.CENTER: 0.5,
    Order.MIDDLE: 0.5,
}
_GROUND: Final = 0.6
"""Row of an added thing's middle where the words name none: things mostly stand on a ground."""

_SCALES: Final[Mapping[Order, float]] = {
    Order.LARGEST: 1.5,
    Order.SMALLEST: 0.6,
}


def place(wording: Wording, anchors: Sequence[Box], size: tuple[int, int]) -> Box:
    """Return the box for an added thing in a picture of (H, W).

    Beside anchors it is as large as the first of them, up to half the picture's shorter side; elsewhere
    about a third of that side.
    """
    height, width = size
    scale = _scale(wording)
    if wording.relation is not None and anchors:
        most = _MOST * min(height, width)
        side_x, side_y = (
            max(1, round(min(side, most) * scale)) for side in (anchors[0].width, anchors[0].height)
        )
        middle = _BESIDE[wording.relation](anchors, (side_x, side_y), size)
        return _inside(middle, (side_x, side_y), size)
    side = max(1, round(_SIDE * scale * min(height, width)))
    column = next((_COLUMNS[order] for order in wording.orders if order in _COLUMNS), 0.5)
    row = next((_ROWS[order] for order in wording.orders if order in _ROWS), _GROUND)
    return _inside((column * width, row * height), (side, side), size)


def place_at(points: Sequence[Point], wording: Wording, size: tuple[int, int]) -> Box:
    """Return the box for an added thing around the middle of a person's clicks."""
    side = max(1, round(_SIDE * _scale(wording) * min(size)))
    x = sum(point.x for point in points) / len(points)
    y = sum(point.y for point in points) / len(points)
    return _inside((x, y), (side, side), size)


def _scale(wording: Wording) -> float:
    return next((_SCALES[order] for order in wording.orders if order in _SCALES), 1.0)


def _inside(middle: tuple[float, float], sides: tuple[int, int], size: tuple[int, int]) -> Box:
    """Return a box of these sides about that middle, moved into the picture, and cut only if too large."""
    height, width = size
    side_x, side_y = min(sides[0], width), min(sides[1], height)
    x0 = min(max(0, round(middle[0] - side_x / 2)), width - side_x)
    y0 = min(max(0, round(middle[1] - side_y / 2)), height - side_y)
    return Box(x0, y0, x0 + side_x, y0 + side_y)


_Middle = tuple[float, float]
_Sides = tuple[int, int]


def _left(anchors: Sequence[Box], sides: _Sides, _size: _Sides) -> _Middle:
    return anchors[0].x0 - sides[0] / 2, anchors[0].y1 - sides[1] / 2


def _right(anchors: Sequence[Box], sides: _Sides, _size: _Sides) -> _Middle:
    return anchors[0].x1 + sides[0] / 2, anchors[0].y1 - sides[1] / 2


def _beside(anchors: Sequence[Box], sides: _Sides, size: _Sides) -> _Middle:
    """Take the side with more room."""
    roomier = _left if anchors[0].x0 > size[1] - anchors[0].x1 else _right
    return roomier(anchors, sides, size)


def _above(anchors: Sequence[Box], sides: _Sides, _size: _Sides) -> _Middle:
    return center(anchors[0])[0], anchors[0].y0 - sides[1] / 2


def _below(anchors: Sequence[Box], sides: _Sides, _size: _Sides) -> _Middle:
    return center(anchors[0])[0], anchors[0].y1 + sides[1] / 2


def _within(anchors: Sequence[Box], _sides: _Sides, _size: _Sides) -> _Middle:
    return center(anchors[0])


def _before(anchors: Sequence[Box], _sides: _Sides, _size: _Sides) -> _Middle:
    """Half a height further down: what stands nearer to the camera covers what is behind it."""
    return center(anchors[0])[0], anchors[0].y1


def _behind(anchors: Sequence[Box], _sides: _Sides, _size: _Sides) -> _Middle:
    return center(anchors[0])[0], anchors[0].y0


def _between(anchors: Sequence[Box], _sides: _Sides, _size: _Sides) -> _Middle:
    (ax, ay), (bx, by) = center(anchors[0]), center(anchors[1])
    return (ax + bx) / 2, (ay + by) / 2


_BESIDE: Final[Mapping[Relation, Callable[[Sequence[Box], _Sides, _Sides], _Middle]]] = {
    Relation.LEFT_OF: _left,
    Relation.RIGHT_OF: _right,
    Relation.NEXT_TO: _beside,
    Relation.ABOVE: _above,
    Relation.ON: _above,
    Relation.BELOW: _below,
    Relation.INSIDE: _within,
    Relation.IN_FRONT_OF: _before,
    Relation.BEHIND: _behind,
    Relation.BETWEEN: _between,
}
