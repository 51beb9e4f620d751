"""The paper's training of BrushNet: the base model stays frozen, the branch learns to complete a masked picture.

arXiv 2403.06976, equation 4: the denoising loss over the whole latent, on pictures whose hole is black in what the
branch is shown. The same code trains beside Stable Diffusion 1.5, XL, or any model of their shape.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, final

import numpy as np
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
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
        What the branch is shown, the mask its last channel, 1 = keep. For BrushNet the masked pictures' latents
        before it, (B, C + 1, h, w); see `conditioning_of`.
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


class Branch(Protocol):
    """What is trained beside a frozen UNet, and how both of them answer."""

    @property
    def network(self) -> nn.Module:
        """What is trained."""
        ...

    def answer(self, noisy: Tensor, timesteps: Tensor, examples: Examples) -> Tensor:
        """Return what the UNet, with the branch's help, says of noisy latents (B, C, h, w) at timesteps (B,)."""
        ...


@final
class BrushNetBranch:
    """The paper's branch: its features are added all over the UNet, which is frozen here.

    Gradients pass through the UNet and stop at the features.

    Parameters
    ----------
    brushnet : BrushNetModel
        `BrushNetModel.from_unet(unet)` to begin with.
    unet : UNet2DConditionModel
    """

    def __init__(self, brushnet: BrushNetModel, unet: UNet2DConditionModel) -> None:
        self.network = brushnet
        self._unet = unet.eval().requires_grad_(False)

    def answer(self, noisy: Tensor, timesteps: Tensor, examples: Examples) -> Tensor:
        """See `Branch`."""
        sizes = examples.sizes
        features = self.network(noisy, timesteps, examples.conditioning, examples.text, sizes)
        added = {"text_embeds": sizes.pooled_text, "time_ids": sizes.time_ids} if sizes else None
        with features_added(self._unet, features):
            return self._unet(noisy, timesteps, examples.text, added_cond_kwargs=added, return_dict=False)[0]


@final
class InpaintingObjective:
    """A branch learns to complete masked pictures.

    Parameters
    ----------
    branch : Branch
    scheduler_config : mapping
        The noise schedule the UNet was trained on.
    hole_weight : float
        How much more an error in the hole counts than one beside it; 1 is the paper's loss.
    exponent : float
        Of `NoiseSchedule`; 1 is the paper's.
    """

    def __init__(
        self,
        branch: Branch,
        scheduler_config: Mapping[str, Any],
        draw: Draw,
        batch: int,
        hole_weight: float = 1.0,
        exponent: float = 1.0,
    ) -> None:
        self.network, self.batch = branch.network, batch
        self._branch = branch
        self._schedule = NoiseSchedule(scheduler_config, exponent)
        self._draw, self._hole_weight = draw, hole_weight

    def loss(self, rng: np.random.Generator, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Return the mean squared error of one batch's answers, weighted to a mean weight of 1."""
        examples = self._draw(rng, generator)
        question = self._schedule.ask(examples.latents, generator)
        answer = self._branch.answer(question.noisy, question.timesteps, examples)
        error = (answer.float() - question.answer.float()).square()
        keep = F.interpolate(examples.conditioning[:, -1:].float(), error.shape[-2:])
        weight = 1 + (self._hole_weight - 1) * (1 - keep)
        return (error * weight).mean() / weight.mean()
