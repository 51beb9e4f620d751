"""`brushedit plan`: what the instructor makes of an instruction; nothing is painted."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import (
    DeviceOption,
    DtypeOption,
    InstructorOption,
    ProfileOption,
    WeightsOption,
    read_choice,
)


def plan(
    image: Annotated[Path, typer.Argument(help="The picture: PNG, JPEG or WebP.")],
    instruction: Annotated[str, typer.Argument(help="What to change, in your own words.")],
    profile: ProfileOption = "toybox",
    weights: WeightsOption = None,
    instructor: InstructorOption = "",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Print the plan as JSON; change it as you like and hand it to `brushedit edit --plan`."""
    from agents.plan_schema import plan_to_json
    from agents.planner import require_instruction
    from app.bootstrap import load_planner
    from app.pictures import read

    require_instruction(instruction)
    picture = read(image)
    planner = load_planner(read_choice(profile, weights, instructor, device, dtype))
    typer.echo(plan_to_json(planner.plan(picture.pixels, instruction)))
