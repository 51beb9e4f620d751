"""The toybox's detector: GroundingDINO in small, taught to box what phrases name and to find nothing else.

Several phrases share a caption, as in the paper (arXiv 2303.05499, section 3.4), so that one picture teaches
what fits and what nearly fits. Unlike there, boxes are not matched one to one: every proposal in the heart of a
thing, and every query on it, learns to show it, which takes a fraction of the pictures. The locator drops the
weaker of two boxes of one thing anyway.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from groundingdino.models.GroundingDINO.utils import gen_encoder_output_proposals
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_convert, box_iou, generalized_box_iou

from brushedit.training.loop import SHEET_EVERY, Budget, Progress, Recipe, Sheet, Trainer
from models.checkpoint import write_network
from models.grounding_dino import (
    BertSize,
    GroundingDino,
    GroundingDinoConfig,
    SwinSize,
    build,
    normalized,
)
from models.placement import Placement
from models.toybox.mind_sheets import box_sheet
from models.toybox.naming import draw_phrases, fits, save_words, words_tokenizer
from models.toybox.pictures import ASPECTS, Picture, draw_picture
from models.toybox.sheets import write_sheet

NAME = "grounding_dino"


def _small() -> GroundingDinoConfig:
    return GroundingDinoConfig(
        swin=SwinSize(embed_dim=32, depths=(2, 2, 2, 1), num_heads=(1, 2, 4, 8), window_size=4),
        bert=BertSize(
            vocab_size=len(words_tokenizer()),
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
            max_position_embeddings=64,
        ),
        enc_layers=1,
        dec_layers=1,
        dim_feedforward=256,
        nheads=4,
        num_queries=20,
        shorter_side=128,
        longest_side=128,
    )


@dataclass(frozen=True)
class DetectorRecipe:
    """Hyper-parameters.

    Attributes
    ----------
    network : GroundingDinoConfig
    batch : int
        Pictures per step, all of one shape.
    phrases : int
        Phrases in a picture's caption at most.
    heart : float
        Proposals are of a thing whose middles are in this share of its box.
    """

    network: GroundingDinoConfig = field(default_factory=_small)
    batch: int = 8
    phrases: int = 5
    heart: float = 0.6
    steps: Recipe = field(
        default_factory=lambda: Recipe(
            learning_rate=6e-4, warmup=100, hold=0.4, betas=(0.9, 0.99), ema=0.995, clip=2
        )
    )


def make_detector(recipe: DetectorRecipe) -> nn.Module:
    """Return the untrained network; torch's random state draws its weights.

    A score is a plain product of two vectors of 256 numbers: unless one of them starts small, every proposal is
    sure of everything, and half of the training goes into unlearning that.
    """
    network: Any = build(recipe.network, words_tokenizer())
    for norm in (network.transformer.enc_output_norm, network.transformer.decoder.norm):
        nn.init.constant_(norm.weight, 0.1)
    return network


@final
class BoxObjective:
    """The boxes of the things that a caption's phrases name, from the encoder's proposals and from the queries."""

    def __init__(self, network: nn.Module, recipe: DetectorRecipe) -> None:
        self.network, self.batch = network, recipe.batch
        self._recipe = recipe

    def loss(self, rng: np.random.Generator, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Return the loss of one step."""
        recipe, network = self._recipe, self.network
        device = next(network.parameters()).device
        aspect = ASPECTS[rng.integers(len(ASPECTS))]
        side = recipe.network.longest_side
        pictures = [draw_picture(rng, side, aspect=aspect) for _ in range(recipe.batch)]
        phrases = [draw_phrases(rng, picture.scene, recipe.phrases) for picture in pictures]
        captions = [" ".join(f"{phrase}." for phrase in each) for each in phrases]
        pixels = torch.stack([normalized(torch.from_numpy(p.image).permute(2, 0, 1) / 255) for p in pictures])
        with _proposed(network) as proposed:
            outputs: Any = network(pixels.to(device), captions=captions)
        proposals, logits, offsets = proposed
        losses: list[Tensor] = []
        for row, picture in enumerate(pictures):
            truth = self._truth(picture, phrases[row], captions[row], device)
            owners = owners_by_place(proposals[row].sigmoid()[:, :2], truth.boxes, recipe.heart)
            losses.append(wrong(logits[row], (proposals[row] + offsets[row]).sigmoid(), owners, truth))
            boxes = outputs["pred_boxes"][row]
            owners = owners_by_overlap(boxes.detach(), truth.boxes)
            losses.append(wrong(outputs["pred_logits"][row], boxes, owners, truth))
        return torch.stack(losses).mean()

    def _truth(
        self, picture: Picture, phrases: tuple[str, ...], caption: str, device: torch.device
    ) -> "Truth":
        network: Any = self.network
        ids = network.tokenizer(caption)["input_ids"]
        # Which phrase each token is of: a full stop ends one.
        numbers, number = [], 0
        for token in ids:
            framing = token in network.specical_tokens
            numbers.append(-1 if framing else number)
            number += int(token == network.tokenizer.convert_tokens_to_ids("."))
        of_phrase = np.array(numbers)[None, :] == np.arange(len(phrases))[:, None]
        height, width = picture.image.shape[:2]
        boxes = [
            (b.x0 / width, b.y0 / height, b.x1 / width, b.y1 / height)
            for b in (x.box for x in picture.layers)
        ]
        return Truth(
            torch.tensor(boxes, device=device).reshape(-1, 4),
            torch.tensor(
                (fits(picture.scene, phrases).astype(np.float32) @ of_phrase), device=device
            ).float(),
            torch.tensor(of_phrase.any(axis=0), device=device),
        )


