"""What somebody may ask of a scene, at first or after an earlier request: changes, and words for slots."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from brushedit.types import EditKind, Which
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
    OPPOSITES,
    RELATIONS,
    Reference,
    fitting,
    resolve,
    sample_plural,
    sample_reference,
)
from models.toybox.scenes import Background, Color, Scene
from models.toybox.shapes import Kind

Rng: TypeAlias = np.random.Generator

ROOM = 4
"""A scene holds at most this many things."""


@dataclass(frozen=True)
class Request:
    """One wish: its form, the changes it asks for, words for the slots of the form's templates."""

    form: str
    changes: tuple[Change, ...]
    slots: Mapping[str, str]


def sample_request(rng: Rng, scene: Scene, *, single: bool = False) -> Request | None:
    """Draw a request that needs no earlier one; None where the drawn form does not fit the scene.

    Parameters
    ----------
    single : bool
        It must be about one thing or the background, not about all of several.
    """
    form = _FORMS[int(rng.choice(len(_FORMS), p=_WEIGHTS))]
    return _ALONE[form](rng, scene, single)


def sample_follow_up(rng: Rng, earlier: Change) -> Request | None:
    """Draw a request that only makes sense after a change; None where the drawn form does not fit."""
    forms = _AFTER[earlier.step.kind]
    return _FOLLOW_UPS[forms[int(rng.integers(len(forms)))]](rng, earlier)


def one_of(rng: Rng, kinds: Sequence[Kind], *, but: Sequence[Kind] = ()) -> Kind:
    """Draw a kind that is not among some."""
    left = [kind for kind in kinds if kind not in but]
    return left[rng.integers(len(left))]


def _color(rng: Rng, but: Sequence[Color] = ()) -> Color:
    left = [color for color in Color if color not in but]
    return left[rng.integers(len(left))]


def _maybe_color(rng: Rng) -> Color | None:
    return None if rng.random() < 0.1 else _color(rng)


def _remove(rng: Rng, scene: Scene, single: bool) -> Request | None:
    reference = None if single or rng.random() < 0.7 else sample_plural(rng, scene)
    return _removal("remove", rng, scene, reference or sample_reference(rng, scene))


def _recolor(rng: Rng, scene: Scene, single: bool) -> Request | None:
    reference = None if single or rng.random() < 0.7 else sample_plural(rng, scene, kinded=True)
    reference = reference or sample_reference(rng, scene, kinded=True)
    if reference is None:
        return None
    targets = resolve(scene, reference)
    return _recoloring(
        "recolor", rng, scene, reference, _color(rng, [scene.things[i].color for i in targets])
    )


def _reshape(rng: Rng, scene: Scene, single: bool) -> Request | None:
    del single
    reference = sample_reference(rng, scene, kinded=True, colored=rng.random() < 0.7)
    if reference is None or reference.kind is None:
        return None
    return _reshaping("reshape", rng, scene, reference, one_of(rng, tuple(Kind), but=[reference.kind]))


def _replace(rng: Rng, scene: Scene, single: bool) -> Request | None:
    del single
    reference = sample_reference(rng, scene, kinded=True)
    if reference is None:
        return None
    return _substitution("replace", rng, scene, reference)


def _add(rng: Rng, scene: Scene, single: bool) -> Request | None:
    del single
    kind, color = one_of(rng, tuple(Kind)), _maybe_color(rng)
    if rng.random() < 0.35:
        return _add_beside(rng, scene, kind, color)
    size = ("", "", "small", "big")[rng.integers(4)]
    place = tuple(edits.COLUMNS)[rng.integers(len(edits.COLUMNS))]
    return _addition("add", rng, scene, kind, color, place, size)


def _add_beside(rng: Rng, scene: Scene, kind: Kind, color: Color | None) -> Request | None:
    names = [thing.name for thing in scene.things] + [str(thing.kind) for thing in scene.things]
    anchors = [name for name in names if len(fitting(scene, name)) == 1]
    if not anchors or len(scene.things) >= ROOM:
        return None
    anchor, relation = anchors[rng.integers(len(anchors))], RELATIONS[rng.integers(len(RELATIONS))]
    change = edits.add_beside(scene, kind, color, relation, anchor, rng=rng)
    if change.frame is None or not is_free(change.frame, scene.things):
        return None
    slots = {"a": new_words(rng, kind, color), "p": place_words(rng, change.step.where)}
    return Request("add", (change,), slots)


