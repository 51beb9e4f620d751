"""What a picture of the toy world shows, read off by the nearest of the true renders it might be."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from brushedit import masks
from brushedit.types import Image, Mask
from models.toybox.edits import aired, fitted
from models.toybox.rendering import layers, render
from models.toybox.scenes import Background, Color, Scene, Thing, View, view_of
from models.toybox.shapes import POSES, Kind

SEEDS: Final = 6
"""Renders of each background that a picture's background is compared with."""

_FRINGE: Final = 2
"""Pixels around things that say nothing about the background."""

_DETAIL: Final = 96
"""Pixels a side at which a place is compared at most: nothing finer tells kinds or colours apart."""

_ENDLESS: Final = View(-9.0, -9.0, 9.0, 9.0)

_POSES: Final = {kind: 1 if kind in (Kind.BALL, Kind.CYLINDER, Kind.CONE) else POSES for kind in Kind}


def read_thing(
    picture: Image, scene: Scene, expected: Thing, frame: View | None = None
) -> tuple[Thing | None, ...]:
    """Return what may stand at a place, the most likely first.

    Parameters
    ----------
    picture : Image
        Of the whole scene.
    scene : Scene
        All there is but for this thing.
    expected : Thing
        What is, or was, to be seen there; gives pose and place of the first round of guesses.
    frame : View or None
        The rectangle that was repainted, if it is another one than `expected` asks for.

    Returns
    -------
    tuple of Thing or None
        None (nothing stands there), every colour of `expected`, and every kind, colour and pose that fills the
        frame, or would if its shadow needed no room there, by rising L2 distance between the picture's samples in
        the frame and the true render's.
    """
    height, width = picture.shape[:2]
    place = frame or aired(expected.window, scene.window)
    box = place.pixels(height, width, scene.aspect)
    if box.empty:
        return (None,)
    rows, columns = min(box.height, _DETAIL), min(box.width, _DETAIL)
    crop = picture[box.y0 : box.y1, box.x0 : box.x1]
    seen = np.asarray(cv2.resize(crop, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
    view = view_of(box, height, width, scene.aspect)

    def distance(thing: Thing | None) -> float:
        guess = scene if thing is None else scene.with_thing(thing)
        return float(np.square(seen - render(guess, rows, columns, view)).sum())

    guesses: list[Thing | None] = [None, *_guesses(expected, place)]
    return tuple(sorted(guesses, key=distance))


def _guesses(expected: Thing, place: View) -> Iterator[Thing]:
    # What shape something has does not hang on how much of the frame it takes.
    frames = (place, aired(place, _ENDLESS))
    for color in Color:
        yield replace(expected, color=color)
        for kind, poses in _POSES.items():
            yield from (fitted(kind, color, frame, pose) for frame in frames for pose in range(poses))


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
    covered = [layer.visible for layer in layers(scene, height, width)]
    things = np.logical_or.reduce(covered) if covered else np.zeros((height, width), dtype=np.bool_)
    return ~masks.grow(things, _FRINGE)
