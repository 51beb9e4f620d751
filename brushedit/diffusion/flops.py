"""Floating-point operations of one guided denoising step, counted on the meta device: exact, and without noise.

Counted are matrix products, convolutions and attention (2 x multiply-accumulate), as torch's own counter does.
"""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from brushedit.diffusion.brushnet import BrushNetModel, feature_scales
from brushedit.diffusion.sampling import TextConditions, denoise, schedule
from brushedit.diffusion.schedulers import make_scheduler
from brushedit.diffusion.sites import features_added
from brushedit.options import PaintOptions

SD15_UNET: dict[str, Any] = {
    "sample_size": 64,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
    "block_out_channels": (320, 640, 1280, 1280),
}
"""Stable Diffusion 1.5's UNet, as far as it differs from diffusers' defaults."""


@dataclass(frozen=True)
class StepCost:
    """Operations of one guided step at one picture size, in GFLOP."""

    size: int
    ours: float
    published: float

    @property
    def ratio(self) -> float:
        """Return ours over published."""
        return self.ours / self.published


@torch.inference_mode()
def guided_step(size: int) -> StepCost:
    """Count one step with classifier-free guidance of full-size SD 1.5 at size x size pixels.

    Ours is `denoise` itself. The published loop runs BrushNet on both guidance halves (BrushNet repository,
    pipeline_brushnet.py), which is what is counted beside it.
    """
    with torch.device("meta"):
        unet = UNet2DConditionModel(**SD15_UNET).eval()
        brushnet = BrushNetModel.from_unet(unet).eval()
        latents = torch.empty(1, 4, size // 8, size // 8)
        conditioning = torch.empty(1, 5, size // 8, size // 8)
        states = torch.empty(1, 77, 768)
    options = PaintOptions(steps=1, guidance=7.5)
    scheduler = make_scheduler("ddim", {})
    timesteps = schedule(scheduler, options, torch.device("cpu"))

    with FlopCounterMode(display=False) as ours:
        text = TextConditions(states, states)
        generator = torch.Generator()
        for _ in denoise(
            unet,
            brushnet,
            scheduler,
            timesteps,
            latents,
            conditioning,
            text,
            (size, size),
            options,
            generator,
        ):
            pass

    def both(tensor: torch.Tensor) -> torch.Tensor:
        return torch.cat([tensor, tensor])

    with FlopCounterMode(display=False) as published:
        features = brushnet(both(latents), timesteps[0], both(conditioning), both(states))
        with features_added(
            unet, features.scaled(feature_scales(brushnet.site_count, 1.0, guess_mode=False))
        ):
            unet(both(latents), timesteps[0], both(states), return_dict=False)
    return StepCost(size, ours.get_total_flops() / 1e9, published.get_total_flops() / 1e9)
