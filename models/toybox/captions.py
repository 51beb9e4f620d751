"""What a picture of the toy world shows, in words: whole scenes, what is in a hole, backgrounds.

One small vocabulary serves all captions, so that a small text encoder can learn every word of it.
"""

import re
from collections.abc import Collection, Sequence

from models.toybox.scenes import Background, Color, Scene, Thing
from models.toybox.shapes import Kind

EMPTY = "empty background"
"""The caption of a hole in which nothing shall stand, in plans, which do not know the background."""

PHRASES: dict[Background, tuple[str, str]] = {
    Background.BEACH: ("on", "a beach"),
    Background.GRASS: ("on", "grass"),
    Background.SNOW: ("on", "snow"),
    Background.DESERT: ("in", "a desert"),
    Background.NIGHT: ("under", "a night sky"),
    Background.TABLE: ("on", "a wooden table"),
    Background.BRICK: ("by", "a brick wall"),
    Background.STUDIO: ("in", "a studio"),
}
"""How things are said to be on each background: preposition, noun phrase."""

PLACES = ("on the left", "in the middle", "on the right")
"""Where a thing is, by thirds of the picture's width."""


def with_article(noun: str) -> str:
    """Return a noun phrase with its indefinite article: "a red ball", "an orange ball"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def background_caption(background: Background) -> str:
    """Return what a picture without things shows: "a beach"."""
    return PHRASES[background][1]


def things_caption(things: Sequence[Thing]) -> str:
    """Return what some things are, as plans say it: "a red ball and a blue cube"; `EMPTY` for none."""
    return " and ".join(with_article(thing.name) for thing in things) or EMPTY


def local_caption(things: Sequence[Thing], background: Background) -> str:
    """Return what a hole shows, background included: "a red ball on a beach", or "a beach" alone."""
    if not things:
        return background_caption(background)
    return f"{things_caption(things)} {' '.join(PHRASES[background])}"


def without_colors(caption: str) -> str:
    """Return a caption that leaves every colour open, as a plan's is where none is asked for: "a ball"."""
    return _COLORED.sub("a ", caption)


_COLORED = re.compile(rf"\ban? (?:{'|'.join(Color)}) ")


def place_of(thing: Thing, aspect: float) -> str:
    """Return which third of the picture a thing is in, one of `PLACES`."""
    return PLACES[min(2, max(0, int(3 * thing.x / aspect)))]


def scene_caption(scene: Scene, placed: Collection[int] = ()) -> str:
    """Return what a whole picture shows, from left to right.

    Parameters
    ----------
    placed : collection of int
        Indices of the things whose place is said: "a red ball on the left and a blue cube on a beach".
    """
    order = sorted(range(len(scene.things)), key=lambda i: scene.things[i].x)
    names = [
        with_article(scene.things[i].name)
        + (f" {place_of(scene.things[i], scene.aspect)}" if i in placed else "")
        for i in order
    ]
    if not names:
        return background_caption(scene.background)
    return f"{' and '.join(names)} {' '.join(PHRASES[scene.background])}"


def vocabulary() -> tuple[str, ...]:
    """Return every word that captions are made of, sorted."""
    phrases = [*Kind, *Color, EMPTY, "a", "an", "and", *PLACES]
    phrases += [f"{preposition} {noun}" for preposition, noun in PHRASES.values()]
    return tuple(sorted({word for phrase in phrases for word in phrase.split()}))
