"""Reports: means per group beside published figures, as a table and as JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from brushedit.evaluation.published import PublishedRow


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table that reads well as plain text and as Markdown; numbers right aligned, None as "–"."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(header))]
    numeric = [i > 0 for i in range(len(header))]
    lines = [
        "| "
        + " | ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        )
        + " |"
        for row in cells
    ]
    rule = (
        "|"
        + "|".join("-" * (w + 1) + (":" if r else "-") for w, r in zip(widths, numeric, strict=True))
        + "|"
    )
    return "\n".join([lines[0], rule, *lines[1:]])


def _cell(value: object) -> str:
    match value:
        case None:
            return "–"
        case float():
            return f"{value:.2f}"
        case _:
            return str(value)


def means(scores: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return the mean of each metric over the items that have it; None where none has.

    A PSNR of equal pictures is infinite, and so is then the mean: it is left out as well as counted by
    `measured`, never rounded down.
    """
    names = dict.fromkeys(name for score in scores for name in score)
    return {name: _mean([score.get(name) for score in scores]) for name in names}


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None and math.isfinite(value)]
    return sum(there) / len(there) if there else None


def measured(scores: Sequence[Mapping[str, float | None]]) -> dict[str, int]:
    """Return over how many items each mean was taken."""
    names = dict.fromkeys(name for score in scores for name in score)
    return {
        name: sum(1 for score in scores if (v := score.get(name)) is not None and math.isfinite(v))
        for name in names
    }


def comparison(
    ours: Mapping[str, Mapping[str, float | None]],
    published: Sequence[PublishedRow],
    scale: Mapping[str, float],
) -> str:
    """Return one table of our groups and published rows, in the paper's scaling.

    Parameters
    ----------
    ours : mapping of group to mapping of metric to mean
    published : sequence of PublishedRow
        Already in the paper's scaling.
    scale : mapping of metric to factor
        What ours are multiplied by, and which columns there are.
    """
    rows: list[list[object]] = []
    for name, values in ours.items():
        scaled = [
            None if (v := values.get(metric)) is None else v * factor for metric, factor in scale.items()
        ]
        rows.append([name, *scaled])
    for row in published:
        rows.append([f"{row.method} ({row.source})", *(row.figures.get(metric) for metric in scale)])
    header = ["", *(metric if factor == 1 else f"{metric} ×{factor:g}" for metric, factor in scale.items())]
    return markdown_table(header, rows)


def finite(value: Any) -> Any:
    """Return a value for JSON, which has no infinity: None stands for it, in nested dicts and lists too."""
    match value:
        case dict():
            return {key: finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [finite(inner) for inner in value]
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value