@dataclass(frozen=True)
class Truth:
    """What a picture's caption asks for.

    Attributes
    ----------
    boxes : Tensor
        (things, 4), x0, y0, x1, y1 from 0 to 1: what can be seen of each, those that no phrase fits included.
    tokens : Tensor
        (things, T), 1 at the tokens of phrases that fit.
    words : Tensor
        (T,), whether a token belongs to a phrase.
    """

    boxes: Tensor
    tokens: Tensor
    words: Tensor


def owners_by_place(middles: Tensor, boxes: Tensor, heart: float) -> Tensor:
    """Return (N,) the box (G, 4) in whose heart each of the middles (N, 2) lies, the smallest one; -1 for none."""
    if not len(boxes):
        return torch.full((len(middles),), -1, device=middles.device)
    centers, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    inside = ((middles[:, None] - centers).abs() < heart * sides / 2).all(-1)
    areas = torch.where(inside, sides.prod(-1), torch.inf)
    return torch.where(inside.any(1), areas.argmin(1), -1)


def owners_by_overlap(found: Tensor, boxes: Tensor, least: float = 0.5) -> Tensor:
    """Return (N,) the box (G, 4) that each found one (N, 4; middle and sides) overlaps most; -1 below an IoU."""
    if not len(boxes):
        return torch.full((len(found),), -1, device=found.device)
    best, owners = box_iou(box_convert(found, "cxcywh", "xyxy"), boxes).max(1)
    return torch.where(best >= least, owners, -1)


def wrong(logits: Tensor, found: Tensor, owners: Tensor, truth: Truth) -> Tensor:
    """Return the loss of proposals or queries: their words (focal loss) and, where they show a thing, their boxes.

    Parameters
    ----------
    logits, found : Tensor
        (N, at least T) and (N, 4; middle and sides).
    owners : Tensor
        (N,), index of the thing each shows, -1 for none.
    """
    held = owners >= 0
    right = logits.new_zeros((len(owners), len(truth.words)))
    right[held] = truth.tokens[owners[held]]
    said = logits[:, : len(truth.words)][:, truth.words].float()
    right = right[:, truth.words]
    plain = F.binary_cross_entropy_with_logits(said, right, reduction="none")
    weight = torch.where(right > 0, 0.25, 0.75) * (1 - torch.exp(-plain)) ** 2
    words = (weight * plain).sum() / right.sum().clamp(min=3.0)
    if not held.any():
        return words
    real = truth.boxes[owners[held]]
    boxes = box_convert(found[held].float(), "cxcywh", "xyxy")
    distance = (boxes - real).abs().sum(1).mean()
    return words + 5 * distance + 2 * (1 - torch.diag(generalized_box_iou(boxes, real))).mean()


@contextmanager
def _proposed(network: nn.Module) -> Generator[list[Tensor]]:
    """Collect what the encoder proposes in a forward pass: proposals (B, N, 4), offsets to them, logits (B, N, T).

    The package computes them, keeps the best, and does not return the rest, which is what teaches most. Proposals
    and offsets are logits of middles and sides.
    """
    transformer: Any = network.transformer
    seen: list[Tensor] = []

    def keep_proposals(
        _module: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any], _output: Any
    ) -> None:
        mask, shapes = options["key_padding_mask"], options["spatial_shapes"]
        seen.append(gen_encoder_output_proposals(inputs[0].detach(), mask, shapes)[1])

    def keep_output(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        seen.append(output)

    hooks = (
        transformer.encoder.register_forward_hook(keep_proposals, with_kwargs=True),
        transformer.enc_out_class_embed.register_forward_hook(keep_output),
        transformer.enc_out_bbox_embed.register_forward_hook(keep_output),
    )
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def train_detector(
    out: Path,
    budget: Budget,
    *,
    device: torch.device,
    sheet_every: float = SHEET_EVERY,
    recipe: DetectorRecipe | None = None,
) -> Generator[Progress]:
    """Train into ``out``/grounding_dino, or go on from the checkpoint in ``out``/checkpoints/grounding_dino.

    Yields
    ------
    Progress
        After every step; when the generator ends the network is written, in half precision.
    """
    recipe = recipe or DetectorRecipe()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(recipe.steps.seed)
        network = make_detector(recipe)
        nn.Module.to(network, device)
    trainer = Trainer(BoxObjective(network, recipe), recipe.steps, budget, out / "checkpoints" / NAME)

    def draw_sheet() -> None:
        detector = GroundingDino(network, recipe.network, Placement(device))
        write_sheet(out / "sheets" / "detector.png", box_sheet(detector, 0.3, 777))

    yield from trainer.run(sheet=Sheet(draw_sheet, sheet_every))
    trainer.load_average()
    write_network(out / NAME, network.half(), recipe.network)
    save_words(out / NAME)
