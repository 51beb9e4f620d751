"""The command line. Commands import what they need when they run, so `--help` is quick."""

import sys

import typer

from app import __version__
from app.commands import bench, measure, paint, parity
from brushedit.errors import EditError

cli = typer.Typer(
    name="brushedit",
    help="Edit pictures; everything outside the edit stays identical, bit for bit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.command("paint")(paint.paint)
cli.command("measure")(measure.measure)
cli.command("parity")(parity.parity)
cli.add_typer(bench.cli, name="bench")


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
    try:
        cli()
    except EditError as error:
        typer.echo(f"error: {' '.join(error.message.split())}", err=True)
        sys.exit(1)
