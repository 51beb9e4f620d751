"""`make demo`: draw scenes of the toy world, repaint a part of each, and show that the rest is what it was."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from app.bootstrap import PainterChoice, load_conductor
from app.generators import run
from app.pictures import Picture, encode_mask, write
from brushedit.types import EditKind, PaintOptions
from models.toybox.edits import Change
from models.toybox.instructions import sample_dialogue
from models.toybox.rendering import render

SIDE = 256
OPTIONS = PaintOptions(seed=1, steps=8, guidance=2.0, scheduler="ddim")


def changes() -> Iterator[tuple[str, Change]]:
    """Yield one removal, one new colour and one new background, each with the words that ask for it."""
    rng = np.random.default_rng(2)
    wanted = [EditKind.REMOVE, EditKind.LOCAL, EditKind.BACKGROUND]
    while wanted:
        example = sample_dialogue(rng)
        if example.edit is None or len(example.edit.changes) != 1 or example.history:
            continue
        change = example.edit.changes[0]
        # A rectangle to put another shape into is more than these weights can do well.
        if change.step.kind in wanted and change.frame is None:
            wanted.remove(change.step.kind)
            yield example.instruction, change


def main() -> None:
    """Write before, mask and after of each edit into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    conductor = load_conductor(PainterChoice())
    for instruction, change in changes():
        name = change.step.kind.value
        before, mask = render(change.before, SIDE, SIDE), change.hole(SIDE, SIDE)
        painting = run(conductor.paint(before, mask, change.step.caption, OPTIONS))
        write(folder / f"{name}-before.png", before, Picture(before))
        (folder / f"{name}-mask.png").write_bytes(encode_mask(mask))
        write(folder / f"{name}-after.png", painting.images[0], Picture(before))
        print(
            f'{name}: "{instruction}" as "{change.step.caption}"; '
            f"{painting.reports[0].outside_changed} samples changed outside the region"
        )
    print(f"The pictures are in {folder}/. The masks are the drawing's own, the painting is the toybox's.")


if __name__ == "__main__":
    main()
