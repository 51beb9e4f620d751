"""Instructions about toy scenes with the plans a perfect instructor makes of them: dialogues by lot.

A plan can be told from the words alone (instruction and earlier turns): captions leave the background out,
the box of an addition follows from its place word, and where a place is named by another thing ("next to the
cube"), the plan holds these words in `where` and no box. What the words leave open, such as the colour in
"add a ball", a plan leaves open too (`Change.color_open`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from brushedit.types import EditKind, EditPlan, EditStep, Turn
from models.toybox.captions import EMPTY, with_article
from models.toybox.edits import COLUMNS, Change, Edit
from models.toybox.follow_ups import AFTER, follow_up
from models.toybox.grammar import (
    Split,
    choose,
    part,
    phrases,
    place_words,
    refusals,
    thing_words,
)
from models.toybox.references import Reference, fitting, resolve, sample_reference
from models.toybox.requests import ALONE, Request, request
from models.toybox.saying import articled, as_command, draw_template, finish, say
from models.toybox.scenes import Color, Scene, sample_scene
from models.toybox.shapes import Kind


@dataclass(frozen=True)
class Example:
    """One turn of a dialogue about a scene.

    Attributes
    ----------
    scene : Scene
        What the picture shows now.
    history : tuple of Turn
        What was asked and done before, oldest first.
    instruction : str
    plan : EditPlan or None
        What the instructor shall answer; None where it shall decline.
    reply : str
        What it says as it declines; "" where there is a plan.
    edit : Edit or None
        The truth about the edit; None where the instructor declines, and where the plan's target is not in
        the scene, so that the locator shall find nothing.
    form : str
        How it was asked: forms of ``phrases.toml`` joined by "+", a table of ``refusals.toml``, or "absent".
    """

    scene: Scene
    history: tuple[Turn, ...]
    instruction: str
    plan: EditPlan | None
    reply: str
    edit: Edit | None
    form: str

    @property
    def outcome(self) -> str:
        """What the whole agent shall come to: "edited", "target_not_found" or "declined"."""
        if self.plan is None:
            return "declined"
        return "edited" if self.edit is not None else "target_not_found"


@dataclass(frozen=True)
class _Past:
    """A scene, the turns that led to it, and the last change they made."""

    scene: Scene
    turns: tuple[Turn, ...]
    change: Change | None


def sample_dialogue(rng: np.random.Generator, split: Split = "train", aspect: float = 1.0) -> Example:
    """Draw a scene, perhaps earlier turns, and an instruction, all in words of one split."""
    tell = _TELLERS[int(rng.choice(len(_TELLERS), p=_SHARES))]
    turns = int(rng.choice((0, 1, 2), p=(0.6, 0.28, 0.12)))
    return tell(rng, split, aspect, turns)


def _happened(
    rng: np.random.Generator, split: Split, aspect: float, turns: int, last: str | None = None
) -> _Past:
    """Draw a scene and some turns that led to it, the last of them of a form if one is given."""
    while True:
        count, repeat = (
            int(rng.choice(5, p=(0.04, 0.2, 0.28, 0.28, 0.2))),
            float(rng.choice((0.2, 0.8), p=(0.35, 0.65))),
        )
        scene = sample_scene(rng, count, aspect=aspect, repeat=repeat)
        said: list[Turn] = []
        change: Change | None = None
        for left in reversed(range(turns)):
            done = request(rng, last if last and not left else _lot(rng, ALONE), scene)
            if done is None or (last and len(done.changes) > 1):
                # "It" would be either of two things.
                break
            edit = Edit(done.changes)
            said.append(Turn(say(rng, done, split), edit.plan))
            change, scene = done.changes[len(done.changes) - 1], edit.after
        if len(said) == turns:
            return _Past(scene, tuple(said), change)


def _plain(rng: np.random.Generator, split: Split, aspect: float, turns: int) -> Example:
    form = _lot(rng, ALONE)
    while True:
        past = _happened(rng, split, aspect, turns)
        asked = request(rng, form, past.scene)
        if asked is not None:
            said = (
                _sparing(rng, split, past.scene, asked) if form == "remove" and rng.random() < 0.35 else None
            )
            return _example(past, said or say(rng, asked, split), Edit(asked.changes), form)


def _sparing(rng: np.random.Generator, split: Split, scene: Scene, asked: Request) -> str | None:
    """Say as well which other thing is not meant; None where there is no other."""
    other = sample_reference(rng, scene, kinded=True)
    if other is None or len(asked.changes) != 1:
        return None
    if set(resolve(scene, other)) & set(asked.changes[0].targets):
        return None
    template = choose(rng, part(phrases()["sparing"]["commands"], split))
    # Half of them in the very words that contradictions have.
    plain = choose(rng, ("remove {t}", "delete {t}", "take {t} away", "erase {t}")).format_map(asked.slots)
    command = plain if rng.random() < 0.5 else as_command(rng, asked, split)
    words = template.format(x=command, y=thing_words(rng, other, 1))
    return finish(rng, words, split)


def _following(rng: np.random.Generator, split: Split, aspect: float, turns: int) -> Example:
    form = _lot(rng, {form: share for form, (share, _) in AFTER.items()})
    while True:
        past = _happened(rng, split, aspect, max(1, turns), last=choose(rng, AFTER[form][1]))
        asked = None if past.change is None else follow_up(rng, form, past.change)
        if asked is not None:
            return _example(past, say(rng, asked, split), Edit(asked.changes), form)


def _twofold(rng: np.random.Generator, split: Split, aspect: float, turns: int) -> Example:
    """Draw two requests in one instruction, the second about something the first leaves alone."""
    forms = (_lot(rng, ALONE), _lot(rng, ALONE))
    if rng.random() < 0.25:
        forms = (forms[0], forms[0])
    while forms[0] == forms[1] and forms[0] in _ONCE:
        forms = (_lot(rng, ALONE), _lot(rng, ALONE))
    while True:
        past = _happened(rng, split, aspect, turns)
        first = request(rng, forms[0], past.scene, single=True)
        second = first and request(rng, forms[1], first.changes[-1].after, single=True)
        if first and second and _apart(past.scene, first, second):
            one, other = (as_command(rng, asked, split) for asked in (first, second))
            if first.form == second.form and rng.random() < 0.6:
                # "Make the cube yellow and make the ball green": people say it the same way twice.
                same = draw_template(rng, first.form, split, 1.0)[0]
                # "Paint the cube red and the ball blue": or leave the verb out the second time.
                again = _VERB.sub("", same) if rng.random() < 0.4 else same
                one, other = same.format_map(first.slots), again.format_map(second.slots)
            ways = part(phrases()["joined"]["commands"], split)
            # Most people say no more than "and".
            way = ways[0] if split == "train" and rng.random() < 0.4 else choose(rng, ways)
            joined = way.format(x=one, y=other)
            edit = Edit((*first.changes, *second.changes))
            return _example(past, finish(rng, joined, split), edit, "+".join(forms))


def _apart(scene: Scene, first: Request, second: Request) -> bool:
    """Return whether the second request means the same before the first is done, and other things than it."""
    change, later = first.changes[0], second.changes[0]
    kinds = {change.step.kind, later.step.kind}
    if later.step.kind is EditKind.ADD:
        anchor = later.step.where.rpartition(" the ")[2]
        return not anchor or later.step.box is not None or bool(resolve(scene, Reference(anchor)))
    if EditKind.BACKGROUND in kinds:
        return change.step.kind is not later.step.kind
    meant = resolve(scene, Reference(later.step.target, later.step.where))
    changed = change.targets if change.step.kind is not EditKind.ADD else ()
    return (
        len(meant) == 1
        and meant[0] not in changed
        and scene.things[meant[0]] == later.before.things[later.targets[0]]
    )


def _absent(rng: np.random.Generator, split: Split, aspect: float, turns: int) -> Example:
    """Draw a request about a thing that the toy world knows and the scene does not hold."""
    past = _happened(rng, split, aspect, turns)
    while True:
        kind, color = tuple(Kind)[rng.integers(len(Kind))], tuple(Color)[rng.integers(len(Color))]
        target = f"{color} {kind}" if rng.random() < 0.6 else str(kind)
        if not fitting(past.scene, target):
            break
    words = thing_words(rng, Reference(target), 1)
    if rng.random() < 0.5:
        step = EditStep(EditKind.REMOVE, target, EMPTY)
        asked = Request("remove", (), {"t": words})
    else:
        new = tuple(c for c in Color if c is not color)[rng.integers(len(Color) - 1)]
        step = EditStep(EditKind.LOCAL, target, with_article(f"{new} {kind}"))
        asked = Request("recolor", (), {"t": words, "c": str(new)})
    return Example(past.scene, past.turns, say(rng, asked, split), EditPlan((step,)), "", None, "absent")


def _declined(rng: np.random.Generator, split: Split, aspect: float, turns: int) -> Example:
    topic, table = _lot(rng, _TOPICS), refusals()
    past = _happened(rng, split, aspect, 0 if topic == "no_referent" else turns)
    text = _noise(rng) if topic == "noise" else None
    if topic in _UNKNOWN and rng.random() < 0.6:
        text = _with_unknown(rng, split, past, topic)
    if text is None:
        words = {name: choose(rng, part(table["words"][name], split)) for name in table["words"]}
        slots = {
            "t": thing_words(
                rng, sample_reference(rng, past.scene) or Reference(choose(rng, tuple(Kind))), 1
            ),
            **dict(zip("cd", rng.choice(tuple(Color), size=2, replace=False), strict=True)),
            "p": place_words(rng, choose(rng, tuple(COLUMNS))),
            "u": words["things"],
            "v": words["colors"],
            "w": words["backgrounds"],
        }
        template = choose(rng, part(table[topic]["sentences"], split))
        text = finish(rng, articled(template.format_map(slots)), split)
    return Example(past.scene, past.turns, text, None, table[topic]["reply"], None, topic)


def _with_unknown(rng: np.random.Generator, split: Split, past: _Past, topic: str) -> str | None:
    """Ask as for what is known, but with an unknown word in one slot; None where the draw does not fit the scene."""
    words, slots_of = _UNKNOWN[topic]
    form = choose(rng, tuple(slots_of))
    known = Request(form, (), {}) if form == "it_recolor" else request(rng, form, past.scene)
    if known is None or (form == "it_recolor" and not past.turns):
        return None
    slot, word = choose(rng, slots_of[form]), choose(rng, part(refusals()["words"][words], split))
    color, kind = choose(rng, tuple(Color)), choose(rng, tuple(Kind))
    unknown = {
        "things": {
            "t": f"the {choose(rng, ('', '', 'left ', 'big ', f'{color} '))}{word}",
            "k": with_article(word),
            "a": with_article(f"{choose(rng, ('', f'{color} '))}{word}"),
        },
        "colors": {"c": word, "a": with_article(f"{word} {kind}")},
        "backgrounds": {"b": word},
    }[words][slot]
    return say(rng, replace(known, slots={**known.slots, slot: unknown}), split)


_UNKNOWN: Mapping[str, tuple[str, Mapping[str, tuple[str, ...]]]] = {
    "unknown_thing": (
        "things",
        {
            "remove": ("t",),
            "recolor": ("t",),
            "reshape": ("k",),
            "replace": ("t", "a", "a"),
            "add": ("a",),
            "add_free": ("a",),
        },
    ),
    "unknown_color": (
        "colors",
        {"recolor": ("c",), "it_recolor": ("c",), "replace": ("a",), "add": ("a",), "add_free": ("a",)},
    ),
    "unknown_background": ("backgrounds", {"background": ("b",)}),
}
"""Of each topic: the list its unknown words are from, and which slots of which forms they may fill."""

_VERB = re.compile(r"^\w+ (?=\{[ta]\} \S)")
"""A template's verb, where what it is about comes next and is not all."""

