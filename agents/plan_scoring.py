"""How well an instructor plans: scripted instructions, what is expected of each, and a score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from agents.wording import Wording, bare_noun, read_wording
from brushedit.errors import PlanFailed
from brushedit.types import EditKind, EditPlan, EditStep, Image, Turn, Which

ANY: Final = "any"
"""Expected where the instruction leaves a field open."""

Instructor = Callable[[Image, str, Sequence[Turn]], EditPlan]
"""`Planner.plan`, or anything that plans like it."""


@dataclass(frozen=True)
class ExpectedStep:
    """What a step must say.

    Attributes
    ----------
    kind : EditKind
    target : tuple of str
        Acceptable noun phrases, or ("any",).
    which : str
        "one", "all" or "any".
    where : str or tuple of str
        Words, or several acceptable ones, that mean the same as the plan's `where`; "any" accepts all.
    """

    kind: EditKind
    target: tuple[str, ...]
    which: str
    where: str | tuple[str, ...] = ""


@dataclass(frozen=True)
class PastStep:
    """One step of an earlier turn, boxes left out."""

    kind: EditKind
    target: str
    caption: str
    which: Which = Which.ONE
    where: str = ""


@dataclass(frozen=True)
class PastTurn:
    """An earlier turn of a case."""

    instruction: str
    steps: tuple[PastStep, ...]


@dataclass(frozen=True)
class Case:
    """One scripted instruction.

    Attributes
    ----------
    instruction : str
    steps : tuple of ExpectedStep
        Empty where the instructor shall decline.
    declines : bool
    history : tuple of PastTurn
    tags : tuple of str
        "toy" or "photo", the kind, and what is special: "plural", "spatial", "follow", "typo", a language …
    """

    instruction: str
    steps: tuple[ExpectedStep, ...]
    declines: bool = False
    history: tuple[PastTurn, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The history as a planner takes it."""
        return tuple(
            Turn(
                turn.instruction,
                EditPlan(
                    tuple(
                        EditStep(step.kind, step.target, step.caption, which=step.which, where=step.where)
                        for step in turn.steps
                    )
                ),
            )
            for turn in self.history
        )


@dataclass(frozen=True)
class Outcome:
    """What an instructor made of a case, and which parts of it are right."""

    case: Case
    plan: EditPlan | None
    failure: str
    kind: bool
    target: bool
    which: bool
    where: bool

    @property
    def right(self) -> bool:
        """Whether all of it is."""
        return self.kind and self.target and self.which and self.where


@dataclass(frozen=True)
class Score:
    """Shares of right answers, 0..1, over `cases` cases."""

    cases: int
    kind: float
    target: float
    which: float
    where: float
    right: float


def read_cases(path: Path) -> tuple[Case, ...]:
    """Return the cases of a file with one JSON object a line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(TypeAdapter(Case).validate_json(line) for line in lines if line.strip())


def ask(instructor: Instructor, case: Case, picture: Image) -> Outcome:
    """Put a case to an instructor. A failure to plan is an outcome; a server that does not answer is an error."""
    try:
        plan = instructor(picture, case.instruction, case.turns)
    except PlanFailed as failure:
        return Outcome(case, None, failure.message, *[case.declines] * 4)
    return judge(case, plan)


def judge(case: Case, plan: EditPlan) -> Outcome:
    """Return which parts of a plan are as a case expects; all are wrong where the number of steps is."""
    if case.declines or len(plan.steps) != len(case.steps):
        return Outcome(case, plan, "", *[False] * 4)
    pairs = list(zip(plan.steps, case.steps, strict=True))
    return Outcome(
        case,
        plan,
        "",
        kind=all(step.kind is wanted.kind for step, wanted in pairs),
        target=all(_same_target(step.target, wanted.target) for step, wanted in pairs),
        which=all(wanted.which in (ANY, step.which) for step, wanted in pairs),
        where=all(_same_where(step.where, wanted.where) for step, wanted in pairs),
    )


def summarize(outcomes: Sequence[Outcome]) -> Score:
    """Return the shares of right answers among at least one outcome."""
    count = len(outcomes)
    return Score(
        cases=count,
        kind=sum(outcome.kind for outcome in outcomes) / count,
        target=sum(outcome.target for outcome in outcomes) / count,
        which=sum(outcome.which for outcome in outcomes) / count,
        where=sum(outcome.where for outcome in outcomes) / count,
        right=sum(outcome.right for outcome in outcomes) / count,
    )


def _same_target(target: str, expected: tuple[str, ...]) -> bool:
    return expected == (ANY,) or _noun(target) in {_noun(phrase) for phrase in expected}


def _noun(phrase: str) -> str:
    """Return a noun phrase without article, size words and plural: how the locator would look for it."""
    words = bare_noun(phrase).split()
    return " ".join([*words[:-1], words[-1].removesuffix("s")]) if words else ""


def _same_where(where: str, expected: str | tuple[str, ...]) -> bool:
    accepted = (expected,) if isinstance(expected, str) else expected
    return ANY in accepted or any(_meaning(where) == _meaning(words) for words in accepted)


def _meaning(where: str) -> tuple[object, ...]:
    """Return what the locator reads in the words; an unknown word ("other") is itself."""
    wording = read_wording(where)
    unread = where.strip().lower() if wording == Wording() else ""
    anchors = tuple(_noun(anchor) for anchor in wording.anchors)
    # "First from the left" is "left".
    ordinal = wording.ordinal or 1
    excluded = wording.excluded
    return (frozenset(wording.orders), ordinal, wording.count, wording.relation, anchors, unread, excluded)
