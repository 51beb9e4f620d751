"""Sample sheets: what a training has learned so far, as one small picture to look at."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor

from brushedit.diffusion.brushnet import BrushNetModel
from brushedit.diffusion.sampling import TextConditions, denoise, schedule
from brushedit.diffusion.schedulers import make_scheduler
from brushedit.types import Image, PaintOptions
from models.toybox.latents import TextStates


@torch.no_grad()
def paint_crops(
    unet: UNet2DConditionModel,
    vae: AutoencoderKL,
    states: TextStates,
    captions: Sequence[str],
    scheduler_config: dict[str, Any],
    options: PaintOptions,
    brushnet: BrushNetModel,
    conditioning: Tensor,
) -> list[Image]:
    """Paint a batch of crops of one shape, each with its own caption; (B, C + 1, h, w) is what BrushNet is shown.

    A `preservation_scale` of 0 leaves BrushNet out: then it is the base model that imagines the captions.
    """
    generator = torch.Generator().manual_seed(options.seed)
    scheduler = make_scheduler(options.scheduler, scheduler_config)
    timesteps = schedule(scheduler, options, unet.device)
    batch, channels, *size = conditioning.shape
    noise = torch.randn((batch, channels - 1, *size), generator=generator).to(unet.device)
    text = TextConditions(states.of(list(captions)), states.of([""] * batch))
    frame = (size[0] * 4, size[1] * 4)
    steps = denoise(
        unet,
        brushnet,
        scheduler,
        timesteps,
        noise * scheduler.init_noise_sigma,
        conditioning,
        text,
        frame,
        options,
        generator,
    )
    latents = noise
    for step in steps:
        latents = step.latents
    return pictures(vae, latents)


@torch.no_grad()
def pictures(vae: AutoencoderKL, latents: Tensor) -> list[Image]:
    """Return decoded pictures, uint8 (H, W, 3), of scaled latents (B, C, h, w)."""
    decoded: Tensor = vae.decode(latents / vae.config["scaling_factor"]).sample  # pyright: ignore[reportAttributeAccessIssue]
    levels = ((decoded.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return list(levels.permute(0, 2, 3, 1).cpu().numpy())


def tiled(rows: Sequence[Sequence[Image]], gap: int = 2) -> Image:
    """Return pictures of one shape as a sheet, row by row, on white."""
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            y, x = gap + r * (height + gap), gap + c * (width + gap)
            sheet[y : y + height, x : x + width] = picture
    return sheet
