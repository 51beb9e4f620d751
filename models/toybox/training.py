"""The toybox's painters, trained one after the other: autoencoder, text encoder, base model, BrushNet, ablation."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from brushedit.training.loop import Budget, Progress
from models.toybox.ablation import train_ablation
from models.toybox.crops import Crops, draw_set
from models.toybox.train_base import train_base
from models.toybox.train_brushnet import train_brushnet
from models.toybox.train_text import train_text
from models.toybox.train_vae import train_vae


@dataclass(frozen=True)
class Stage:
    """One network's training.

    Attributes
    ----------
    train : callable
        (out, crops, budget, device=..., sheet_every=...) to progress; goes on from the checkpoint in
        ``out``/checkpoints, if any.
    crops : int
        Chunks of training crops it reads.
    seconds : float
        What the shipped weights took, on a share of two cores.
    """

    train: Callable[..., Iterator[Progress]]
    crops: int
    seconds: float


STAGES: Mapping[str, Stage] = {
    "vae": Stage(train_vae, 40, 790),
    "text": Stage(train_text, 40, 240),
    "base": Stage(train_base, 40, 10000),
    "brushnet": Stage(train_brushnet, 40, 9650),
    "ablation": Stage(train_ablation, 40, 2400),
}
"""By name, in the order they have to be trained in."""

PAINTERS = ("vae", "text", "base", "brushnet")
"""Those whose networks are shipped."""


def train(
    name: str, out: Path, budget: Budget, *, device: torch.device, sheet_every: float, seed: int = 1
) -> Iterator[Progress]:
    """Train one of `STAGES` into a folder that holds those before it; crops are drawn first where they are missing.

    A sample sheet is written to ``out``/sheets every `sheet_every` seconds.
    Stopped at any moment and started again, it goes on from its last checkpoint.
    """
    stage = STAGES[name]
    draw_set(out / "crops", seed, stage.crops, workers=os.cpu_count() or 1)
    yield from stage.train(
        out, Crops(out / "crops", stage.crops), budget, device=device, sheet_every=sheet_every
    )
