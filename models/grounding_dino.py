"""GroundingDINO (arXiv 2303.05499) on the groundingdino-py package: boxes for a noun phrase.

The package was written for transformers 4 and for one of five backbones. Both are mended from outside, while
a network is built: BERT is given as a module of the same state-dict keys that asks transformers for layers
alone, and the Swin backbone is built from our own configuration.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final, final

import groundingdino.models.GroundingDINO.backbone.backbone as backbone_module
import groundingdino.models.GroundingDINO.groundingdino as detector_module
import numpy as np
import torch
from groundingdino.models.GroundingDINO.backbone.swin_transformer import SwinTransformer
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoTokenizer, BertConfig, BertModel

from brushedit.errors import InvalidWeights
from brushedit.types import Box, Candidate, Image
from models.checkpoint import load_network
from models.placement import Placement
from models.recent import Recent, picture_key

SUPERFLUOUS: Final = frozenset({"label_enc.weight", "bert.embeddings.position_ids"})
"""Left in the published file by training and by an older transformers; its own loader skips them too."""

_MEAN: Final = (0.485, 0.456, 0.406)
_STD: Final = (0.229, 0.224, 0.225)
_KEPT: Final = 100
"""Boxes kept per picture and phrase, of 900 mostly empty ones."""


@dataclass(frozen=True)
class SwinSize:
    """Size of the Swin backbone; the default is Swin-T."""

    embed_dim: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    num_heads: tuple[int, ...] = (3, 6, 12, 24)
    window_size: int = 7


@dataclass(frozen=True)
class BertSize:
    """Size of the text encoder; the default is bert-base-uncased."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 512


@dataclass(frozen=True)
class GroundingDinoConfig:
    """Architecture and input size; the default is the published Swin-T OGC.

    Attributes
    ----------
    swin : SwinSize
    bert : BertSize
    enc_layers, dec_layers, dim_feedforward, nheads, num_queries : int
        The transformer's. Its width is always 256: the package fixes the text's position embedding to that.
    shorter_side, longest_side : int
        Pixels a picture is resized to before detection.
    """

    swin: SwinSize = field(default_factory=SwinSize)
    bert: BertSize = field(default_factory=BertSize)
    enc_layers: int = 6
    dec_layers: int = 6
    dim_feedforward: int = 2048
    nheads: int = 8
    num_queries: int = 900
    shorter_side: int = 800
    longest_side: int = 1333


# What every GroundingDINO shares (groundingdino/config/GroundingDINO_SwinT_OGC.py), less the checkpointing of
# activations, which serves training alone.
_FIXED: Final[Mapping[str, Any]] = {
    "backbone": "swin_T_224_1k",
    "position_embedding": "sine",
    "pe_temperatureH": 20,
    "pe_temperatureW": 20,
    "return_interm_indices": [1, 2, 3],
    "backbone_freeze_keywords": None,
    "pre_norm": False,
    "hidden_dim": 256,
    "dropout": 0.0,
    "query_dim": 4,
    "num_patterns": 0,
    "num_feature_levels": 4,
    "enc_n_points": 4,
    "dec_n_points": 4,
    "two_stage_type": "standard",
    "two_stage_bbox_embed_share": False,
    "two_stage_class_embed_share": False,
    "transformer_activation": "relu",
    "dec_pred_bbox_embed_share": True,
    "dn_box_noise_scale": 1.0,
    "dn_label_noise_ratio": 0.5,
    "dn_labelbook_size": 2000,
    "embed_init_tgt": True,
    "max_text_len": 256,
    "text_encoder_type": "",
    "use_text_enhancer": True,
    "use_fusion_layer": True,
    "use_checkpoint": False,
    "use_transformer_ckpt": False,
    "use_text_cross_attention": True,
    "text_dropout": 0.0,
    "fusion_dropout": 0.0,
    "fusion_droppath": 0.1,
    "sub_sentence_present": True,
}


def build(config: GroundingDinoConfig, tokenizer: Any) -> nn.Module:
    """Return the package's network of this configuration, with random weights."""
    arguments = SimpleNamespace(
        **_FIXED,
        enc_layers=config.enc_layers,
        dec_layers=config.dec_layers,
        dim_feedforward=config.dim_feedforward,
        nheads=config.nheads,
        num_queries=config.num_queries,
    )
    bert = BertConfig(**asdict(config.bert))
    text = SimpleNamespace(
        get_tokenlizer=lambda _: tokenizer, get_pretrained_language_model=lambda _: BertModel(bert)
    )
    swin = partial(_build_swin, config.swin)
    with (
        _replaced(detector_module, BertModelWarper=TextEncoder, get_tokenlizer=text),
        _replaced(backbone_module, build_swin_transformer=swin),
    ):
        return detector_module.build_groundingdino(arguments)


def _build_swin(size: SwinSize, _name: str, pretrain_img_size: int, **options: Any) -> nn.Module:
    return SwinTransformer(pretrain_img_size=pretrain_img_size, **asdict(size), **options)


@contextmanager
def _replaced(module: ModuleType, **names: Any) -> Generator[None]:
    """Let a module see other things under these names; it is as before on leaving."""
    before = {name: getattr(module, name) for name in names}
    vars(module).update(names)
    try:
        yield
    finally:
        vars(module).update(before)


