"""A training loop that can be killed at any moment and goes on bit for bit where its last checkpoint was.

All randomness of step n, data order included, follows from (seed, n), so nothing but weights, moving averages and the
optimiser's state has to be remembered.
"""

import math
import os
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, final

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from brushedit.errors import InvalidWeights


class Objective(Protocol):
    """What is trained: a network and how wrong it is on the examples of one step."""

    @property
    def network(self) -> nn.Module:
        """The network whose parameters that require gradients are trained."""
        ...

    @property
    def batch(self) -> int:
        """Examples per step."""
        ...

    def loss(self, rng: np.random.Generator, generator: torch.Generator, progress: float) -> Tensor:
        """Return the loss of one step.

        Parameters
        ----------
        rng : np.random.Generator
            Draws the examples.
        generator : torch.Generator
            Draws noise on the network's device.
        progress : float
            How much of the training is done, 0..1.
        """
        ...


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps, or seconds of training, breaks not counted. One of them is given.

    Only a budget of steps is reproducible; one of seconds ends in time, with the learning rate at zero, on any machine.
    """

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.seconds is None):
            raise ValueError("a budget is a number of steps or of seconds")

    def progress(self, step: int, seconds: float) -> float:
        """Return the share that is used up, 0..1."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        return min(1.0, seconds / self.seconds) if self.seconds else 1.0


@dataclass(frozen=True)
class Recipe:
    """How to step. AdamW (Loshchilov and Hutter, arXiv 1711.05101).

    Attributes
    ----------
    learning_rate : float
        Its peak, reached after `warmup` steps.
    hold : float
        The share of the budget after which the rate falls to zero along a cosine.
    ema : float
        Decay of the moving average of the weights per step; it starts faster.
    clip : float
        Largest norm of a step's gradient.
    seed : int
    """

    learning_rate: float
    warmup: int = 100
    hold: float = 0.4
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 1e-2
    ema: float = 0.998
    clip: float = 1.0
    seed: int = 0

    def rate(self, step: int, progress: float) -> float:
        """Return the learning rate of a step (0, 1, ...)."""
        fall = max(0.0, progress - self.hold) / max(1e-9, 1 - self.hold)
        return self.learning_rate * min(1.0, (step + 1) / self.warmup) * 0.5 * (1 + math.cos(math.pi * fall))


SHEET_EVERY: Final = 300.0
"""Seconds between two sample sheets, unless somebody wants them more often."""


@dataclass(frozen=True)
class Sheet:
    """A sample sheet: what a network has learned so far, to look at.

    Attributes
    ----------
    draw : callable
        Draws and writes it.
    every : float
        Seconds between two.
    """

    draw: Callable[[], None]
    every: float


@dataclass(frozen=True)
class Progress:
    """The state after a step.

    Attributes
    ----------
    step : int
        Steps done.
    done : float
        Share of the budget used, 0..1.
    loss : float
        Smoothed over about 50 steps.
    samples_per_second : float
        Of the last 50 steps or so.
    seconds : float
        Spent training, over all runs.
    """

    step: int
    done: float
    loss: float
    samples_per_second: float
    seconds: float


