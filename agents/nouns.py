"""Nouns: whether two words are one noun, whatever their number ("boxes" and "box")."""

import re
from typing import Final

_IRREGULAR: Final = {
    "children": "child",
    "feet": "foot",
    "geese": "goose",
    "men": "man",
    "mice": "mouse",
    "people": "person",
    "teeth": "tooth",
    "women": "woman",
}
_ENDINGS: Final = ((r"s", ""), (r"(?<=[sxzoh])es", ""), (r"ies", "y"), (r"ves", "f"), (r"ves", "fe"))
"""What a plural may end in, and its singular instead. Which of them a word follows only a dictionary knows."""


def same_noun(word: str, other: str) -> bool:
    """Tell whether two words, in lower case, are or may be singular or plural of one noun."""
    return not _singulars(word).isdisjoint(_singulars(other))


def _singulars(word: str) -> frozenset[str]:
    """Return all that may be the word's singular; a word of no plural ending, or a short one, is its own."""
    if len(word) <= 3 or not word.endswith("s") or word.endswith("ss"):
        return frozenset({_IRREGULAR.get(word, word)})
    return frozenset({word} | {re.sub(f"{ending}$", single, word) for ending, single in _ENDINGS})
