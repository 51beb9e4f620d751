"""Typing mistakes: seeded, few, and never such that one word of importance turns into another."""

from collections.abc import Set
from functools import lru_cache

import numpy as np

LONG_ENOUGH = 4
"""Letters a word must have to be mistyped."""

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def with_typos(rng: np.random.Generator, text: str, keys: Set[str], count: int) -> str:
    """Return the text with up to `count` mistyped words.

    A mistyped word keeps its first letter, is one slip (a letter left out, doubled, swapped with the next, or
    hit beside) away from the right one, and at least two away from every other word of `keys`.
    """
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if word.isalpha() and len(word) >= LONG_ENOUGH]
    rng.shuffle(long)
    for i in long[:count]:
        right = words[i].lower()
        for _ in range(4):
            wrong = _slipped(rng, words[i])
            if wrong.lower() != right and all(
                abs(len(key) - len(wrong)) > 1 or distance(wrong.lower(), key) > 1 for key in keys - {right}
            ):
                words[i] = wrong
                break
    return " ".join(words)


def _slipped(rng: np.random.Generator, word: str) -> str:
    slip, at = int(rng.integers(4)), int(rng.integers(1, len(word) - 1))
    if slip == 0:
        return word[:at] + word[at + 1 :]
    if slip == 1:
        return word[:at] + word[at] + word[at:]
    if slip == 2:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    keys = next((row for row in _ROWS if word[at] in row), word[at])
    beside = keys[max(0, keys.index(word[at]) - 1)]
    return word[:at] + beside + word[at + 1 :]


@lru_cache(maxsize=1 << 14)
def distance(one: str, other: str) -> int:
    """Return how many letters must be put in, left out, changed or swapped with the next (Damerau, 1964)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        older, before, row = before, row, [i]
        for j, b in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]
