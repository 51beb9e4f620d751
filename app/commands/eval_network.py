"""`brushedit eval network`: one of the toybox's networks alone, on fresh scenes; the figures of its model card."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from brushedit.errors import InvalidOption, PlanFailed

if TYPE_CHECKING:
    from app.bootstrap import AgentChoice
    from brushedit.types import EditPlan, Image, Turn

Row = Mapping[str, Any]
"""One line of a table: figures by name."""

FLOORS: Final = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5)


def measure(name: str, choice: "AgentChoice", seed: int, count: int) -> tuple[list[Row], "Image | None"]:
    """Return a network's figures as rows of a table, and a sheet to look at, if it has one.

    Parameters
    ----------
    name : str
        instructor, segmenter, detector, painters or vae.
    count : int
        Instructions, pictures, or edits of each task.

    Raises
    ------
    InvalidOption, InvalidWeights
    """
    if name not in _MEASURES:
        raise InvalidOption(f"unknown network {name!r}; known: {', '.join(_MEASURES)}", param="name")
    return _MEASURES[name](choice, seed, count)


def _instructor(choice: "AgentChoice", seed: int, count: int) -> "tuple[list[Row], Image | None]":
    from app.bootstrap import load_planner
    from models.toybox.measuring import measure_plans
    from models.toybox.sheets import written

    planner = load_planner(choice)

    def plans(image: "Image", instruction: str, history: "Sequence[Turn]") -> "EditPlan | None":
        try:
            return planner.plan(image, instruction, history)
        except PlanFailed:
            return None

    told = measure_plans(plans, seed, count)
    whole = {
        "form": "all",
        "n": count,
        "exactly right": told.right,
        "kinds right": told.kinds,
        "targets right": told.targets,
        "out of world declined": told.declined,
    }
    forms = [
        {"form": form, "n": asked, "exactly right": right / asked}
        for form, (right, asked) in sorted(told.forms.items())
    ]
    lines = [f"{asked.instruction}  ->  {answer or 'declined'}" for asked, answer in told.wrong[:40]]
    return [whole, *forms], written(lines) if lines else None


def _segmenter(choice: "AgentChoice", seed: int, count: int) -> "tuple[list[Row], Image | None]":
    from app.bootstrap import load_segmenter
    from models.toybox.measuring import measure_masks
    from models.toybox.mind_sheets import mask_sheet

    segmenter = load_segmenter(choice)
    return [asdict(measure_masks(segmenter, seed, count))], mask_sheet(segmenter, seed)


def _detector(choice: "AgentChoice", seed: int, count: int) -> "tuple[list[Row], Image | None]":
    from app.bootstrap import load_detector
    from models.catalog import find_profile
    from models.toybox.measuring import measure_boxes
    from models.toybox.mind_sheets import box_sheet

    detector = load_detector(choice)
    floor = find_profile(choice.profile).floor
    return [asdict(one) for one in measure_boxes(detector, seed, count, FLOORS)], box_sheet(
        detector, floor, seed
    )


def _painters(choice: "AgentChoice", seed: int, count: int) -> "tuple[list[Row], Image | None]":
    import numpy as np

    from app.bootstrap import load_painter
    from brushedit.options import PaintOptions
    from models.catalog import find_profile
    from models.toybox.probe import Task, cases, judge, paint
    from models.toybox.sheets import grid

    conductor, profile = load_painter(choice), find_profile(choice.profile)
    sampling = profile.sampling
    rows: list[Row] = []
    strips: list[list[Image]] = []
    for task in Task:
        shares: dict[str, list[float]] = {}
        cells: list[Image] = []
        for number, case in enumerate(cases(task, seed, count)):
            options = PaintOptions(
                sampling.steps,
                sampling.guidance,
                scheduler=sampling.scheduler,
                seed=number,
                context=profile.closeup if task.appears else None,
            )
            result, region = paint(conductor, case, options)
            for name, value in asdict(judge(case, result, region)).items():
                if value is not None:
                    shares.setdefault(name, []).append(float(value))
            if case.image.shape[0] == case.image.shape[1] and len(cells) < 8:
                cells += [np.concatenate([case.image, result], axis=1)]
        strips.append(cells[:4])
        rows.append({"task": task.value, "n": count} | {name: np.mean(some) for name, some in shares.items()})
    return rows, grid([strip for strip in strips if strip]) if any(strips) else None


def _vae(choice: "AgentChoice", seed: int, count: int) -> "tuple[list[Row], Image | None]":
    import numpy as np
    import torch

    from app.bootstrap import load_painter
    from models.toybox.crops import NATIVE, draw_crops
    from models.toybox.samples import reconstructed, reconstruction_sheet

    vae = load_painter(choice).base.vae
    crops = draw_crops(np.random.default_rng(seed), (NATIVE, NATIVE), count)
    with torch.inference_mode():
        made = reconstructed(vae, [crop.image for crop in crops])
    errors = [
        np.square(crop.image.astype(np.float64) - image) for crop, image in zip(crops, made, strict=True)
    ]
    inside = np.concatenate([error[crop.subject].ravel() for crop, error in zip(crops, errors, strict=True)])

    def decibels(squares: Any) -> float:
        return float(10 * np.log10(255**2 / np.mean(squares)))

    return [
        {"n": count, "PSNR, dB": decibels(np.stack(errors)), "PSNR inside toys, dB": decibels(inside)}
    ], reconstruction_sheet(vae)


_MEASURES: Final[Mapping[str, Callable[["AgentChoice", int, int], "tuple[list[Row], Image | None]"]]] = {
    "instructor": _instructor,
    "segmenter": _segmenter,
    "detector": _detector,
    "painters": _painters,
    "vae": _vae,
}


def write(folder: Path, name: str, rows: Sequence[Row], sheet: "Image | None") -> None:
    """Write figures as JSON and the sheet as PNG."""
    import json

    import numpy as np

    from models.toybox.sheets import write_sheet

    def plain(value: Any) -> Any:
        return float(value) if isinstance(value, np.floating) else value

    told = [{key: plain(value) for key, value in row.items()} for row in rows]
    (folder / f"{name}.json").write_text(json.dumps(told, indent=1))
    if sheet is not None:
        write_sheet(folder / f"{name}.png", sheet)
