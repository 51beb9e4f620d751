"""How well the toybox's instructor, segmenter and detector do on dialogues and pictures they never saw.

They are handed in as what the agent calls, so that what is measured is what runs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from brushedit.types import Box, Candidate, EditPlan, Image, Mask, Point, Turn
from models.toybox.instructions import Example, sample_dialogue
from models.toybox.naming import draw_phrases, fits
from models.toybox.pictures import draw_picture
from models.toybox.prompting import draw_clicks, jitter_box, shown
from models.toybox.rendering import render

Plans: TypeAlias = Callable[[Image, str, Sequence[Turn]], EditPlan | None]
"""Picture, instruction and earlier turns to a plan; None where the instructor declines."""


class Segments(Protocol):
    """A segmenter, as in ``agents.ports``."""

    def segment(self, image: Image, box: Box | None, points: Sequence[Point]) -> tuple[Mask, float]:
        """Return a mask and its predicted IoU."""
        ...


class Detects(Protocol):
    """A detector, as in ``agents.ports``."""

    def detect(self, image: Image, phrase: str) -> Sequence[Candidate]:
        """Return candidates, best first."""
        ...


@dataclass(frozen=True)
class PlanScores:
    """How plans came out.

    Attributes
    ----------
    forms : mapping of str to (int, int)
        How many of a form were answered exactly right, and how many were asked.
    right, kinds, targets, declined : float
        Share of requests answered exactly right; share of plans with all their steps' kinds right, and with
        their targets, places and numbers right; share of out-of-world requests that were declined.
    wrong : tuple of (Example, EditPlan or None)
        What was answered otherwise.
    """

    forms: Mapping[str, tuple[int, int]]
    right: float
    kinds: float
    targets: float
    declined: float
    wrong: tuple[tuple[Example, EditPlan | None], ...]


def measure_plans(plans: Plans, seed: int, count: int) -> PlanScores:
    """Ask for plans of dialogues made of templates and words held out from training."""
    asked = [sample_dialogue(np.random.default_rng((seed, number)), "held_out") for number in range(count)]
    answers = [plans(render(e.scene, 96, 96), e.instruction, e.history) for e in asked]
    forms: dict[str, tuple[int, int]] = {}
    for example, answer in zip(asked, answers, strict=True):
        form = "two in one" if "+" in example.form else example.form
        right, all_of_it = forms.get(form, (0, 0))
        forms[form] = (right + int(answer == example.plan), all_of_it + 1)
    edits = [(e.plan, a) for e, a in zip(asked, answers, strict=True) if e.plan]
    refused = [a for e, a in zip(asked, answers, strict=True) if e.plan is None]
    return PlanScores(
        forms,
        right=_share([a == e.plan for e, a in zip(asked, answers, strict=True)]),
        kinds=_share(
            [a is not None and [s.kind for s in a.steps] == [s.kind for s in p.steps] for p, a in edits]
        ),
        targets=_share([a is not None and _targets(a) == _targets(p) for p, a in edits]),
        declined=_share([a is None for a in refused]),
        wrong=tuple((e, a) for e, a in zip(asked, answers, strict=True) if a != e.plan),
    )


def _targets(plan: EditPlan) -> list[tuple[str, str, str]]:
    return [(step.target, step.where, step.which) for step in plan.steps]


@dataclass(frozen=True)
class MaskScores:
    """How masks came out: mean IoU with the truth, its 5th percentile, and how far the promised IoU is off."""

    boxes: float
    boxes_low: float
    clicks: float
    promised: float
    count: int


def measure_masks(
    segmenter: Segments, seed: int, count: int, longest: int = 256, jitter: float = 0.1
) -> MaskScores:
    """Segment every thing of `count` fresh pictures by a box a little off, and by one click on it."""
    boxes: list[float] = []
    clicks: list[float] = []
    errors: list[float] = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        picture = draw_picture(rng, longest, int(rng.integers(1, 5)))
        for i in shown(picture):
            true = picture.layers[i]
            x0, y0, x1, y1 = (
                np.rint(jitter_box(rng, true.box, jitter, picture.image.shape[:2])).astype(int).tolist()
            )
            mask, promised = segmenter.segment(picture.image, Box(x0, y0, x1, y1), ())
            boxes.append(_iou(mask, true.visible))
            errors.append(abs(promised - boxes[-1]))
            places, _ = draw_clicks(rng, true.visible, 1)
            mask, _ = segmenter.segment(picture.image, None, (Point(int(places[0, 0]), int(places[0, 1])),))
            clicks.append(_iou(mask, true.visible))
    return MaskScores(
        float(np.mean(boxes)),
        float(np.quantile(boxes, 0.05)),
        float(np.mean(clicks)),
        float(np.mean(errors)),
        len(boxes),
    )


@dataclass(frozen=True)
class BoxScores:
    """How detections came out, at one floor.

    Attributes
    ----------
    found : float
        Share of phrases that fit something for which the best candidate is above the floor and on such a thing
        (IoU 0.5 or more).
    complete : float
        Share of the things that fit which some candidate above the floor is on.
    overlap : float
        Mean IoU of the best candidates that are right.
    declined : float
        Share of phrases that fit nothing for which no candidate is above the floor.
    """

    floor: float
    found: float
    complete: float
    overlap: float
    declined: float
    present: int
    absent: int


def measure_boxes(
    detector: Detects, seed: int, count: int, floors: Sequence[float], longest: int = 256
) -> tuple[BoxScores, ...]:
    """Look for phrases that fit and phrases that nearly fit in `count` fresh pictures."""
    present: list[tuple[list[Box], Sequence[Candidate]]] = []
    absent: list[Sequence[Candidate]] = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        picture = draw_picture(rng, longest)
        phrases = draw_phrases(rng, picture.scene, 4)
        for column, phrase in enumerate(phrases):
            fitting = np.flatnonzero(fits(picture.scene, phrases)[:, column])
            found = detector.detect(picture.image, phrase)
            if len(fitting):
                present.append(([picture.layers[i].box for i in fitting], found))
            else:
                absent.append(found)
    return tuple(_box_scores(floor, present, absent) for floor in floors)


def _box_scores(
    floor: float,
    present: Sequence[tuple[list[Box], Sequence[Candidate]]],
    absent: Sequence[Sequence[Candidate]],
) -> BoxScores:
    best = [max(found[0].box.iou(box) for box in boxes) if found else 0.0 for boxes, found in present]
    above = [bool(found) and found[0].score >= floor for _, found in present]
    covered = [
        any(c.score >= floor and c.box.iou(box) >= 0.5 for c in found)
        for boxes, found in present
        for box in boxes
    ]
    right = [overlap for overlap in best if overlap >= 0.5]
    return BoxScores(
        floor,
        found=_share([sure and overlap >= 0.5 for sure, overlap in zip(above, best, strict=True)]),
        complete=_share(covered),
        overlap=float(np.mean(right)) if right else 0.0,
        declined=_share([not found or found[0].score < floor for found in absent]),
        present=len(present),
        absent=len(absent),
    )


def _iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def _share(answers: Sequence[bool]) -> float:
    return sum(answers) / max(1, len(answers))
