"""`brushedit paint`: a picture, a mask and a caption in, the repainted picture out."""

import hashlib
import json
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app import __version__
from app.commands.options import GuidanceOption, SchedulerOption, StepsOption, one_of, read_sampling
from brushedit.errors import InvalidOption

if TYPE_CHECKING:
    from brushedit.diffusion.conductor import BrushNetConductor
    from brushedit.options import PaintOptions
    from brushedit.types import Image, Mask, Painting

_MAX_RANDOM_SEED = 2**32
"""Drawn seeds stay short enough to be typed again."""


def paint(
    image: Annotated[Path, typer.Argument(help="The picture: PNG, JPEG or WebP.")],
    mask: Annotated[Path, typer.Option(help="The mask: white = repaint, or alpha 0 = repaint.")],
    caption: Annotated[str, typer.Option(help="What the repainted region shows.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where the result goes; its suffix names the format.")
    ],
    negative: Annotated[str, typer.Option(help="What it must not show.")] = "",
    steps: StepsOption = None,
    guidance: GuidanceOption = None,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same bytes; drawn and printed if not given.")
    ] = None,
    samples: Annotated[int, typer.Option(help="How many, 1..16: OUT-SEED for each, seeds count up.")] = 1,
    scheduler: SchedulerOption = None,
    strength: Annotated[float, typer.Option(help="Below 1: start from the noised original.")] = 1.0,
    preservation_scale: Annotated[
        float, typer.Option(help="Factor on BrushNet's features (the paper's w).")
    ] = 1.0,
    control_start: Annotated[
        float, typer.Option(help="Share of the steps at which BrushNet begins to act.")
    ] = 0.0,
    control_end: Annotated[float, typer.Option(help="Share of the steps at which it ends.")] = 1.0,
    guess_mode: Annotated[bool, typer.Option(help="BrushNet on the conditional half alone.")] = False,
    posterior: Annotated[
        str, typer.Option(help="VAE posterior of the masked picture: mode or sample.")
    ] = "mode",
    latent_mask: Annotated[str, typer.Option(help="Mask at latent size: nearest or cubic.")] = "nearest",
    clip_skip: Annotated[int, typer.Option(help="Text encoder layers left out, from the end.")] = 0,
    context: Annotated[float, typer.Option(help="Margin around the mask, in sides of its box.")] = 0.5,
    grow: Annotated[int | None, typer.Option(help="How far past the mask the blend may reach, px.")] = None,
    blur: Annotated[int | None, typer.Option(help="Width of the blend's fall, px.")] = None,
    blend: Annotated[bool, typer.Option(help="--no-blend returns the raw painted frame.")] = True,
    mask_polarity: Annotated[
        str, typer.Option(help="auto, white, black or alpha: what is repainted.")
    ] = "auto",
    mask_resize: Annotated[
        str, typer.Option(help="error, or nearest to fit a mask of another size.")
    ] = "error",
    quality: Annotated[int, typer.Option(help="Of a JPEG result, 1..100.")] = 95,
    metadata: Annotated[bool, typer.Option(help="--no-metadata leaves the recipe out of a PNG.")] = True,
    base: Annotated[Path | None, typer.Option(help="Base model: a folder in diffusers' layout.")] = None,
    brushnet: Annotated[Path | None, typer.Option(help="BrushNet: a published folder.")] = None,
    lora: Annotated[
        list[str] | None, typer.Option(help="FILE.safetensors or FILE.safetensors:WEIGHT.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, float16, bfloat16.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Repaint the masked region of a picture so that it shows the caption."""
    from app.pictures import check_writable, read, read_mask, write
    from app.pictures.writing import format_named
    from brushedit import blending
    from brushedit.options import PaintOptions
    from models.catalog import Sampling, find_profile

    polarity = one_of("mask_polarity", mask_polarity, ("auto", "white", "black", "alpha"))
    resize = one_of("mask_resize", mask_resize, ("error", "nearest"))
    usual = find_profile("toybox").sampling if base is None else Sampling()
    sampling = read_sampling(usual, steps, guidance, scheduler)
    options = PaintOptions(
        steps=sampling.steps,
        guidance=sampling.guidance,
        negative=negative,
        seed=secrets.randbelow(_MAX_RANDOM_SEED) if seed is None else seed,
        samples=samples,
        scheduler=sampling.scheduler,
        strength=strength,
        preservation_scale=preservation_scale,
        control_start=control_start,
        control_end=control_end,
        guess_mode=guess_mode,
        posterior=posterior,  # pyright: ignore[reportArgumentType]  PaintOptions refuses any other word
        latent_mask=latent_mask,  # pyright: ignore[reportArgumentType]
        clip_skip=clip_skip,
        context=context,
        grow=grow,
        blur=blur,
        blend=blend,
    )
    picture = read(image)
    for warning in picture.source.warnings:
        typer.echo(f"warning: {warning}", err=True)
    check_writable(output, picture)
    selected = read_mask(mask, picture.pixels.shape[:2], polarity=polarity, resize=resize)
    if (
        polarity == "auto"
        and (selected != read_mask(mask, selected.shape, polarity="white", resize=resize)).any()
    ):
        typer.echo(
            "warning: the mask's transparency was read, transparent = repaint; its white means something else "
            "(--mask-polarity white reads that)",
            err=True,
        )

    from app.bootstrap import PainterChoice, load_conductor

    choice = PainterChoice(base, brushnet, tuple(_lora(text) for text in lora or ()), device, dtype)
    if base is None and brushnet is None:
        typer.echo(
            "note: no weights were named, so the toybox paints: small networks that know a drawn world alone",
            err=True,
        )
    painting = _painted(load_conductor(choice), picture.pixels, selected, caption, options)
    lossy = (format_named(output.suffix) if output.suffix else picture.source.format) == "JPEG"
    results: list[dict[str, Any]] = []
    for pixels, sample_seed, report in zip(painting.images, painting.seeds, painting.reports, strict=True):
        path = output if samples == 1 else output.with_stem(f"{output.stem}-{sample_seed}")
        recipe = {
            "version": __version__,
            "instruction": None,
            "caption": caption,
            "seed": sample_seed,
            "mask_sha256": hashlib.sha256(selected.tobytes()).hexdigest(),
            "weights": choice.names(),
            "options": asdict(options) | {"seed": sample_seed, "samples": 1},
        }
        write(path, pixels, picture, quality=quality, recipe=recipe if metadata else None)
        if lossy:
            report = blending.report(picture.pixels, read(path).pixels, painting.region)
        results.append({"output": str(path), "seed": sample_seed, **asdict(report)})
    if lossy:
        typer.echo(
            "note: a JPEG file re-encodes every pixel; PNG and WebP results are exact outside", err=True
        )
    if as_json:
        typer.echo(json.dumps({"results": results}))
        return
    for result in results:
        typer.echo(
            f"{result['output']}: seed {result['seed']}, {result['changed_fraction']:.1%} of the pixels changed, "
            f"{result['outside_changed']} samples outside the region, seam score {result['seam_score']:.1f}"
        )


def _painted(
    conductor: "BrushNetConductor", image: "Image", mask: "Mask", caption: str, options: "PaintOptions"
) -> "Painting":
    """Run the conductor under a progress bar, on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    from app.generators import run
    from brushedit.events import Blended, Denoised

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("painting", total=None)

        def show(event: Denoised | Blended) -> None:
            if isinstance(event, Denoised):
                progress.update(task, completed=event.step, total=event.steps)

        return run(conductor.paint(image, mask, caption, options), show)


def _lora(text: str) -> tuple[Path, float]:
    path, colon, weight = text.rpartition(":")
    if not colon or "/" in weight:
        return Path(text), 1.0
    try:
        return Path(path), float(weight)
    except ValueError:
        raise InvalidOption(f"a LoRA is FILE or FILE:WEIGHT, not {text!r}", param="lora") from None
