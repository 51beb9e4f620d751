"""`brushedit measure`: what an edit, by any system, left of the picture outside its mask."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from brushedit.errors import EmptyMask, InvalidOption


def measure(
    image: Annotated[Path, typer.Argument(help="The picture before.")],
    result: Annotated[Path, typer.Argument(help="The picture after.")],
    mask: Annotated[Path, typer.Option(help="The mask of the edit, white = edited.")],
    grow: Annotated[
        int, typer.Option(min=0, help="Pixels past the mask that may have changed as well.")
    ] = 10,
    mask_resize: Annotated[
        str, typer.Option(help="error, or nearest to fit a mask of another size.")
    ] = "error",
) -> None:
    """Print, as JSON, whether the size was kept, and PSNR and exact pixels outside the mask grown by `grow`.

    PSNR is null where nothing changed. Alpha is compared where both pictures have it.
    """
    from app.pictures import read, read_mask
    from brushedit import masks
    from brushedit.preservation import preservation

    if mask_resize not in ("error", "nearest"):
        raise InvalidOption(f"mask_resize must be error or nearest, not {mask_resize!r}", param="mask_resize")
    before, after = read(image), read(result)
    selected = read_mask(mask, before.pixels.shape[:2], resize=mask_resize)
    if not selected.any():
        raise EmptyMask("the mask is empty: there is no edit to measure around", param="mask")
    region = masks.grow(selected, grow)
    alphas = (before.alpha, after.alpha) if before.alpha is not None and after.alpha is not None else None
    figures = asdict(preservation(before.pixels, after.pixels, region, alphas))
    figures["psnr"] = round(figures["psnr"], 2) if math.isfinite(figures["psnr"]) else None
    typer.echo(json.dumps(figures))
