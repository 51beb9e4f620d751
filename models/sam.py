"""Segment Anything (arXiv 2304.02643) on the segment-anything package: masks for boxes and clicks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.predictor import SamPredictor
from torch import nn

from brushedit.types import Box, Image, Mask, Point
from models.checkpoint import load_network
from models.placement import Placement
from models.recent import Recent, picture_key


@dataclass(frozen=True)
class SamConfig:
    """Architecture; the default is ViT-H.

    Attributes
    ----------
    embed_dim, depth, num_heads : int
        The picture encoder's; global attention in the layers of `global_attention`, else windows of `window`.
    image_size, patch : int
        Pixels of the square a picture is fitted into, and of a patch.
    width, mlp_width, mask_channels, decoder_depth, decoder_heads : int
        Of prompt encoder and mask decoder.
    """

    embed_dim: int = 1280
    depth: int = 32
    num_heads: int = 16
    global_attention: tuple[int, ...] = (7, 15, 23, 31)
    window: int = 14
    image_size: int = 1024
    patch: int = 16
    width: int = 256
    mlp_width: int = 2048
    mask_channels: int = 16
    decoder_depth: int = 2
    decoder_heads: int = 8


PUBLISHED: Final[Mapping[str, SamConfig]] = {
    "vit_h": SamConfig(),
    "vit_l": SamConfig(embed_dim=1024, depth=24, num_heads=16, global_attention=(5, 11, 17, 23)),
    "vit_b": SamConfig(embed_dim=768, depth=12, num_heads=12, global_attention=(2, 5, 8, 11)),
}


def build(config: SamConfig) -> Sam:
    """Return the package's network of this configuration; its own builders know the published three alone."""
    grid = config.image_size // config.patch
    return Sam(
        image_encoder=ImageEncoderViT(
            img_size=config.image_size,
            patch_size=config.patch,
            embed_dim=config.embed_dim,
            depth=config.depth,
            num_heads=config.num_heads,
            mlp_ratio=4,
            out_chans=config.width,
            qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),  # pyright: ignore[reportArgumentType]  as in the package
            use_rel_pos=True,
            window_size=config.window,
            global_attn_indexes=config.global_attention,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=config.width,
            image_embedding_size=(grid, grid),
            input_image_size=(config.image_size, config.image_size),
            mask_in_chans=config.mask_channels,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(
                depth=config.decoder_depth,
                embedding_dim=config.width,
                mlp_dim=config.mlp_width,
                num_heads=config.decoder_heads,
            ),
            transformer_dim=config.width,
            iou_head_depth=3,
            iou_head_hidden_dim=config.width,
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )


def load_segmenter(
    checkpoint: Path, config: SamConfig, placement: Placement, dtype: torch.dtype = torch.float32
) -> "SegmentAnything":
    """Load a segmenter; its picture encoder computes in `dtype`, while weights and masks stay float32.

    Raises
    ------
    InvalidWeights
        The file is missing, or is of another architecture.
    """
    return SegmentAnything(load_network(lambda: build(config), checkpoint).float(), placement, dtype)


@final
class SegmentAnything:
    """Turns boxes and clicks into masks (a `Segmenter`).

    Attributes
    ----------
    passes : int
        Evaluations of the picture encoder so far; one per picture.
    """

    def __init__(self, network: Sam, placement: Placement, dtype: torch.dtype = torch.float32) -> None:
        self._network = network
        self._placement = placement
        self._dtype = dtype
        # A predictor of the package keeps the embedding of the one picture it was given.
        self._embedded: Recent[SamPredictor] = Recent(8)
        self.passes = 0

    @torch.inference_mode()
    def segment(self, image: Image, box: Box | None, points: Sequence[Point]) -> tuple[Mask, float]:
        """Return the mask of the highest predicted IoU among the network's three, and that IoU, 0..1."""
        assert box is not None or points, "nothing to segment by"
        with self._placement.on_device(self._network):
            predictor = self._embedded.get(picture_key(image), lambda: self._embed(image))
            masks, scores, _ = predictor.predict(
                # A click is on a pixel's middle.
                point_coords=np.array([(p.x + 0.5, p.y + 0.5) for p in points]) if points else None,
                point_labels=np.array([int(p.positive) for p in points]) if points else None,
                box=np.array([box.x0, box.y0, box.x1, box.y1], dtype=np.float32) if box else None,
                multimask_output=True,
            )
        best = int(np.argmax(scores))
        return np.asarray(masks[best], dtype=np.bool_), float(np.clip(scores[best], 0, 1))

    def _embed(self, image: Image) -> SamPredictor:
        self.passes += 1
        predictor = SamPredictor(self._network)
        with torch.autocast(self._placement.device.type, self._dtype, enabled=self._dtype != torch.float32):
            predictor.set_image(np.ascontiguousarray(image))
        predictor.features = predictor.get_image_embedding().float()
        return predictor
