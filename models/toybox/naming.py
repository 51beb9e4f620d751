"""Phrases for the toy detector to look for: what a scene holds, and what it holds almost."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import BertTokenizer

from models.toybox.references import OBJECT, fitting
from models.toybox.scenes import Color, Scene
from models.toybox.shapes import Kind

UNKNOWN = "[UNK]"
"""Stands in a phrase for any word that is not of the toy world."""

MARKS = ("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]", ".", "?")


def words_tokenizer() -> BertTokenizer:
    """Return BERT's tokenizer with the toy world's few words for a vocabulary."""
    words = [*MARKS, *Color, *Kind, OBJECT]
    return BertTokenizer(vocab={str(word): number for number, word in enumerate(words)})


def draw_phrases(rng: np.random.Generator, scene: Scene, most: int) -> tuple[str, ...]:
    """Draw 1 to `most` different phrases; some fit things of the scene, some differ in one word, some are far off."""
    phrases: dict[str, None] = {}
    for _ in range(int(rng.integers(1, most + 1))):
        phrases[_phrase(rng, scene)] = None
    return tuple(phrases)


def _phrase(rng: np.random.Generator, scene: Scene) -> str:
    color, kind = tuple(Color)[rng.integers(len(Color))], tuple(Kind)[rng.integers(len(Kind))]
    lot = rng.random()
    if not scene.things or lot < 0.08:
        return (f"{color} {kind}", str(kind), f"{color} {OBJECT}", UNKNOWN)[rng.integers(4)]
    thing = scene.things[rng.integers(len(scene.things))]
    if lot < 0.42:
        return thing.name
    if lot < 0.57:
        return str(thing.kind)
    if lot < 0.64:
        return OBJECT
    if lot < 0.7:
        return f"{thing.color} {OBJECT}"
    return f"{thing.color} {kind}" if lot < 0.87 else f"{color} {thing.kind}"


def fits(scene: Scene, phrases: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return (things, phrases): whether each phrase fits each thing."""
    table = np.zeros((len(scene.things), len(phrases)), dtype=np.bool_)
    for column, phrase in enumerate(phrases):
        table[list(fitting(scene, phrase)), column] = True
    return table


def save_words(folder: Path) -> None:
    """Write the tokenizer into a folder."""
    words_tokenizer().save_pretrained(folder)
