"""Contact sheets: the world at a glance, and edits as before, mask, hole and after, with what was asked."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from brushedit.types import Image, Mask
from models.toybox.captions import scene_caption
from models.toybox.instructions import Example, sample_dialogue
from models.toybox.rendering import render
from models.toybox.scenes import Background, close_up, sample_scene

_GAP = 3
_LINE = 13


def world_sheet(rng: np.random.Generator, side: int = 128, rows: int = 4) -> Image:
    """Return a sheet of scenes, one column per background, and a last row of 64-pixel close-ups, enlarged."""
    lines: list[list[Image]] = []
    for row in range(rows):
        scenes = [
            sample_scene(rng, count=min(4, row + 1), background=background) for background in Background
        ]
        lines.append([titled(render(scene, side, side), scene_caption(scene)) for scene in scenes])
    near: list[Image] = []
    for background in Background:
        scene = sample_scene(rng, count=2, background=background)
        view = close_up(rng, scene, scene.things[0].window)
        small = render(scene, 64, 64, view)
        enlarged = cv2.resize(small, (side, side), interpolation=cv2.INTER_NEAREST)
        near.append(titled(np.asarray(enlarged, np.uint8), scene.things[0].name))
    return grid([*lines, near])


def edit_sheet(rng: np.random.Generator, count: int = 12, side: int = 160) -> Image:
    """Return a sheet of single edits, two a row: before, what is selected, what is repainted, after."""
    cells: list[Image] = []
    while len(cells) < count:
        example = sample_dialogue(rng)
        if example.edit is not None and len(example.edit.changes) == 1:
            cells.append(_edit_strip(example, side))
    return grid([cells[i : i + 2] for i in range(0, count, 2)])


def _edit_strip(example: Example, side: int) -> Image:
    assert example.edit is not None
    (change,) = example.edit.changes
    before, after = (render(scene, side, side) for scene in (change.before, change.after))
    mask, hole = change.mask(side, side), change.hole(side, side)
    strip = np.concatenate([before, _shown(before, mask), _shown(before, hole), after], axis=1)
    step = change.step
    said = " / ".join([*(turn.instruction for turn in example.history[-1:]), example.instruction])
    planned = " | ".join([step.kind, f"{step.which} {step.where} {step.target}", step.caption])
    return titled(strip, f"{said} -> {planned}")


def _shown(image: Image, mask: Mask) -> Image:
    """Return the picture with what a mask leaves out dimmed."""
    return np.where(mask[..., None], image, image // 4).astype(np.uint8)


def titled(image: Image, text: str) -> Image:
    """Return the picture over two lines of small print."""
    height, width = image.shape[:2]
    sheet = np.full((height + 2 * _LINE, width, 3), 255, dtype=np.uint8)
    sheet[:height] = image
    lines = textwrap.wrap(text.encode("ascii", "replace").decode(), max(20, width // 5))
    for i, line in enumerate(lines[:2]):
        at = (1, height + 10 + i * _LINE)
        cv2.putText(sheet, line, at, cv2.FONT_HERSHEY_SIMPLEX, 0.3, (0, 0, 0), 1, cv2.LINE_AA)
    return sheet


def written(lines: Sequence[str], width: int = 110) -> Image:
    """Return lines of small print on white, long ones broken."""
    broken = [part for line in lines for part in textwrap.wrap(line, width, subsequent_indent="    ")]
    sheet = np.full((_LINE * len(broken) + 2 * _GAP, 6 * width, 3), 255, dtype=np.uint8)
    for i, line in enumerate(broken):
        text = line.encode("ascii", "replace").decode()
        cv2.putText(
            sheet, text, (2, 11 + i * _LINE), cv2.FONT_HERSHEY_SIMPLEX, 0.32, (0, 0, 0), 1, cv2.LINE_AA
        )
    return sheet


def enlarged(image: Image) -> Image:
    """Return a picture twice as large, so that there is room for words under it."""
    return image.repeat(2, axis=0).repeat(2, axis=1)


def write_sheet(path: Path, sheet: Image) -> None:
    """Write a sheet as PNG, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".png", np.ascontiguousarray(sheet[..., ::-1]))
    path.write_bytes(data.tobytes())


def grid(rows: Sequence[Sequence[Image]]) -> Image:
    """Return pictures of equal size in rows, with white between them; short rows end in white."""
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    shape = (len(rows) * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3)
    sheet = np.full(shape, 255, dtype=np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            y, x = i * (height + _GAP), j * (width + _GAP)
            sheet[y : y + height, x : x + width] = image
    return sheet
