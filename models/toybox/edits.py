"""Edits of scenes with all that a test or a training step asks of them: plan, true picture, true region."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from brushedit import masks
from brushedit.types import EditKind, EditPlan, EditStep, Mask, NormalizedBox, Which
from models.toybox.captions import EMPTY, background_caption, with_article
from models.toybox.references import OBJECT, Reference, read_relation, resolve
from models.toybox.rendering import changed_region, layers
from models.toybox.scenes import Background, Color, Scene, Thing, View
from models.toybox.shapes import Kind, extent

COLUMNS = {"left": 210, "middle": 500, "right": 790}
"""Where added things go, by place word: the middle of their box, 0..1000 of the picture's width."""

SCALES = {"small": 250, "": 360, "big": 460}
"""How large the box of an added thing is, by size word: its side, 0..1000."""

_FLOOR = 900
_AIR = (1.25, 1.12)
"""Box of an added thing over the thing itself, across and down: room for its shadow."""


def place_box(place: str, size: str = "") -> NormalizedBox:
    """Return the box that plans give for a place word ("" is the middle) and a size word.

    It depends on the words alone, so that whoever reads only the instruction can know it.
    """
    column, side = COLUMNS[place or "middle"], SCALES[size]
    x0, x1 = max(0, column - side // 2), min(1000, column + side // 2)
    return (x0, _FLOOR - side, x1, _FLOOR)


@dataclass(frozen=True)
class Change:
    """One step of an edit.

    Attributes
    ----------
    step : EditStep
        What a plan says of it.
    before, after : Scene
        The scene without and with this step.
    targets : tuple of int
        Indices of the things it is about: in `after.things` for an addition, else in `before.things`.
    frame : View or None
        The rectangle to repaint where a new shape appears (an addition, another kind): the new thing is
        `fitted` into it. None where the shape stays.
    color_open : bool
        The words leave the colour of the result open: any is as good as the one in `after`.
    """

    step: EditStep
    before: Scene
    after: Scene
    targets: tuple[int, ...]
    frame: View | None = None
    color_open: bool = False

    def mask(self, height: int, width: int) -> Mask:
        """Return what a perfect locator selects: visible targets, a new thing's box, all but the things."""
        if self.step.kind is EditKind.ADD:
            return self.hole(height, width)
        found = layers(self.before, height, width)
        mask = np.logical_or.reduce([found[i].visible for i in self.targets])
        return ~mask if self.step.kind is EditKind.BACKGROUND else mask

    def hole(self, height: int, width: int) -> Mask:
        """Return what has to be repainted: `frame`, a removed thing with its shadow, or else `mask`."""
        if self.frame is not None:
            return masks.from_box(self.frame.pixels(height, width, self.before.aspect), height, width)
        return self.region(height, width) if self.step.kind is EditKind.REMOVE else self.mask(height, width)

    def region(self, height: int, width: int) -> Mask:
        """Return a region outside which the true pictures before and after are equal, sample for sample."""
        return changed_region(self.before, self.after, height, width)


@dataclass(frozen=True)
class Edit:
    """One or more changes, each starting from the scene the one before left."""

    changes: tuple[Change, ...]

    @property
    def before(self) -> Scene:
        """The scene as it is."""
        return self.changes[0].before

    @property
    def after(self) -> Scene:
        """The scene as it shall be."""
        return self.changes[-1].after

    @property
    def plan(self) -> EditPlan:
        """What a perfect instructor answers."""
        return EditPlan(tuple(change.step for change in self.changes))


def add(
    scene: Scene,
    kind: Kind,
    color: Color | None,
    frame: View,
    where: str = "",
    box: NormalizedBox | None = None,
    *,
    rng: np.random.Generator,
) -> Change:
    """Add a thing into a rectangle; the plan says `where` and `box`. Draws what words leave open."""
    thing = fitted(kind, color or _any_color(rng), frame, pose=int(rng.integers(6)))
    name = _name(kind, color)
    step = EditStep(EditKind.ADD, name, with_article(name), box=box, where=where)
    return Change(step, scene, scene.with_thing(thing), (len(scene.things),), frame, color is None)


def add_at(
    scene: Scene, kind: Kind, color: Color | None, place: str, size: str = "", *, rng: np.random.Generator
) -> Change:
    """Add a thing at a place word of `COLUMNS` ("" for wherever), in a size word of `SCALES`."""
    box = place_box(place, size)
    x0, y0, x1, y1 = (value / 1000 for value in box)
    frame = View(x0 * scene.aspect, y0, x1 * scene.aspect, y1)
    return add(scene, kind, color, frame, where=place, box=box, rng=rng)


def add_beside(
    scene: Scene, kind: Kind, color: Color | None, where: str, *, rng: np.random.Generator
) -> Change:
    """Add a thing "next to the cube", "left of" or "right of" it, or "between the cube and the cone".

    Each noun phrase must fit one thing only. The plan has no box, since words cannot know it: the locator
    looks for the anchors. The true rectangle is as large as the first anchor's: on its side (the roomier one for
    "next to"), feet level, or midway between both.
    """
    relation, anchors = read_relation(where)
    windows = [scene.things[i].window for anchor in anchors for i in resolve(scene, Reference(anchor))]
    there = windows[0]
    y0 = there.y0
    if relation == "between":
        x0, y0 = (
            sum(window.middle[axis] for window in windows) / 2 - side / 2
            for axis, side in enumerate((there.width, there.height))
        )
    else:
        left = relation == "left of" or (relation == "next to" and there.x0 > scene.aspect - there.x1)
        x0 = there.x0 - there.width if left else there.x1
    x0 = min(max(0.0, x0), scene.aspect - there.width)
    frame = View(x0, y0, x0 + there.width, y0 + there.height)
    return add(scene, kind, color, frame, where=where, rng=rng)


def remove(scene: Scene, reference: Reference) -> Change:
    """Take away what a reference means."""
    targets = resolve(scene, reference)
    step = EditStep(EditKind.REMOVE, reference.target, EMPTY, which=reference.which, where=reference.where)
    return Change(step, scene, scene.without(targets), targets)


def recolor(scene: Scene, reference: Reference, color: Color) -> Change:
    """Give what a reference means another colour; its noun phrase must name the kind."""
    assert reference.kind is not None, reference
    return _local(scene, reference, _name(reference.kind, color), None, color)


def reshape(scene: Scene, reference: Reference, kind: Kind) -> Change:
    """Turn what a reference means into another kind; its colour is known if the noun phrase names it."""
    name = _name(kind, reference.color)
    return _local(scene, reference, name, kind, None, color_open=reference.color is None)


def substitute(scene: Scene, reference: Reference, kind: Kind, color: Color) -> Change:
    """Put another thing in the place of what a reference means."""
    return _local(scene, reference, _name(kind, color), kind, color)


def change_background(scene: Scene, background: Background, seed: int) -> Change:
    """Keep all things and change what they stand on."""
    step = EditStep(EditKind.BACKGROUND, OBJECT, background_caption(background), which=Which.ALL)
    return Change(step, scene, scene.on(background, seed), tuple(range(len(scene.things))))


def fitted(kind: Kind, color: Color, frame: View, pose: int = 0) -> Thing:
    """Return a thing that fills a rectangle up to the room its shadow needs, standing at its lower edge."""
    u0, v0, u1, v1 = extent(kind, pose)
    size = min(frame.width / (u1 - u0) / _AIR[0], frame.height / (v1 - v0) / _AIR[1])
    return Thing(
        kind,
        color,
        x=frame.middle[0] - (u0 + u1) / 2 * size,
        y=frame.y1 - (v1 + (_AIR[1] - 1) / 2 * (v1 - v0)) * size,
        size=size,
        pose=pose,
    )


def given_room(thing: Thing, aspect: float) -> View:
    """Return the rectangle of an aspect ratio (width over height) that a thing is `fitted` into."""
    window = thing.window
    height = max(_AIR[0] * window.width / aspect, _AIR[1] * window.height)
    y1 = window.y1 + (_AIR[1] - 1) / 2 * window.height
    x = window.middle[0]
    return View(x - aspect * height / 2, y1 - height, x + aspect * height / 2, y1)


def aired(window: View, scene: View) -> View:
    """Return the rectangle, inside a scene's, whose `fitted` thing of the same kind takes this window."""
    wide, high = (_AIR[0] - 1) / 2 * window.width, (_AIR[1] - 1) / 2 * window.height
    return View(
        max(scene.x0, window.x0 - wide),
        max(scene.y0, window.y0 - high),
        min(scene.x1, window.x1 + wide),
        min(scene.y1, window.y1 + high),
    )


def is_free(frame: View, things: Sequence[Thing]) -> bool:
    """Return whether a rectangle to repaint leaves the things alone, but for a tenth of the smaller area."""
    windows = [thing.window for thing in things]
    return all(frame.overlap(window) <= 0.1 * min(frame.area, window.area) for window in windows)


def is_beside(where: str) -> bool:
    """Return whether a plan's `where` names another thing: then only the picture tells the place."""
    return read_relation(where)[0] != ""


def _local(
    scene: Scene,
    reference: Reference,
    name: str,
    kind: Kind | None,
    color: Color | None,
    *,
    color_open: bool = False,
) -> Change:
    targets = resolve(scene, reference)
    after, frame = scene, None
    for i in targets:
        thing = scene.things[i]
        new = replace(thing, color=color or thing.color)
        if kind is not None and kind is not thing.kind:
            frame = aired(thing.window, scene.window)
            new = fitted(kind, new.color, frame, thing.pose)
        after = after.changed(i, new)
    caption = with_article(name)
    step = EditStep(EditKind.LOCAL, reference.target, caption, which=reference.which, where=reference.where)
    return Change(step, scene, after, targets, frame, color_open)


def _name(kind: Kind, color: Color | None) -> str:
    return str(kind) if color is None else f"{color} {kind}"


def _any_color(rng: np.random.Generator) -> Color:
    return tuple(Color)[rng.integers(len(Color))]
