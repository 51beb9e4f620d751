"""The toybox's segmenter: segment-anything's network in small, taught by boxes and clicks on toy pictures.

As the paper trains (arXiv 2304.02643, appendix A): focal and dice loss on the masks, squared error on the
predicted IoU. But every mask token learns the same mask, since a toy has no parts to be meant instead.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np
import torch
from segment_anything.modeling import Sam
from torch import Tensor, nn
from torch.nn import functional as F

from brushedit.training.loop import SHEET_EVERY, Budget, Progress, Recipe, Sheet, Trainer
from models.checkpoint import write_network
from models.placement import Placement
from models.sam import SamConfig, SegmentAnything, build
from models.toybox.mind_sheets import mask_sheet
from models.toybox.pictures import Picture, draw_picture
from models.toybox.prompting import draw_clicks, jitter_box, shown
from models.toybox.sheets import write_sheet

NAME = "sam"


@dataclass(frozen=True)
class SegmenterRecipe:
    """Hyper-parameters.

    Attributes
    ----------
    network : SamConfig
    batch : int
        Pictures per step; each with every thing in it prompted once.
    jitter : float
        How far a box's sides are off, at most, as a share of its width or height.
    clicked, both : float
        Share of the pictures prompted by clicks alone, and by boxes and clicks; the others by boxes.
    """

    network: SamConfig = field(
        default_factory=lambda: SamConfig(
            embed_dim=96,
            depth=4,
            num_heads=4,
            global_attention=(1, 3),
            window=8,
            image_size=128,
            patch=8,
            width=64,
            mlp_width=128,
            mask_channels=16,
            decoder_depth=2,
            decoder_heads=4,
        )
    )
    batch: int = 8
    jitter: float = 0.12
    clicked: float = 0.25
    both: float = 0.1
    steps: Recipe = field(
        default_factory=lambda: Recipe(learning_rate=1e-3, warmup=100, hold=0.4, betas=(0.9, 0.99), ema=0.995)
    )


@final
class MaskObjective:
    """The mask of each thing of a picture, from a box around it or clicks on it."""

    def __init__(self, network: Sam, recipe: SegmenterRecipe) -> None:
        self.network, self.batch = network, recipe.batch
        self._recipe = recipe

    def loss(self, rng: np.random.Generator, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Return the loss of one step."""
        side, device = self._recipe.network.image_size, self.network.device
        pictures = [draw_picture(rng, side, int(rng.integers(1, 5))) for _ in range(self.batch)]
        pixels = [torch.from_numpy(picture.image).permute(2, 0, 1).to(device).float() for picture in pictures]
        embedded = self.network.image_encoder(torch.stack([self.network.preprocess(p) for p in pixels]))
        losses = [
            self._wrong(features, picture, rng)
            for features, picture in zip(embedded, pictures, strict=True)
            if shown(picture)
        ]
        return torch.cat(losses).mean() if losses else embedded.sum() * 0

    def _wrong(self, features: Tensor, picture: Picture, rng: np.random.Generator) -> Tensor:
        """Return the loss (N,) of the N things seen in a picture."""
        recipe, device, side = self._recipe, self.network.device, self._recipe.network.image_size
        things = [picture.layers[i] for i in shown(picture)]
        style = rng.random()
        points = boxes = None
        if style < recipe.clicked + recipe.both:
            drawn = [draw_clicks(rng, thing.visible, count=1 + int(style * 97) % 3) for thing in things]
            points = (
                torch.tensor(np.stack([places for places, _ in drawn]), device=device),
                torch.tensor(np.stack([labels for _, labels in drawn]), device=device),
            )
        if style >= recipe.clicked:
            size = picture.image.shape[:2]
            jittered = [jitter_box(rng, thing.box, recipe.jitter, size) for thing in things]
            boxes = torch.tensor(np.stack(jittered), device=device)
        right = torch.zeros((len(things), 1, side, side), device=device)
        for row, thing in enumerate(things):
            height, width = thing.visible.shape
            right[row, 0, :height, :width] = torch.from_numpy(thing.visible)
        sparse, dense = self.network.prompt_encoder(points=points, boxes=boxes, masks=None)
        logits, promised = self.network.mask_decoder.predict_masks(
            image_embeddings=features[None],
            image_pe=self.network.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )
        logits = F.interpolate(logits.float(), (side, side), mode="bilinear", align_corners=False)
        kept = (promised.float() - iou(logits.detach() > 0, right > 0)).square().mean(1)
        return 20 * focal_loss(logits, right) + dice_loss(logits, right) + kept


def iou(found: Tensor, right: Tensor) -> Tensor:
    """Return intersection over union (N, M) of boolean masks (N, M, H, W) and (N, 1, H, W)."""
    both = (found & right).sum((2, 3)).float()
    return both / (found | right).sum((2, 3)).clamp(min=1)


def focal_loss(logits: Tensor, right: Tensor, focus: float = 2.0) -> Tensor:
    """Return the loss (N,) of logits (N, M, H, W) against masks (N, 1, H, W) (arXiv 1708.02002, eq. 4)."""
    right = right.expand_as(logits)
    plain = F.binary_cross_entropy_with_logits(logits, right, reduction="none")
    sure = torch.exp(-plain)
    return ((1 - sure) ** focus * plain).mean((1, 2, 3))


def dice_loss(logits: Tensor, right: Tensor) -> Tensor:
    """Return the loss (N,) of logits (N, M, H, W) against masks (N, 1, H, W) (arXiv 1606.04797, section 3)."""
    found = logits.sigmoid()
    both = (found * right).sum((2, 3))
    return (1 - (2 * both + 1) / (found.sum((2, 3)) + right.sum((2, 3)) + 1)).mean(1)


def train_segmenter(
    out: Path,
    budget: Budget,
    *,
    device: torch.device,
    sheet_every: float = SHEET_EVERY,
    recipe: SegmenterRecipe | None = None,
) -> Generator[Progress]:
    """Train into ``out``/sam, or go on from the checkpoint in ``out``/checkpoints/sam.

    Yields
    ------
    Progress
        After every step; when the generator ends the network is written, in half precision.
    """
    recipe = recipe or SegmenterRecipe()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(recipe.steps.seed)
        network = build(recipe.network)
        nn.Module.to(network, device)
    trainer = Trainer(MaskObjective(network, recipe), recipe.steps, budget, out / "checkpoints" / NAME)

    def draw_sheet() -> None:
        write_sheet(
            out / "sheets" / "segmenter.png", mask_sheet(SegmentAnything(network, Placement(device)), 777)
        )

    yield from trainer.run(sheet=Sheet(draw_sheet, sheet_every))
    trainer.load_average()
    write_network(out / NAME, network.half(), recipe.network)