_ONCE = ("background", "add_free")
"""Forms that leave no room for a second request of the same form."""

_TELLERS = (_plain, _following, _twofold, _absent, _declined)
_SHARES = (0.5, 0.18, 0.13, 0.04, 0.15)
_TOPICS = {
    "unknown_thing": 0.36,
    "unknown_color": 0.28,
    "unknown_background": 0.12,
    "style": 0.14,
    "move": 0.12,
    "talk": 0.12,
    "no_referent": 0.05,
    "noise": 0.03,
    "contradiction": 0.1,
    "negation": 0.09,
}


def _lot(rng: np.random.Generator, shares: Mapping[str, float]) -> str:
    """Draw a name by its share."""
    total = sum(shares.values())
    return tuple(shares)[int(rng.choice(len(shares), p=[share / total for share in shares.values()]))]


def _example(past: _Past, instruction: str, edit: Edit, form: str) -> Example:
    return Example(past.scene, past.turns, instruction, edit.plan, "", edit, form)


def _noise(rng: np.random.Generator) -> str:
    """Return letters or signs without meaning."""
    if rng.random() < 0.2:
        return choose(rng, ("???", "...", "!", "-", "?!", "123", ":)"))
    letters = "bcdfghjklmnpqrstvwxz"
    return " ".join(
        "".join(letters[i] for i in rng.integers(len(letters), size=rng.integers(3, 9)))
        for _ in range(rng.integers(1, 4))
    )