def _add_free(rng: Rng, scene: Scene, single: bool) -> Request | None:
    del single
    size = ("", "", "", "small", "big")[rng.integers(5)]
    return _addition("add_free", rng, scene, one_of(rng, tuple(Kind)), _maybe_color(rng), "", size)


def _background(rng: Rng, scene: Scene, single: bool) -> Request | None:
    del single
    return _ground("background", rng, scene)


_ALONE: Mapping[str, Callable[[Rng, Scene, bool], Request | None]] = {
    "remove": _remove,
    "recolor": _recolor,
    "reshape": _reshape,
    "replace": _replace,
    "add": _add,
    "add_free": _add_free,
    "background": _background,
}
_FORMS = tuple(_ALONE)
_WEIGHTS = (0.22, 0.2, 0.12, 0.12, 0.16, 0.08, 0.1)


def _it(earlier: Change) -> Reference | None:
    """Return what "it" is after an addition or a local change of one thing, if that is plain in the scene."""
    name = earlier.step.caption.split(" ", 1)[1]
    it = Reference(name, earlier.step.where)
    last = len(earlier.after.things) - 1 if earlier.step.kind is EditKind.ADD else earlier.targets[0]
    plain = earlier.step.which is Which.ONE and resolve(earlier.after, it) == (last,)
    return it if plain else None


def _it_remove(rng: Rng, earlier: Change) -> Request | None:
    return _removal("it_remove", rng, earlier.after, _it(earlier))


def _it_recolor(rng: Rng, earlier: Change) -> Request | None:
    it = _it(earlier)
    if it is None or earlier.color_open:
        return None
    now = earlier.after.things[resolve(earlier.after, it)[0]].color
    return _recoloring("it_recolor", rng, earlier.after, it, _color(rng, [now]))


def _it_reshape(rng: Rng, earlier: Change) -> Request | None:
    it = _it(earlier)
    if it is None or it.kind is None or it.color is None:
        return None
    return _reshaping("it_reshape", rng, earlier.after, it, one_of(rng, tuple(Kind), but=[it.kind]))


def _it_replace(rng: Rng, earlier: Change) -> Request | None:
    it = _it(earlier)
    return None if it is None else _substitution("it_replace", rng, earlier.after, it)


def _other_one(rng: Rng, earlier: Change) -> Request | None:
    step = earlier.step
    if step.where not in OPPOSITES or len(fitting(earlier.before, step.target)) != 2:
        return None
    other = Reference(step.target, OPPOSITES[step.where])
    return _repeated("other_one", rng, earlier, other) if resolve(earlier.after, other) else None


def _also(rng: Rng, earlier: Change) -> Request | None:
    if earlier.step.which is Which.ALL:
        return None
    reference = sample_reference(rng, earlier.after, kinded=earlier.step.kind is EditKind.LOCAL)
    return None if reference is None else _repeated("also", rng, earlier, reference)


def _put_back(rng: Rng, earlier: Change) -> Request | None:
    gone = Reference(earlier.step.target)
    where, kind, color = earlier.step.where, gone.kind, gone.color
    if earlier.step.which is Which.ALL or kind is None or color is None or where not in ("", *edits.COLUMNS):
        return None
    return _addition("put_back", rng, earlier.after, kind, color, where)


def _another(rng: Rng, earlier: Change) -> Request | None:
    new = Reference(earlier.step.target)
    places = [place for place in edits.COLUMNS if place != earlier.step.where]
    if new.kind is None or new.color is None or edits.is_beside(earlier.step.where):
        return None
    place = places[rng.integers(len(places))]
    return _addition("another", rng, earlier.after, new.kind, new.color, place)


def _bigger(rng: Rng, earlier: Change) -> Request | None:
    """Ask for an added thing at a larger size: the larger box covers the old one."""
    grown = _resized("bigger", rng, earlier, "big")
    return grown and replace(grown, changes=(replace(grown.changes[0], before=earlier.after),))


def _smaller(rng: Rng, earlier: Change) -> Request | None:
    """Ask for an added thing at a smaller size: the old one has to be removed first."""
    it, shrunk = _it(earlier), _resized("smaller", rng, earlier, "small")
    if it is None or shrunk is None:
        return None
    return replace(shrunk, changes=(edits.remove(earlier.after, it), *shrunk.changes))


