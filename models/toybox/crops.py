"""Training crops: what the conductor sees when it repaints a hole of a toy scene, and what should be there.

A crop is drawn straight at the model's size, framed as `brushedit.framing` frames holes at run time. Chunks of crops
of one shape are files, so that many processes may draw ahead and training reads them memory-mapped.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import final

import cv2
import numpy as np
from numpy.typing import NDArray

from brushedit.training.masks import box_around, brush
from brushedit.types import Image, Mask
from models.toybox.captions import EMPTY, background_caption, local_caption, scene_caption, things_caption
from models.toybox.edits import given_room
from models.toybox.rendering import Layer, layers, render, uncovered
from models.toybox.scenes import Scene, Thing, View, sample_scene

NATIVE = 64
"""The side of a square crop, in pixels."""

SHAPES: tuple[tuple[int, int], ...] = ((64, 64), (72, 56), (56, 72))
"""Heights and widths of crops: the shapes that framing makes of holes and pictures of 1:1, 3:4 and 4:3."""

ROOMS = (1.0, 1.0, 4 / 3, 3 / 2, 3 / 4)
"""Width over height of the places that are given to things, by words or by what stood there before."""

SHAPE_ODDS = (0.6, 0.15, 0.25)

ASPECTS = (1.0, 1.0, 4 / 3, 3 / 2, 3 / 4)
"""Width over height of the pictures that crops are cut from."""

CHUNK = 1024
"""Crops per file."""

PER_SCENE = 4
"""Crops drawn of one scene; its backdrop is painted anew for each window."""


@dataclass(frozen=True)
class Crop:
    """One training example.

    Attributes
    ----------
    image : Image
        What should be there, (h, w, 3).
    hole : Mask
        What is to be repainted, (h, w).
    subject : Mask
        Where the thing in the hole shows; all False where the hole holds only background.
    caption : str
        What the hole shows.
    """

    image: Image
    hole: Mask
    subject: Mask
    caption: str


def frame(scene: Scene, subject: View, shape: tuple[int, int], context: float) -> View:
    """Return the window of this shape that shows a subject with a margin of `context` times its longer side.

    As `brushedit.framing` does, it is kept inside the scene where it fits and shrinks to the scene where not.
    """
    height, width = shape
    margin = context * max(subject.width, subject.height)
    h = max(subject.height + 2 * margin, (subject.width + 2 * margin) * height / width)
    h = min(h, 1.0, scene.aspect * height / width)
    w = h * width / height
    x = float(np.clip(subject.middle[0] - w / 2, 0.0, scene.aspect - w))
    y = float(np.clip(subject.middle[1] - h / 2, 0.0, 1.0 - h))
    return View(x, y, x + w, y + h)


def draw_crops(rng: np.random.Generator, shape: tuple[int, int], count: int) -> list[Crop]:
    """Draw crops of one shape (height, width)."""
    crops: list[Crop] = []
    while len(crops) < count:
        scene = sample_scene(rng, aspect=float(rng.choice(ASPECTS)))
        if not scene.things:
            scene = scene.with_thing(sample_scene(rng, count=1, aspect=scene.aspect).things[0])
        for _ in range(min(PER_SCENE, count - len(crops))):
            crops.append(_crop(rng, scene, shape))
    return crops


def fresh_crops() -> list[Crop]:
    """Return sixteen crops that no training reads, the same ones each time, to look at."""
    return draw_crops(np.random.default_rng(777), (NATIVE, NATIVE), 16)


_KINDS: tuple[str, ...] = ("thing", "nothing", "background", "strokes")
_KIND_ODDS = (0.5, 0.24, 0.14, 0.12)

_HIDDEN = 0.6
"""How many of the things that others stand before stay behind them."""

_SURVEY = 2 * NATIVE
"""The height of the picture that tells how much of a thing is seen, in pixels."""


def _crop(rng: np.random.Generator, scene: Scene, shape: tuple[int, int]) -> Crop:
    index = int(rng.integers(len(scene.things)))
    thing = scene.things[index]
    match rng.choice(_KINDS, p=_KIND_ODDS):
        case "thing":
            return _thing(rng, scene, thing, shape)
        case "nothing":
            return _nothing(rng, scene, thing, shape)
        case "background":
            return _background(rng, scene, thing, shape)
        case _:
            return _strokes(rng, scene, thing, shape)


def _thing(rng: np.random.Generator, scene: Scene, thing: Thing, shape: tuple[int, int]) -> Crop:
    """Draw a thing to be added or changed: the hole is its given place, a box around it, its outline, or a blob."""
    clear, index = _in_front(scene, thing)
    if len(clear.things) < len(scene.things) and rng.random() < _HIDDEN:
        hidden = _behind(rng, scene, thing, shape)
        if hidden is not None:
            return hidden
    scene = clear
    if rng.random() < 0.7:
        # Nothing but the words must tell what a place is for: the outline of a box around a thing does.
        room = given_room(thing, float(rng.choice(ROOMS)))
        view = frame(scene, room, shape, context=rng.uniform(0.2, 0.6))
        hole = _inside(room, view, shape)
        shown = layers(scene, *shape, view)
        if rng.random() < 0.5:
            hole = _sparing(hole, shown, index)
        return Crop(_drawn(scene, view, shape), hole, shown[index].visible, _named(rng, [thing], scene))
    view = frame(scene, thing.window, shape, context=rng.uniform(0.3, 0.65))
    image, subject = _drawn(scene, view, shape), layers(scene, *shape, view)[index].visible
    hole = subject
    if subject.any():
        match rng.choice(3, p=(0.6, 0.25, 0.15)):
            case 0:
                hole = box_around(rng, subject, slack=0.16)
            case 1:
                hole = _grown(subject, int(rng.integers(0, 4)))
            case _:
                hole = _ellipse(box_around(rng, subject, slack=0.2))
    return Crop(image, hole, subject, _named(rng, [thing], scene))


def _behind(rng: np.random.Generator, scene: Scene, thing: Thing, shape: tuple[int, int]) -> Crop | None:
    """Draw a thing that changes behind others: the hole is its outline or its place, what stands there left out.

    None where less than a third of it is seen.
    """
    index = scene.things.index(thing)
    whole = layers(scene, _SURVEY, round(scene.aspect * _SURVEY))[index]
    if 3 * np.count_nonzero(whole.visible) < np.count_nonzero(whole.full):
        return None
    seen = View(*(np.array([whole.box.x0, whole.box.y0, whole.box.x1, whole.box.y1]) / _SURVEY).tolist())
    place = rng.random() < 0.5
    room = given_room(thing, float(rng.choice(ROOMS))) if place else seen
    view = frame(scene, room, shape, context=rng.uniform(0.2, 0.6) if place else rng.uniform(0.3, 0.65))
    shown = layers(scene, *shape, view)
    subject = shown[index].visible
    hole = _inside(room, view, shape) | subject if place else _grown(subject, int(rng.integers(0, 3)))
    hole = _sparing(hole, shown, index)
    return Crop(_drawn(scene, view, shape), hole, subject, _named(rng, [thing], scene))


def _sparing(hole: Mask, shown: Sequence[Layer], index: int) -> Mask:
    """Return a hole but for the things seen in it other than one, as the agent's locator spares them."""
    others = [layer.visible for number, layer in enumerate(shown) if number != index]
    return hole & ~np.any(others, axis=0) if others else hole


