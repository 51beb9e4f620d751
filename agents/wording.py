"""Spatial and ordinal words: what "second from the right", "largest" or "next to the red cone" ask for."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Order(StrEnum):
    """An order the instances of a target can be counted in."""

    LEFT = "left"
    RIGHT = "right"
    TOP = "top"
    BOTTOM = "bottom"
    CENTER = "center"
    MIDDLE = "middle"
    FRONT = "front"
    BACK = "back"
    LARGEST = "largest"
    SMALLEST = "smallest"
    TALLEST = "tallest"
    SHORTEST = "shortest"
    WIDEST = "widest"


class Relation(StrEnum):
    """Where something is, seen from something else."""

    BETWEEN = "between"
    LEFT_OF = "left of"
    RIGHT_OF = "right of"
    ABOVE = "above"
    BELOW = "below"
    ON = "on"
    INSIDE = "in"
    IN_FRONT_OF = "in front of"
    BEHIND = "behind"
    NEXT_TO = "next to"


@dataclass(frozen=True)
class Wording:
    """What the words of `EditStep.where` say.

    Attributes
    ----------
    orders : tuple of Order
        Orders to count in, taken together ("top left"); empty where the words give none.
    ordinal : int or None
        Which one in that order: 1 is the first, -1 the last, None where the words count none.
    count : int
        How many, from that one on, from a last one backwards.
    relation : Relation or None
    anchors : tuple of str
        What the relation refers to, in its own words ("left cube"); two for `BETWEEN`, one for the others.
    excluded : Wording or None
        What is not meant ("all but the left one"); empty where its words have no known meaning.
    several : bool
        Whether the words, of what is excluded, speak of more than one without a number: "those on the left".
    """

    orders: tuple[Order, ...] = ()
    ordinal: int | None = None
    count: int = 1
    relation: Relation | None = None
    anchors: tuple[str, ...] = ()
    excluded: "Wording | None" = None
    several: bool = False

    @property
    def counted(self) -> bool:
        """Whether the words say how many, or which one in a row."""
        return self.ordinal is not None or self.count > 1

    @property
    def telling(self) -> bool:
        """Whether the words tell some from others, what they exclude left aside."""
        return bool(self.orders) or self.relation is not None


_ORDER_WORDS: Final[dict[Order, str]] = {
    Order.LEFT: "left leftmost lefthand left-hand left-most",
    Order.RIGHT: "right rightmost righthand right-hand right-most",
    Order.TOP: "top topmost upper uppermost highest",
    Order.BOTTOM: "bottom bottommost lower lowermost lowest",
    Order.CENTER: "center centre central",
    Order.MIDDLE: "middle",
    Order.FRONT: "front foreground nearest closest frontmost",
    Order.BACK: "back rear background farthest furthest rearmost",
    Order.LARGEST: "large larger largest big bigger biggest huge",
    Order.SMALLEST: "small smaller smallest little tiny tiniest",
    Order.TALLEST: "tall taller tallest",
    Order.SHORTEST: "short shorter shortest",
    Order.WIDEST: "wide wider widest",
}
_ORDERS: Final = {word: order for order, words in _ORDER_WORDS.items() for word in words.split()}
_ORDINAL_WORDS: Final = "first second third fourth fifth sixth seventh eighth ninth tenth"
_ORDINALS: Final = {word: number for number, word in enumerate(_ORDINAL_WORDS.split(), start=1)}
_COUNTS: Final = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "both": 2, "pair": 2}

_RELATION_WORDS: Final[tuple[tuple[str, Relation], ...]] = (
    (r"(?:to |on |at )?(?:the )?(?:immediate )?left(?:[- ]hand)?(?: side)? of", Relation.LEFT_OF),
    (r"(?:to |on |at )?(?:the )?(?:immediate )?right(?:[- ]hand)?(?: side)? of", Relation.RIGHT_OF),
    (r"(?:in )?(?:the )?front of", Relation.IN_FRONT_OF),
    (r"behind|in back of", Relation.BEHIND),
    (r"on top of|atop|onto|resting on|standing on|sitting on|lying on", Relation.ON),
    (r"above|over", Relation.ABOVE),
    (r"below|underneath|beneath|under", Relation.BELOW),
    (
        r"next to(?! last\b)|beside|besides|near to|near|close to|closest to|nearest to|adjacent to|alongside|by",
        Relation.NEXT_TO,
    ),
    (r"inside of|inside|within|into|in", Relation.INSIDE),
    (r"on", Relation.ON),
)
_NO_THINGS: Final = (
    "picture image photo photograph frame scene view canvas shot camera viewer "
    "corner side edge half part area row line it them us me"
)
_PICTURE: Final = frozenset(_NO_THINGS.split())
_BETWEEN: Final = re.compile(r"\b(?:in )?between (?P<first>.+?)(?: and (?P<second>.+))?$")
_RELATIONS: Final = tuple(
    (re.compile(rf"\b(?:{words}) (?P<anchor>.+)$"), relation) for words, relation in _RELATION_WORDS
)
_ARTICLE: Final = re.compile(r"^(?:the|a|an|this|that|my|our|his|her|its|their|some)\s+")
_PLACED: Final = re.compile(r"\s+(?:on|at|from|to|in|of)\s+(?=(?P<place>.+)$)")
_EMPHASIS: Final = frozenset({"far", "very", "extreme", "most", "just"})
_OF_SO_MANY: Final = re.compile(rf"\bof (?:the |these |those )?(?:{'|'.join(_COUNTS)})\b")
_RIGHT_THERE: Final = re.compile(
    r"(?<!the |far |top )(?<!upper |lower |front )(?<!bottom )(?<!back )\bright "
    r"(?=(?:next|near|close|beside|behind|by|in|on|at|above|over|below|under|underneath|beneath|between)\b)"
)
_LAST_BUT_ONE: Final = re.compile(r"\b(?:next[ -]to[ -]last|last but one|penultimate)\b")
_OPPOSITES: Final = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
_FARTHEST: Final = re.compile(
    r"\b(?:nearest|closest|(?P<far>farthest|furthest))(?: away)?(?: (?:to|(?P<off>from)))?(?: the)?"
    rf" (?P<side>{'|'.join(_OPPOSITES)})\b"
)
_EXCEPT: Final = re.compile(
    r"\b(?:but|except|excepting|excluding|save|(?:apart|aside) from|(?:other|rather) than|not|isn t|aren t)\b"
    r"(?: not\b)?"
)
_SEVERAL: Final = re.compile(
    r"^$|^(?:on|in|at|to)\b|\b(?:ones|those|these|all|any|(?!this\b)\w{2,}[^\Ws]s)\b"
)
_NUMBERED: Final = re.compile(r"^(\d+)(?:st|nd|rd|th)$")


def read_wording(where: str) -> Wording:
    """Return what the words of a plan's `where` ask for; words of no known meaning are passed over."""
    # "Right next to" is no side, "right, next to" is one.
    text = _RIGHT_THERE.sub("", where.lower())
    text = " ".join(re.sub(r"[^\w\s-]", " ", text).split())
    # "the left one of the two" counts what there is, not what is meant.
    text = _LAST_BUT_ONE.sub("second last", _OF_SO_MANY.sub("", text)).replace("-to-", " to ")
    meant, *excluded = _EXCEPT.split(text)
    if not excluded:
        return _read(meant)
    # "Not the left one but the right one" is beyond this.
    return replace(_read(meant), excluded=_read_excluded(excluded[0]) if len(excluded) == 1 else Wording())


