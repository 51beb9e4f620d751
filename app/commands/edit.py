"""`brushedit edit`: a picture and a sentence in, the edited picture out."""

import json
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import (
    BoxOption,
    DeviceOption,
    DtypeOption,
    GuidanceOption,
    InstructorOption,
    KeyOption,
    PointOption,
    ProfileOption,
    SchedulerOption,
    ServerOption,
    StepsOption,
    TriesOption,
    WeightsOption,
    one_of,
    read_box,
    read_choice,
    read_points,
    read_sampling,
    require_own_networks,
    unsaid,
)
from brushedit.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Generator

    from app.commands.tasks import Made, Task
    from brushedit.events import Event
    from brushedit.types import EditPlan, EditRequest, Which

_MAX_RANDOM_SEED = 2**32
"""Drawn seeds stay short enough to be typed again."""


def edit(
    image: Annotated[Path, typer.Argument(help="The picture: PNG, JPEG or WebP.")],
    instruction: Annotated[str, typer.Argument(help="What to change, in your own words.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where the result goes; its suffix names the format.")
    ],
    mask: Annotated[Path | None, typer.Option(help="Your own mask: white = change, or alpha 0.")] = None,
    mask_mode: Annotated[
        str,
        typer.Option(help="Mask, or else box and points: replace, add to or subtract from what is found."),
    ] = "replace",
    mask_resize: Annotated[
        str, typer.Option(help="error, or nearest to fit a mask of another size.")
    ] = "error",
    box: BoxOption = "",
    point: PointOption = None,
    plan: Annotated[
        Path | None, typer.Option(help="A plan as JSON (`brushedit plan`); nothing is planned.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every such thing, not one.")] = False,
    steps: StepsOption = None,
    guidance: GuidanceOption = None,
    scheduler: SchedulerOption = None,
    tries: TriesOption = None,
    negative: Annotated[str, typer.Option(help="What must not appear.")] = "",
    strength: Annotated[float, typer.Option(help="Below 1: start from the noised original.")] = 1.0,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same bytes; drawn and printed if not given.")
    ] = None,
    samples: Annotated[int, typer.Option(help="How many pictures; seeds count up.")] = 1,
    show_mask: Annotated[
        Path | None,
        typer.Option(help="Write what is repainted as a PNG, white; the blend reaches a few pixels past it."),
    ] = None,
    profile: ProfileOption = "toybox",
    weights: WeightsOption = None,
    instructor: InstructorOption = "",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    metadata: Annotated[bool, typer.Option(help="--no-metadata leaves the recipe out of a PNG.")] = True,
    server: ServerOption = "",
    key_env: KeyOption = "BRUSHEDIT_KEY",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Edit a picture by a sentence; everything outside the edit stays identical, bit for bit."""
    from app.commands.tasks import Here, Task, result_format, write_made, write_region
    from app.pictures import check_writable, read, read_bytes, read_mask
    from brushedit.options import PaintOptions
    from brushedit.types import EditRequest, Which
    from models.catalog import find_profile

    mode = one_of("mask_mode", mask_mode, ("replace", "add", "subtract"))
    resize = one_of("mask_resize", mask_resize, ("error", "nearest"))
    sampling = read_sampling(find_profile(profile).sampling, steps, guidance, scheduler, tries)
    require_own_networks(server, profile, weights, instructor, device, dtype)
    if show_mask is not None and show_mask.resolve() == output.resolve():
        raise InvalidOption("--show-mask and --output name the same file", param="show_mask")
    picture = read(image)
    for warning in picture.source.warnings:
        typer.echo(f"warning: {warning}", err=True)
    check_writable(output, picture)
    request = EditRequest(
        picture.pixels,
        instruction,
        mask=read_mask(mask, picture.pixels.shape[:2], resize=resize) if mask else None,
        mask_mode=mode,
        box=read_box(box),
        points=read_points(point),
        plan=_read_plan(plan) if plan else None,
        which=Which.ALL if every else None,
        options=PaintOptions(
            **asdict(sampling),
            negative=negative,
            strength=strength,
            seed=secrets.randbelow(_MAX_RANDOM_SEED) if seed is None else seed,
            samples=samples,
        ),
    )
    _check_early(request)
    task = Task(
        data=read_bytes(image),
        picture=picture,
        request=request,
        format=result_format(output, picture),
        recipe=metadata,
        key=secrets.token_hex(16),
        unsaid=unsaid(steps=steps, guidance=guidance, scheduler=scheduler, tries=tries),
    )
    if server:
        made = _made_there(server, key_env, task)
    else:
        from app.bootstrap import load_editor

        editor = load_editor(read_choice(profile, weights, instructor, device, dtype))
        made = _narrated(Here(editor, profile).edit(task), request.which)
    written = write_made(made, output)
    if task.format == "jpeg":
        typer.echo("note: measured before JPEG re-encoded every pixel; a .png keeps the rest exact", err=True)
    if show_mask:
        write_region(made, show_mask)
    if as_json:
        typer.echo(json.dumps(written))
        return
    for one in written["results"]:
        typer.echo(
            f"{one['output']}: seed {one['seed']}, {one['changed_fraction']:.1%} of the pixels changed, "
            f"{one['outside_changed']} samples outside the region, seam score {one['seam_score']:.1f}"
        )


def _made_there(address: str, key_env: str, task: "Task") -> "Made":
    """Have a server edit; whoever stops waiting for it cancels the edit."""
    from app.commands.remote import Server, key_from

    with Server(address, key_from(key_env)) as there:
        try:
            return _narrated(there.edit(task), task.request.which)
        except KeyboardInterrupt:
            there.cancel()
            raise


def _check_early(request: "EditRequest") -> None:
    """Refuse what no network is needed to refuse, before any is loaded."""
    from agents.locator import require_guidance
    from agents.planner import require_instruction

    require_guidance(request)
    if request.plan is None:
        require_instruction(request.instruction)


def _narrated(events: "Generator[Event, None, Made]", which: "Which | None") -> "Made":
    """Run an edit under a progress bar on stderr, saying what was planned and chosen."""
    from rich.console import Console
    from rich.progress import Progress

    from agents.locator import describe
    from app.generators import run
    from brushedit.events import Denoised, Located, Planned

    plan: EditPlan | None = None
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("planning", total=None)

        def tell(event: "Event") -> None:
            nonlocal plan
            match event:
                case Planned(plan=plan):
                    for step in plan.steps:
                        progress.console.print(
                            f"plan: {step.kind} {step.where} {step.target}: {step.caption}"
                        )
                    progress.update(bar, description="locating")
                case Located(step=number, region=region):
                    assert plan is not None
                    if note := describe(region, plan.steps[number], which):
                        progress.console.print(f"note: {note}")
                    progress.update(bar, description="painting")
                case Denoised(step=done, steps=total):
                    progress.update(bar, completed=done, total=total)
                case _:
                    pass

        return run(events, tell)


def _read_plan(path: Path) -> "EditPlan":
    from agents.plan_schema import ReplyError, plan_from_json

    try:
        return plan_from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ReplyError) as error:
        raise InvalidOption(f"{path} holds no valid plan: {error}", param="plan") from error
