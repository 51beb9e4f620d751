"""The core's records as JSON values, and back."""

from typing import Any

from pydantic import TypeAdapter

from brushedit.options import PaintOptions
from brushedit.types import BlendReport, Box, Candidate, EditPlan, Point

_PLAN = TypeAdapter(EditPlan)
_OPTIONS = TypeAdapter(PaintOptions)
_POINTS = TypeAdapter(tuple[Point, ...])
_REPORT = TypeAdapter(BlendReport)


def plan_to_json(plan: EditPlan) -> dict[str, Any]:
    """Return a plan as JSON."""
    return _PLAN.dump_python(plan, mode="json")


def plan_from_json(data: Any) -> EditPlan:
    """Return a plan, or raise pydantic's `ValidationError`."""
    return _PLAN.validate_python(data)


def options_from_json(data: Any) -> PaintOptions:
    """Return options, or raise `InvalidOption` or pydantic's `ValidationError`."""
    return _OPTIONS.validate_python(data)


def options_to_json(options: PaintOptions) -> dict[str, Any]:
    """Return options as JSON."""
    return _OPTIONS.dump_python(options, mode="json")


def box_from_json(data: Any) -> Box | None:
    """Return a box from its four numbers."""
    return None if data is None else Box(*data)


def points_from_json(data: Any) -> tuple[Point, ...]:
    """Return points."""
    return _POINTS.validate_python(data)


def candidates_to_json(candidates: tuple[Candidate, ...]) -> list[Any]:
    """Return candidates as JSON; boxes as four numbers."""
    return [
        {"box": [c.box.x0, c.box.y0, c.box.x1, c.box.y1], "score": c.score, "phrase": c.phrase}
        for c in candidates
    ]


def candidates_from_json(data: list[Any]) -> tuple[Candidate, ...]:
    """Return candidates."""
    return tuple(Candidate(Box(*c["box"]), c["score"], c["phrase"]) for c in data)


def report_to_json(report: BlendReport) -> dict[str, Any]:
    """Return a blend report as JSON."""
    return _REPORT.dump_python(report, mode="json")
