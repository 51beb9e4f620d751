"""BrushNet: the branch that reads a masked picture and speaks to a frozen UNet through zero convolutions.

Ju et al., "BrushNet: A Plug-and-Play Image Inpainting Model with Decomposed Dual-Branch Diffusion" (arXiv
2403.06976), section 3.2. The network is the base UNet without its attention, cloned, with nine input channels and a
1x1 convolution, initialised to zero, after every block. Config fields and state-dict keys are those of the published
checkpoints, for Stable Diffusion 1.5 and XL.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import TextTimeEmbedding, TimestepEmbedding, Timesteps
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d_blocks import DownBlock2D, UNetMidBlock2D, UpBlock2D
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from brushedit.diffusion.checkpoint import load_strictly
from brushedit.errors import InvalidWeights

MASK_CHANNELS = 1


@dataclass(frozen=True)
class SizeConditions:
    """Stable Diffusion XL's extra inputs (Podell et al., arXiv 2307.01952, section 2.2).

    Attributes
    ----------
    pooled_text : Tensor
        (B, D), pooled output of the second text encoder.
    time_ids : Tensor
        (B, 6): original height and width, crop top and left, target height and width, in pixels.
    """

    pooled_text: Tensor
    time_ids: Tensor


@dataclass(frozen=True)
class Features:
    """What BrushNet adds to the UNet: one tensor (B, C, h, w) per site, in the order of `sites`.

    `down` starts with the stem's; `up` ends with the last resnet's.
    """

    down: tuple[Tensor, ...]
    mid: Tensor
    up: tuple[Tensor, ...]

    def all(self) -> tuple[Tensor, ...]:
        """Return every feature in site order: down, mid, up."""
        return (*self.down, self.mid, *self.up)

    def scaled(self, scales: "tuple[float, ...]") -> "Features":
        """Return the features times one factor each, in site order (the paper's w, section 3.4)."""
        scaled = [feature * scale for feature, scale in zip(self.all(), scales, strict=True)]
        n = len(self.down)
        return Features(tuple(scaled[:n]), scaled[n], tuple(scaled[n + 1 :]))

    def conditional_only(self) -> "Features":
        """Return features for both guidance halves, 0 for the unconditional one: (2B, C, h, w)."""
        padded = [torch.cat([torch.zeros_like(feature), feature]) for feature in self.all()]
        n = len(self.down)
        return Features(tuple(padded[:n]), padded[n], tuple(padded[n + 1 :]))


def feature_scales(count: int, preservation_scale: float, *, guess_mode: bool) -> tuple[float, ...]:
    """Return one factor per site: the paper's w everywhere, or in guess mode w times 0.1 rising to 1."""
    if not guess_mode:
        return (preservation_scale,) * count
    return tuple(float(scale) * preservation_scale for scale in torch.logspace(-1, 0, count))


class BrushNetModel(ModelMixin, ConfigMixin):
    """The BrushNet branch.

    The constructor takes the published config fields; those that describe the base UNet's attention are kept in the
    config and not used, because the branch has none.

    Raises
    ------
    InvalidWeights
        The config describes another architecture (attention blocks, class embeddings, ...).
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ("ResnetBlock2D",)

    @register_to_config
    def __init__(
        self,
        in_channels: int = 4,
        conditioning_channels: int = 5,
        flip_sin_to_cos: bool = True,
        freq_shift: int = 0,
        down_block_types: tuple[str, ...] = ("DownBlock2D",) * 4,
        mid_block_type: str | None = "MidBlock2D",
        up_block_types: tuple[str, ...] = ("UpBlock2D",) * 4,
        only_cross_attention: bool | tuple[bool, ...] = False,
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_block: int | tuple[int, ...] = 2,
        downsample_padding: int = 1,
        mid_block_scale_factor: float = 1,
        act_fn: str = "silu",
        norm_num_groups: int | None = 32,
        norm_eps: float = 1e-5,
        cross_attention_dim: int | tuple[int, ...] = 1280,
        transformer_layers_per_block: int | tuple[int, ...] = 1,
        encoder_hid_dim: int | None = None,
        encoder_hid_dim_type: str | None = None,
        attention_head_dim: int | tuple[int, ...] = 8,
        num_attention_heads: int | tuple[int, ...] | None = None,
        use_linear_projection: bool = False,
        class_embed_type: str | None = None,
        addition_embed_type: str | None = None,
        addition_time_embed_dim: int | None = None,
        num_class_embeds: int | None = None,
        upcast_attention: bool | None = False,
        resnet_time_scale_shift: str = "default",
        projection_class_embeddings_input_dim: int | None = None,
        brushnet_conditioning_channel_order: str = "rgb",
        conditioning_embedding_out_channels: tuple[int, ...] | None = (16, 32, 96, 256),
        global_pool_conditions: bool = False,
        addition_embed_type_num_heads: int = 64,
    ) -> None:
        super().__init__()
        levels = len(block_out_channels)
        _require("down_block_types", tuple(down_block_types), ("DownBlock2D",) * levels)
        _require("mid_block_type", mid_block_type, "MidBlock2D")
        _require("up_block_types", tuple(up_block_types), ("UpBlock2D",) * levels)
        _require("class_embed_type", class_embed_type, None)
        _require("encoder_hid_dim_type", encoder_hid_dim_type, None)
        _require("brushnet_conditioning_channel_order", brushnet_conditioning_channel_order, "rgb")
        _require("global_pool_conditions", global_pool_conditions, False)
        if addition_embed_type not in (None, "text", "text_time"):
            raise InvalidWeights(f"BrushNet config: addition_embed_type {addition_embed_type!r} is not known")
        layers = (
            (layers_per_block,) * levels if isinstance(layers_per_block, int) else tuple(layers_per_block)
        )

        stem, embedding = block_out_channels[0], block_out_channels[0] * 4
        self.conv_in_condition = nn.Conv2d(in_channels + conditioning_channels, stem, 3, padding=1)
        self.time_proj = Timesteps(stem, flip_sin_to_cos, freq_shift)
        self.time_embedding = TimestepEmbedding(stem, embedding, act_fn=act_fn)
        self.add_time_proj: Timesteps | None = None
        self.add_embedding: TimestepEmbedding | TextTimeEmbedding | None = None
        if addition_embed_type == "text":
            if not isinstance(cross_attention_dim, int):
                raise InvalidWeights("BrushNet config: text needs one cross_attention_dim")
            self.add_embedding = TextTimeEmbedding(
                cross_attention_dim, embedding, addition_embed_type_num_heads
            )
        if addition_embed_type == "text_time":
            if addition_time_embed_dim is None or projection_class_embeddings_input_dim is None:
                raise InvalidWeights("BrushNet config: text_time needs both of its embedding dimensions")
            self.add_time_proj = Timesteps(addition_time_embed_dim, flip_sin_to_cos, freq_shift)
            self.add_embedding = TimestepEmbedding(projection_class_embeddings_input_dim, embedding)

        self.down_blocks = nn.ModuleList()
        self.up_blocks = nn.ModuleList()
        down_taps, up_taps = [stem], list[int]()
        reversed_channels = tuple(reversed(block_out_channels))
        reversed_layers = tuple(reversed(layers))
        for i, channels in enumerate(block_out_channels):
            last = i == levels - 1
            self.down_blocks.append(
                DownBlock2D(
                    in_channels=block_out_channels[max(0, i - 1)],
                    out_channels=channels,
                    temb_channels=embedding,
                    num_layers=layers[i],
                    resnet_eps=norm_eps,
                    resnet_act_fn=act_fn,
                    resnet_groups=norm_num_groups,  # pyright: ignore[reportArgumentType]  None is diffusers' own
                    resnet_time_scale_shift=resnet_time_scale_shift,
                    add_downsample=not last,
                    downsample_padding=downsample_padding,
                )
            )
            down_taps += [channels] * (layers[i] + (not last))
        for i, channels in enumerate(reversed_channels):
            last = i == levels - 1
            self.up_blocks.append(
                UpBlock2D(
                    in_channels=reversed_channels[min(i + 1, levels - 1)],
                    prev_output_channel=reversed_channels[max(0, i - 1)],
                    out_channels=channels,
                    temb_channels=embedding,
                    num_layers=reversed_layers[i] + 1,
                    resnet_eps=norm_eps,
                    resnet_act_fn=act_fn,
                    resnet_groups=norm_num_groups,  # pyright: ignore[reportArgumentType]
                    resnet_time_scale_shift=resnet_time_scale_shift,
                    add_upsample=not last,
                )
            )
            up_taps += [channels] * (reversed_layers[i] + 1 + (not last))
        self.mid_block = UNetMidBlock2D(
            in_channels=block_out_channels[-1],
            temb_channels=embedding,
            num_layers=1,
            resnet_eps=norm_eps,
            resnet_act_fn=act_fn,
            resnet_groups=norm_num_groups,  # pyright: ignore[reportArgumentType]
            resnet_time_scale_shift=resnet_time_scale_shift,
            output_scale_factor=mid_block_scale_factor,
            add_attention=False,
        )
        self.brushnet_down_blocks = nn.ModuleList(_zero_convolution(channels) for channels in down_taps)
        self.brushnet_mid_block = _zero_convolution(block_out_channels[-1])
        self.brushnet_up_blocks = nn.ModuleList(_zero_convolution(channels) for channels in up_taps)

    @property
    def reads_text(self) -> bool:
        """Whether text enters the time embedding, as it does the UNet's own.

        The two guidance halves differ then and cannot share an evaluation.
        """
        return self.add_embedding is not None

    @property
    def site_count(self) -> int:
        """How many features one evaluation gives."""
        return len(self.brushnet_down_blocks) + 1 + len(self.brushnet_up_blocks)

    def forward(
        self,
        latents: Tensor,
        timestep: Tensor,
        conditioning: Tensor,
        text: Tensor | None = None,
        sizes: SizeConditions | None = None,
    ) -> Features:
        """Return the features for one denoising step, unscaled.

        Parameters
        ----------
        latents : Tensor
            Noisy latents x_t, (B, 4, h, w), scaled as the UNet's input is.
        timestep : Tensor
            () or (B,).
        conditioning : Tensor
            Masked picture's latent and the mask (1 = keep), (B, 5, h, w).
        text : Tensor or None
            States of the caption, (B, L, D); read by a network whose ``addition_embed_type`` is "text".
        sizes : SizeConditions or None
            Read by one whose ``addition_embed_type`` is "text_time".
        """
        times = self.time_proj(timestep.to(latents.device).reshape(-1).expand(latents.shape[0]))
        emb: Tensor = self.time_embedding(times.to(latents.dtype))
        if self.add_embedding is not None:
            emb = emb + self._added(self.add_embedding, text, sizes)
        hidden: Tensor = self.conv_in_condition(torch.cat([latents, conditioning], dim=1))
        skips = [hidden]
        for block in self.down_blocks:
            hidden, states = block(hidden, emb)
            skips.extend(states)
        down = tuple(conv(skip) for conv, skip in zip(self.brushnet_down_blocks, skips, strict=True))
        hidden = self.mid_block(hidden, emb)
        mid: Tensor = self.brushnet_mid_block(hidden)
        # The up path is walked here because UpBlock2D does not return what is between its layers.
        states: list[Tensor] = []
        for block in self.up_blocks:
            assert isinstance(block, UpBlock2D)
            for resnet in block.resnets:
                hidden = self._resnet(resnet, torch.cat([hidden, skips.pop()], dim=1), emb)
                states.append(hidden)
            for upsampler in block.upsamplers or ():
                # An odd side loses a row on the way down: the next skip says which size to come back to.
                hidden = upsampler(hidden, skips[-1].shape[2:])
                states.append(hidden)
        up = tuple(conv(state) for conv, state in zip(self.brushnet_up_blocks, states, strict=True))
        return Features(down, mid, up)

    def _added(self, embedding: nn.Module, text: Tensor | None, sizes: SizeConditions | None) -> Tensor:
        if self.add_time_proj is None:
            if text is None:
                raise ValueError("this BrushNet needs the caption's states")
            return embedding(text)
        if sizes is None:
            raise ValueError("this BrushNet needs pooled text and size conditions")
        pooled = sizes.pooled_text
        ids: Tensor = self.add_time_proj(sizes.time_ids.flatten()).reshape(len(pooled), -1)
        return embedding(torch.cat([pooled, ids.to(pooled.dtype)], dim=1))

    def _resnet(self, resnet: nn.Module, hidden: Tensor, emb: Tensor) -> Tensor:
        if self.training and self.is_gradient_checkpointing:
            return checkpoint(resnet, hidden, emb, use_reentrant=False)  # pyright: ignore[reportReturnType]
        return resnet(hidden, emb)

    @classmethod
    def from_unet(cls, unet: UNet2DConditionModel) -> Self:
        """Return a BrushNet that starts as a copy of a base model's convolutions (section 3.2).

        The stem sees the noisy latent and the masked picture's latent through the UNet's own first convolution and
        the mask through zeros; every zero convolution is 0, so the first prediction is the base model's. Nothing is
        shared with the UNet.
        """
        accepted = cls.__init__.__wrapped__.__code__.co_varnames[1:]  # pyright: ignore[reportFunctionMemberAccess]
        fields = {name: value for name, value in unet.config.items() if name in accepted}
        levels = len(unet.config["block_out_channels"])
        fields |= {
            "down_block_types": ("DownBlock2D",) * levels,
            "mid_block_type": "MidBlock2D",
            "up_block_types": ("UpBlock2D",) * levels,
            "conditioning_channels": unet.config["in_channels"] + MASK_CHANNELS,
        }
        brushnet = cls(**fields)
        source = unet.state_dict()
        stem = source["conv_in.weight"]
        own = brushnet.state_dict()
        copied = {key: source[key] for key in own if key in source}
        copied["conv_in_condition.weight"] = torch.cat(
            [stem, stem, torch.zeros_like(stem[:, :MASK_CHANNELS])], dim=1
        )
        copied["conv_in_condition.bias"] = source["conv_in.bias"]
        brushnet.load_state_dict(own | copied, strict=True)
        return brushnet

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        pretrained_model_name_or_path: str | PathLike[str],
        *,
        torch_dtype: torch.dtype | None = None,
        subfolder: str = "",
        variant: str | None = None,
    ) -> Self:
        """Load a published folder (config.json, diffusion_pytorch_model.safetensors), strictly.

        Raises
        ------
        InvalidWeights
            The folder holds no such network, or keys or shapes differ; the message names them.
        """
        load = super().from_pretrained

        def loaded(folder: Path) -> tuple[Self, Mapping[str, Any]]:
            return load(  # pyright: ignore[reportReturnType]  with its report, diffusers returns a pair
                folder,
                torch_dtype=torch_dtype,
                variant=variant,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )

        return load_strictly(Path(pretrained_model_name_or_path) / subfolder, loaded)


def _zero_convolution(channels: int) -> nn.Conv2d:
    """Return the paper's zero convolution Z: 1x1, nothing at first, so training starts from the base model."""
    convolution = nn.Conv2d(channels, channels, kernel_size=1)
    nn.init.zeros_(convolution.weight)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return convolution


def _require(name: str, found: object, expected: object) -> None:
    if found != expected:
        raise InvalidWeights(f"not a BrushNet config: {name} is {found!r}, expected {expected!r}")
