"""ImageReward-v1.0 (Xu et al., arXiv 2304.05977) on transformers' BLIP, from the published checkpoint.

This module needs torch; `brushedit.evaluation.networks` imports it when the metric is opened.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, final

import torch
from torch import Tensor, nn
from torchvision import transforms
from transformers import BlipTextConfig, BlipVisionConfig, BlipVisionModel
from transformers.models.blip.modeling_blip_text import BlipTextModel

from brushedit.types import Image, Mask

MEAN, STD = 0.16717362830052426, 1.0333394966054072
"""Of the raw reward over the training set's pictures."""

MAX_TOKENS: Final = 35

_RENAMED: Final = (
    (r"^blip\.visual_encoder\.cls_token$", "picture.embeddings.class_embedding"),
    (r"^blip\.visual_encoder\.pos_embed$", "picture.embeddings.position_embedding"),
    (r"^blip\.visual_encoder\.patch_embed\.proj\.", "picture.embeddings.patch_embedding."),
    (r"^blip\.visual_encoder\.norm\.", "picture.post_layernorm."),
    (r"^blip\.visual_encoder\.blocks\.(\d+)\.norm(\d)\.", r"picture.encoder.layers.\1.layer_norm\2."),
    (r"^blip\.visual_encoder\.blocks\.(\d+)\.attn\.qkv\.", r"picture.encoder.layers.\1.self_attn.qkv."),
    (
        r"^blip\.visual_encoder\.blocks\.(\d+)\.attn\.proj\.",
        r"picture.encoder.layers.\1.self_attn.projection.",
    ),
    (r"^blip\.visual_encoder\.blocks\.(\d+)\.mlp\.", r"picture.encoder.layers.\1.mlp."),
    (r"^blip\.text_encoder\.", "text."),
    (r"^mlp\.layers\.", "head."),
)
"""The checkpoint's names and ours."""

_UNUSED: Final = re.compile(r"^blip\.(vision_proj|text_proj)\.|\.position_ids$|^blip\.(temp|queue)")
"""Left over from BLIP's pretraining; the reward does not use them."""


class RewardNetwork(nn.Module):
    """BLIP's picture encoder, its text encoder looking at the picture, and five linear layers without activations."""

    def __init__(self, vision: BlipVisionConfig, text: BlipTextConfig) -> None:
        super().__init__()
        self.picture = BlipVisionModel(vision)
        self.text = BlipTextModel(text, add_pooling_layer=False)
        self.head = nn.Sequential(
            nn.Linear(text.hidden_size, 1024),
            nn.Dropout(0.2),
            nn.Linear(1024, 128),
            nn.Dropout(0.2),
            nn.Linear(128, 64),
            nn.Dropout(0.1),
            nn.Linear(64, 16),
            nn.Linear(16, 1),
        )

    def forward(self, pixels: Tensor, tokens: Tensor, attended: Tensor) -> Tensor:
        """Return the standardised reward, (B,), of pictures (B, 3, 224, 224) for tokens (B, 35)."""
        seen = self.picture(pixel_values=pixels).last_hidden_state
        read = self.text(
            input_ids=tokens,
            attention_mask=attended,
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long, device=seen.device),
            is_decoder=False,
        ).last_hidden_state
        return (self.head(read[:, 0])[:, 0] - MEAN) / STD


def published_network() -> RewardNetwork:
    """Return the network in the published size, untrained: ViT-L/16 at 224 pixels and BERT base."""
    vision = BlipVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=224,
        patch_size=16,
        layer_norm_eps=1e-6,
    )
    # A "decoder" by configuration, as only such have cross-attention; called as an encoder.
    text = BlipTextConfig(
        vocab_size=30524,
        hidden_size=768,
        encoder_hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=512,
        is_decoder=True,
    )
    return RewardNetwork(vision, text)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a published checkpoint under our names."""
    result: dict[str, Tensor] = {}
    for name, value in state.items():
        if _UNUSED.search(name):
            continue
        ours = name
        for pattern, replacement in _RENAMED:
            ours = re.sub(pattern, replacement, ours)
        result[ours] = value
    return result


def load(state: Mapping[str, Tensor]) -> RewardNetwork:
    """Return the published network with a checkpoint's weights; RuntimeError where a name or shape does not fit."""
    network = published_network()
    network.load_state_dict(renamed(state))
    return network


@final
class ImageReward:
    """The reward of the whole result for its prompt; 0 is the average of the training set."""

    def __init__(self, network: RewardNetwork, tokenizer: Any, device: str) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self._device = device
        side = network.picture.config.image_size
        self._transform = transforms.Compose(
            [
                transforms.ToPILImage(),
                transforms.Resize(side, interpolation=transforms.InterpolationMode.BICUBIC),
                transforms.CenterCrop(side),
                transforms.ToTensor(),
                transforms.Normalize(
                    (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
                ),
            ]
        )

    def score(self, image: Image, result: Image, kept: Mask, prompt: str) -> float:
        """Return the reward."""
        del image, kept
        words = self._tokenizer(
            prompt, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        ).to(self._device)
        with torch.inference_mode():
            pixels: Tensor = self._transform(result)  # pyright: ignore[reportAssignmentType]  Compose is typed by its input
            return self._network(
                pixels[None].to(self._device), words["input_ids"], words["attention_mask"]
            ).item()
