"""The paper's training of BrushNet: the base model stays frozen, the branch learns to complete a masked picture.

arXiv 2403.06976, equation 4: the denoising loss over the whole latent, on pictures whose hole is black in what the
branch is shown. The same code trains beside Stable Diffusion 1.5, XL, or any model of their shape.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from torch.nn import functional as F

from brushedit.diffusion.brushnet import BrushNetModel, SizeConditions
from brushedit.diffusion.sites import features_added
from brushedit.training.noise import NoiseSchedule


@dataclass(frozen=True)
class Examples:
    """One batch.

    Attributes
    ----------
    latents : Tensor
        The whole pictures' latents, scaled, (B, C, h, w).
    conditioning : Tensor
        The masked pictures' latents and the mask, 1 = keep, (B, C + 1, h, w); see `conditioning_of`.
    text : Tensor
        States of the captions, (B, L, D).
    sizes : SizeConditions or None
        Stable Diffusion XL's extra inputs.
    """

    latents: Tensor
    conditioning: Tensor
    text: Tensor
    sizes: SizeConditions | None = None


Draw: TypeAlias = Callable[[np.random.Generator, torch.Generator], Examples]
"""Draws one batch, on the networks' device."""


def conditioning_of(masked_latents: Tensor, holes: Tensor) -> Tensor:
    """Return what BrushNet is shown, (B, C + 1, h, w).

    Parameters
    ----------
    masked_latents : Tensor
        Scaled latents of pictures whose holes are black, (B, C, h, w).
    holes : Tensor
        (B, H, W), bool; they come down to latent size as the conductor's do (nearest), with 1 = keep.
    """
    keep = (~holes)[:, None].to(masked_latents)
    return torch.cat([masked_latents, F.interpolate(keep, masked_latents.shape[-2:])], dim=1)


@final
class BrushNetObjective:
    """A branch beside a frozen UNet.

    Parameters
    ----------
    brushnet : BrushNetModel
        `BrushNetModel.from_unet(unet)` to begin with.
    unet : UNet2DConditionModel
        Frozen here; gradients pass through it and stop at the features.
    scheduler_config : mapping
        The noise schedule the UNet was trained on.
    hole_weight : float
        How much more an error in the hole counts than one beside it; 1 is the paper's loss.
    """

    def __init__(
        self,
        brushnet: BrushNetModel,
        unet: UNet2DConditionModel,
        scheduler_config: Mapping[str, Any],
        draw: Draw,
        batch: int,
        hole_weight: float = 1.0,
    ) -> None:
        self.network, self.batch = brushnet, batch
        self._unet = unet.eval().requires_grad_(False)
        self._schedule = NoiseSchedule(scheduler_config)
        self._draw, self._hole_weight = draw, hole_weight

    def loss(self, rng: np.random.Generator, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Return the mean squared error of one batch's answers, weighted to a mean weight of 1."""
        examples = self._draw(rng, generator)
        question = self._schedule.ask(examples.latents, generator)
        features = self.network(question.noisy, question.timesteps, examples.conditioning, examples.sizes)
        sizes = examples.sizes
        added = {"text_embeds": sizes.pooled_text, "time_ids": sizes.time_ids} if sizes else None
        with features_added(self._unet, features):
            answer: Tensor = self._unet(
                question.noisy, question.timesteps, examples.text, added_cond_kwargs=added, return_dict=False
            )[0]
        error = (answer.float() - question.answer.float()).square()
        weight = 1 + (self._hole_weight - 1) * (1 - examples.conditioning[:, -1:].float())
        return (error * weight).mean() / weight.mean()
