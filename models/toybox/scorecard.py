"""The scorecard of an evaluation: figures with their goals, per task, per kind of request, per stage; and a sheet."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from brushedit.evaluation.report import markdown_table
from brushedit.types import Image
from models.toybox.scores import ChangeScore, ExampleScore, Given, Scored, Task
from models.toybox.sheets import grid, titled


@dataclass(frozen=True)
class Figure:
    """A mean over `count` cases, and what it should reach; `value` is None where there was no case."""

    name: str
    value: float | None
    count: int
    goal: float | None = None
    at_most: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without goal or cases."""
        if self.goal is None or self.value is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal


def figures(scores: Sequence[ExampleScore]) -> tuple[Figure, ...]:
    """Return the figures of one run over examples, those with goals being what the toy world is held to.

    An edit that did not come about counts as wrong in every aspect that was asked of it.
    """
    changes = [change for score in scores for change in score.changes]
    plans = [score.plan for score in scores if score.plan is not None]
    located = [change for change in changes if change.task is not Task.ADD]
    new = [change for change in changes if change.task.appears]
    removals = [change for change in changes if change.task is Task.REMOVE]
    recolored = [change for change in changes if change.task is Task.RECOLOR]
    return (
        _mean("kind of edit right", [plan.kind for plan in plans], 0.98),
        _mean("target phrase right", [plan.target for plan in plans], 0.97),
        _mean("one or all right", [plan.which for plan in plans]),
        _mean("spatial words right", [plan.where for plan in plans]),
        _mean("caption right", [plan.caption for plan in plans]),
        _mean("plan exactly right", [plan.exact for plan in plans]),
        _mean("out-of-world request declined", _outcomes(scores, "declined"), 0.95),
        _mean("target found", [change.found for change in located], 0.95),
        _mean("absent target not found", _outcomes(scores, "target_not_found"), 0.95),
        _mean("mask IoU", [change.mask_iou for change in located], 0.90),
        _mean("removed", [change.removed for change in removals], 0.95),
        _mean("removed, by the detector", [change.sighted for change in removals]),
        _mean("PSNR in the hole of a removal, dB", [change.psnr for change in removals], 26.0),
        _mean("background right", [change.background for change in changes], 0.95),
        _mean("recolour right", [change.right for change in recolored], 0.90),
        _mean("recolour right, by the detector", [change.sighted for change in recolored]),
        _mean("new object of the right colour", [change.color for change in new], 0.90),
        _mean("new object of the right shape", [change.shape for change in new], 0.80),
        _mean("new object right, by the detector", [change.sighted for change in new]),
        _mean("PSNR in the hole, dB", [change.psnr for change in changes]),
        _mean("similarity in the hole", [change.similarity for change in changes]),
        _mean("other things unharmed", [score.spared for score in scores]),
        Figure(
            "samples changed outside",
            float(sum(score.outside_changed or 0 for score in scores)),
            sum(score.outside_changed is not None for score in scores),
            0.0,
            at_most=True,
        ),
        _mean("whole agent right", [score.success for score in scores], 0.80),
    )


def _mean(name: str, values: Iterable[float | None], goal: float | None = None) -> Figure:
    there = [float(value) for value in values if value is not None]
    return Figure(name, sum(there) / len(there) if there else None, len(there), goal)


def _outcomes(scores: Sequence[ExampleScore], expected: str) -> list[bool]:
    return [score.outcome == expected for score in scores if score.expected == expected]


_COLUMNS: Mapping[str, Callable[[ChangeScore], float | None]] = {
    "found": lambda change: change.found,
    "mask IoU": lambda change: change.mask_iou,
    "hole IoU": lambda change: change.hole_iou,
    "colour": lambda change: change.color,
    "shape": lambda change: change.shape,
    "right": lambda change: change.right,
    "detector": lambda change: change.sighted,
    "PSNR": lambda change: change.psnr,
    "similarity": lambda change: change.similarity,
}


def by_task(scores: Sequence[ExampleScore]) -> dict[str, dict[str, float | None]]:
    """Return, for each task that occurs, how many changes there were and the mean of what is said of them."""
    changes = [change for score in scores for change in score.changes]
    table: dict[str, dict[str, float | None]] = {}
    for task in Task:
        some = [change for change in changes if change.task is task]
        if some:
            table[task] = {"n": float(len(some))} | {
                name: _mean(name, [value(change) for change in some]).value
                for name, value in _COLUMNS.items()
            }
    return table


def by_group(scores: Sequence[ExampleScore]) -> dict[str, dict[str, float | None]]:
    """Return, per kind of request, how many there were, the share of whole successes, and where the rest was lost."""
    table: dict[str, dict[str, float | None]] = {}
    for group in sorted({score.group for score in scores}):
        some = [score for score in scores if score.group == group]
        lost = {
            f"lost at {stage}": sum(score.lost_at == stage for score in some) / len(some)
            for stage in ("plan", "locate", "paint")
        }
        table[group] = {"n": len(some), "success": sum(score.success for score in some) / len(some)} | lost
    return table