def _resized(form: str, rng: Rng, earlier: Change, size: str) -> Request | None:
    new, where = Reference(earlier.step.target), earlier.step.where
    standing = earlier.step.box == edits.place_box(where) if not edits.is_beside(where) else False
    if not standing or new.kind is None or new.color is None:
        return None
    return _addition(form, rng, earlier.before, new.kind, new.color, where, size)


def _also_background(rng: Rng, earlier: Change) -> Request | None:
    return _ground("also_background", rng, earlier.after)


_FOLLOW_UPS: Mapping[str, Callable[[Rng, Change], Request | None]] = {
    "it_remove": _it_remove,
    "it_recolor": _it_recolor,
    "it_reshape": _it_reshape,
    "it_replace": _it_replace,
    "other_one": _other_one,
    "also": _also,
    "put_back": _put_back,
    "another": _another,
    "bigger": _bigger,
    "smaller": _smaller,
    "also_background": _also_background,
}
_ON_IT = ("it_remove", "it_recolor", "it_recolor", "it_reshape", "it_replace")
_AFTER: Mapping[EditKind, Sequence[str]] = {
    EditKind.ADD: (*_ON_IT, "another", "bigger", "smaller"),
    EditKind.LOCAL: (*_ON_IT, "also", "other_one", "other_one"),
    EditKind.REMOVE: ("put_back", "also", "other_one", "other_one"),
    EditKind.BACKGROUND: ("also_background",),
}


def _removal(form: str, rng: Rng, scene: Scene, reference: Reference | None) -> Request | None:
    if reference is None:
        return None
    change = edits.remove(scene, reference)
    return Request(form, (change,), {"t": thing_words(rng, reference, len(change.targets))})


def _recoloring(form: str, rng: Rng, scene: Scene, reference: Reference, color: Color) -> Request:
    change = edits.recolor(scene, reference, color)
    words = thing_words(rng, reference, len(change.targets))
    return Request(form, (change,), {"t": words, "c": color_words(rng, color)})


def _reshaping(form: str, rng: Rng, scene: Scene, reference: Reference, kind: Kind) -> Request:
    change = edits.reshape(scene, reference, kind)
    return Request(form, (change,), {"t": thing_words(rng, reference, 1), "k": kind_words(rng, kind)})


def _substitution(form: str, rng: Rng, scene: Scene, reference: Reference) -> Request:
    old = scene.things[resolve(scene, reference)[0]]
    kind, color = one_of(rng, tuple(Kind)), _color(rng, [old.color])
    change = edits.substitute(scene, reference, kind, color)
    return Request(form, (change,), {"t": thing_words(rng, reference, 1), "a": new_words(rng, kind, color)})


def _addition(
    form: str, rng: Rng, scene: Scene, kind: Kind, color: Color | None, place: str, size: str = ""
) -> Request | None:
    change = edits.add_at(scene, kind, color, place, size, rng=rng)
    if len(scene.things) >= ROOM or change.frame is None or not is_free(change.frame, scene.things):
        return None
    slots = {"a": new_words(rng, kind, color, size), "p": place_words(rng, place or "middle")}
    return Request(form, (change,), slots)


def _ground(form: str, rng: Rng, scene: Scene) -> Request | None:
    if not scene.things:
        return None
    others = [background for background in Background if background != scene.background]
    background = others[rng.integers(len(others))]
    change = edits.change_background(scene, background, seed=int(rng.integers(2**31)))
    return Request(form, (change,), {"b": background_words(rng, background)})


def _repeated(form: str, rng: Rng, earlier: Change, reference: Reference) -> Request | None:
    """Ask for what was done to one thing to be done to another."""
    scene = earlier.after
    if earlier.step.kind is EditKind.REMOVE:
        return _removal(form, rng, scene, reference)
    done = Reference(earlier.step.caption.split(" ", 1)[1])
    thing, was = scene.things[resolve(scene, reference)[0]], earlier.before.things[earlier.targets[0]]
    if done.kind is None or reference.kind is None:
        return None
    if done.kind == was.kind and done.color is not None and thing.color != done.color:
        return _recoloring(form, rng, scene, reference, done.color)
    return None