def _nothing(rng: np.random.Generator, scene: Scene, thing: Thing, shape: tuple[int, int]) -> Crop:
    """Draw a thing to be removed: the hole is where it stood, the truth the scene without it."""
    index = scene.things.index(thing)
    view = frame(scene, thing.window, shape, context=rng.uniform(0.3, 0.65))
    shown = layers(scene, *shape, view)
    layer = shown[index]
    hole = layer.visible if rng.random() < 0.4 else layer.touched
    if not hole.any():
        hole = layer.touched
    match rng.choice(3, p=(0.55, 0.3, 0.15)):
        case 0:
            hole = _grown(hole, int(rng.integers(0, 5)))
        case 1 if hole.any():
            hole = box_around(rng, hole)
        case _:
            hole = _grown(layer.touched, int(rng.integers(1, 4)))
    if rng.random() < 0.5:
        hole = _sparing(hole, shown, index)
    image = _drawn(scene.without([index]), view, shape)
    # What the network sees beside the hole is the scene without the thing: with a hole that leaves its
    # shadow out, the shadow's rim would be a clue that no picture after the edit may keep.
    return Crop(image, hole, np.zeros(shape, np.bool_), _empty(rng, scene))


def _background(rng: np.random.Generator, scene: Scene, thing: Thing, shape: tuple[int, int]) -> Crop:
    """Draw everything but things to be repainted: the things are kept, up to a pixel or two inside their edge."""
    if rng.random() < 0.6:
        view = frame(scene, scene.window, shape, context=0.0)
    else:
        view = frame(scene, thing.window, shape, context=rng.uniform(0.3, 0.8))
    hole = uncovered(scene, *shape, view)
    hole = _grown(hole, int(rng.integers(0, 3)))
    return Crop(_drawn(scene, view, shape), hole, np.zeros(shape, np.bool_), _empty(rng, scene))


def _strokes(rng: np.random.Generator, scene: Scene, thing: Thing, shape: tuple[int, int]) -> Crop:
    """Draw random strokes over a window with something in it; the caption says all that the window shows."""
    view = frame(scene, thing.window, shape, context=rng.uniform(0.2, 0.8))
    shown = layers(scene, *shape, view)
    inside = [t for t, layer in zip(scene.things, shown, strict=True) if layer.visible.sum() > 80]
    subject = np.any([layer.visible for layer in shown], axis=0)
    caption = scene_caption(Scene(scene.background, tuple(inside), aspect=scene.aspect))
    return Crop(_drawn(scene, view, shape), brush(rng, *shape), subject, caption)


