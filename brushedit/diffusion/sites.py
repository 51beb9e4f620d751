"""Where BrushNet's features enter a frozen UNet, and a context in which they do.

One residual is added after each resnet-and-attention pair, after each down- and upsampler, and after the mid block
(arXiv 2403.06976, equation 3). The UNet's code and weights stay as they are: forward hooks add the features and are
gone when the context ends.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.unets.unet_2d_blocks import (
    CrossAttnDownBlock2D,
    CrossAttnUpBlock2D,
    DownBlock2D,
    UpBlock2D,
)
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from brushedit.diffusion.brushnet import Features
from brushedit.errors import InvalidWeights


@dataclass(frozen=True)
class Sites:
    """The modules of a UNet at which features enter, in feature order.

    Attributes
    ----------
    first_block : nn.Module
        The stem's residual is added to this block's *input*: the published code adds it after the stem's output has
        become the first skip connection, so that skip must not see it.
    down, up : tuple of nn.Module
        A feature is added to each one's output; `down` is one shorter than the features, which start at the stem.
    mid : nn.Module
    """

    first_block: nn.Module
    down: tuple[nn.Module, ...]
    mid: nn.Module
    up: tuple[nn.Module, ...]


def sites(unet: UNet2DConditionModel) -> Sites:
    """Return the sites of a Stable Diffusion 1.5 or XL shaped UNet.

    Raises
    ------
    InvalidWeights
        A block is of a kind the published BrushNet has no place for.
    """
    return Sites(
        first_block=unet.down_blocks[0],
        down=tuple(site for block in unet.down_blocks for site in _block_sites(block)),
        mid=unet.mid_block,
        up=tuple(site for block in unet.up_blocks for site in _block_sites(block)),
    )


def _block_sites(block: nn.Module) -> tuple[nn.Module, ...]:
    match block:
        case CrossAttnDownBlock2D():
            return (*block.attentions, *(block.downsamplers or ()))
        case DownBlock2D():
            return (*block.resnets, *(block.downsamplers or ()))
        case CrossAttnUpBlock2D():
            return (*block.attentions, *(block.upsamplers or ()))
        case UpBlock2D():
            return (*block.resnets, *(block.upsamplers or ()))
        case _:
            raise InvalidWeights(f"BrushNet cannot join a UNet with blocks of type {type(block).__name__}")


@contextmanager
def features_added(unet: UNet2DConditionModel, features: Features) -> Generator[None]:
    """Run the UNet with BrushNet's features; on leaving, also by an exception, it is as it was.

    Features of batch B serve a UNet batch of any multiple of B: one evaluation for both guidance halves.
    """
    where = sites(unet)
    outputs = (*where.down, where.mid, *where.up)
    stem, *rest = features.all()
    handles: list[RemovableHandle] = []
    try:
        handles.append(where.first_block.register_forward_pre_hook(_to_input(stem), with_kwargs=True))
        for site, feature in zip(outputs, rest, strict=True):
            handles.append(site.register_forward_hook(_to_output(feature)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _to_input(feature: Tensor) -> Any:
    def add(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, kwargs | {"hidden_states": _sum(kwargs["hidden_states"], feature)}

    return add


def _to_output(feature: Tensor) -> Any:
    def add(
        _module: nn.Module, _args: tuple[Any, ...], output: Tensor | tuple[Tensor]
    ) -> Tensor | tuple[Tensor]:
        # A transformer called with return_dict=False answers with a tuple of one.
        if isinstance(output, tuple):
            return (_sum(output[0], feature),)
        return _sum(output, feature)

    return add


def _sum(hidden: Tensor, feature: Tensor) -> Tensor:
    if hidden.shape[0] == feature.shape[0]:
        return hidden + feature
    halves = hidden.unflatten(0, (-1, feature.shape[0]))
    return torch.add(halves, feature).flatten(0, 1)
