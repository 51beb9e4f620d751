"""Sample sheets of the painters: what a training has learned so far, as one small picture to look at."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor

from brushedit.diffusion.brushnet import BrushNetModel
from brushedit.diffusion.sampling import TextConditions, denoise, schedule
from brushedit.diffusion.schedulers import make_scheduler
from brushedit.options import PaintOptions
from brushedit.training.brushnet import conditioning_of
from brushedit.types import Image
from models.toybox.crops import NATIVE, fresh_crops
from models.toybox.latents import TextStates
from models.toybox.sheets import enlarged, grid, titled

OPTIONS: Final = PaintOptions(steps=8, guidance=2.0, scheduler="ddim", seed=1)

_COLUMNS = 8


@torch.no_grad()
def reconstructed(vae: AutoencoderKL, images: Sequence[Image]) -> list[Image]:
    """Return what the autoencoder makes of pictures of one shape."""
    posterior = vae.encode(to_tensor(images, vae.device)).latent_dist  # pyright: ignore[reportAttributeAccessIssue]
    return to_images(vae.decode(posterior.mean).sample)  # pyright: ignore[reportAttributeAccessIssue]


def reconstruction_sheet(vae: AutoencoderKL) -> Image:
    """Return crops, and under each what the autoencoder makes of it."""
    images = [crop.image for crop in fresh_crops()]
    return _rows(images, reconstructed(vae, images))


def imagination_sheet(
    unet: UNet2DConditionModel, vae: AutoencoderKL, states: TextStates, scheduler: Mapping[str, Any]
) -> Image:
    """Return what the base model imagines of captions."""
    captions = [crop.caption for crop in fresh_crops()]
    # A fresh BrushNet's convolutions are zero: it adds nothing.
    silent = BrushNetModel.from_unet(unet).eval().requires_grad_(False)
    shape = (len(captions), unet.config["in_channels"] + 1, NATIVE // 4, NATIVE // 4)
    torch.nn.Module.to(silent, unet.device)
    made = _painted(unet, silent, vae, states, captions, scheduler, torch.zeros(shape, device=unet.device))
    cells = [titled(enlarged(image), caption) for image, caption in zip(made, captions, strict=True)]
    return grid([cells[:_COLUMNS], cells[_COLUMNS:]])


@torch.no_grad()
def painting_sheet(
    unet: UNet2DConditionModel,
    brushnet: BrushNetModel,
    vae: AutoencoderKL,
    states: TextStates,
    scheduler: Mapping[str, Any],
) -> Image:
    """Return crops as they should be, as BrushNet sees them, as it paints them, and blended."""
    crops = fresh_crops()
    seen = [np.where(crop.hole[..., None], np.uint8(0), crop.image) for crop in crops]
    posterior = vae.encode(to_tensor(seen, vae.device)).latent_dist  # pyright: ignore[reportAttributeAccessIssue]
    holes = torch.from_numpy(np.stack([crop.hole for crop in crops])).to(vae.device)
    conditioning = conditioning_of(posterior.mean * vae.config["scaling_factor"], holes)
    captions = [crop.caption for crop in crops]
    made = _painted(unet, brushnet, vae, states, captions, scheduler, conditioning)
    blended = [
        np.where(crop.hole[..., None], image, crop.image) for crop, image in zip(crops, made, strict=True)
    ]
    return _rows([crop.image for crop in crops], seen, made, blended)


@torch.no_grad()
def _painted(
    unet: UNet2DConditionModel,
    brushnet: BrushNetModel,
    vae: AutoencoderKL,
    states: TextStates,
    captions: Sequence[str],
    scheduler: Mapping[str, Any],
    conditioning: Tensor,
) -> list[Image]:
    """Paint a batch of crops of one shape, each with its own caption; (B, C + 1, h, w) is what BrushNet is shown."""
    generator = torch.Generator().manual_seed(OPTIONS.seed)
    stepper = make_scheduler(OPTIONS.scheduler, dict(scheduler))
    timesteps = schedule(stepper, OPTIONS, unet.device)
    batch, channels, *size = conditioning.shape
    noise = torch.randn((batch, channels - 1, *size), generator=generator).to(unet.device)
    text = TextConditions(states.of(list(captions)), states.of([""] * batch))
    latents = noise * stepper.init_noise_sigma
    frame = (size[0] * 4, size[1] * 4)
    for step in denoise(
        unet, brushnet, stepper, timesteps, latents, conditioning, text, frame, OPTIONS, generator
    ):
        latents = step.latents
    return to_images(vae.decode(latents / vae.config["scaling_factor"]).sample)  # pyright: ignore[reportAttributeAccessIssue]


def to_tensor(images: Sequence[Image] | NDArray[np.uint8], device: torch.device) -> Tensor:
    """Return pictures (B, H, W, 3) as (B, 3, H, W), -1..1."""
    return torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_images(decoded: Tensor) -> list[Image]:
    """Return what an autoencoder decoded, (B, 3, H, W), about -1..1, as pictures."""
    levels = ((decoded.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return list(levels.permute(0, 2, 3, 1).cpu().numpy())


def _rows(*rows: Sequence[Image]) -> Image:
    """Return rows of pictures, broken after some columns, one under the other."""
    starts = range(0, len(rows[0]), _COLUMNS)
    return grid([row[start : start + _COLUMNS] for start in starts for row in rows])
