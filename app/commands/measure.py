"""`brushedit measure`: what an edit, by any system, left of the picture outside its mask."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def measure(
    image: Annotated[Path, typer.Argument(help="The picture before.")],
    result: Annotated[Path, typer.Argument(help="The picture after.")],
    mask: Annotated[Path, typer.Option(help="The mask of the edit, white = edited.")],
    grow: Annotated[
        int, typer.Option(min=0, help="Pixels past the mask that may have changed as well.")
    ] = 10,
) -> None:
    """Print, as JSON, whether the size was kept, and PSNR and exact pixels outside the mask grown by `grow`."""
    from app.pictures import read, read_mask
    from brushedit import masks
    from brushedit.preservation import preservation

    before = read(image).pixels
    region = masks.grow(read_mask(mask, before.shape[:2], resize="nearest"), grow)
    figures = asdict(preservation(before, read(result).pixels, region))
    # JSON has no infinity: equal throughout is null.
    figures["psnr"] = round(figures["psnr"], 2) if figures["psnr"] != float("inf") else None
    typer.echo(json.dumps(figures))
