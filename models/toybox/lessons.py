"""Lessons of the toybox's instructor: dialogues as tokens with their positions, and words that are none."""

import re
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from models.toybox.grammar import choose, key_words, part, refusals
from models.toybox.instructions import Example
from models.toybox.plan_tokens import MOST_CELLS
from models.toybox.typos import distance

GRIDS = tuple(
    (h, w) for h in range(1, MOST_CELLS + 1) for w in range(1, MOST_CELLS + 1) if h * w <= MOST_CELLS
)
"""Rows and columns of a picture's tokens."""


@dataclass(frozen=True)
class Lesson:
    """One dialogue as tokens.

    Attributes
    ----------
    ids : tuple of int
        Question, reply, end.
    asked : int
        Tokens of the question.
    places : Tensor
        (3, tokens), from `positions`.
    """

    ids: tuple[int, ...]
    asked: int
    places: Tensor


def positions(start: int, rows: int, columns: int, length: int) -> Tensor:
    """Return the (time, row, column) positions (3, length) of text with a picture in it (arXiv 2409.12191, 2.1).

    Parameters
    ----------
    start : int
        Index of the picture's first token.
    """
    cells = rows * columns
    places = torch.arange(length).repeat(3, 1)
    places[:, start : start + cells] = start
    places[1, start : start + cells] += torch.arange(cells) // columns
    places[2, start : start + cells] += torch.arange(cells) % columns
    places[:, start + cells :] += max(rows, columns) - cells
    return places


def with_invented_words(rng: np.random.Generator, example: Example, share: float) -> Example:
    """Return a dialogue in which a thing, colour or place that is refused is another one, of no language.

    There are more unknown words than any list holds: the halves of two words make another. Half of the halves are
    those of words that mean something, so that to begin or to end like one of them is not enough to be taken for it;
    as a whole, none comes close to one.
    """
    listed = {"unknown_thing": "things", "unknown_color": "colors", "unknown_background": "backgrounds"}
    if example.form not in listed or rng.random() >= share:
        return example
    words = part(refusals()["words"][listed[example.form]], "train")
    said = next((word for word in words if re.search(rf"\b{word}\b", example.instruction)), None)
    invented = _invented(rng)
    if said is None or invented is None:
        return example
    return replace(example, instruction=re.sub(rf"\b{said.split()[-1]}\b", invented, example.instruction))


def _invented(rng: np.random.Generator) -> str | None:
    """Return a word that is none, None where four draws all came close to one that means something."""
    known = sorted(key_words())
    pools = [
        [word for word in pool if len(word) > 3]
        for pool in (part(refusals()["words"]["things"], "train"), known)
    ]
    for _ in range(4):
        one, other = (choose(rng, pools[int(rng.integers(2))]) for _ in range(2))
        word = one[: int(rng.integers(2, len(one)))] + other[int(rng.integers(1, len(other) - 1)) :]
        if all(abs(len(key) - len(word)) >= 3 or distance(word, key) >= 3 for key in known):
            return word
    return None
