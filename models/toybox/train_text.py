"""The toybox's text encoder: Stable Diffusion 1.5's `CLIPTextModel`, taught beside a throw-away picture encoder.

Contrastive, as CLIP was (Radford et al., arXiv 2103.00020, section 2.3), but the mean over all positions is what is
compared with the picture: the UNet attends to the padding as well, so it too has to say what the caption says.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from brushedit.training.loop import SHEET_EVERY, Budget, Progress, Recipe, Sheet, Trainer
from brushedit.types import Image
from models.toybox.captions import vocabulary
from models.toybox.crops import Crops, fresh_crops
from models.toybox.sheets import enlarged, grid, titled, write_sheet
from models.toybox.words import LENGTH, make_tokenizer


@dataclass(frozen=True)
class TextRecipe:
    """Hyper-parameters; `sights` are the channels of the picture encoder."""

    width: int = 128
    layers: int = 2
    heads: int = 4
    sights: tuple[int, ...] = (24, 48, 96, 128)
    batch: int = 64
    steps: Recipe = field(default_factory=lambda: Recipe(learning_rate=2e-3, warmup=50, hold=0.3, ema=0.99))


def make_text_encoder(tokenizer: CLIPTokenizer, recipe: TextRecipe) -> CLIPTextModel:
    """Return the untrained network; torch's random state draws its weights."""
    numbers: Any = tokenizer  # its special tokens' numbers are typed as anything that a token may be
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            intermediate_size=4 * recipe.width,
            projection_dim=recipe.width,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            max_position_embeddings=LENGTH,
            bos_token_id=numbers.bos_token_id,
            eos_token_id=numbers.eos_token_id,
            pad_token_id=numbers.pad_token_id,
        )
    )


def tokens(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """Return token numbers (B, LENGTH), as Stable Diffusion's pipeline makes them."""
    return tokenizer(
        captions, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
    ).input_ids


class Contrast(nn.Module):
    """A text encoder, a picture encoder, and the temperature at which their similarities are compared."""

    def __init__(self, text: CLIPTextModel, recipe: TextRecipe) -> None:
        super().__init__()
        self.text = text
        channels = (3, *recipe.sights)
        self.sight = nn.Sequential(
            *(
                layer
                for before, after in pairwise(channels)
                for layer in (
                    nn.Conv2d(before, after, 3, stride=2, padding=1),
                    nn.GroupNorm(8, after),
                    nn.SiLU(),
                )
            ),
            nn.Conv2d(channels[-1], channels[-1], 3, padding=1),
            nn.SiLU(),
        )
        self.head = nn.Linear(channels[-1], recipe.width)
        self.temperature = nn.Parameter(torch.tensor(np.log(10.0), dtype=torch.float32))

    def forward(self, pictures: Tensor, words: Tensor) -> Tensor:
        """Return scaled similarities (pictures, captions) of (B, 3, H, W), -1..1, and (B, LENGTH)."""
        seen = self.sight(pictures)
        # Mean and peak: what is everywhere (a background) and what is somewhere (a thing).
        looks = F.normalize(self.head(seen.mean((2, 3)) + seen.amax((2, 3))), dim=-1)
        says = F.normalize(self.text(words).last_hidden_state.mean(1), dim=-1)
        return self.temperature.exp().clamp(max=100) * looks @ says.T


@final
class ContrastObjective:
    """Every picture picks its caption out of a batch, every caption its picture; equal captions are all right."""

    def __init__(
        self, contrast: Contrast, tokenizer: CLIPTokenizer, crops: Crops, recipe: TextRecipe
    ) -> None:
        self.network, self.batch = contrast, recipe.batch
        self._tokenizer, self._crops = tokenizer, crops

    def loss(self, rng: np.random.Generator, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Return the loss of one step."""
        chunk, rows = self._crops.draw(rng, self.batch)
        rows = rows[describes(self._crops, chunk, rows)]
        device = self.network.temperature.device
        pixels = torch.from_numpy(self._crops.pixels(chunk)[rows][..., :3].copy()).to(device)
        captions = [self._crops.captions[chunk][row] for row in rows]
        similarities = self.network(
            pixels.permute(0, 3, 1, 2).float() / 127.5 - 1, tokens(self._tokenizer, captions).to(device)
        )
        names = np.array(captions)
        same = torch.from_numpy(names[:, None] == names[None, :]).to(device).float()
        right = same / same.sum(1, keepdim=True)
        return (F.cross_entropy(similarities, right) + F.cross_entropy(similarities.T, right)) / 2


def describes(crops: Crops, chunk: int, rows: np.ndarray) -> np.ndarray:
    """Return which crops' captions say all that is worth saying: not where only the background is named, among things.

    Such crops have a hole that is most of the picture and nothing of interest in it.
    """
    flags = crops.pixels(chunk)[rows][..., 3:] > 0
    return (flags[..., 0].mean((1, 2)) < 0.55) | flags[..., 1].any((1, 2))


@torch.no_grad()
def contrast_sheet(contrast: Contrast, tokenizer: CLIPTokenizer) -> Image:
    """Return crops, each over the caption that seems to fit it best among all of theirs."""
    crops = fresh_crops()
    device = contrast.temperature.device
    captions = [crop.caption for crop in crops]
    pixels = torch.from_numpy(np.stack([crop.image for crop in crops])).to(device)
    fits = contrast(
        pixels.permute(0, 3, 1, 2).float() / 127.5 - 1, tokens(tokenizer, captions).to(device)
    ).argmax(1)
    cells = [titled(enlarged(crop.image), captions[i]) for crop, i in zip(crops, fits.tolist(), strict=True)]
    return grid([cells[:8], cells[8:]])


def train_text(
    out: Path,
    crops: Crops,
    budget: Budget,
    *,
    device: torch.device,
    sheet_every: float = SHEET_EVERY,
    recipe: TextRecipe | None = None,
) -> Generator[Progress]:
    """Train into ``out``/text_encoder and ``out``/tokenizer, or go on from ``out``/checkpoints/text_encoder."""
    recipe = recipe or TextRecipe()
    tokenizer = make_tokenizer(vocabulary())
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(recipe.steps.seed)
        contrast = Contrast(make_text_encoder(tokenizer, recipe), recipe).to(device)
    objective = ContrastObjective(contrast, tokenizer, crops, recipe)
    trainer = Trainer(objective, recipe.steps, budget, out / "checkpoints" / "text_encoder")
    sheet = Sheet(
        lambda: write_sheet(out / "sheets" / "text.png", contrast_sheet(contrast, tokenizer)), sheet_every
    )
    yield from trainer.run(sheet=sheet)
    trainer.load_average()
    contrast.text.eval().save_pretrained(out / "text_encoder")
    tokenizer.save_pretrained(out / "tokenizer")
