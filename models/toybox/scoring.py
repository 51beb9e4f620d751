"""Scoring: an example goes through the whole agent, and what comes out is held against the world's truth."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np

from brushedit import masks
from brushedit.errors import EditError
from brushedit.events import Event, Finished, Located, Planned
from brushedit.options import PaintOptions
from brushedit.types import BlendReport, EditPlan, EditRequest, EditStep, Image, Region
from models.toybox.edits import Edit
from models.toybox.instructions import Example
from models.toybox.judging import Detecting, judge_changes
from models.toybox.rendering import layers, render
from models.toybox.scores import ExampleScore, Given, PlanScore, Scored

Editing: TypeAlias = Callable[[EditRequest, Mapping[int, Region]], Iterable[Event]]
"""The whole agent: a request, and regions by step that stand in for what it would locate; events, or an EditError."""

REACH: Final = 0.02
"""How far past its mask an edit may change pixels, in longer sides of the picture (at least 2 pixels)."""

HARMED: Final = (24, 0.2)
"""A thing that was to stay is harmed if over a fifth of its pixels differ by more than 24 levels from the truth."""


NO_REGIONS: Final[Mapping[int, Region]] = MappingProxyType({})


def score(
    example: Example,
    editing: Editing,
    *,
    side: int = 128,
    options: PaintOptions | None = None,
    given: Given = Given.NOTHING,
    detecting: Detecting | None = None,
) -> Scored:
    """Run an example through the agent and judge what came out.

    Parameters
    ----------
    example : Example
    editing : callable
        See `Editing`. An `EditError` is an outcome.
    side : int
        The picture's height in pixels.
    options : PaintOptions or None
    given : Given
        Stages that get the truth, so that the ones after them are judged alone. Only for examples with a plan.
    detecting : callable or None
        Judges as well, see `ChangeScore.sighted`.
    """
    width = round(side * example.scene.aspect)
    before = render(example.scene, side, width)
    request = EditRequest(
        before, example.instruction, options=options or PaintOptions(), history=example.history
    )
    regions = NO_REGIONS
    if given is not Given.NOTHING:
        assert example.plan is not None, "nothing can be given of a request that shall be declined"
        request = replace(request, plan=example.plan)
    if given is Given.REGIONS and example.edit is not None:
        known = ((c.hole(side, width), c.mask(side, width)) for c in example.edit.changes)
        regions = {i: Region(hole, things=mask) for i, (hole, mask) in enumerate(known)}
    run = _run(editing, request, regions)
    edit, result = example.edit, run.result
    changes = judge_changes(edit, run.located, result, (side, width), detecting) if edit else ()
    spared = _spared(edit, result) if edit and result is not None else None
    outside = None if result is None else _outside(before, result, run, request.options)
    told = ExampleScore(
        form=example.form,
        given=given,
        expected=example.outcome,
        outcome=run.outcome,
        code=run.code,
        plan=None if example.plan is None else judge_plan(run.plan, example.plan),
        changes=changes,
        spared=spared,
        outside_changed=outside,
        seconds=run.seconds,
    )
    truth = None if edit is None else render(edit.after, side, width)
    mask = np.logical_or.reduce([region.mask for region in run.located.values()]) if run.located else None
    return Scored(told, example.instruction, before, mask, result, truth)


def judge_plan(plan: EditPlan | None, truth: EditPlan) -> PlanScore:
    """Return which parts of a plan are the true one's, letter case aside."""
    if plan is None or len(plan.steps) != len(truth.steps):
        return PlanScore()
    pairs = list(zip(plan.steps, truth.steps, strict=True))

    def same(part: Callable[[EditStep], str]) -> bool:
        return all(part(step).strip().lower() == part(true).strip().lower() for step, true in pairs)

    return PlanScore(
        kind=same(lambda step: step.kind),
        target=same(lambda step: step.target),
        which=same(lambda step: step.which),
        where=same(lambda step: step.where),
        caption=same(lambda step: step.caption),
    )


@dataclass(frozen=True)
class _Run:
    """What the agent did: the plan, regions by step, the picture or the error's code, and the seconds it took."""

    plan: EditPlan | None
    located: Mapping[int, Region]
    result: Image | None
    report: BlendReport | None
    code: str
    seconds: float

    @property
    def outcome(self) -> str:
        if self.result is not None:
            return "edited"
        return _OUTCOMES.get(self.code, "failed")


_OUTCOMES: Final = {
    "target_not_found": "target_not_found",
    "plan_failed": "declined",
    "unsupported_edit": "declined",
}


def _run(editing: Editing, request: EditRequest, regions: Mapping[int, Region]) -> _Run:
    plan: EditPlan | None = None
    located: dict[int, Region] = {}
    result: Image | None = None
    report: BlendReport | None = None
    code = ""
    start = time.perf_counter()
    try:
        for event in editing(request, regions):
            match event:
                case Planned():
                    plan = event.plan
                case Located():
                    located[event.step] = event.region
                case Finished():
                    result, report = event.result.images[0], event.result.reports[0]
                case _:
                    pass
    except EditError as error:
        code = error.code
    return _Run(plan, located, result, report, code, time.perf_counter() - start)


def _spared(edit: Edit, result: Image) -> bool:
    """Return whether every thing that is the same before and after is unharmed, its outermost pixels aside."""
    height, width = result.shape[:2]
    truth = render(edit.after, height, width).astype(np.int16)
    wrong = np.abs(truth - result).max(axis=2) > HARMED[0]
    for thing, layer in zip(edit.after.things, layers(edit.after, height, width), strict=True):
        body = masks.shrink(layer.visible, 1)
        if thing in edit.before.things and body.any() and wrong[body].mean() > HARMED[1]:
            return False
    return True


def _outside(before: Image, result: Image, run: _Run, options: PaintOptions) -> int:
    reach = max(2, round(REACH * max(before.shape[:2])), options.grow or 0)
    may = np.zeros(before.shape[:2], dtype=np.bool_)
    for region in run.located.values():
        may |= masks.grow(region.mask, reach)
    beyond = int(np.count_nonzero((before != result)[~may]))
    return max(beyond, run.report.outside_changed if run.report else 0)
