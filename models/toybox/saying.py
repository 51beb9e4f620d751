"""A request in words: a template of its form, with politeness and talk around it, hasty, careful, loud, mistyped."""

from collections.abc import Mapping

import numpy as np

from models.toybox.captions import with_article
from models.toybox.grammar import Split, choose, key_words, part, phrases
from models.toybox.requests import Request
from models.toybox.typos import with_typos

CHATTY = 0.09
"""Share of the instructions with some talk before the wish, and share with some after it."""

TYPOS = 0.15
"""Share of the instructions with one or two mistyped words."""


def articled(text: str) -> str:
    """Put "an" for "a" before vowels, as slots were filled blindly."""
    words = text.split(" ")
    return " ".join(
        with_article(after)[: -len(after) - 1] if word == "a" and after else word
        for word, after in zip(words, [*words[1:], ""], strict=True)
    )


def draw_template(
    rng: np.random.Generator, form: str, split: Split, share_of_commands: float
) -> tuple[str, bool]:
    """Draw a template of a form, and tell whether it is a command."""
    table: Mapping[str, list[str]] = phrases()[form]
    command = rng.random() < share_of_commands
    return choose(rng, part(table["commands" if command else "sentences"], split)), command


def as_command(rng: np.random.Generator, request: Request, split: Split) -> str:
    """Put a request into the words of an imperative."""
    return draw_template(rng, request.form, split, 1.0)[0].format_map(request.slots)


def say(rng: np.random.Generator, request: Request, split: Split) -> str:
    """Put a request into words, with politeness around some of the commands."""
    template, command = draw_template(rng, request.form, split, 0.7)
    text = template.format_map(request.slots)
    if command and rng.random() < 0.35:
        text = choose(rng, part(phrases()["polite"]["commands"], split)).format(x=text)
    return finish(rng, text, split)


def finish(rng: np.random.Generator, text: str, split: Split) -> str:
    """Write a sentence as people do: chatty, hasty, careful, loud, now and then mistyped."""
    chatty = phrases()["chatty"]
    if rng.random() < CHATTY:
        text = f"{choose(rng, part(chatty['before'], split))} {text}"
    if rng.random() < CHATTY and not text.endswith("?"):
        text = f"{text}{choose(rng, (', ', ' '))}{choose(rng, part(chatty['after'], split))}"
    if rng.random() < 0.06:
        text = " ".join(word for word in text.split(" ") if word not in ("the", "a", "an"))
    if rng.random() < TYPOS:
        text = with_typos(rng, text, key_words(), count=int(rng.integers(1, 3)))
    case = rng.random()
    if case < 0.45:
        return text
    text = text.upper() if case > 0.98 else text[:1].upper() + text[1:]
    closed = text.endswith(("?", ".", "!"))
    return text if closed or case < 0.65 else text + ("!" if case > 0.92 else ".")
