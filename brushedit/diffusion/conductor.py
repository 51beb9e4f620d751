"""The conductor: picture, mask and caption in, the same picture with the masked region repainted out.

Each frame is cropped around the mask, painted at the model's native resolution, pasted back, and blended under the
pixel contract of `brushedit.blending`.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor

from brushedit import blending, framing
from brushedit.diffusion import conditioning as conditions
from brushedit.diffusion.brushnet import BrushNetModel
from brushedit.diffusion.preview import LatentPreview
from brushedit.diffusion.sampling import TextConditions, denoise, schedule, start
from brushedit.diffusion.schedulers import make_scheduler
from brushedit.errors import EmptyMask, InvalidWeights, PaintingFailed
from brushedit.events import Blended, Denoised
from brushedit.framing import Frame
from brushedit.options import CONTEXT, PaintOptions
from brushedit.types import BlendReport, Image, Mask, Painting, require_image, require_mask


class CaptionEncoder(Protocol):
    """The base model's text encoder or encoders."""

    def encode(self, caption: str, negative: str, clip_skip: int) -> TextConditions:
        """Return both captions as the UNet reads them, on its device and in its dtype."""
        ...


@dataclass(frozen=True)
class BaseModel:
    """A frozen Stable Diffusion 1.5 or XL, or any fine-tune of one.

    Attributes
    ----------
    unet, vae, captions
        On the device and in the dtype they run in; the VAE may be wider than the UNet.
    scheduler_config : mapping
        The noise schedule the UNet was trained on.
    native : int
        The side of a square picture it paints best, in pixels (512 or 1024).
    """

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    captions: CaptionEncoder
    scheduler_config: Mapping[str, Any]
    native: int

    @property
    def factor(self) -> int:
        """Pixels per latent cell and side (8 for the published models)."""
        return 2 ** (len(self.vae.config["block_out_channels"]) - 1)


