"""What BrushNet is shown: the picture with its hole painted black, as a latent, and the mask beside it.

arXiv 2403.06976, section 3.2 and figure 3. Polarity follows the published code: the latent mask is 1 where the
picture is kept and 0 in the hole, and the hole is black, not grey, before the VAE sees it.
"""

from typing import Literal

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor
from torch.nn import functional as F

from brushedit.types import Image, Mask


def to_tensor(image: Image, vae: AutoencoderKL) -> Tensor:
    """Return pixels as the VAE reads them: (1, 3, H, W), -1..1, on its device, in its dtype."""
    tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    # Divided in float32, as the published pre-processing does, and only then rounded to a smaller type.
    return (tensor.float() / 255 * 2 - 1).to(vae.device, vae.dtype)


def to_image(pixels: Tensor) -> Image:
    """Return the VAE's output (1, 3, H, W), -1..1, as a picture."""
    levels = (pixels[0].float().clamp(-1, 1) + 1) / 2 * 255
    return levels.round().permute(1, 2, 0).to("cpu", torch.uint8).numpy()


def posterior(image: Image, vae: AutoencoderKL) -> DiagonalGaussianDistribution:
    """Return q(z | picture), unscaled."""
    return vae.encode(to_tensor(image, vae)).latent_dist  # pyright: ignore[reportAttributeAccessIssue]


def latent(
    distribution: DiagonalGaussianDistribution,
    vae: AutoencoderKL,
    draw: Literal["mode", "sample"],
    generator: torch.Generator,
) -> Tensor:
    """Return one scaled latent (1, C, h, w) of a posterior: its mode, or a draw by the request's own generator."""
    if draw == "mode":
        z = distribution.mode()
    else:
        noise = torch.randn(distribution.mean.shape, generator=generator, dtype=torch.float32)
        z = distribution.mean + distribution.std * noise.to(distribution.mean)
    return z * vae.config["scaling_factor"]


def decode(latents: Tensor, vae: AutoencoderKL) -> Tensor:
    """Return the pixels (1, 3, H, W), about -1..1, of scaled latents."""
    return vae.decode(latents.to(vae.dtype) / vae.config["scaling_factor"]).sample  # pyright: ignore[reportAttributeAccessIssue]


def black_hole(image: Image, mask: Mask) -> Image:
    """Return the picture with the masked pixels black."""
    return np.where(mask[:, :, None], np.uint8(0), image)


def keep_mask(mask: Mask, size: tuple[int, int], interpolation: Literal["nearest", "cubic"]) -> Tensor:
    """Return the latent mask (1, 1, h, w) of size (h, w): 1 = keep, 0 = hole.

    "nearest" is the published code; "cubic" is what the paper's section 3.2 says, clamped to 0..1.
    """
    keep = torch.from_numpy(~mask)[None, None].float()
    if interpolation == "nearest":
        return F.interpolate(keep, size)
    return F.interpolate(keep, size, mode="bicubic", align_corners=False).clamp(0, 1)
