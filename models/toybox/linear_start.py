"""A start for an autoencoder: already linear compression, so that training has only details left to learn."""

from typing import Any

import numpy as np
import torch
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from numpy.typing import NDArray
from torch import Tensor, nn

from models.toybox.crops import Crops


@torch.no_grad()
def start_linear(vae: Any, crops: Crops) -> None:
    """Let the encoder start as the principal components of 4 x 4 pixels, the decoder as their mean.

    A network drawn at random takes thousands of steps to learn hues, which every normalisation layer takes away and
    the next has to guess; this one knows them from the start and has only to learn details. Values travel through
    the residual paths, every block adding nothing at first, and through SiLU as pairs: silu(x) - silu(-x) = x. A
    constant pair beside them keeps group normalisation from rescaling them. Three levels, the last wider than the
    second, which has at least 48 channels: as many as the numbers in a cell.
    """
    levels = vae.config["block_out_channels"]
    if len(levels) != 3 or levels[0] < 12 or not 48 <= levels[1] < levels[2]:
        raise ValueError(f"no linear start for an autoencoder with channels {levels}")
    mean, basis, colors = patch_components(crops, vae.config["latent_channels"])
    for resnet in (m for m in vae.modules() if isinstance(m, ResnetBlock2D)):
        _pass(resnet.conv2, torch.zeros(resnet.out_channels, 1))
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
