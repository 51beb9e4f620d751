"""The command line. Commands import what they need when they run, so `--help` is quick."""

import gc
import sys
import warnings

import typer

from app import __version__
from app.commands import (
    batch,
    bench,
    demo,
    doctor,
    edit,
    mask,
    measure,
    paint,
    parity,
    plan,
    service,
    train,
    weights,
)
from app.commands.eval import cli as eval_cli
from brushedit.errors import EditError

cli = typer.Typer(
    name="brushedit",
    help="Edit pictures; everything outside the edit stays identical, bit for bit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.command("edit")(edit.edit)
cli.command("batch")(batch.batch)
cli.command("plan")(plan.plan)
cli.command("mask")(mask.mask)
cli.command("paint")(paint.paint)
cli.command("serve")(service.serve)
cli.command("api")(service.api)
cli.command("worker")(service.worker)
cli.add_typer(service.keys, name="keys")
cli.command("demo")(demo.demo)
cli.command("measure")(measure.measure)
cli.command("parity")(parity.parity)
cli.command("train")(train.train)
cli.command("doctor")(doctor.doctor)
cli.add_typer(weights.cli, name="weights")
cli.add_typer(bench.cli, name="bench")
cli.add_typer(eval_cli, name="eval")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"brushedit {__version__}")
        raise typer.Exit


@cli.callback()
def _options(  # pyright: ignore[reportUnusedFunction]  Typer calls it
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    del version


def main() -> None:
    """Run the command line; an edit that cannot be done is one line on stderr and exit code 1."""
    # Deprecations of libraries are their developers' concern, and the tests', where warnings are errors.
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", message="torch.meshgrid", category=UserWarning)
    # The libraries bring a million objects that stay: looking for garbage among them, again and again as they come,
    # takes a quarter of a short command's time.
    gc.set_threshold(50_000)
    try:
        cli()
    except EditError as error:
        typer.echo(f"error: {' '.join(error.message.split())}", err=True)
        sys.exit(1)
