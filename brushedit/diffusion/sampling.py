"""The denoising loop: a frozen UNet, BrushNet beside it, any diffusers scheduler.

arXiv 2403.06976, section 3 (equations 2 and 3), with classifier-free guidance (Ho and Salimans, arXiv 2207.12598).
"""

import inspect
from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor

from brushedit.diffusion.brushnet import BrushNetModel, Features, SizeConditions, feature_scales
from brushedit.diffusion.sites import features_added
from brushedit.errors import InvalidOption
from brushedit.options import PaintOptions


@dataclass(frozen=True)
class TextConditions:
    """A caption and a negative caption as the UNet reads them.

    Attributes
    ----------
    caption, negative : Tensor
        (1, L, D).
    pooled, negative_pooled : Tensor or None
        (1, P), SDXL only.
    """

    caption: Tensor
    negative: Tensor
    pooled: Tensor | None = None
    negative_pooled: Tensor | None = None


@dataclass(frozen=True)
class DenoisingStep:
    """The state after one step: x_{t-1}, and the clean latents this step predicted; both (1, C, h, w)."""

    step: int
    steps: int
    latents: Tensor
    predicted_clean: Tensor


def schedule(scheduler: Any, options: PaintOptions, device: torch.device) -> Tensor:
    """Set the scheduler's timesteps and return those to run: all, or with strength < 1 the later share of them.

    Raises
    ------
    InvalidOption
        More steps than the scheduler can take.
    """
    most = int(scheduler.config["num_train_timesteps"])
    if options.steps >= most:
        # Some solvers divide by the distance of two steps, which would be zero.
        raise InvalidOption(f"steps must be below the {most} that the base was trained with", param="steps")
    try:
        scheduler.set_timesteps(options.steps, device=device)
    except ValueError as fault:
        raise InvalidOption(
            f"this scheduler cannot take {options.steps} steps: {fault}", param="steps"
        ) from fault
    run = max(1, min(options.steps, int(options.steps * options.strength)))
    return scheduler.timesteps[(options.steps - run) * scheduler.order :]


def start(scheduler: Any, timesteps: Tensor, noise: Tensor, original: Tensor | None) -> Tensor:
    """Return x_T: pure noise, or the noised `original` latents where the schedule starts late."""
    if original is None:
        return noise * scheduler.init_noise_sigma
    return scheduler.add_noise(original, noise, timesteps[:1])


def denoise(
    unet: UNet2DConditionModel,
    brushnet: BrushNetModel,
    scheduler: Any,
    timesteps: Tensor,
    latents: Tensor,
    conditioning: Tensor,
    text: TextConditions,
    frame_size: tuple[int, int],
    options: PaintOptions,
    generator: torch.Generator,
) -> Generator[DenoisingStep, None, Tensor]:
    """Yield after every step; return the final latents x_0, (1, C, h, w), scaled.

    Parameters
    ----------
    timesteps, latents : Tensor
        From `schedule` and `start`.
    conditioning : Tensor
        Masked picture's latent and keep mask, (1, 5, h, w).
    frame_size : tuple of int
        (height, width) of the painted frame in pixels; SDXL is told it.
    generator : torch.Generator
        Noise of stochastic schedulers.
    """
    guided = options.guidance > 1
    states = torch.cat([text.negative, text.caption]) if guided else text.caption
    sizes = _size_conditions(text, frame_size, guided=guided)
    added = {"text_embeds": sizes.pooled_text, "time_ids": sizes.time_ids} if sizes else None
    scales = feature_scales(brushnet.site_count, options.preservation_scale, guess_mode=options.guess_mode)
    takes_generator = "generator" in inspect.signature(scheduler.step).parameters
    extra = {"generator": generator} if takes_generator else {}
    n = len(timesteps)
    for i, t in enumerate(timesteps):
        scaled = scheduler.scale_model_input(latents, t)
        acts = i / n >= options.control_start and (i + 1) / n <= options.control_end
        features = None
        if acts and options.preservation_scale > 0:
            features = _features(
                brushnet, scaled, t, conditioning, states, sizes, guided, options.guess_mode
            ).scaled(scales)
        with features_added(unet, features) if features else nullcontext():
            prediction: Tensor = unet(
                torch.cat([scaled] * 2) if guided else scaled,
                t,
                states,
                added_cond_kwargs=added,
                return_dict=False,
            )[0]
        if guided:
            unconditional, conditional = prediction.chunk(2)
            prediction = unconditional + options.guidance * (conditional - unconditional)
        clean = _predicted_clean(scheduler, scaled, prediction, t)
        latents = scheduler.step(prediction, t, latents, return_dict=False, **extra)[0]
        yield DenoisingStep(i + 1, n, latents, clean)
    return latents


def _features(
    brushnet: BrushNetModel,
    scaled: Tensor,
    t: Tensor,
    conditioning: Tensor,
    states: Tensor,
    sizes: SizeConditions | None,
    guided: bool,
    guess_mode: bool,
) -> Features:
    if not guided:
        return brushnet(scaled, t, conditioning, states, sizes)
    if guess_mode:
        conditional = sizes and SizeConditions(
            *(each.chunk(2)[1] for each in (sizes.pooled_text, sizes.time_ids))
        )
        return brushnet(scaled, t, conditioning, states.chunk(2)[1], conditional).conditional_only()
    if brushnet.reads_text:
        return brushnet(torch.cat([scaled] * 2), t, torch.cat([conditioning] * 2), states, sizes)
    # Without text both halves would see the same input: one evaluation serves both (`features_added` repeats it).
    return brushnet(scaled, t, conditioning)


def _size_conditions(
    text: TextConditions, frame_size: tuple[int, int], *, guided: bool
) -> SizeConditions | None:
    if text.pooled is None or text.negative_pooled is None:
        return None
    pooled = torch.cat([text.negative_pooled, text.pooled]) if guided else text.pooled
    # The frame is said to be a whole picture of its own size, not cropped: what SDXL was trained to paint well.
    ids = torch.tensor([[*frame_size, 0, 0, *frame_size]], device=pooled.device, dtype=pooled.dtype)
    return SizeConditions(pooled, ids.expand(len(pooled), -1))


def _predicted_clean(scheduler: Any, scaled: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
    """Return x_0 as this step sees it; the scaled input has unit variance whatever the scheduler's own scale."""
    alpha = scheduler.alphas_cumprod[int(t)].to(prediction)
    match scheduler.config.prediction_type:
        case "epsilon":
            return (scaled - (1 - alpha).sqrt() * prediction) / alpha.sqrt().clamp(min=1e-4)
        case "v_prediction":
            return alpha.sqrt() * scaled - (1 - alpha).sqrt() * prediction
        case _:
            return prediction
