"""What a picture of the toy world shows, read off by the nearest of the true renders it might be."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Final

import cv2
import numpy as np

from brushedit import masks
from brushedit.types import Image, Mask
from models.toybox.edits import aired, fitted
from models.toybox.rendering import layers, render
from models.toybox.scenes import Background, Color, Scene, Thing, View, view_of
from models.toybox.shapes import POSES, Kind, extent

SEEDS: Final = 6
"""Renders of each background that a picture's background is compared with."""

_FRINGE: Final = 2
"""Pixels around things that say nothing about the background."""

_DETAIL: Final = 96
"""Pixels a side at which a place is compared at most: nothing finer tells kinds or colours apart."""

_ENDLESS: Final = View(-9.0, -9.0, 9.0, 9.0)

_SHARES: Final = (1.0, 0.85, 0.7, 0.55)
"""Sizes at which things are looked for, of the largest that the frame holds."""

_FULL: Final = _SHARES[:2]
"""Sizes of what takes the place of something as large: with room for its shadow, and without."""

_STEPS: Final = (0.1, 0.05, 0.025)
"""By how much of their size guesses are moved and sized."""

_GIVE: Final = 0.12
"""How much larger or smaller a guess may become: as far as half-way to the next of `_SHARES`, no speck at last."""

_POSES: Final = {kind: 1 if kind in (Kind.BALL, Kind.CYLINDER, Kind.CONE) else POSES for kind in Kind}


def read_thing(
    picture: Image, scene: Scene, expected: Thing, frame: View | None = None, untold: Mask | None = None
) -> tuple[Thing | None, ...]:
    """Return what may stand in the place of something as large, the most likely first.

    Small things are not looked for: some speck fits almost any ground that is not painted to perfection.

    Parameters
    ----------
    picture : Image
        Of the whole scene.
    scene : Scene
        All there is but for this thing.
    expected : Thing
        What is to be seen there.
    frame : View or None
        The rectangle that was repainted, if it is another one than `expected` asks for.
    untold : Mask or None
        Where the picture tells nothing of it, as something else stands there: nothing is compared there, and nothing
        is looked for, but `expected`, that would be there for more than half.

    Returns
    -------
    tuple of Thing or None
        None (nothing stands there), every colour of `expected`, and every kind, colour and pose that fills the
        frame, by rising L2 distance between the picture's samples in the frame and the true render's.
    """
    place = frame or aired(expected.window, scene.window)
    guesses = _guesses(expected, place, _FULL)
    if untold is not None:
        own = {replace(expected, color=color) for color in Color}
        guesses = (guess for guess in guesses if guess in own or _told(guess, scene, untold))
    return tuple(sorted([None, *guesses], key=_distances(picture, scene, place, untold)))


def read_new_thing(
    picture: Image, scene: Scene, expected: Thing, frame: View | None = None
) -> tuple[Thing | None, ...]:
    """Return what may stand at a place where something new was to appear, the most likely first.

    As `read_thing`, but of any size and anywhere in the frame: what shape a thing has hangs neither on its size nor
    on where it stands. The nearest of each kind, and of `expected`'s kind and colour, are moved and sized as suits
    them best.
    """
    place = frame or aired(expected.window, scene.window)
    distance = _distances(picture, scene, place)
    guesses = tuple(_guesses(expected, place, _SHARES))

    def nearest(some: Iterable[Thing]) -> Thing:
        return _settled(min(some, key=distance), distance)

    best = [nearest(guess for guess in guesses if guess.kind is kind) for kind in Kind]
    wanted = nearest(g for g in guesses if g.kind is expected.kind and g.color is expected.color)
    return tuple(sorted([None, *guesses, *best, wanted], key=distance))