def _read_excluded(text: str) -> Wording:
    *_, before = _read_relation(text)
    return replace(_read(text), several=_SEVERAL.search(before.strip()) is not None)


def _read(text: str) -> Wording:
    """Return what words without an exception ask for."""
    relation, anchors, text = _read_relation(text)
    orders: list[Order] = []
    ordinal: int | None = None
    count = 1
    words = _FARTHEST.sub(_side, text).split()
    for word in words:
        numbered = _NUMBERED.match(word)
        if numbered:
            ordinal = max(1, int(numbered.group(1)))
        elif word in _ORDINALS:
            ordinal = _ORDINALS[word]
        elif word == "last":
            # "second last", "second to last".
            ordinal = -(ordinal or 1)
        elif word in _COUNTS:
            count = _COUNTS[word]
        elif word in _ORDERS and _ORDERS[word] not in orders:
            orders.append(_ORDERS[word])
    if ordinal is not None and not orders:
        orders.append(Order.LEFT)
    elif ordinal is not None and ordinal < 0 and "from" not in words:
        # "the last one on the right" is the first from there.
        ordinal = -ordinal
    return Wording(tuple(orders), ordinal, count, relation, anchors)


def _side(farthest: re.Match[str]) -> str:
    """Return the side that "furthest right", "closest to the right" or "furthest from the left" means."""
    return _OPPOSITES[farthest["side"]] if farthest["far"] and farthest["off"] else farthest["side"]


def _read_relation(text: str) -> tuple[Relation | None, tuple[str, ...], str]:
    """Return the relation, its anchors, and the words before it."""
    between = _BETWEEN.search(text)
    if between:
        # "between the cones" names one phrase for two things.
        first = between["first"] if between["second"] else re.sub(r"(?<=[^s])s$", "", between["first"])
        return Relation.BETWEEN, (first, between["second"] or first), text[: between.start()]
    for pattern, relation in _RELATIONS:
        found = pattern.search(text)
        if found and _is_thing(found["anchor"]):
            return relation, (found["anchor"],), text[: found.start()]
    return None, (), text


def bare_noun(phrase: str) -> str:
    """Return a phrase without article and without words of place, order or number ("left cube": "cube")."""
    phrase = _ARTICLE.sub("", phrase.strip().lower())
    placed = next((found for found in _PLACED.finditer(phrase) if not _is_thing(found["place"])), None)
    known = _ORDERS.keys() | _ORDINALS.keys() | _COUNTS.keys() | _EMPHASIS | {"last"}
    words = [word for word in phrase[: placed and placed.start()].split() if word not in known]
    return _ARTICLE.sub("", " ".join(words).removeprefix("of "))


def _is_thing(anchor: str) -> bool:
    """Tell "in the box" from "in the top left corner of the picture" and "on the left"."""
    words = bare_noun(anchor).split()
    return bool(words) and words[-1] not in _PICTURE
