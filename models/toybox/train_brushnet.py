"""The toybox's BrushNet: the paper's recipe on toy crops, beside the frozen base model."""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from brushedit.diffusion.brushnet import BrushNetModel
from brushedit.training.brushnet import BrushNetBranch, Examples, InpaintingObjective, conditioning_of
from brushedit.training.loop import SHEET_EVERY, Budget, Progress, Recipe, Sheet, Trainer
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
    hole_weight, exponent : float
        Of `InpaintingObjective`.
    things : float
        How much likelier a crop with a thing in its hole is drawn than one without.
    """

    batch: int = 16
    dropped: float = 0.1
    hole_weight: float = 3.0
    exponent: float = 0.5
    things: float = 2.0
    steps: Recipe = field(default_factory=lambda: Recipe(learning_rate=1e-3, warmup=100, hold=0.4, ema=0.998))


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
    base = out / "base_model"
    vae: Any = AutoencoderKL.from_pretrained(out / "vae").eval()
    unet: Any = UNet2DConditionModel.from_pretrained(base / "unet", torch_dtype=torch.float32)
    encoder: Any = CLIPTextModel.from_pretrained(base / "text_encoder", dtype=torch.float32)
    brushnet: Any = BrushNetModel.from_unet(unet)
    for network in (vae, unet, encoder, brushnet):
        network.to(device)
    states = TextStates(CLIPTokenizer.from_pretrained(base / "tokenizer"), encoder)
    whole = Latents(out / "latents", crops, vae, masked=False)
    masked = Latents(out / "latents", crops, vae, masked=True)

    def draw(rng: np.random.Generator, generator: torch.Generator) -> Examples:  # noqa: ARG001
        chunk, rows = crops.draw(rng, recipe.batch, recipe.things)
        holes = torch.from_numpy(crops.pixels(chunk)[rows][..., 3] > 0).to(device)
        captions = ["" if rng.random() < recipe.dropped else crops.captions[chunk][row] for row in rows]
        return Examples(
            whole.rows(chunk, rows, device),
            conditioning_of(masked.rows(chunk, rows, device), holes),
            states.of(captions),
        )

    def draw_sheet() -> None:
        write_sheet(out / "sheets" / "brushnet.png", painting_sheet(unet, brushnet, vae, states, SCHEDULE))

    branch = BrushNetBranch(brushnet, unet)
    objective = InpaintingObjective(branch, SCHEDULE, draw, recipe.batch, recipe.hole_weight, recipe.exponent)
    trainer = Trainer(objective, recipe.steps, budget, out / "checkpoints" / "brushnet")
    yield from trainer.run(sheet=Sheet(draw_sheet, sheet_every))
    trainer.load_average()
    brushnet.eval().half().save_pretrained(out / "brushnetX")
