"""`brushedit mask`: the region that a phrase, a box or clicks mean, as a picture; nothing is painted."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import (
    BoxOption,
    DeviceOption,
    DtypeOption,
    PointOption,
    ProfileOption,
    WeightsOption,
    read_box,
    read_choice,
    read_points,
)


def mask(
    image: Annotated[Path, typer.Argument(help="The picture: PNG, JPEG or WebP.")],
    target: Annotated[str, typer.Argument(help="Noun phrase, such as 'blue cube'.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where the mask goes: a PNG, white = found.")
    ],
    where: Annotated[
        str, typer.Option(help="left, largest, second from the right, next to the cone ...")
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="Every such thing, not one.")] = False,
    background: Annotated[bool, typer.Option(help="Everything but the target.")] = False,
    box: BoxOption = "",
    point: PointOption = None,
    profile: ProfileOption = "toybox",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Write the mask, and print as JSON what was found and chosen."""
    from agents.locator import describe
    from app.bootstrap import load_locator
    from app.pictures import encode_mask, read
    from brushedit.errors import OutputNotWritable
    from brushedit.types import EditKind, EditRequest, EditStep, Which

    picture = read(image)
    kind = EditKind.BACKGROUND if background else EditKind.LOCAL
    step = EditStep(kind, target, caption=target, where=where, which=Which.ALL if every else Which.ONE)
    request = EditRequest(picture.pixels, target, box=read_box(box), points=read_points(point))
    locator = load_locator(read_choice(profile, weights, "", device, dtype))
    region = locator.locate(picture.pixels, step, request)
    try:
        output.write_bytes(encode_mask(region.mask))
    except OSError as error:
        raise OutputNotWritable(f"{output} cannot be written: {error.strerror}", param="output") from error
    typer.echo(
        json.dumps(
            {
                "output": str(output),
                "coverage": float(region.mask.mean()),
                "candidates": [asdict(candidate) for candidate in region.candidates],
                "chosen": region.chosen,
                "scores": region.scores,
            }
        )
    )
    if note := describe(region, step, request.which):
        typer.echo(f"note: {note}", err=True)
