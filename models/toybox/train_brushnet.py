"""The toybox's BrushNet: the paper's recipe on toy crops, beside the frozen base model."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from brushedit.diffusion.brushnet import BrushNetModel
from brushedit.training.brushnet import BrushNetBranch, Draw, Examples, InpaintingObjective, conditioning_of
from brushedit.training.loop import SHEET_EVERY, Budget, Progress, Recipe, Sheet, Trainer
from models.toybox.captions import without_colors
from models.toybox.crops import Crops
from models.toybox.latents import Latents, TextStates
from models.toybox.samples import painting_sheet
from models.toybox.sheets import write_sheet
from models.toybox.train_base import SCHEDULE


@dataclass(frozen=True)
class BrushNetRecipe:
    """Hyper-parameters.

    Attributes
    ----------
    dropped : float
        The share of captions replaced by the empty one.
    uncolored : float
        The share of captions that say no colour.
    hole_weight, exponent : float
        Of `InpaintingObjective`.
    things : float
        How much likelier a crop with a thing in its hole is drawn than one without.
    """

    batch: int = 16
    dropped: float = 0.1
    uncolored: float = 0.1
    hole_weight: float = 3.0
    exponent: float = 0.75
    things: float = 2.0
    steps: Recipe = field(default_factory=lambda: Recipe(learning_rate=1e-3, warmup=100, hold=0.4, ema=0.998))


@dataclass(frozen=True)
class Painters:
    """The networks that a branch is trained beside."""

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    states: TextStates

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.unet.device


def open_painters(out: Path, device: torch.device) -> Painters:
    """Read ``out``/vae and ``out``/base_model as the trainings left them, and freeze them."""
    base = out / "base_model"
    vae: Any = AutoencoderKL.from_pretrained(out / "vae")
    unet: Any = UNet2DConditionModel.from_pretrained(base / "unet", torch_dtype=torch.float32)
    encoder: Any = CLIPTextModel.from_pretrained(base / "text_encoder", dtype=torch.float32)
    for network in (vae, unet, encoder):
        network.to(device).eval().requires_grad_(requires_grad=False)
    return Painters(vae, unet, TextStates(CLIPTokenizer.from_pretrained(base / "tokenizer"), encoder))


Show: TypeAlias = Callable[[NDArray[np.uint8], Tensor, Tensor], Tensor]
"""Pictures (B, H, W, 3), their holes (B, H, W) and their masked latents (B, C, h, w) to what a branch is shown."""


def drawing(out: Path, crops: Crops, painters: Painters, recipe: BrushNetRecipe, show: Show) -> Draw:
    """Return what draws batches of crops; their latents are those of ``out``/latents."""
    whole = Latents(out / "latents", crops, painters.vae, masked=False)
    masked = Latents(out / "latents", crops, painters.vae, masked=True)

    def draw(rng: np.random.Generator, generator: torch.Generator) -> Examples:  # noqa: ARG001
        chunk, rows = crops.draw(rng, recipe.batch, recipe.things)
        pixels = crops.pixels(chunk)[rows]
        holes = torch.from_numpy(pixels[..., 3] > 0).to(painters.device)
        captions = ["" if rng.random() < recipe.dropped else crops.captions[chunk][row] for row in rows]
        captions = [without_colors(one) if rng.random() < recipe.uncolored else one for one in captions]
        return Examples(
            whole.rows(chunk, rows, painters.device),
            show(pixels[..., :3], holes, masked.rows(chunk, rows, painters.device)),
            painters.states.of(captions),
        )

    return draw


def train_brushnet(
    out: Path,
    crops: Crops,
    budget: Budget,
    *,
    device: torch.device,
    sheet_every: float = SHEET_EVERY,
    recipe: BrushNetRecipe | None = None,
) -> Generator[Progress]:
    """Train into ``out``/brushnetX beside ``out``/base_model, or go on from ``out``/checkpoints/brushnet.

    Latents are those of ``out``/vae, as the base model's training read them.
    """
    recipe = recipe or BrushNetRecipe()
    painters = open_painters(out, device)
    brushnet: Any = BrushNetModel.from_unet(painters.unet)
    brushnet.to(device)
    draw = drawing(out, crops, painters, recipe, lambda _, holes, latents: conditioning_of(latents, holes))

    def draw_sheet() -> None:
        write_sheet(
            out / "sheets" / "brushnet.png",
            painting_sheet(painters.unet, brushnet, painters.vae, painters.states, SCHEDULE),
        )

    branch = BrushNetBranch(brushnet, painters.unet)
    objective = InpaintingObjective(branch, SCHEDULE, draw, recipe.batch, recipe.hole_weight, recipe.exponent)
    trainer = Trainer(objective, recipe.steps, budget, out / "checkpoints" / "brushnet")
    yield from trainer.run(sheet=Sheet(draw_sheet, sheet_every))
    trainer.load_average()
    brushnet.eval().half().save_pretrained(out / "brushnetX")