def _in_front(scene: Scene, thing: Thing) -> tuple[Scene, int]:
    """Return the scene without what hides the thing, and the thing's index in it."""
    window = thing.window
    nearer = [
        i
        for i, other in enumerate(scene.things)
        if other is not thing and other.y >= thing.y and other.window.overlap(window) > 0.05 * window.area
    ]
    clear = scene.without(nearer)
    return clear, clear.things.index(thing)


def _named(rng: np.random.Generator, things: Sequence[Thing], scene: Scene) -> str:
    return local_caption(things, scene.background) if rng.random() < 0.6 else things_caption(things)


def _empty(rng: np.random.Generator, scene: Scene) -> str:
    return background_caption(scene.background) if rng.random() < 0.3 else EMPTY


def _drawn(scene: Scene, view: View, shape: tuple[int, int]) -> Image:
    return render(scene, *shape, view)


def _inside(room: View, view: View, shape: tuple[int, int]) -> Mask:
    """Return the pixels of a window that a rectangle of the scene covers."""
    height, width = shape
    across, down = width / view.width, height / view.height
    rows = np.clip(np.rint([(room.y0 - view.y0) * down, (room.y1 - view.y0) * down]), 0, height).astype(int)
    columns = np.clip(np.rint([(room.x0 - view.x0) * across, (room.x1 - view.x0) * across]), 0, width).astype(
        int
    )
    hole = np.zeros(shape, np.bool_)
    hole[rows[0] : rows[1], columns[0] : columns[1]] = True
    return hole


def _grown(mask: Mask, pixels: int) -> Mask:
    if pixels == 0:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(np.bool_)


def _ellipse(box: Mask) -> Mask:
    rows, columns = np.flatnonzero(box.any(axis=1)), np.flatnonzero(box.any(axis=0))
    center = (float(columns.mean()), float(rows.mean()))
    # As wide as the box and a fifth more, so that little of what filled the box sticks out.
    size = (1.2 * columns.size, 1.2 * rows.size)
    canvas = np.zeros(box.shape, np.uint8)
    cv2.ellipse(canvas, (center, size, 0.0), 1, thickness=-1)
    return canvas.astype(np.bool_)


def draw_chunk(folder: Path, seed: int, number: int, count: int = CHUNK) -> None:
    """Write chunk `number` of a set unless it is there: crops as one array file, captions as another."""
    path = folder / f"{number:05d}.npy"
    if path.exists():
        return
    rng = np.random.default_rng((seed, number))
    shape = SHAPES[rng.choice(len(SHAPES), p=SHAPE_ODDS)]
    crops = draw_crops(rng, shape, count)
    pixels = np.stack(
        [
            np.concatenate([c.image, np.stack([c.hole, c.subject], axis=-1) * np.uint8(255)], axis=-1)
            for c in crops
        ]
    )
    path.with_suffix(".json").write_text(json.dumps([c.caption for c in crops]))
    draft = path.with_suffix(".part")
    with draft.open("wb") as file:
        np.save(file, pixels)
    draft.replace(path)


def draw_set(folder: Path, seed: int, chunks: int, *, workers: int, count: int = CHUNK) -> None:
    """Write the chunks that are missing, `workers` processes at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    if workers <= 1:
        for number in range(chunks):
            draw_chunk(folder, seed, number, count)
        return
    with ProcessPoolExecutor(workers) as pool:
        for job in [pool.submit(draw_chunk, folder, seed, number, count) for number in range(chunks)]:
            job.result()


@final
class Crops:
    """The chunks of a folder, read as needed."""

    def __init__(self, folder: Path, chunks: int) -> None:
        self._pixels: list[NDArray[np.uint8]] = [
            np.load(folder / f"{number:05d}.npy", mmap_mode="r") for number in range(chunks)
        ]
        self.captions: list[list[str]] = [
            json.loads((folder / f"{number:05d}.json").read_text()) for number in range(chunks)
        ]
        self._subjects: dict[int, NDArray[np.bool_]] = {}

    def __len__(self) -> int:
        return len(self._pixels)

    def pixels(self, chunk: int) -> NDArray[np.uint8]:
        """Return a whole chunk, memory-mapped, (n, h, w, 5): RGB, hole, subject (0 or 255)."""
        return self._pixels[chunk]

    def draw(
        self, rng: np.random.Generator, batch: int, things: float = 1.0
    ) -> tuple[int, NDArray[np.int64]]:
        """Draw a chunk and `batch` of its rows, in rising order.

        A crop with a thing in its hole is `things` times as likely as one without.
        """
        chunk = int(rng.integers(len(self._pixels)))
        odds = None if things == 1 else np.where(self.subjects(chunk), things, 1.0)
        count = len(self._pixels[chunk])
        rows = rng.choice(count, batch, replace=batch > count, p=None if odds is None else odds / odds.sum())
        return chunk, np.sort(rows)

    def subjects(self, chunk: int) -> NDArray[np.bool_]:
        """Return which crops of a chunk have a thing in their hole, (n,)."""
        if chunk not in self._subjects:
            self._subjects[chunk] = np.asarray(self._pixels[chunk][..., 4].any((1, 2)))
        return self._subjects[chunk]
