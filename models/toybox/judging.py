"""Judging: what the final picture of an edit shows where each of its changes should be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from brushedit.evaluation.metrics import psnr, ssim
from brushedit.types import Box, Candidate, EditKind, Image, Mask, Region
from models.toybox.edits import Change, Edit
from models.toybox.readings import covered, read_background, read_new_thing, read_thing
from models.toybox.rendering import bounds, layers, render
from models.toybox.scenes import Color, Scene, Thing, View, view_of
from models.toybox.scores import FOUND, ChangeScore, Task

Detecting: TypeAlias = Callable[[Image, str], Sequence[Candidate]]
"""A detector: every candidate for a noun phrase that it counts as a sighting."""

EQUAL: Final = 100.0
"""PSNR of equal pictures here, dB, so that means stay finite."""


@dataclass(frozen=True)
class _Shown:
    """A picture, the scene it most likely shows, the nearest scene that the words allow, and what was read by change.

    Until things are read, both scenes are the true one but for their backgrounds. Things in `seen` are where they were
    read; others are where they should be.
    """

    picture: Image
    scene: Scene
    allowed: Scene
    readings: Mapping[int, Sequence["_Reading"]] = field(default_factory=dict)
    seen: Sequence[Thing] = ()


def judge_changes(
    edit: Edit,
    located: Mapping[int, Region],
    result: Image | None,
    size: tuple[int, int],
    detecting: Detecting | None = None,
) -> tuple[ChangeScore, ...]:
    """Return the score of every change, in order.

    Parameters
    ----------
    edit : Edit
    located : mapping of int to Region
        What the agent selected, by step.
    result : Image or None
        The final picture; None where there is none, which leaves every aspect wrong.
    size : (int, int)
        Height and width.
    detecting : callable or None
    """
    shown = None if result is None else _shown(edit, located, result)
    return tuple(
        _judge(i, change, located.get(i), shown, size, detecting) for i, change in enumerate(edit.changes)
    )


def task_of(change: Change) -> Task:
    """Return what a change is."""
    match change.step.kind:
        case EditKind.ADD:
            return Task.ADD
        case EditKind.REMOVE:
            return Task.REMOVE
        case EditKind.BACKGROUND:
            return Task.BACKGROUND
        case _:
            old, new = (scene.things[change.targets[0]] for scene in (change.before, change.after))
            if old.kind is new.kind:
                return Task.RECOLOR
            return Task.RESHAPE if old.color is new.color else Task.REPLACE


def _shown(edit: Edit, located: Mapping[int, Region], result: Image) -> _Shown:
    """Read the background, where it was to change (no words say which beach), then every new or changed thing."""
    scene = allowed = edit.after
    if any(change.step.kind is EditKind.BACKGROUND for change in edit.changes):
        scene, *others = read_background(result, edit.after)
        allowed = next(one for one in (scene, *others) if one.background is edit.after.background)
    grounds = _Shown(result, scene, allowed)
    readings = {
        i: _read(change, grounds, located.get(i))
        for i, change in enumerate(edit.changes)
        if change.step.kind in (EditKind.ADD, EditKind.LOCAL)
    }
    gone = [thing for thing in edit.before.things if thing not in edit.after.things]
    seen: list[Thing] = []
    for one in (one for some in readings.values() for one in some):
        allowed = allowed.changed(allowed.things.index(one.truth), one.allowed)
        # What stands rather where something went than where it should is no sight of the new thing.
        if one.first is not None and all(_nearer(one.first, one.truth, old) for old in gone):
            seen.append(one.first)
            scene = scene.changed(scene.things.index(one.truth), one.first)
    return _Shown(result, scene, allowed, readings, seen)


def _nearer(thing: Thing, one: Thing, other: Thing) -> bool:
    """Return whether a thing is closer to one thing's place and size than to another's."""
    first, second = (
        thing.window.overlap(near.window) / (thing.window.area + near.window.area) for near in (one, other)
    )
    return first > second


def _judge(
    number: int,
    change: Change,
    located: Region | None,
    shown: _Shown | None,
    size: tuple[int, int],
    detecting: Detecting | None,
) -> ChangeScore:
    task = task_of(change)
    hole = change.hole(*size)
    mask_iou = None if located is None else iou(_selected(located), change.mask(*size))
    hole_iou = None if located is None else iou(located.mask, hole)
    if shown is None:
        return ChangeScore(
            task,
            mask_iou,
            hole_iou,
            removed=False if task is Task.REMOVE else None,
            background=False if task is Task.BACKGROUND else None,
            color=None if task in (Task.REMOVE, Task.BACKGROUND) or change.color_open else False,
            shape=None if task in (Task.REMOVE, Task.BACKGROUND) else False,
            sighted=None if detecting is None or task is Task.BACKGROUND else False,
        )
    removed: bool | None = None
    background: bool | None = None
    color: bool | None = None
    shape: bool | None = None
    sighted: bool | None = None
    if task is Task.REMOVE:
        gone = [change.before.things[i] for i in change.targets]
        new = [i for i, thing in enumerate(shown.scene.things) if thing in shown.seen]
        untold = covered(shown.scene, new, *size)
        removed = all(
            read_thing(shown.picture, shown.scene, thing, untold=untold)[0] is None for thing in gone
        )
        if detecting is not None:
            sighted = not any(_sighted(detecting, shown, change.before, i, None) for i in change.targets)
    elif task is Task.BACKGROUND:
        background = shown.scene.background is shown.allowed.background
    else:
        readings = shown.readings[number]
        color = None if change.color_open else all(one.color is one.truth.color for one in readings)
        shape = all(one.first is not None and one.first.kind is one.truth.kind for one in readings)
        if detecting is not None:
            sighted = all(
                _sighted(detecting, shown, shown.allowed, shown.allowed.things.index(one.allowed), change)
                for one in readings
            )
    wanted = render(shown.allowed, *size)
    same = psnr(wanted, shown.picture, hole)
    return ChangeScore(
        task,
        mask_iou,
        hole_iou,
        removed,
        background,
        color,
        shape,
        sighted,
        min(same, EQUAL),
        ssim(wanted, shown.picture, hole),
    )


@dataclass(frozen=True)
class _Reading:
    """A thing that should be there, what is most likely there, and the nearest that the words allow."""

    truth: Thing
    first: Thing | None
    allowed: Thing

    @property
    def color(self) -> Color | None:
        return None if self.first is None else self.first.color


def _read(change: Change, shown: _Shown, located: Region | None) -> list[_Reading]:
    """Read off every thing that a change put there and no later change took away again."""
    readings: list[_Reading] = []
    for i in change.targets:
        truth = change.after.things[i]
        if truth not in shown.scene.things:
            continue
        scene = shown.scene.without((shown.scene.things.index(truth),))
        read = read_new_thing if task_of(change).appears else read_thing
        ranked = read(shown.picture, scene, truth, _frame(change, located))
        allowed = next(
            thing
            for thing in ranked
            if thing is not None
            and thing.kind is truth.kind
            and (change.color_open or thing.color is truth.color)
        )
        readings.append(_Reading(truth, ranked[0], allowed))
    return readings


def _frame(change: Change, located: Region | None) -> View | None:
    """Return the rectangle that was repainted: an added thing is wherever the agent put it."""
    if change.step.kind is not EditKind.ADD or located is None or not located.mask.any():
        return change.frame
    height, width = located.mask.shape
    return view_of(bounds(located.mask), height, width, change.before.aspect)


def _selected(located: Region) -> Mask:
    return located.mask if located.things is None else located.things


def _sighted(detecting: Detecting, shown: _Shown, scene: Scene, index: int, change: Change | None) -> bool:
    """Return whether the detector finds a thing of a scene where it stands, by kind alone if any colour will do."""
    thing = scene.things[index]
    box = layers(scene, *shown.picture.shape[:2])[index].box
    phrase = str(thing.kind) if change is not None and change.color_open else thing.name
    return any(_overlaps(candidate.box, box) for candidate in detecting(shown.picture, phrase))


def _overlaps(one: Box, other: Box) -> bool:
    return one.iou(other) >= FOUND


def iou(one: Mask, other: Mask) -> float:
    """Return intersection over union, 0..1; 1 for two empty masks."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0
