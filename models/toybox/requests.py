"""What somebody may ask of a scene, at first or after an earlier request: changes, and words for slots."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np

from models.toybox import edits
from models.toybox.edits import Change, is_free
from models.toybox.grammar import (
    background_words,
    color_words,
    kind_words,
    new_words,
    place_words,
    thing_words,
)
from models.toybox.references import (
    Reference,
    fitting,
    read_relation,
    resolve,
    sample_plural,
    sample_reference,
    sample_relation,
)
from models.toybox.scenes import Background, Color, Scene
from models.toybox.shapes import Kind

T = TypeVar("T")
Rng: TypeAlias = np.random.Generator

ROOM = 4
"""A scene holds at most this many things."""


@dataclass(frozen=True)
class Request:
    """One wish: its form, the changes it asks for, words for the slots of the form's templates."""

    form: str
    changes: tuple[Change, ...]
    slots: Mapping[str, str]


def request(rng: Rng, form: str, scene: Scene, *, single: bool = False) -> Request | None:
    """Draw a request of one of the forms `ALONE`; None where the draw does not fit the scene.

    Parameters
    ----------
    single : bool
        It must be about one thing or the background, not about all of several.
    """
    return _ALONE[form](rng, scene, single)


def one_of(rng: Rng, options: Sequence[T], *, but: Sequence[T] = ()) -> T:
    """Draw one that is not among some."""
    left = [option for option in options if option not in but]
    return left[rng.integers(len(left))]


def another_color(rng: Rng, but: Sequence[Color] = ()) -> Color:
    """Draw a colour that is not among some."""
    left = [color for color in Color if color not in but]
    return left[rng.integers(len(left))]


def _maybe_color(rng: Rng) -> Color | None:
    return None if rng.random() < 0.1 else another_color(rng)


def _remove(rng: Rng, scene: Scene, single: bool) -> Request | None:
    if not single and rng.random() < 0.12:
        return _both("remove", rng, scene, edits.remove, {})
    reference = None if single or rng.random() < 0.7 else sample_plural(rng, scene)
    return removal("remove", rng, scene, reference or sample_reference(rng, scene))


def _recolor(rng: Rng, scene: Scene, single: bool) -> Request | None:
    if not single and rng.random() < 0.12:
        color = another_color(rng, [thing.color for thing in scene.things])
        slots = {"c": color_words(rng, color)}
        return _both("recolor", rng, scene, lambda now, one: edits.recolor(now, one, color), slots)
    reference = None if single or rng.random() < 0.7 else sample_plural(rng, scene, kinded=True)
    reference = reference or sample_reference(rng, scene, kinded=True)
    if reference is None:
        return None
    targets = resolve(scene, reference)
    return recoloring(
        "recolor", rng, scene, reference, another_color(rng, [scene.things[i].color for i in targets])
    )


def _both(
    form: str,
    rng: Rng,
    scene: Scene,
    change: Callable[[Scene, Reference], Change],
    slots: Mapping[str, str],
) -> Request | None:
    """Ask for the same to be done to two things, each in its own words: "the star and the left ball"."""
    one = sample_reference(rng, scene, kinded=True)
    first = one and change(scene, one)
    other = first and sample_reference(rng, first.after, kinded=True)
    if not (one and first and other):
        return None
    second = change(first.after, other)
    meant = [scene.things[i] for i in resolve(scene, other)]
    if meant != [second.before.things[i] for i in second.targets] or meant == [
        scene.things[first.targets[0]]
    ]:
        # The second thing is another one, and told by the same words before the first is gone or changed.
        return None
    words = f"{thing_words(rng, one, 1)} and {thing_words(rng, other, 1)}"
    return Request(form, (first, second), {"t": words, **slots})


def _reshape(rng: Rng, scene: Scene, single: bool) -> Request | None:
    del single
    reference = sample_reference(rng, scene, kinded=True, colored=rng.random() < 0.7)
    if reference is None or reference.kind is None:
        return None
    return reshaping("reshape", rng, scene, reference, one_of(rng, tuple(Kind), but=[reference.kind]))


def _replace(rng: Rng, scene: Scene, single: bool) -> Request | None:
    del single
    reference = sample_reference(rng, scene, kinded=True)
    if reference is None:
        return None
    return substitution("replace", rng, scene, reference)


