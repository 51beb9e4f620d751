"""The toybox's autoencoder: Stable Diffusion's `AutoencoderKL`, pictures made 4 times smaller in 8 channels.

Trained on windows of crops as the conductor frames them, from a start that is already linear compression.
"""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from brushedit.training.loop import Budget, Progress, Recipe, Trainer
from models.toybox.crops import NATIVE, Crops


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
    steps: Recipe = Recipe(learning_rate=1.5e-3, warmup=100, hold=0.3, ema=0.995)


def make_vae(recipe: VaeRecipe) -> AutoencoderKL:
    """Return the untrained network; torch's random state draws its weights."""
    levels = len(recipe.channels)
    return AutoencoderKL(
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
    edges = (error[..., 1:, :] - error[..., :-1, :]).abs().mean() + (error[..., 1:] - error[..., :-1]).abs().mean()
    colors = F.avg_pool2d(error, 4).abs().mean()
    return error.abs().mean() + 4 * error.square().mean() + 0.4 * edges + 3 * colors


@torch.no_grad()
def start_linear(vae: AutoencoderKL, crops: Crops) -> None:
    """Set weights so that the encoder starts as the principal components of 4 x 4 pixels and the decoder paints their mean.

    A network drawn at random takes thousands of steps to learn hues, which every normalisation layer takes away and the
    next has to guess; this one knows them from the start and has only to learn details. Values travel through the
    residual paths, every block adding nothing at first, and through SiLU as pairs: silu(x) - silu(-x) = x. A constant
    pair beside them keeps group normalisation from rescaling them.
    """
    mean, basis, colors = patch_components(crops, vae.config["latent_channels"])
    for resnet in (m for m in vae.modules() if isinstance(m, ResnetBlock2D)):
        nn.init.zeros_(resnet.conv2.weight)
        nn.init.zeros_(resnet.conv2.bias)
    encoder, decoder = vae.encoder, vae.decoder
    size = encoder.conv_norm_out.num_channels // encoder.conv_norm_out.num_groups
    _pass(encoder.conv_in, torch.eye(3))
    for i, block in enumerate(encoder.down_blocks):
        for resnet in block.resnets:
            carried = 3 * 4**i
            if resnet.conv_shortcut is not None and block is not encoder.down_blocks[-1]:
                _pass(resnet.conv_shortcut, torch.eye(carried))
            elif resnet.conv_shortcut is not None:
                _pass(resnet.conv_shortcut, *_paired(basis, -basis @ mean, size))
        for sampler in block.downsamplers or ():
            _fold(sampler.conv, 3 * 4**i)
    _unpair(encoder.conv_out, len(basis), size, gain=_CONSTANT * (2 / size) ** 0.5)
    logvar = slice(len(basis), 2 * len(basis))
    encoder.conv_out.bias[logvar] -= 6
    for mixer, count in ((vae.quant_conv, 2 * len(basis)), (vae.post_quant_conv, len(basis))):
        mixer.weight.copy_(torch.eye(count)[:, :, None, None])
        mixer.bias.zero_()
    size = decoder.conv_norm_out.num_channels // decoder.conv_norm_out.num_groups
    weights, biases = _paired(colors, mean.reshape(16, 3).mean(0), size)
    _pass(decoder.conv_in, weights, biases)
    for block in decoder.up_blocks:
        for layer in (*block.resnets, *(block.upsamplers or ())):
            path = layer.conv if isinstance(layer, Upsample2D) else layer.conv_shortcut
            if path is not None:
                _pass(path, torch.eye(len(weights)))
    _unpair(decoder.conv_out, 3, size, gain=_CONSTANT * (2 / size) ** 0.5)


_CONSTANT = 4.0
"""What travels beside the values; several times as large as they are."""


def patch_components(crops: Crops, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean (48,), encoding (count, 48) and colours (3, count) of pixels in 4 x 4 cells, listed as `_fold` does.

    Components are scaled by their deviation to the power of -0.6: what matters most stays largest, and the least is
    still well above the noise.
    """
    cells = torch.cat([_cells(crops.pixels(chunk)[:128, ..., :3]) for chunk in range(min(len(crops), 12))])
    mean = cells.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((cells - mean).T))
    basis, deviation = vectors.flip(1)[:, :count].T, values.flip(0)[:count].sqrt()
    scale = deviation**-0.6
    colors = (basis / scale[:, None]).reshape(count, 16, 3).mean(1).T
    return mean, basis * scale[:, None], colors


def _cells(pixels: NDArray[np.uint8]) -> Tensor:
    """Return (cells, 48): the position in 2 x 2 blocks of 2 x 2 cells first, colours last."""
    picture = torch.from_numpy(np.ascontiguousarray(pixels)).float() / 127.5 - 1
    n, h, w, _ = picture.shape
    blocks = picture.reshape(n, h // 4, 2, 2, w // 4, 2, 2, 3)
    return blocks.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(-1, 48)


def _pass(layer: nn.Module, weights: Tensor, biases: Tensor | None = None) -> None:
    """Let the layer's first outputs be these sums of its first inputs, at the same place."""
    weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
    outputs, inputs = weights.shape
    middle = weight.shape[-1] // 2
    weight[:outputs] = 0
    weight[:outputs, :inputs, middle, middle] = weights
    bias[:outputs] = 0 if biases is None else biases


def _fold(layer: nn.Module, inputs: int) -> None:
    """Let a stride-2 layer's first 4 * inputs outputs be the 2 x 2 pixels of its first inputs."""
    weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
    weight[: 4 * inputs] = 0
    bias[: 4 * inputs] = 0
    for place in range(4):
        for i in range(inputs):
            weight[place * inputs + i, i, place // 2, place % 2] = 1


def _paired(weights: Tensor, biases: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return rows in groups of `size`: (size - 2) / 2 values, each with its negative, and the constant pair."""
    rows, offsets = list[Tensor](), list[Tensor]()
    nothing = torch.zeros_like(weights[0])
    per_group = (size - 2) // 2
    for first in range(0, len(weights), per_group):
        group = [(weights[i], biases[i]) for i in range(first, min(first + per_group, len(weights)))]
        group += [(nothing, torch.zeros(()))] * (per_group - len(group))
        group.append((nothing, torch.tensor(_CONSTANT)))
        for row, offset in group:
            rows += [row, -row]
            offsets += [offset, -offset]
    return torch.stack(rows), torch.stack(offsets)


def _unpair(layer: nn.Module, count: int, size: int, gain: float) -> None:
    """Let the layer's first `count` outputs be the values that `_paired` spread over groups, behind SiLU."""
    weight = layer.get_parameter("weight")
    weight[:count] = 0
    per_group = (size - 2) // 2
    for i in range(count):
        at = (i // per_group) * size + 2 * (i % per_group)
        weight[i, at, 1, 1], weight[i, at + 1, 1, 1] = gain, -gain
    layer.get_parameter("bias")[:count] = 0


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
    out: Path, crops: Crops, budget: Budget, *, device: torch.device, recipe: VaeRecipe | None = None
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
        vae = make_vae(recipe)
        start_linear(vae, crops)
        vae.to(device)
    trainer = Trainer(VaeObjective(vae, crops, recipe), recipe.steps, budget, out / "checkpoints" / "vae")
    yield from trainer.run()
    trainer.load_average()
    vae.eval().register_to_config(scaling_factor=latent_scale(vae, crops))
    vae.save_pretrained(out / "vae")
