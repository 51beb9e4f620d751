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
from torch import Tensor

from brushedit import blending, framing
from brushedit.diffusion import conditioning as conditions
from brushedit.diffusion.brushnet import BrushNetModel
from brushedit.diffusion.preview import LatentPreview
from brushedit.diffusion.sampling import DenoisingStep, TextConditions, denoise, schedule, start
from brushedit.diffusion.schedulers import make_scheduler
from brushedit.errors import EmptyMask, InvalidWeights
from brushedit.events import Blended, Denoised
from brushedit.framing import Frame
from brushedit.types import Image, Mask, Painting, PaintOptions, require_image, require_mask


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
        InvalidImage, InvalidMask, EmptyMask, InvalidOption
        """
        require_image(image)
        require_mask(mask, image)
        if not mask.any():
            raise EmptyMask("the mask is empty: nothing would be repainted", param="mask")
        make_scheduler(options.scheduler, self.base.scheduler_config)  # an unknown name fails before any work
        frames = framing.frames(
            mask, native=self.base.native, multiple=self.base.factor, context=options.context
        )
        grow = default_grow(frames) if options.grow is None else options.grow
        blur = grow if options.blur is None else min(options.blur, grow)
        region = blending.region(mask, grow)
        weights = blending.weights(mask, grow, blur)
        with torch.inference_mode():
            text = self.base.captions.encode(caption, options.negative, options.clip_skip)
        images: list[Image] = []
        reports: list[Any] = []
        done, total = 0, 0
        for sample in range(options.samples):
            painted = image
            for index, frame in enumerate(frames):
                generator = torch.Generator().manual_seed(options.seed + sample + (index << 32))
                work = self._paint_frame(image, mask, frame, text, options, generator)
                while True:
                    try:
                        with torch.inference_mode():
                            step, preview = next(work)
                    except StopIteration as end:
                        painted = framing.paste(end.value, frame, painted)
                        break
                    done += 1
                    total = total or step.steps * len(frames) * options.samples
                    shown = None
                    if preview is not None:
                        shown = blending.blend(image, framing.paste(preview, frame, painted), weights)
                    yield Denoised(done, total, shown)
            result = blending.blend(image, painted, weights) if options.blend else painted
            report = blending.report(image, result, region)
            images.append(result)
            reports.append(report)
            yield Blended(sample, report)
        seeds = tuple(options.seed + sample for sample in range(options.samples))
        return Painting(tuple(images), seeds, region, tuple(reports))

    def _paint_frame(
        self,
        image: Image,
        mask: Mask,
        frame: Frame,
        text: TextConditions,
        options: PaintOptions,
        generator: torch.Generator,
    ) -> Generator[tuple[DenoisingStep, Image | None], None, Image]:
        """Paint one frame; return it at model resolution, RGB uint8 (frame.height, frame.width, 3)."""
        vae, unet = self.base.vae, self.base.unet
        crop, hole = framing.crop(image, frame), framing.crop_mask(mask, frame)
        latent = conditions.latent(
            conditions.posterior(conditions.black_hole(crop, hole), vae), vae, options.posterior, generator
        ).to(unet.dtype)
        keep = conditions.keep_mask(hole, (latent.shape[-2], latent.shape[-1]), options.latent_mask).to(
            latent
        )
        noise = torch.randn(latent.shape, generator=generator, dtype=torch.float32).to(latent)
        original: Tensor | None = None
        if options.strength < 1:
            whole = conditions.posterior(crop, vae)
            original = conditions.latent(whole, vae, options.posterior, generator).to(unet.dtype)
        scheduler = make_scheduler(options.scheduler, self.base.scheduler_config)
        timesteps = schedule(scheduler, options, unet.device)
        steps = denoise(
            unet,
            self.brushnet,
            scheduler,
            timesteps,
            start(scheduler, timesteps, noise, original),
            torch.cat([latent, keep], dim=1),
            text,
            (frame.height, frame.width),
            options,
            generator,
        )
        preview = LatentPreview(crop, hole, latent) if options.preview_every else None
        latents = noise
        for step in steps:
            latents = step.latents
            due = preview is not None and step.step % options.preview_every == 0 and step.step < step.steps
            yield step, preview.picture(step.predicted_clean) if preview is not None and due else None
        return conditions.to_image(conditions.decode(latents, vae))


def default_grow(frames: tuple[Frame, ...]) -> int:
    """Return how far a blend reaches by default: 2 % of the smallest crop's longer side, at least 2 pixels.

    The published blend reaches 10 pixels past the mask at 512 (a 21-pixel Gaussian), which is this share. The
    smallest crop decides, so that the blend ends inside every crop.
    """
    return max(2, round(0.02 * min(max(frame.box.width, frame.box.height) for frame in frames)))
