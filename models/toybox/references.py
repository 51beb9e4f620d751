"""How things are told apart in words: noun phrase, spatial words, one or all; and what such words pick.

The spatial words mean what the locator takes them to mean: "left" is the leftmost of those the noun phrase
fits, "front" the one that reaches furthest down, "second from the left" counts middles, "next to the red
cone" is the nearest to it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from brushedit.types import Which
from models.toybox.scenes import Color, Scene, Thing, View
from models.toybox.shapes import Kind

OBJECT = "object"
"""The noun for a thing of any kind; backgrounds are changed behind every "object"."""

_KEYS: dict[str, Callable[[View], float]] = {
    "left": lambda w: w.middle[0],
    "right": lambda w: -w.middle[0],
    "top": lambda w: w.middle[1],
    "bottom": lambda w: -w.middle[1],
    "front": lambda w: -w.y1,
    "back": lambda w: w.y1,
    "largest": lambda w: -w.area,
    "smallest": lambda w: w.area,
}
_CLEAR = {"left": 0.05, "right": 0.05, "top": 0.06, "bottom": 0.06, "front": 0.06, "back": 0.06}
"""How far apart the first two must be, in picture heights, for a word to be plain."""

_PLAINLY_LARGER = 1.3
"""Likewise as a ratio of areas."""

OPPOSITES = {
    "left": "right",
    "right": "left",
    "top": "bottom",
    "bottom": "top",
    "front": "back",
    "back": "front",
    "largest": "smallest",
    "smallest": "largest",
}
"""What "the other one" of two is, if the one was this."""

ORDINALS = ("second from the left", "second from the right", "third from the left", "third from the right")
RELATIONS = ("next to", "left of", "right of", "between")


@dataclass(frozen=True)
class Reference:
    """Words for one or several things of a scene, as a plan holds them.

    Attributes
    ----------
    target : str
        Noun phrase without spatial words: "blue cube", "cube", "object".
    where : str
        "", a key of `OPPOSITES`, "middle", one of `ORDINALS`, or one of `RELATIONS` with a noun phrase
        ("next to the red cone"), "between" with two ("between the cube and the cone").
    which : Which
    """

    target: str
    where: str = ""
    which: Which = Which.ONE

    @property
    def color(self) -> Color | None:
        """The colour the noun phrase names."""
        return next((color for color in Color if self.target.startswith(f"{color} ")), None)

    @property
    def kind(self) -> Kind | None:
        """The kind the noun phrase names; None for "object"."""
        return next((kind for kind in Kind if self.target.endswith(kind)), None)


def resolve(scene: Scene, reference: Reference) -> tuple[int, ...]:
    """Return the indices a reference plainly means, rising; empty where it fits nothing or is unclear.

    One thing without spatial words must be the only one its noun phrase fits.
    """
    fits = fitting(scene, reference.target)
    if reference.which is Which.ALL:
        return fits
    if not reference.where:
        return fits if len(fits) == 1 else ()
    relation, anchors = read_relation(reference.where)
    if relation == "between":
        return _between(scene, fits, anchors)
    if relation:
        return _related(scene, fits, relation, anchors[0])
    if reference.where == "middle":
        return _middle(scene, fits)
    if reference.where in ORDINALS:
        ordinal, _, side = reference.where.partition(" from the ")
        rank = 1 if ordinal == "second" else 2
        return _ranked(scene, fits, side, rank) if len(fits) > rank else ()
    return _ranked(scene, fits, reference.where, 0)


def read_relation(where: str) -> tuple[str, tuple[str, ...]]:
    """Return one of `RELATIONS` and its noun phrases; "" and none for other words."""
    for relation in RELATIONS:
        if where.startswith(f"{relation} the "):
            return relation, tuple(where.removeprefix(f"{relation} the ").split(" and the "))
    return "", ()


def sample_relation(rng: np.random.Generator, others: Sequence[Thing]) -> str:
    """Draw words for a place beside one of some things, or between two of them."""
    relation = RELATIONS[rng.integers(len(RELATIONS) - (len(others) < 2))]
    picked = rng.choice(len(others), size=2 if relation == "between" else 1, replace=False)
    anchors = [others[i].name if rng.random() < 0.6 else str(others[i].kind) for i in picked]
    return f"{relation} the {' and the '.join(anchors)}"


def sample_reference(
    rng: np.random.Generator, scene: Scene, *, kinded: bool = False, colored: bool = False
) -> Reference | None:
    """Draw a reference that plainly means one thing, preferring those that need spatial words.

    Parameters
    ----------
    kinded, colored : bool
        The noun phrase must name the kind; the colour.

    Returns
    -------
    Reference or None
        None where nothing plain was found in a few tries.
    """
    for _ in range(12 if scene.things else 0):
        index = int(rng.integers(len(scene.things)))
        thing = scene.things[index]
        style = 0.0 if colored else rng.random()
        target = thing.name if style < 0.45 else str(thing.kind) if style < 0.84 or kinded else OBJECT
        if target == OBJECT and rng.random() < 0.4:
            target = f"{thing.color} {OBJECT}"
        choice = len(fitting(scene, target)) > 1 or target == OBJECT
        if not choice and rng.random() < 0.35:
            continue
        if rng.random() < (0.35 if choice else 0.12):
            others = [other for i, other in enumerate(scene.things) if i != index]
            if not others:
                continue
            where = sample_relation(rng, others)
        elif choice:
            words = (*OPPOSITES, "left", "right", "middle", "middle", *ORDINALS)
            where = words[rng.integers(len(words))]
        else:
            where = ""
        reference = Reference(target, where)
        if resolve(scene, reference) == (index,):
            return reference
    return None


def fitting(scene: Scene, target: str) -> tuple[int, ...]:
    """Return the indices of all things that a noun phrase fits, rising."""
    *colors, noun = target.split()
    return tuple(
        i
        for i, thing in enumerate(scene.things)
        if noun in (thing.kind, OBJECT) and colors in ([], [thing.color])
    )


def sample_plural(rng: np.random.Generator, scene: Scene, *, kinded: bool = False) -> Reference | None:
    """Draw a reference to all things of a name, a kind or (unless `kinded`) a colour, or to all there are.

    Returns None where no such phrase fits several things.
    """
    targets = {thing.name for thing in scene.things} | {str(thing.kind) for thing in scene.things}
    if not kinded:
        targets |= {f"{thing.color} {OBJECT}" for thing in scene.things} | {OBJECT}
    several = [target for target in sorted(targets) if len(fitting(scene, target)) > 1]
    return Reference(several[rng.integers(len(several))], which=Which.ALL) if several else None


def _ranked(scene: Scene, indices: tuple[int, ...], word: str, rank: int) -> tuple[int, ...]:
    """Return the index at a rank of an order, or () where a neighbour in that order is too close to call."""
    windows = {i: scene.things[i].window for i in indices}
    ordered = sorted(indices, key=lambda i: _KEYS[word](windows[i]))
    for a, b in ((rank - 1, rank), (rank, rank + 1)):
        if a >= 0 and b < len(ordered):
            one, other = (_KEYS[word](windows[ordered[i]]) for i in (a, b))
            if word in _CLEAR and other - one < _CLEAR[word]:
                return ()
            if word not in _CLEAR and max(one / other, other / one) < _PLAINLY_LARGER:
                return ()
    return (ordered[rank],) if rank < len(ordered) else ()


def _middle(scene: Scene, indices: tuple[int, ...]) -> tuple[int, ...]:
    """Return the second of three in a row that is wider than it is deep."""
    middles = [scene.things[i].window.middle for i in indices]
    if len(indices) != 3:
        return ()
    wide, deep = (max(values) - min(values) for values in zip(*middles, strict=True))
    return _ranked(scene, indices, "left", 1) if wide > 1.2 * deep else ()


def _related(scene: Scene, indices: tuple[int, ...], relation: str, anchor: str) -> tuple[int, ...]:
    """Return the plainly nearest of those that stand in a relation to the only thing an anchor fits."""
    anchors = fitting(scene, anchor)
    if len(anchors) != 1:
        return ()
    there = scene.things[anchors[0]].window
    held = {
        i: _gap(scene.things[i].window, there)
        for i in indices
        if i != anchors[0]
        and (relation != "left of" or scene.things[i].window.middle[0] < there.middle[0] - 0.08)
        and (relation != "right of" or scene.things[i].window.middle[0] > there.middle[0] + 0.08)
    }
    ordered = sorted(held, key=lambda i: held[i])
    # The nearest must be near, and the next one plainly further away.
    if not ordered or held[ordered[0]] > 0.3:
        return ()
    if len(ordered) > 1 and held[ordered[1]] < held[ordered[0]] + 0.08:
        return ()
    return (ordered[0],)


def _between(scene: Scene, indices: tuple[int, ...], anchors: tuple[str, ...]) -> tuple[int, ...]:
    """Return the only one that stands between the only things two anchors fit, and is nearest to the midst of them."""
    found = [fitting(scene, anchor) for anchor in anchors]
    if len(found) != 2 or any(len(fits) != 1 for fits in found) or found[0] == found[1]:
        return ()
    (ax, ay), (bx, by) = (scene.things[fits[0]].window.middle for fits in found)
    middles = {i: scene.things[i].window.middle for i in indices if (i,) not in found}
    away = {i: math.hypot(x - (ax + bx) / 2, y - (ay + by) / 2) for i, (x, y) in middles.items()}
    inside = [i for i, (x, _) in middles.items() if min(ax, bx) + 0.05 < x < max(ax, bx) - 0.05]
    plain = len(inside) == 1 and all(away[i] > away[inside[0]] + 0.1 for i in away if i != inside[0])
    return tuple(inside) if plain else ()


def _gap(one: View, other: View) -> float:
    across = max(0.0, other.x0 - one.x1, one.x0 - other.x1)
    down = max(0.0, other.y0 - one.y1, one.y0 - other.y1)
    return math.hypot(across, down)
