"""How well a base model and a BrushNet paint toys: fresh scenes, true masks, and the true picture to compare with.

This judges the painters alone, with holes and captions as they should be; the whole agent is judged elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from brushedit import masks
from brushedit.diffusion.conductor import BrushNetConductor
from brushedit.options import PaintOptions
from brushedit.types import Image, Mask
from models.toybox.captions import local_caption
from models.toybox.edits import aired, fitted, given_room
from models.toybox.readings import read_new_thing, read_thing
from models.toybox.rendering import bounds, layers, render, uncovered
from models.toybox.scenes import Background, Color, Scene, Thing, View, sample_scene, view_of
from models.toybox.scores import Task
from models.toybox.shapes import Kind

HEIGHT = 128
"""Of the pictures that are edited, in pixels."""


@dataclass(frozen=True)
class Case:
    """One edit and its truth.

    Attributes
    ----------
    image, mask, caption
        What the conductor is given.
    truth : Scene
        The scene as it should be afterwards.
    thing : Thing or None
        What should stand in the hole.
    """

    task: Task
    image: Image
    mask: Mask
    caption: str
    truth: Scene
    thing: Thing | None


@dataclass(frozen=True)
class Verdict:
    """How one edit went; a field that says nothing about its task is None.

    Attributes
    ----------
    psnr : float
        Of the painted region against the true picture, dB.
    kind, color : bool or None
        Whether the nearest of the true pictures there might be (`read_thing`, `read_new_thing`) has the right one.
    gone : bool or None
        Whether the result is nearer to the scene without the thing than to the scene with it.
    background : bool or None
        Whether the nearest of the backgrounds' mean pictures is the right one.
    """

    psnr: float
    kind: bool | None = None
    color: bool | None = None
    gone: bool | None = None
    background: bool | None = None


def cases(task: Task, seed: int, count: int) -> Iterator[Case]:
    """Draw edits of fresh scenes."""
    rng = np.random.default_rng((seed, list(Task).index(task)))
    for _ in range(count):
        scene = sample_scene(rng, count=int(rng.integers(1, 4)), aspect=float(rng.choice((1.0, 4 / 3))))
        yield _case(rng, task, scene)


def judge(case: Case, result: Image, region: Mask) -> Verdict:
    """Compare a result with the truth."""
    size = case.image.shape[:2]
    psnr = _psnr(result, render(case.truth, *size), region)
    match case.task:
        case Task.REMOVE:
            with_thing, without = (
                _error(result, case.image, region),
                _error(result, render(case.truth, *size), region),
            )
            return Verdict(psnr, gone=without < with_thing)
        case Task.BACKGROUND:
            return Verdict(psnr, background=_nearest_background(result, region) is case.truth.background)
        case _:
            assert case.thing
            read = _read(case, result)
            if read is None:
                return Verdict(psnr, kind=False, color=False)
            return Verdict(psnr, kind=read.kind is case.thing.kind, color=read.color is case.thing.color)


def paint(conductor: BrushNetConductor, case: Case, options: PaintOptions) -> tuple[Image, Mask]:
    """Return the conductor's picture and the region that could change."""
    work = conductor.paint(case.image, case.mask, case.caption, options)
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value.images[0], end.value.region


def _case(rng: np.random.Generator, task: Task, scene: Scene) -> Case:
    size = (HEIGHT, round(HEIGHT * scene.aspect))
    index = int(rng.integers(len(scene.things)))
    thing = scene.things[index]
    # What is edited stands in front, so that the truth does not depend on guessing hidden parts.
    scene = scene.changed(index, replace(thing, y=max(each.y for each in scene.things) + 1e-3))
    thing = scene.things[index]
    layer = layers(scene, *size)[index]
    match task:
        case Task.REMOVE:
            truth, mask, subject = scene.without([index]), masks.grow(layer.touched, 1), None
        case Task.ADD:
            truth, mask, subject = scene, _filled(given_room(thing, 1.0), scene, size), thing
            scene = scene.without([index])
        case Task.RECOLOR:
            subject = replace(thing, color=_another(rng, thing.color))
            truth, mask = scene.changed(index, subject), masks.grow(layer.visible, 1)
        case Task.RESHAPE | Task.REPLACE:
            other = tuple(Kind)[(tuple(Kind).index(thing.kind) + int(rng.integers(1, 6))) % 6]
            color = thing.color if task is Task.RESHAPE else _another(rng, thing.color)
            room = aired(thing.window, scene.window)
            subject = fitted(other, color, room, thing.pose)
            truth, mask = scene.changed(index, subject), _filled(room, scene, size)
        case Task.BACKGROUND:
            other = tuple(Background)[
                (tuple(Background).index(scene.background) + int(rng.integers(1, 8))) % 8
            ]
            truth, mask, subject = scene.on(other, int(rng.integers(2**31))), uncovered(scene, *size), None
    caption = local_caption([subject] if subject else [], truth.background)
    return Case(task, render(scene, *size), mask, caption, truth, subject)


def _another(rng: np.random.Generator, color: Color) -> Color:
    return tuple(Color)[(tuple(Color).index(color) + int(rng.integers(1, 8))) % 8]


def _filled(room: View, scene: Scene, size: tuple[int, int]) -> Mask:
    return masks.from_box(room.pixels(*size, scene.aspect), *size)


def _read(case: Case, result: Image) -> Thing | None:
    """Return what most likely stands where a thing should."""
    assert case.thing
    index = case.truth.things.index(case.thing)
    read = read_new_thing if case.task.appears else read_thing
    height, width = case.image.shape[:2]
    frame = view_of(bounds(case.mask), height, width, case.truth.aspect)
    return read(result, case.truth.without([index]), case.thing, frame)[0]


def _nearest_background(result: Image, region: Mask) -> Background:
    small = (result.shape[1] // 8, result.shape[0] // 8)
    weight = cv2.resize(region.astype(np.float32), small, interpolation=cv2.INTER_AREA)[..., None]
    seen = cv2.resize(result, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    errors = {
        background: float(((_usual(background, *result.shape[:2]) - seen) ** 2 * weight).sum())
        for background in Background
    }
    return min(errors, key=lambda background: errors[background])


@lru_cache(maxsize=64)
def _usual(background: Background, height: int, width: int) -> NDArray[np.float32]:
    """Return the mean of some pictures of a background, 8 times smaller."""
    pictures = [
        cv2.resize(
            render(Scene(background, seed=seed, aspect=width / height), height, width),
            (width // 8, height // 8),
            interpolation=cv2.INTER_AREA,
        )
        for seed in range(8)
    ]
    return np.asarray(np.mean(pictures, axis=0), dtype=np.float32)


def _mean_square(one: Image, other: Image) -> float:
    return float(np.square(one.astype(np.float32) - other.astype(np.float32)).mean())


def _error(one: Image, other: Image, region: Mask) -> float:
    return _mean_square(one[region], other[region])


def _psnr(one: Image, other: Image, region: Mask) -> float:
    return float(10 * np.log10(255**2 / max(1e-3, _error(one, other, region))))
