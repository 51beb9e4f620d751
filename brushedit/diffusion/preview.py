"""A preview of latents without the VAE: a linear map from latent channels to colours.

The latents of Stable Diffusion's VAEs are close to linear in the picture's colours. The map is fitted by least squares
on the crop that is being painted, whose latent and colours are both known, so it fits any VAE and costs nothing.
"""

from typing import final

import cv2
import numpy as np
import torch
from torch import Tensor

from brushedit.types import Image, Mask


@final
class LatentPreview:
    """Colours of latents (1, C, h, w) by the map that best explains one crop (H, W) and its masked latent.

    The hole counts as black, which is what the VAE saw there.
    """

    def __init__(self, crop: Image, hole: Mask, latent: Tensor) -> None:
        self._size = (crop.shape[1], crop.shape[0])
        cells = _with_bias(latent)
        h, w = latent.shape[-2:]
        seen = np.where(hole[:, :, None], np.uint8(0), crop)
        colors = (
            cv2.resize(seen, (w, h), interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.float32) / 255
        )
        # A little ridge keeps the map tame where the crop is all one colour.
        gram = cells.T @ cells + 1e-2 * len(cells) * torch.eye(cells.shape[1])
        self._map = torch.linalg.solve(gram, cells.T @ torch.from_numpy(colors))

    def picture(self, latents: Tensor) -> Image:
        """Return the preview at the crop's size, RGB uint8 (H, W, 3)."""
        h, w = latents.shape[-2:]
        colors = (_with_bias(latents) @ self._map).clamp(0, 1).reshape(h, w, 3)
        small = (colors * 255).round().to(torch.uint8).numpy()
        return cv2.resize(small, self._size, interpolation=cv2.INTER_CUBIC)


def _with_bias(latents: Tensor) -> Tensor:
    cells = latents[0].float().cpu().flatten(1).T
    return torch.cat([cells, torch.ones(len(cells), 1)], dim=1)