@final
class BrushNetConductor:
    """Paints with one base model and one BrushNet; both stay as they are.

    Raises
    ------
    InvalidWeights
        BrushNet belongs to a base of another shape.
    """

    def __init__(self, base: BaseModel, brushnet: BrushNetModel) -> None:
        for field in ("block_out_channels", "layers_per_block", "in_channels"):
            ours, theirs = brushnet.config[field], base.unet.config[field]
            if ours != theirs and list(np.atleast_1d(ours)) != list(np.atleast_1d(theirs)):
                raise InvalidWeights(
                    f"BrushNet does not fit the base model: {field} is {ours}, the UNet's {theirs}"
                )
        self.base = base
        self.brushnet = brushnet

    def paint(
        self, image: Image, mask: Mask, caption: str, options: PaintOptions
    ) -> Generator[Denoised | Blended, None, Painting]:
        """Repaint the masked region of a picture so that it shows the caption.

        Parameters
        ----------
        image : Image
        mask : Mask
            True = repaint.
        caption : str
            What the repainted region shows.
        options : PaintOptions

        Returns
        -------
        Painting
            By the generator's return value. Sample k is painted alone with seed + k: no batch, so that it has the
            same bytes as a request for that seed.

        Raises
        ------
        InvalidImage, InvalidMask, EmptyMask, InvalidOption, PaintingFailed
        """
        require_image(image)
        require_mask(mask, image)
        if not mask.any():
            raise EmptyMask("the mask is empty: it selects nothing to repaint", param="mask")
        # What cannot be scheduled fails before any work.
        schedule(make_scheduler(options.scheduler, self.base.scheduler_config), options, torch.device("cpu"))
        context = CONTEXT if options.context is None else options.context
        frames = framing.frames(
            mask,
            native=self.base.native,
            multiple=self.base.factor,
            context=context,
            margin=options.grow or 0,
        )
        grow = default_grow(frames) if options.grow is None else options.grow
        blur = grow if options.blur is None else options.blur
        with torch.inference_mode():
            text = self.base.captions.encode(caption, options.negative, options.clip_skip)
        work = _Work(image, mask, frames, blending.weights(mask, grow, blur), text, options)
        region = blending.region(mask, grow)
        images: list[Image] = []
        reports: list[BlendReport] = []
        for sample in range(options.samples):
            painted = image
            for index in range(len(frames)):
                painted = yield from self._paint_frame(work, sample, index, painted)
            images.append(blending.blend(image, painted, work.weights) if options.blend else painted)
            reports.append(blending.report(image, images[-1], region))
            yield Blended(sample, reports[-1])
        seeds = tuple(options.seed + sample for sample in range(options.samples))
        return Painting(tuple(images), seeds, region, tuple(reports))

    @torch.inference_mode()  # in force while this runs, not while it waits for its caller
    def _paint_frame(
        self, work: "_Work", sample: int, index: int, painted: Image
    ) -> Generator[Denoised, None, Image]:
        """Paint one frame at the model's resolution; return the picture so far with it pasted in."""
        vae, unet, options, frame = self.base.vae, self.base.unet, work.options, work.frames[index]
        generator = torch.Generator().manual_seed(frame_seed(options.seed + sample, index))
        crop, hole = framing.crop(work.image, frame), framing.crop_mask(work.mask, frame)
        seen = conditions.posterior(conditions.black_hole(crop, hole), vae)
        latent = conditions.latent(seen, vae, options.posterior, generator).to(unet.dtype)
        size = latent.shape[-2], latent.shape[-1]
        keep = conditions.keep_mask(hole, size, options.latent_mask).to(latent)
        noise = torch.randn(latent.shape, generator=generator, dtype=torch.float32).to(latent)
        original: Tensor | None = None
        if options.strength < 1:
            whole = conditions.posterior(crop, vae)
            original = conditions.latent(whole, vae, options.posterior, generator).to(unet.dtype)
        scheduler = make_scheduler(options.scheduler, self.base.scheduler_config)
        timesteps = schedule(scheduler, options, unet.device)
        preview = LatentPreview(crop, hole, latent) if options.preview_every else None
        latents = start(scheduler, timesteps, noise, original)
        for step in denoise(
            unet,
            self.brushnet,
            scheduler,
            timesteps,
            latents,
            torch.cat([latent, keep], dim=1),
            work.text,
            (frame.height, frame.width),
            options,
            generator,
        ):
            latents = step.latents
            shown = None
            if preview and step.step % options.preview_every == 0 and step.step < step.steps:
                so_far = framing.paste(preview.picture(step.predicted_clean), frame, painted)
                shown = blending.blend(work.image, so_far, work.weights)
            before = sample * len(work.frames) + index
            yield Denoised(
                before * step.steps + step.step, options.samples * len(work.frames) * step.steps, shown
            )
        pixels = conditions.decode(latents, vae)
        if not pixels.isfinite().all():
            raise PaintingFailed(
                f"the networks gave numbers that are not finite, in {unet.dtype}: their weights are damaged, or too "
                "large for this type (float32 and bfloat16 hold more than float16)"
            )
        return framing.paste(conditions.to_image(pixels), frame, painted)


@dataclass(frozen=True)
class _Work:
    """What is the same for every sample and frame of a painting."""

    image: Image
    mask: Mask
    frames: tuple[Frame, ...]
    weights: NDArray[np.float32]
    text: TextConditions
    options: PaintOptions


def frame_seed(seed: int, index: int) -> int:
    """Return the seed of one frame: the request's own for the first, so that it means what it means elsewhere."""
    return seed if index == 0 else int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def default_grow(frames: tuple[Frame, ...]) -> int:
    """Return how far a blend reaches by default: 2 % of the smallest crop's longer side, at least 2 pixels.

    The published blend reaches 10 pixels past the mask at 512 (a 21-pixel Gaussian), which is this share. The
    smallest crop decides, so that the blend ends inside every crop.
    """
    return max(2, round(0.02 * min(max(frame.box.width, frame.box.height) for frame in frames)))
