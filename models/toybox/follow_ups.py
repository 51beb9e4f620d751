"""Requests that only make sense after an earlier one: "it", "the other one", "bigger", "put it back"."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from brushedit.types import EditKind, Which
from models.toybox import edits
from models.toybox.edits import Change
from models.toybox.references import OPPOSITES, Reference, fitting, resolve, sample_reference
from models.toybox.requests import (
    Request,
    Rng,
    addition,
    another_color,
    ground,
    one_of,
    recoloring,
    removal,
    reshaping,
    substitution,
)
from models.toybox.shapes import Kind


def follow_up(rng: Rng, form: str, earlier: Change) -> Request | None:
    """Draw a request of one of the forms `AFTER` a change; None where the change leaves no room for it."""
    return _FOLLOW_UPS[form](rng, earlier)


def _it(earlier: Change) -> Reference | None:
    """Return what "it" is after an addition or a local change of one thing, if that is plain in the scene."""
    name = earlier.step.caption.split(" ", 1)[1]
    it = Reference(name, earlier.step.where)
    last = len(earlier.after.things) - 1 if earlier.step.kind is EditKind.ADD else earlier.targets[0]
    plain = earlier.step.which is Which.ONE and resolve(earlier.after, it) == (last,)
    return it if plain else None


def _it_remove(rng: Rng, earlier: Change) -> Request | None:
    return removal("it_remove", rng, earlier.after, _it(earlier))


def _it_recolor(rng: Rng, earlier: Change) -> Request | None:
    it = _it(earlier)
    if it is None or earlier.color_open:
        return None
    now = earlier.after.things[resolve(earlier.after, it)[0]].color
    return recoloring("it_recolor", rng, earlier.after, it, another_color(rng, [now]))


def _it_reshape(rng: Rng, earlier: Change) -> Request | None:
    it = _it(earlier)
    if it is None or it.kind is None or it.color is None:
        return None
    return reshaping("it_reshape", rng, earlier.after, it, one_of(rng, tuple(Kind), but=[it.kind]))


def _it_replace(rng: Rng, earlier: Change) -> Request | None:
    it = _it(earlier)
    return None if it is None else substitution("it_replace", rng, earlier.after, it)


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
    return addition("put_back", rng, earlier.after, kind, color, where)


def _another(rng: Rng, earlier: Change) -> Request | None:
    new = Reference(earlier.step.target)
    places = [place for place in edits.COLUMNS if place != earlier.step.where]
    if new.kind is None or new.color is None or edits.is_beside(earlier.step.where):
        return None
    place = places[rng.integers(len(places))]
    return addition("another", rng, earlier.after, new.kind, new.color, place)


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
    return addition(form, rng, earlier.before, new.kind, new.color, where, size)


def _moved(rng: Rng, earlier: Change) -> Request | None:
    """Ask for an added thing at another place: it is removed and added again."""
    it, new = _it(earlier), Reference(earlier.step.target)
    if it is None or new.kind is None or new.color is None:
        return None
    gone = edits.remove(earlier.after, it)
    place = one_of(rng, [place for place in edits.COLUMNS if place != earlier.step.where])
    there = addition("it_move", rng, gone.after, new.kind, new.color, place)
    return there and replace(there, changes=(gone, *there.changes))


def _undo(rng: Rng, earlier: Change) -> Request | None:
    """Ask for the last change to be taken back, as far as its words tell what was there before."""
    it, was, kind = _it(earlier), Reference(earlier.step.target), earlier.step.kind
    if kind is EditKind.REMOVE:
        back = _put_back(rng, earlier)
    elif it is None:
        back = None
    elif kind is EditKind.ADD:
        back = removal("undo", rng, earlier.after, it)
    elif was.kind is None or was.color is None or it.kind is None or it.color is None:
        back = None
    elif was.kind is it.kind:
        back = recoloring("undo", rng, earlier.after, it, was.color)
    elif was.color is it.color:
        back = reshaping("undo", rng, earlier.after, it, was.kind)
    else:
        back = None
    return back and replace(back, form="undo")


def _also_background(rng: Rng, earlier: Change) -> Request | None:
    return ground("also_background", rng, earlier.after)


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
    "it_move": _moved,
    "undo": _undo,
    "also_background": _also_background,
}
_CHANGES = ("add", "add_free", "recolor", "reshape", "replace")
AFTER: Mapping[str, tuple[float, tuple[str, ...]]] = {
    "it_remove": (0.1, _CHANGES),
    "it_recolor": (0.22, _CHANGES),
    "it_reshape": (0.12, _CHANGES),
    "it_replace": (0.1, _CHANGES),
    "other_one": (0.12, ("remove", "recolor")),
    "also": (0.1, ("remove", "recolor")),
    "put_back": (0.06, ("remove",)),
    "another": (0.06, ("add", "add_free")),
    "bigger": (0.03, ("add", "add_free")),
    "smaller": (0.03, ("add", "add_free")),
    "it_move": (0.05, ("add",)),
    "undo": (0.4, ("add", "remove", "recolor", "reshape")),
    "also_background": (0.06, ("background",)),
}
"""Forms of requests that follow an earlier one, their shares, and the forms they may follow."""


def _repeated(form: str, rng: Rng, earlier: Change, reference: Reference) -> Request | None:
    """Ask for what was done to one thing to be done to another."""
    scene = earlier.after
    if earlier.step.kind is EditKind.REMOVE:
        return removal(form, rng, scene, reference)
    done = Reference(earlier.step.caption.split(" ", 1)[1])
    thing, was = scene.things[resolve(scene, reference)[0]], earlier.before.things[earlier.targets[0]]
    if done.kind is None or reference.kind is None:
        return None
    if done.kind == was.kind and done.color is not None and thing.color != done.color:
        return recoloring(form, rng, scene, reference, done.color)
    return None
