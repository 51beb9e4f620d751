"""`brushedit bench`: costs as counters, and as ratios within one run."""

import json

import typer

cli = typer.Typer(help="Measure cost: counters, and ratios within one run.", no_args_is_help=True)

FLOP_LIMITS = {512: 0.823, 1024: 0.863}
"""Ours over published, per guided step: what sharing one BrushNet evaluation between the guidance halves gives."""


@cli.callback()
def _group() -> None:  # pyright: ignore[reportUnusedFunction]  makes Typer keep subcommands while there is one
    pass


@cli.command()
def flops() -> None:
    """Count the operations of a guided step at full SD 1.5 size, ours and published; exit 1 above the limit."""
    from brushedit.diffusion.flops import guided_step

    ok = True
    for size, limit in FLOP_LIMITS.items():
        cost = guided_step(size)
        ok &= cost.ratio <= limit
        typer.echo(
            json.dumps(
                {
                    "size": size,
                    "ours_gflop": round(cost.ours, 1),
                    "published_gflop": round(cost.published, 1),
                    "ratio": round(cost.ratio, 5),
                    "limit": limit,
                }
            )
        )
    if not ok:
        raise typer.Exit(1)