def _distances(
    picture: Image, scene: Scene, place: View, untold: Mask | None = None
) -> Callable[[Thing | None], float]:
    """Return what tells how far a picture is, at a place, from a scene with a thing, or with none."""
    height, width = picture.shape[:2]
    box = place.pixels(height, width, scene.aspect)
    if box.empty:
        return lambda thing: float(thing is not None)
    rows, columns = min(box.height, _DETAIL), min(box.width, _DETAIL)
    crop = picture[box.y0 : box.y1, box.x0 : box.x1]
    seen = np.asarray(cv2.resize(crop, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
    view = view_of(box, height, width, scene.aspect)
    told = np.ones((rows, columns, 1), np.float32)
    if untold is not None:
        hidden = untold[box.y0 : box.y1, box.x0 : box.x1].astype(np.float32)
        told[..., 0] -= cv2.resize(hidden, (columns, rows), interpolation=cv2.INTER_AREA)

    @cache
    def distance(thing: Thing | None) -> float:
        guess = scene if thing is None else scene.with_thing(thing)
        return float((told * np.square(seen - render(guess, rows, columns, view))).sum())

    return distance


def _told(thing: Thing, scene: Scene, untold: Mask) -> bool:
    """Return whether at least half of a thing would be where a picture tells of it."""
    whole = layers(scene.with_thing(thing), *untold.shape)[-1].full
    return bool((whole & untold).sum() <= 0.5 * whole.sum())


def _guesses(expected: Thing, place: View, shares: Sequence[float]) -> Iterator[Thing]:
    for color in Color:
        yield replace(expected, color=color)
        for kind, poses in _POSES.items():
            for pose in range(poses):
                largest = fitted(kind, color, aired(place, _ENDLESS), pose)
                yield from (_sized(largest, share) for share in shares)


def _settled(thing: Thing, distance: Callable[[Thing], float]) -> Thing:
    """Return the thing moved, and sized a little, ever more finely to where its distance is least."""
    reached, start = distance(thing), thing.size
    for step in _STEPS:
        while True:
            reach = step * thing.size
            tries = [
                *(replace(thing, x=thing.x + d) for d in (-reach, reach)),
                *(replace(thing, y=thing.y + d) for d in (-reach, reach)),
                *(
                    _sized(thing, share)
                    for share in (1 - step, 1 + step)
                    if abs(share * thing.size - start) <= _GIVE * start
                ),
            ]
            least, nearer = min(((distance(one), i) for i, one in enumerate(tries)))
            if least >= reached:
                break
            reached, thing = least, tries[nearer]
    return thing


def _sized(thing: Thing, share: float) -> Thing:
    """Return the thing so many times as large about the middle of what is seen of it."""
    u0, v0, u1, v1 = extent(thing.kind, thing.pose)
    less = (1 - share) * thing.size
    return replace(
        thing, x=thing.x + (u0 + u1) / 2 * less, y=thing.y + (v0 + v1) / 2 * less, size=share * thing.size
    )


def read_background(picture: Image, scene: Scene) -> tuple[Scene, ...]:
    """Return the scene on each background, the most likely first.

    Of each background, `SEEDS` renders (and, of the scene's own, the scene itself) are compared with the
    picture where things leave the background free; the nearest one stands for it.
    """
    height, width = picture.shape[:2]
    free = open_ground(scene, height, width)
    seen = picture[free].astype(np.float32)

    def distance(guess: Scene) -> float:
        return float(np.square(seen - render(guess, height, width)[free]).sum())

    nearest: list[tuple[float, int, Scene]] = []
    for background in Background:
        guesses = [scene.on(background, seed) for seed in range(SEEDS)]
        guesses += [scene] if background is scene.background else []
        ranked = [(distance(guess), i, guess) for i, guess in enumerate(guesses)]
        nearest.append(min(ranked))
    return tuple(guess for _, _, guess in sorted(nearest, key=lambda one: one[0]))


def open_ground(scene: Scene, height: int, width: int) -> Mask:
    """Return where nothing but background is seen, shadows included, with a fringe around things left out."""
    return ~masks.grow(covered(scene, range(len(scene.things)), height, width), _FRINGE)


def covered(scene: Scene, indices: Collection[int], height: int, width: int) -> Mask:
    """Return where some of a scene's things are seen."""
    seen = [layer.visible for i, layer in enumerate(layers(scene, height, width)) if i in indices]
    return np.logical_or.reduce(seen) if seen else np.zeros((height, width), dtype=np.bool_)
