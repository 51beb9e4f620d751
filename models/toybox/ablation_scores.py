"""What the ways of `models.toybox.ablation` paint, on fresh crops framed as the conductor frames them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from brushedit import framing
from brushedit.diffusion.schedulers import make_scheduler
from brushedit.evaluation.metrics import psnr
from brushedit.options import CONTEXT
from brushedit.training.brushnet import Examples
from brushedit.types import Image
from models.catalog import find_profile
from models.toybox.ablation import BRANCHES, condition, drawn, load_branch, load_drawn
from models.toybox.crops import NATIVE
from models.toybox.probe import Task, cases, judge
from models.toybox.rendering import render
from models.toybox.samples import OPTIONS, to_images, to_tensor
from models.toybox.train_base import SCHEDULE
from models.toybox.train_brushnet import Painters

Answer: TypeAlias = Callable[[Tensor, Tensor, Examples], Tensor]
"""Noisy latents (B, C, h, w), timesteps (B,) and what is shown of the picture, to the base model's answer."""


@dataclass(frozen=True)
class Way:
    """One way to paint holes.

    Attributes
    ----------
    shown : str
        What it is shown: as the branch of this name.
    blends : bool
        After each step what is kept is put in place of what was painted there (blended latent diffusion,
        arXiv 2206.02779, algorithm 1).
    """

    painters: Painters
    answer: Answer
    shown: str
    blends: bool = False


def ways(out: Path, painters: Painters) -> Mapping[str, Way]:
    """Return the ways to compare, by name, from what `train_ablation` left in ``out``/ablation."""
    lined = load_drawn(out, painters)

    def alone(noisy: Tensor, timesteps: Tensor, examples: Examples) -> Tensor:
        unet: Any = painters.unet
        return unet(noisy, timesteps, examples.text, return_dict=False)[0]

    branches = {name: Way(painters, load_branch(out, name, painters.unet).answer, name) for name in BRANCHES}
    plugged = load_branch(out, "brushnet", lined.unet)
    return {
        "BrushNet": branches["brushnet"],
        "BrushNet, not shown the noisy latent": branches["noiseless"],
        "ControlNet (skips and mid block, pixels)": branches["controlnet"],
        "blended latent diffusion (no training)": Way(painters, alone, "brushnet", blends=True),
        "BrushNet, unchanged, over the base that draws outlines": Way(lined, plugged.answer, "brushnet"),
    }


def measure(way: Way, seed: int, count: int) -> Mapping[str, float]:
    """Return a way's figures over `count` additions and as many removals, PSNR in dB.

    ``outside`` compares what was painted beside the hole, before any blending; ``drawn`` is the share of additions
    whose hole is nearer to the true picture with outlines than to the one without.
    """
    outside: list[float] = []
    removed: list[float] = []
    added: list[float] = []
    kinds: list[bool] = []
    colors: list[bool] = []
    lined: list[bool] = []
    closeup = find_profile("toybox").closeup
    for number, case in enumerate(chain(cases(Task.ADD, seed, count), cases(Task.REMOVE, seed, count))):
        context = closeup if case.task.appears and closeup is not None else CONTEXT
        frame = framing.frames(case.mask, native=NATIVE, multiple=8, context=context)[0]
        hole = framing.crop_mask(case.mask, frame)
        crop = _painted(way, framing.crop(case.image, frame), hole, case.caption, number)
        result = np.where(case.mask[..., None], framing.paste(crop, frame, case.image), case.image)
        truth = render(case.truth, *case.image.shape[:2])
        outside.append(psnr(framing.crop(truth, frame), crop, ~hole))
        verdict = judge(case, result, case.mask)
        if case.task is Task.REMOVE:
            removed.append(verdict.psnr)
            continue
        added.append(verdict.psnr)
        kinds.append(bool(verdict.kind))
        colors.append(bool(verdict.color))
        lined.append(psnr(drawn(truth), result, case.mask) > psnr(truth, result, case.mask))
    return {
        "outside, dB": _mean(outside),
        "removed, dB": _mean(removed),
        "added, dB": _mean(added),
        "kind right": _mean(kinds),
        "colour right": _mean(colors),
        "drawn": _mean(lined),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


@torch.no_grad()
def _painted(way: Way, image: Image, hole: Any, caption: str, seed: int) -> Image:
    """Paint one crop: few DDIM steps with guidance, as the toybox's profile has them."""
    painters = way.painters
    vae: Any = painters.vae
    holes = torch.from_numpy(hole[None]).to(painters.device)
    masked, whole = (
        vae.encode(to_tensor([shown], painters.device)).latent_dist.mean * vae.config["scaling_factor"]
        for shown in (np.where(hole[..., None], np.uint8(0), image), image)
    )
    shown = condition(way.shown, image[None], holes, masked)
    text = painters.states.of([caption, ""])
    examples = Examples(whole, torch.cat([shown, shown]), text)
    keep = condition("brushnet", image[None], holes, masked)[:, -1:]
    noise = torch.randn(whole.shape, generator=torch.Generator().manual_seed(seed)).to(painters.device)
    stepper = make_scheduler(OPTIONS.scheduler, dict(SCHEDULE))
    stepper.set_timesteps(OPTIONS.steps, device=painters.device)
    latents = noise * stepper.init_noise_sigma
    for i, now in enumerate(stepper.timesteps):
        with_caption, without = way.answer(torch.cat([latents, latents]), now.repeat(2), examples).chunk(2)
        guided = without + OPTIONS.guidance * (with_caption - without)
        latents = stepper.step(guided, now, latents).prev_sample
        if way.blends:
            after = stepper.timesteps[i + 1 : i + 2]
            there = stepper.add_noise(whole, noise, after) if len(after) else whole
            latents = keep * there + (1 - keep) * latents
    decoded = vae.decode(latents / vae.config["scaling_factor"]).sample
    return np.ascontiguousarray(to_images(decoded)[0])