class TextEncoder(nn.Module):
    """BERT with a mask between any two tokens; stands in for the package's ``BertModelWarper``.

    That class asks transformers for methods that are gone since its version 5.
    """

    def __init__(self, bert_model: BertModel) -> None:
        super().__init__()
        self.config = bert_model.config
        self.embeddings = bert_model.embeddings
        self.encoder = bert_model.encoder
        self.pooler = bert_model.pooler

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor, position_ids: Tensor, attention_mask: Tensor
    ) -> dict[str, Tensor]:
        """Return the hidden states of token ids (B, T) under a mask (B, T, T), True = attends."""
        states = self.embeddings(
            input_ids=input_ids, token_type_ids=token_type_ids, position_ids=position_ids
        )
        barred = torch.zeros_like(attention_mask, dtype=states.dtype).masked_fill(
            ~attention_mask, torch.finfo(states.dtype).min
        )
        return {"last_hidden_state": self.encoder(states, attention_mask=barred[:, None]).last_hidden_state}


def load_detector(
    checkpoint: Path, tokenizer: Path, config: GroundingDinoConfig, placement: Placement
) -> "GroundingDino":
    """Load a detector from its checkpoint and the folder of its BERT tokenizer.

    It stays in float32 on every device: 0.7 GB, and its sampling offsets lose pixels in half precision.

    Raises
    ------
    InvalidWeights
        A file is missing, or is of another architecture.
    """
    try:
        words = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InvalidWeights(f"no BERT tokenizer in {tokenizer}: {error}") from error
    network = load_network(lambda: build(config, words), checkpoint, superfluous=SUPERFLUOUS)
    return GroundingDino(network.float(), config, placement)


@final
class GroundingDino:
    """Finds things by name (a `Detector`).

    Attributes
    ----------
    passes : int
        Evaluations of the network so far; one per picture and phrase.
    """

    def __init__(self, network: nn.Module, config: GroundingDinoConfig, placement: Placement) -> None:
        self._network = network
        self._config = config
        self._placement = placement
        self._found: Recent[tuple[Candidate, ...]] = Recent(64)
        self.passes = 0

    def detect(self, image: Image, phrase: str) -> Sequence[Candidate]:
        """Return the candidates for a noun phrase, best first, no threshold applied.

        A score is the mean over the phrase's tokens, not the largest one as in the package: "blue cube" is
        asked for, and a red cube answers to one of the two words only. Of a phrase that is longer than the
        network can read the beginning counts.
        """
        words = self._readable(" ".join(re.sub(r"[.?]", " ", phrase.lower()).split()))
        if not words:
            return ()
        return self._found.get(f"{picture_key(image)}:{words}", lambda: self._detect(image, words))

    @torch.inference_mode()
    def _detect(self, image: Image, words: str) -> tuple[Candidate, ...]:
        self.passes += 1
        with self._placement.on_device(self._network):
            pixels = self._prepared(image).to(self._placement.device)
            # One sub-sentence, closed by a full stop, as the network was trained.
            outputs = self._network(pixels[None], captions=[f"{words}."])
        tokens = self._word_tokens(words)
        scores = outputs["pred_logits"][0, :, tokens].sigmoid().mean(dim=1).cpu().numpy()
        boxes = outputs["pred_boxes"][0].cpu().numpy()
        best = np.argsort(-scores, kind="stable")[:_KEPT]
        found = [Candidate(_pixels(boxes[index], image), float(scores[index]), words) for index in best]
        return tuple(candidate for candidate in found if not candidate.box.empty)

    def _readable(self, words: str) -> str:
        """Return as many of the words as the network has places for."""
        network: Any = self._network
        most = min(network.max_text_len, network.bert.config.max_position_embeddings)
        while words and (count := len(network.tokenizer(f"{words}.")["input_ids"])) > most:
            words = words[: len(words) * most // count].strip()
        return words

    def _word_tokens(self, words: str) -> list[int]:
        """Return the positions of the phrase's tokens, without those of the sentence's frame."""
        network: Any = self._network
        ids = network.tokenizer(f"{words}.")["input_ids"]
        return [place for place, token in enumerate(ids) if token not in network.specical_tokens]

    def _prepared(self, image: Image) -> Tensor:
        height, width = image.shape[:2]
        scale = min(
            self._config.shorter_side / min(height, width), self._config.longest_side / max(height, width)
        )
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        # A copy: pictures read from files may be read-only, and torch wants them writable.
        pixels = torch.from_numpy(image.copy()).permute(2, 0, 1).float()[None] / 255
        resized = F.interpolate(pixels, size, mode="bilinear", antialias=True)[0]
        return normalized(resized)


def normalized(pixels: Tensor) -> Tensor:
    """Return pixels (..., 3, H, W), 0..1, as the network reads them."""
    return (pixels - torch.tensor(_MEAN)[:, None, None]) / torch.tensor(_STD)[:, None, None]


def _pixels(box: np.ndarray[Any, Any], image: Image) -> Box:
    """Return a relative box (center, sides) in pixels, cut to the picture."""
    height, width = image.shape[:2]
    x, y, w, h = (float(value) for value in box)
    return Box(
        max(0, round((x - w / 2) * width)),
        max(0, round((y - h / 2) * height)),
        min(width, round((x + w / 2) * width)),
        min(height, round((y + h / 2) * height)),
    )
