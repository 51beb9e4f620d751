"""The language of toy edits: templates by form, split for training and held out, and their slots as words.

The templates are in ``phrases.toml`` and ``refusals.toml``. Every fifth of every list is held out: whoever
trains on the split "train" never sees a sentence made from them.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

import numpy as np

from brushedit.types import Which
from models.toybox.captions import with_article
from models.toybox.references import OBJECT, Reference, read_relation
from models.toybox.scenes import Background, Color
from models.toybox.shapes import Kind

Split: TypeAlias = Literal["train", "held_out"]

EVERY = 5
"""One in this many templates and unknown words is held out."""


@cache
def phrases() -> Mapping[str, Any]:
    """Return the tables of ``phrases.toml``."""
    return _table("phrases")


@cache
def refusals() -> Mapping[str, Any]:
    """Return the tables of ``refusals.toml``."""
    return _table("refusals")


def _table(name: str) -> Mapping[str, Any]:
    return tomllib.loads(files("models.toybox").joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def part(options: Sequence[str], split: Split) -> Sequence[str]:
    """Return the options of a list that belong to a split."""
    held_out = split == "held_out"
    return [option for i, option in enumerate(options) if (i % EVERY == EVERY - 1) == held_out]


def choose(rng: np.random.Generator, options: Sequence[str]) -> str:
    """Draw one of several strings."""
    return options[int(rng.integers(len(options)))]


def thing_words(rng: np.random.Generator, reference: Reference, count: int) -> str:
    """Say which of a scene's things are meant: "the left blue cube", "both cubes", "everything".

    Parameters
    ----------
    count : int
        How many things the reference means.
    """
    if reference.which is Which.ALL:
        return _all_words(rng, reference, count)
    table = phrases()["which"]
    noun, where = _noun(rng, reference.target), reference.where
    relation, anchors = read_relation(where)
    if relation:
        x, *y = (_noun(rng, anchor) for anchor in anchors)
        return choose(rng, table[relation]).format(n=noun, x=x, y="".join(y))
    ordinal, _, side = where.partition(" from the ")
    if side:
        if rng.random() < 0.25:
            ordinal = {"second": "2nd", "third": "3rd"}[ordinal]
        return choose(rng, table[f"from the {side}"]).format(n=noun, o=ordinal)
    return choose(rng, table[where]).format(n=noun)


@cache
def key_words() -> frozenset[str]:
    """Return the words that a plan hangs on, which no mistyped word may come close to."""
    tables = phrases()
    texts = [
        *Kind,
        *Color,
        *(f"{kind}s" for kind in Kind),
        "background",
        "bigger",
        "smaller",
        "other",
        "back",
    ]
    for name in ("which", "all", "nouns", "places", "sizes", "backgrounds"):
        for key, options in tables[name].items():
            texts += [key, *options]
    return frozenset(word for text in texts for word in text.split() if word.isalpha())


def _all_words(rng: np.random.Generator, reference: Reference, count: int) -> str:
    table = phrases()["all"]
    if reference.kind is None:
        options = table["everything"] if reference.target == OBJECT else table["colored"]
        return choose(rng, options).format(c=reference.color)
    noun = _noun(rng, reference.target)
    options = [*table["any"], *table.get({2: "two", 3: "three"}.get(count, ""), [])]
    return choose(rng, options).format(n=noun, ns=_plural(noun))


def place_words(rng: np.random.Generator, where: str) -> str:
    """Say where a thing is to be added: "on the left", "next to the red cone"."""
    table = phrases()["places"]
    relation, anchors = read_relation(where)
    if not relation:
        return choose(rng, table[where])
    x, *y = (_noun(rng, anchor) for anchor in anchors)
    return choose(rng, table[relation]).format(x=x, y="".join(y))


def new_words(rng: np.random.Generator, kind: Kind, color: Color | None, size: str = "") -> str:
    """Say what is wanted: "a small red ball"."""
    noun = _noun(rng, str(kind) if color is None else f"{color} {kind}")
    return with_article(f"{choose(rng, phrases()['sizes'][size])} {noun}".strip())


def kind_words(rng: np.random.Generator, kind: Kind) -> str:
    """Say what something is to become: "a ball"."""
    return with_article(_noun(rng, str(kind)))


def background_words(rng: np.random.Generator, background: Background) -> str:
    """Say which background is wanted: "a sandy beach"."""
    return choose(rng, phrases()["backgrounds"][background])


def color_words(rng: np.random.Generator, color: Color) -> str:
    """Say a colour: "purple", "violet"."""
    return _noun(rng, str(color))


def _noun(rng: np.random.Generator, phrase: str) -> str:
    """Return a noun phrase with a synonym here and there."""
    synonyms = phrases()["nouns"]
    words = [
        choose(rng, synonyms[word]) if word in synonyms and (word == OBJECT or rng.random() < 0.1) else word
        for word in phrase.split()
    ]
    return " ".join(words)


def _plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith("x") else f"{noun}s"