def _add(rng: Rng, scene: Scene, single: bool) -> Request | None:
    del single
    kind, color = one_of(rng, tuple(Kind)), _maybe_color(rng)
    if rng.random() < 0.35:
        return _add_beside(rng, scene, kind, color)
    size = ("", "", "small", "big")[rng.integers(4)]
    place = tuple(edits.COLUMNS)[rng.integers(len(edits.COLUMNS))]
    return addition("add", rng, scene, kind, color, place, size)


def _add_beside(rng: Rng, scene: Scene, kind: Kind, color: Color | None) -> Request | None:
    if not scene.things or len(scene.things) >= ROOM:
        return None
    where = sample_relation(rng, scene.things)
    relation, anchors = read_relation(where)
    if any(len(fitting(scene, anchor)) != 1 for anchor in anchors) or len(set(anchors)) < len(anchors):
        return None
    change = edits.add_beside(scene, kind, color, where, rng=rng)
    if change.frame is None or not is_free(change.frame, scene.things):
        return None
    there = scene.things[fitting(scene, anchors[0])[0]].window
    if relation == "next to" and abs(there.x0 + there.x1 - scene.aspect) < 0.1:
        # Which side has more room is too close to call.
        return None
    slots = {"a": new_words(rng, kind, color), "p": place_words(rng, change.step.where)}
    return Request("add", (change,), slots)


def _add_free(rng: Rng, scene: Scene, single: bool) -> Request | None:
    del single
    size = ("", "", "", "small", "big")[rng.integers(5)]
    return addition("add_free", rng, scene, one_of(rng, tuple(Kind)), _maybe_color(rng), "", size)


def _background(rng: Rng, scene: Scene, single: bool) -> Request | None:
    del single
    return ground("background", rng, scene)


_ALONE: Mapping[str, Callable[[Rng, Scene, bool], Request | None]] = {
    "remove": _remove,
    "recolor": _recolor,
    "reshape": _reshape,
    "replace": _replace,
    "add": _add,
    "add_free": _add_free,
    "background": _background,
}
ALONE: Mapping[str, float] = {
    "remove": 0.22,
    "recolor": 0.2,
    "reshape": 0.12,
    "replace": 0.12,
    "add": 0.16,
    "add_free": 0.08,
    "background": 0.1,
}
"""Forms of requests that need no earlier one, and their shares."""


def removal(form: str, rng: Rng, scene: Scene, reference: Reference | None) -> Request | None:
    """Ask for something to be taken away; None without a reference."""
    if reference is None:
        return None
    change = edits.remove(scene, reference)
    return Request(form, (change,), {"t": thing_words(rng, reference, len(change.targets))})


def recoloring(form: str, rng: Rng, scene: Scene, reference: Reference, color: Color) -> Request:
    """Ask for what a reference means to be of another colour."""
    change = edits.recolor(scene, reference, color)
    words = thing_words(rng, reference, len(change.targets))
    return Request(form, (change,), {"t": words, "c": color_words(rng, color)})


def reshaping(form: str, rng: Rng, scene: Scene, reference: Reference, kind: Kind) -> Request:
    """Ask for what a reference means to be of another kind."""
    change = edits.reshape(scene, reference, kind)
    return Request(form, (change,), {"t": thing_words(rng, reference, 1), "k": kind_words(rng, kind)})


def substitution(form: str, rng: Rng, scene: Scene, reference: Reference) -> Request:
    """Ask for another thing, of another colour, in the place of what a reference means."""
    old = scene.things[resolve(scene, reference)[0]]
    kind, color = one_of(rng, tuple(Kind)), another_color(rng, [old.color])
    change = edits.substitute(scene, reference, kind, color)
    return Request(form, (change,), {"t": thing_words(rng, reference, 1), "a": new_words(rng, kind, color)})


def addition(
    form: str, rng: Rng, scene: Scene, kind: Kind, color: Color | None, place: str, size: str = ""
) -> Request | None:
    """Ask for a thing at a place word and of a size word; None where there is no room."""
    change = edits.add_at(scene, kind, color, place, size, rng=rng)
    if len(scene.things) >= ROOM or change.frame is None or not is_free(change.frame, scene.things):
        return None
    slots = {"a": new_words(rng, kind, color, size), "p": place_words(rng, place or "middle")}
    return Request(form, (change,), slots)


def ground(form: str, rng: Rng, scene: Scene) -> Request | None:
    """Ask for another background; None where no thing would be left to see."""
    if not scene.things:
        return None
    others = [background for background in Background if background != scene.background]
    background = others[rng.integers(len(others))]
    change = edits.change_background(scene, background, seed=int(rng.integers(2**31)))
    return Request(form, (change,), {"b": background_words(rng, background)})