def by_stage(runs: Mapping[Given, Sequence[ExampleScore]]) -> dict[str, dict[str, float | None]]:
    """Return, per run over the same examples, the success where an edit or a missing target was expected.

    What is lost between two rows is lost by the stage that the second row is given.
    """
    table: dict[str, dict[str, float | None]] = {}
    for given, scores in runs.items():
        edits = [score for score in scores if score.expected == "edited"]
        absent = [score for score in scores if score.expected == "target_not_found"]
        table[given] = {
            "n": len(edits),
            "success": _mean("", [score.success for score in edits]).value,
            "changes right": _mean("", [c.right for score in edits for c in score.changes]).value,
            "absent not found": _mean("", [score.success for score in absent]).value,
        }
    return table


def to_json(runs: Mapping[Given, Sequence[ExampleScore]]) -> dict[str, Any]:
    """Return everything known of all runs, as JSON takes it."""
    whole = runs[Given.NOTHING]
    return {
        "examples": len(whole),
        "figures": [asdict(figure) | {"reached": figure.reached} for figure in figures(whole)],
        "figures_with_plan_given": _given(runs, Given.PLAN),
        "figures_with_plan_and_regions_given": _given(runs, Given.REGIONS),
        "by_task": by_task(whole),
        "by_request": by_group(whole),
        "by_stage": by_stage(runs),
        "seconds_per_edit": _mean("", [score.seconds for score in whole]).value,
        "scores": {
            given: [asdict(score) | {"success": score.success, "lost_at": score.lost_at} for score in scores]
            for given, scores in runs.items()
        },
    }


def _given(runs: Mapping[Given, Sequence[ExampleScore]], given: Given) -> list[dict[str, Any]]:
    return [asdict(figure) for figure in figures(runs[given])] if given in runs else []


def to_text(runs: Mapping[Given, Sequence[ExampleScore]]) -> str:
    """Return the tables of an evaluation: figures, per task, per kind of request, per stage."""
    told = {given: figures(scores) for given, scores in runs.items()}
    rows = [
        [figure.name, figure.count, _goal(figure), *(run[i].value for run in told.values())]
        for i, figure in enumerate(told[Given.NOTHING])
    ]
    whole = runs[Given.NOTHING]
    header = ["figure", "n", "goal", *(f"given {given}" for given in told)]
    return "\n\n".join(
        [
            markdown_table(header, rows),
            _nested("change", by_task(whole)),
            _nested("request", by_group(whole)),
            _nested("given", by_stage(runs)),
        ]
    )


def _goal(figure: Figure) -> str | None:
    if figure.goal is None:
        return None
    missed = "" if figure.reached is not False else " missed"
    return f"{'≤' if figure.at_most else '≥'} {figure.goal:g}{missed}"


def _nested(name: str, table: Mapping[str, Mapping[str, float | None]]) -> str:
    if not table:
        return f"no {name}"
    columns = list(next(iter(table.values())))
    rows = [[row, *(_whole(column, values[column]) for column in columns)] for row, values in table.items()]
    return markdown_table([name, *columns], rows)


def _whole(column: str, value: float | None) -> object:
    return int(value) if column == "n" and value is not None else value


def contact_sheet(scored: Sequence[Scored], count: int = 24, side: int = 128, columns: int = 2) -> Image:
    """Return a sheet of before, mask, result and truth, the worst first, with what was asked and what went wrong."""
    worst = sorted(scored, key=_quality)[:count]
    strips = [_strip(one, side) for one in worst]
    return grid([strips[i : i + columns] for i in range(0, len(strips), columns)])


def _quality(one: Scored) -> tuple[bool, float]:
    similar = [change.similarity or 0.0 for change in one.score.changes]
    return one.score.success, sum(similar) / len(similar) if similar else 1.0


def _strip(one: Scored, side: int) -> Image:
    dimmed = None if one.mask is None else np.where(one.mask[..., None], one.before, one.before // 4)
    blank = np.full_like(one.before, 200)
    shown = [one.before, dimmed, one.result, one.truth]
    cells = [
        cv2.resize(
            blank if cell is None else cell.astype(np.uint8), (side, side), interpolation=cv2.INTER_AREA
        )
        for cell in shown
    ]
    score = one.score
    verdict = "right" if score.success else f"lost at {score.lost_at}"
    outcome = score.outcome if score.outcome == score.expected else f"{score.outcome}, not {score.expected}"
    return titled(
        np.concatenate([np.asarray(cell, np.uint8) for cell in cells], axis=1),
        f"{one.instruction} -> {verdict} ({score.group}: {outcome})",
    )
