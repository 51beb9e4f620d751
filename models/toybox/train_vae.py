"""The toybox's autoencoder: Stable Diffusion's `AutoencoderKL`, pictures made 4 times smaller in 8 channels.

Trained on windows of crops as the conductor frames them, from a start that is already linear compression.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

from brushedit.training.loop import SHEET_EVERY, Budget, Progress, Recipe, Sheet, Trainer
from models.toybox.crops import NATIVE, Crops
from models.toybox.linear_start import start_linear
from models.toybox.samples import reconstruction_sheet
from models.toybox.sheets import write_sheet


@dataclass(frozen=True)
class VaeRecipe:
    """Hyper-parameters.

    Attributes
    ----------
    channels : tuple of int
        Per level; each level but the first halves the picture.
    latents : int
        Channels of the latents.
    window : int
        Side of the windows trained on until `whole` of the budget is used; whole crops after that.
    kl : float
        Weight of the latents' distance from a unit normal distribution, in nats per number.
    """

    channels: tuple[int, ...] = (32, 48, 64)
    latents: int = 8
    groups: int = 8
    batch: int = 16
    window: int = 32
    whole: float = 0.85
    kl: float = 2e-4
    steps: Recipe = field(
        default_factory=lambda: Recipe(learning_rate=1.5e-3, warmup=100, hold=0.3, ema=0.995)
    )


def make_vae(recipe: VaeRecipe) -> AutoencoderKL:
    """Return the untrained network; torch's random state draws its weights."""
    levels = len(recipe.channels)
    kind: Any = AutoencoderKL  # its annotations say that there is but one level
    return kind(
        block_out_channels=recipe.channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        latent_channels=recipe.latents,
        norm_num_groups=recipe.groups,
        sample_size=NATIVE,
        scaling_factor=1.0,
        # With attention every latent would depend on the whole picture, its black hole included.
        mid_block_add_attention=False,
    )


@final
class VaeObjective:
    """Pictures through the bottleneck and back: absolute and squared errors, edges, colours, and the KL term."""

    def __init__(self, vae: AutoencoderKL, crops: Crops, recipe: VaeRecipe) -> None:
        self.network, self.batch = vae, recipe.batch
        self._crops, self._recipe = crops, recipe

    def loss(self, rng: np.random.Generator, generator: torch.Generator, progress: float) -> Tensor:
        """Return the loss of one step, on windows early and on whole crops late."""
        recipe = self._recipe
        whole = progress >= recipe.whole
        # Whole crops cost four times as much, so there are fewer of them in a step.
        chunk, rows = self._crops.draw(rng, recipe.batch // 2 if whole else recipe.batch)
        pixels = np.asarray(self._crops.pixels(chunk)[rows])
        if rng.random() < 0.5:
            pixels = pixels[:, :, ::-1]
        if rng.random() < 0.3:
            # The conductor shows the encoder pictures with a black hole.
            pixels = np.where(pixels[..., 3:4] > 0, pixels * np.array([0, 0, 0, 1, 1], np.uint8), pixels)
        if not whole:
            side = recipe.window
            y, x = (int(rng.integers(0, (length - side) // 4 + 1)) * 4 for length in pixels.shape[1:3])
            pixels = pixels[:, y : y + side, x : x + side]
        picture = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.network.device)
        subject = (picture[..., 4:].permute(0, 3, 1, 2) > 0).float()
        target = picture[..., :3].permute(0, 3, 1, 2).float() / 127.5 - 1
        posterior = self.network.encode(target).latent_dist  # pyright: ignore[reportAttributeAccessIssue]
        noise = torch.randn(posterior.mean.shape, generator=generator, device=posterior.mean.device)
        decoded = self.network.decode(posterior.mean + posterior.std * noise).sample  # pyright: ignore[reportAttributeAccessIssue]
        weight = 1 + subject
        return reconstruction_loss(decoded, target, weight) + recipe.kl * posterior.kl().mean() / float(
            posterior.mean[0].numel()
        )


def reconstruction_loss(decoded: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return how far pictures (B, 3, H, W), -1..1, are from the truth; weight is (B, 1, H, W).

    Edges alone would leave hues wrong for long: the colours of 4 x 4 cells count as well.
    """
    error = (decoded - target) * weight
    edges = (error[..., 1:, :] - error[..., :-1, :]).abs().mean() + (
        error[..., 1:] - error[..., :-1]
    ).abs().mean()
    colors = F.avg_pool2d(error, 4).abs().mean()
    return error.abs().mean() + 4 * error.square().mean() + 0.4 * edges + 3 * colors


@torch.no_grad()
def latent_scale(vae: AutoencoderKL, crops: Crops, chunks: int = 8) -> float:
    """Return 1 / deviation of the latents, Stable Diffusion's ``scaling_factor``."""
    values = [
        vae.encode(_pictures(crops, chunk, slice(0, 128), vae.device)).latent_dist.mean.flatten()  # pyright: ignore[reportAttributeAccessIssue]
        for chunk in range(min(chunks, len(crops)))
    ]
    return 1 / float(torch.cat(values).std())


def _pictures(crops: Crops, chunk: int, rows: slice, device: torch.device) -> Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(crops.pixels(chunk)[rows, :, :, :3])).to(device)
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def train_vae(
    out: Path,
    crops: Crops,
    budget: Budget,
    *,
    device: torch.device,
    sheet_every: float = SHEET_EVERY,
    recipe: VaeRecipe | None = None,
) -> Generator[Progress]:
    """Train into ``out``/vae, or go on from the checkpoint in ``out``/checkpoints/vae.

    Yields
    ------
    Progress
        After every step; when the generator ends the network is written.
    """
    recipe = recipe or VaeRecipe()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(recipe.steps.seed)
        vae: Any = make_vae(recipe)
        start_linear(vae, crops)
    vae.to(device)
    trainer = Trainer(VaeObjective(vae, crops, recipe), recipe.steps, budget, out / "checkpoints" / "vae")
    sheet = Sheet(lambda: write_sheet(out / "sheets" / "vae.png", reconstruction_sheet(vae)), sheet_every)
    yield from trainer.run(sheet=sheet)
    trainer.load_average()
    vae.eval().register_to_config(scaling_factor=latent_scale(vae, crops))
    vae.save_pretrained(out / "vae")