@final
class Trainer:
    """One training, from its start or from its checkpoint.

    Parameters
    ----------
    objective : Objective
        Its network is on the device it trains on; on CUDA the loss runs under bfloat16 autocast.
    folder : Path or None
        Where checkpoints are; an existing one is resumed. None = neither read nor written.
    """

    def __init__(
        self, objective: Objective, recipe: Recipe, budget: Budget, folder: Path | None = None
    ) -> None:
        self.objective, self.recipe, self.budget, self.folder = objective, recipe, budget, folder
        self._parameters = {n: p for n, p in objective.network.named_parameters() if p.requires_grad}
        self._device = next(iter(self._parameters.values())).device
        matrices = [p for p in self._parameters.values() if p.ndim > 1]
        vectors = [p for p in self._parameters.values() if p.ndim <= 1]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": recipe.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
            betas=recipe.betas,
            foreach=True,
        )
        self.average = {n: p.detach().clone() for n, p in self._parameters.items()}
        self.step, self.seconds, self._loss, self._rate = 0, 0.0, math.nan, 0.0
        found = latest(folder) if folder else None
        if found:
            self._resume(found)

    def run(self, *, save_every: float = 60.0, sheet: Sheet | None = None) -> Generator[Progress]:
        """Train until the budget is used up, yield after every step, save every so many seconds and at the end.

        Parameters
        ----------
        sheet : Sheet or None
            Drawn again and again while training, with the moving average in the network.
        """
        saved = shown = time.monotonic()
        self.objective.network.train()
        while (progress := self.budget.progress(self.step, self.seconds)) < 1:
            began = time.monotonic()
            loss = self._take_step(progress)
            took = time.monotonic() - began
            self.step += 1
            self.seconds += took
            self._loss = (
                loss if math.isnan(self._loss) else self._loss + (loss - self._loss) / min(50, self.step)
            )
            rate = self.objective.batch / took
            self._rate += (rate - self._rate) / min(50, self.step)
            done = self.budget.progress(self.step, self.seconds)
            if self.folder and (done >= 1 or time.monotonic() - saved > save_every):
                self.save()
                saved = time.monotonic()
            if sheet and time.monotonic() - shown > sheet.every:
                with self.averaged():
                    sheet.draw()
                shown = time.monotonic()
            yield Progress(self.step, done, self._loss, self._rate, self.seconds)

    def _take_step(self, progress: float) -> float:
        rng = np.random.default_rng((self.recipe.seed, self.step))
        generator = torch.Generator(self._device).manual_seed(int(rng.integers(2**62)))
        cuda = self._device.type == "cuda"
        with torch.random.fork_rng([self._device] if cuda else []):
            torch.manual_seed(int(rng.integers(2**62)))
            with torch.autocast("cuda", torch.bfloat16) if cuda else nullcontext():
                loss = self.objective.loss(rng, generator, progress)
            loss.backward()
        parameters = list(self._parameters.values())
        torch.nn.utils.clip_grad_norm_(parameters, self.recipe.clip, error_if_nonfinite=True)
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.step, progress)
        self._optimizer.step()
        self._optimizer.zero_grad()
        decay = min(self.recipe.ema, (self.step + 1) / (self.step + 10))
        for name, parameter in self._parameters.items():
            self.average[name].lerp_(parameter.detach(), 1 - decay)
        return float(loss.detach())

    @contextmanager
    def averaged(self) -> Generator[None]:
        """Put the moving average into the network, which is not training meanwhile, and take it out again."""
        weights = {n: p.detach().clone() for n, p in self._parameters.items()}
        with torch.random.fork_rng([self._device] if self._device.type == "cuda" else []), torch.no_grad():
            self.load_average()
            self.objective.network.eval()
            yield
            for name, parameter in self._parameters.items():
                parameter.copy_(weights[name])
        self.objective.network.train()

    @torch.no_grad()
    def load_average(self) -> None:
        """Put the moving average in the place of the network's weights, for good."""
        for name, parameter in self._parameters.items():
            parameter.copy_(self.average[name])

    def save(self) -> None:
        """Write a checkpoint that appears whole or not at all, then delete the one before."""
        assert self.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        before = latest(self.folder)
        target = self.folder / f"step-{self.step:08d}"
        if target == before:
            return
        draft = self.folder / f"draft-{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        save_file(
            {n: p.detach().contiguous() for n, p in self._parameters.items()}, draft / "weights.safetensors"
        )
        save_file({n: a.contiguous() for n, a in self.average.items()}, draft / "average.safetensors")
        rest = {"optimizer": self._optimizer.state_dict(), "step": self.step, "seconds": self.seconds}
        torch.save(rest | {"loss": self._loss, "rate": self._rate}, draft / "state.pt")
        draft.rename(target)
        if before:
            shutil.rmtree(before)

    def _resume(self, checkpoint: Path) -> None:
        weights, average = (
            load_file(checkpoint / f"{name}.safetensors", device=str(self._device))
            for name in ("weights", "average")
        )
        if weights.keys() != self._parameters.keys() or any(
            weights[n].shape != p.shape for n, p in self._parameters.items()
        ):
            raise InvalidWeights(
                f"{checkpoint} is the checkpoint of another network; train into another folder"
            )
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(weights[name])
                self.average[name].copy_(average[name])
        rest: dict[str, Any] = torch.load(
            checkpoint / "state.pt", map_location=self._device, weights_only=True
        )
        self._optimizer.load_state_dict(rest["optimizer"])
        self.step, self.seconds = int(rest["step"]), float(rest["seconds"])
        self._loss, self._rate = float(rest["loss"]), float(rest["rate"])


def latest(folder: Path) -> Path | None:
    """Return the newest checkpoint in a folder, or None."""
    return max(folder.glob("step-????????"), default=None)
