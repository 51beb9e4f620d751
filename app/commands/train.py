"""`brushedit train`: one of the toybox's networks, on pictures and words that this repository draws."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brushedit.errors import InvalidOption

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from brushedit.training.loop import Budget, Progress

_LINE_EVERY = 30.0
"""Seconds of training between two lines of a log."""

MINDS = {"detector": 8400, "segmenter": 3650, "instructor": 24000}
"""The networks that do not paint, and the seconds that the shipped ones took, on a share of two cores."""


def train(
    name: Annotated[
        str,
        typer.Argument(
            help="vae, text, base, brushnet (in this order), detector, segmenter, instructor; all: one after another; "
            "ablation: other ways to show a masked picture, for `brushedit eval ablation`."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of checkpoints, data and the finished network.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Stop after so many steps; reproducible.")] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1, help="Stop after so many seconds of training; all share them as the shipped ones did."
        ),
    ] = None,
    sheet_every: Annotated[
        float, typer.Option(min=0.1, help="Minutes between two sample sheets in OUT/sheets.")
    ] = 5.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
) -> None:
    """Train a network, or go on from the checkpoint in --out; stop it at any moment."""
    if (steps is None) == (seconds is None):
        raise InvalidOption("give either --steps or --seconds", param="steps")

    from rich.console import Console

    from brushedit.training.loop import Budget
    from models.placement import choose_device

    shares = _shares() if name == "all" else {name: 1.0}
    console = Console(stderr=True)
    for one, share in shares.items():
        budget = Budget(steps=steps, seconds=None if seconds is None else share * seconds)
        _train(one, out, budget, choose_device(device), 60 * sheet_every, console)


def _shares() -> dict[str, float]:
    """Return all networks in the order they build on each other, each with its share of the shipped ones' time."""
    from models.toybox.training import PAINTERS, STAGES

    took = {name: STAGES[name].seconds for name in PAINTERS} | MINDS
    return {name: seconds / sum(took.values()) for name, seconds in took.items()}


def _train(
    name: str, out: Path, budget: "Budget", device: "torch.device", sheet_every: float, console: "Console"
) -> None:
    """Train one network, and show how far it is."""
    from rich.progress import Progress as Bar

    last: Progress | None = None
    told = 0.0
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"training {name}", total=1.0)
        for last in _progress(name, out, budget, device, sheet_every):
            line = f"step {last.step}, loss {last.loss:.4f}, {last.samples_per_second:.0f} samples/s"
            bar.update(task, completed=last.done, description=line)
            # A log wants lines, not a bar; where one training follows another, the seconds begin again.
            if not console.is_terminal and not 0 <= last.seconds - told <= _LINE_EVERY:
                told = last.seconds
                typer.echo(f"{name}: {last.done:.0%}, {line}", err=True)
    if last is not None:
        typer.echo(f"{name}: {last.step} steps in {last.seconds:.0f} s, loss {last.loss:.4f}; see {out}")


def _progress(
    name: str, out: Path, budget: "Budget", device: "torch.device", sheet_every: float
) -> "Iterator[Progress]":
    from agents.plan_schema import Declined, reply_to_json
    from agents.planner import read_prompt, write_prompt
    from brushedit.types import EditPlan, Turn
    from models.toybox import train_detector, train_instructor, train_segmenter, training

    if name in training.STAGES:
        return training.train(name, out, budget, device=device, sheet_every=sheet_every)
    if name not in MINDS:
        raise InvalidOption(
            f"unknown network {name!r}; known: {', '.join((*_shares(), 'all', 'ablation'))}", param="name"
        )
    if name == "segmenter":
        return train_segmenter.train_segmenter(out, budget, device=device, sheet_every=sheet_every)
    if name == "detector":
        return train_detector.train_detector(out, budget, device=device, sheet_every=sheet_every)
    template = read_prompt("plan_short")

    def ask(instruction: str, history: Sequence[Turn]) -> str:
        return write_prompt(template, instruction, history)

    def answer(reply: EditPlan | str) -> str:
        return reply_to_json(Declined(reply) if isinstance(reply, str) else reply)

    return train_instructor.train_instructor(
        out, budget, write_prompt=ask, write_reply=answer, device=device, sheet_every=sheet_every
    )
