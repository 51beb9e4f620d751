"""Scenes of the toy world: what stands where, on which background; and how such scenes are drawn by lot.

Lengths are in picture heights: a scene is 1 high and ``aspect`` wide, x to the right, y down. A thing stands
with its foot at (x, y); what stands lower in the picture is nearer and hides what stands behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from brushedit.types import Box
from models.toybox.shapes import LIGHTS, POSES, Kind, extent


class Color(StrEnum):
    """What colour a thing is."""

    RED = "red"
    GREEN = "green"
    BLUE = "blue"
    YELLOW = "yellow"
    ORANGE = "orange"
    PURPLE = "purple"
    PINK = "pink"
    WHITE = "white"


class Background(StrEnum):
    """What the things stand on."""

    BEACH = "beach"
    GRASS = "grass"
    SNOW = "snow"
    DESERT = "desert"
    NIGHT = "night sky"
    TABLE = "wooden table"
    BRICK = "brick wall"
    STUDIO = "studio"


@dataclass(frozen=True)
class View:
    """A window onto a scene, in picture heights: x0 <= x < x1, y0 <= y < y1."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Width in picture heights."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height in picture heights."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Area in squared picture heights; 0 where nothing is covered."""
        return max(0.0, self.width) * max(0.0, self.height)

    def overlap(self, other: "View") -> float:
        """Return the area both cover."""
        return View(
            max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1)
        ).area

    @property
    def middle(self) -> tuple[float, float]:
        """The point (x, y) half way."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def pixels(self, height: int, width: int, aspect: float = 1.0) -> Box:
        """Return the pixels of a whole picture (height, width) that this window touches, clipped to it."""
        per_x, per_y = width / aspect, float(height)
        return Box(
            max(0, int(np.floor(self.x0 * per_x + 1e-6))),
            max(0, int(np.floor(self.y0 * per_y + 1e-6))),
            min(width, int(np.ceil(self.x1 * per_x - 1e-6))),
            min(height, int(np.ceil(self.y1 * per_y - 1e-6))),
        )


def view_of(box: Box, height: int, width: int, aspect: float = 1.0) -> View:
    """Return the window that a box of pixels of a whole picture (height, width) shows."""
    per_x, per_y = aspect / width, 1.0 / height
    return View(box.x0 * per_x, box.y0 * per_y, box.x1 * per_x, box.y1 * per_y)


@dataclass(frozen=True)
class Thing:
    """One toy.

    Attributes
    ----------
    kind : Kind
    color : Color
    x, y : float
        Where its foot stands, in picture heights.
    size : float
        Its unit of length, about its height, in picture heights.
    pose : int
        Which way it is turned, 0..POSES - 1.
    """

    kind: Kind
    color: Color
    x: float
    y: float
    size: float
    pose: int = 0

    @property
    def name(self) -> str:
        """Colour and kind, such as "red ball"."""
        return f"{self.color} {self.kind}"

    @property
    def window(self) -> View:
        """The box of the whole thing without its shadow, hidden parts included."""
        return self.placed(extent(self.kind, self.pose))

    def placed(self, frame: tuple[float, float, float, float]) -> View:
        """Return a rectangle (u0, v0, u1, v1) of the toy's own camera plane as a window of the scene."""
        u0, v0, u1, v1 = frame
        return View(
            self.x + u0 * self.size, self.y + v0 * self.size, self.x + u1 * self.size, self.y + v1 * self.size
        )


@dataclass(frozen=True)
class Scene:
    """Everything a picture is drawn from; equal scenes are equal pictures.

    Attributes
    ----------
    background : Background
    things : tuple of Thing
        In no order of meaning; see `painted_order` for what hides what.
    light : int
        Where the light comes from, 0 (left) .. LIGHTS - 1 (right). It does not depend on the background, so
        that a changed background leaves the things as they were.
    seed : int
        Which beach, which meadow: decides every detail of the background and nothing else.
    aspect : float
        Width over height.
    """

    background: Background
    things: tuple[Thing, ...] = ()
    light: int = 1
    seed: int = 0
    aspect: float = 1.0

    @property
    def window(self) -> View:
        """The whole scene."""
        return View(0.0, 0.0, self.aspect, 1.0)

    @property
    def painted_order(self) -> tuple[int, ...]:
        """Indices of the things from the farthest to the nearest."""
        return tuple(sorted(range(len(self.things)), key=lambda i: (self.things[i].y, i)))

    def without(self, indices: Sequence[int]) -> "Scene":
        """Return the scene with the things at these indices left out."""
        return replace(self, things=tuple(t for i, t in enumerate(self.things) if i not in indices))

    def with_thing(self, thing: Thing) -> "Scene":
        """Return the scene with one more thing, listed last."""
        return replace(self, things=(*self.things, thing))

    def changed(self, index: int, thing: Thing) -> "Scene":
        """Return the scene with another thing in place of the one at this index."""
        return replace(self, things=(*self.things[:index], thing, *self.things[index + 1 :]))

    def on(self, background: Background, seed: int) -> "Scene":
        """Return the scene with the same things on another background."""
        return replace(self, background=background, seed=seed)


FLOOR = 0.56
"""Feet stand below this height of the picture; every background's horizon lies above it."""

SIZES = (0.2, 0.4)
"""Range of `Thing.size` that `sample_scene` draws from."""


def sample_thing(
    rng: np.random.Generator, aspect: float = 1.0, kind: Kind | None = None, color: Color | None = None
) -> Thing:
    """Draw one thing that stands wholly inside a scene of this aspect; near ones tend to be larger."""
    kind = kind or tuple(Kind)[rng.integers(len(Kind))]
    color = color or tuple(Color)[rng.integers(len(Color))]
    depth = rng.random()
    size = SIZES[0] + (SIZES[1] - SIZES[0]) * (0.45 * depth + 0.55 * rng.random())
    margin = 0.52 * size
    return Thing(
        kind,
        color,
        x=float(rng.uniform(margin, aspect - margin)),
        y=FLOOR + 0.06 + (0.95 - FLOOR - 0.06) * depth,
        size=float(size),
        pose=int(rng.integers(POSES)),
    )


def crowded(thing: Thing, others: Sequence[Thing], hidden: float = 0.25) -> bool:
    """Return whether a thing and another overlap by more than this share of the smaller one's box."""
    window = thing.window
    return any(
        window.overlap(other.window) > hidden * min(window.area, other.window.area) for other in others
    )


def sample_scene(
    rng: np.random.Generator,
    count: int | None = None,
    background: Background | None = None,
    aspect: float = 1.0,
    repeat: float = 0.2,
) -> Scene:
    """Draw a scene of `count` things (0..4, drawn as well where None) of which none hides much of another.

    A share `repeat` of the things has the kind, and half as many the colour, of the one before, so that "the
    left ball" and "all cubes" have something to mean. Where a scene is too full for another thing, it stays
    out.
    """
    if count is None:
        count = int(rng.choice(5, p=(0.04, 0.26, 0.32, 0.24, 0.14)))
    things: list[Thing] = []
    for _ in range(count):
        kind = things[-1].kind if things and rng.random() < repeat else None
        color = things[-1].color if things and rng.random() < repeat / 2 else None
        for _ in range(20):
            thing = sample_thing(rng, aspect, kind, color)
            if not crowded(thing, things):
                things.append(thing)
                break
    return Scene(
        background=background or tuple(Background)[rng.integers(len(Background))],
        things=tuple(things),
        light=int(rng.integers(LIGHTS)),
        seed=int(rng.integers(2**31)),
        aspect=aspect,
    )


def close_up(
    rng: np.random.Generator, scene: Scene, subject: View, share: tuple[float, float] = (0.4, 0.65)
) -> View:
    """Return a square window around a subject, as the conductor crops: kept inside the scene where it fits.

    The subject's longer side takes a share of the window's side drawn from `share`; the window is off centre
    by up to a quarter of the room that leaves.
    """
    portion = rng.uniform(*share)
    side = min(max(subject.width, subject.height) / portion, scene.aspect, 1.0)
    room = side * (1 - portion)
    x = subject.middle[0] + rng.uniform(-0.25, 0.25) * room
    y = subject.middle[1] + rng.uniform(-0.25, 0.25) * room
    x0 = float(np.clip(x - side / 2, 0.0, scene.aspect - side))
    y0 = float(np.clip(y - side / 2, 0.0, 1.0 - side))
    return View(x0, y0, x0 + side, y0 + side)
