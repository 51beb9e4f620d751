"""The toybox's base model: Stable Diffusion 1.5's `UNet2DConditionModel` in small, from captions to latents of crops.

Beside cross-attention, the caption enters through the time embedding, a stock option of that class
(``addition_embed_type="text"``) that needs no other pipeline: kind and colour then act everywhere at once, which on few
examples is learned far earlier.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from brushedit.training.loop import SHEET_EVERY, Budget, Progress, Recipe, Sheet, Trainer
from brushedit.training.noise import NoiseSchedule
from models.toybox.crops import NATIVE, Crops
from models.toybox.latents import Latents, TextStates
from models.toybox.samples import imagination_sheet
from models.toybox.sheets import write_sheet
from models.toybox.train_text import describes

SCHEDULE: Mapping[str, Any] = {
    # The schedule of Ho et al.: its last step is as good as pure noise (amplitude of the signal 0.6 %), in any
    # scheduler, without the rescaling that only some of them know.
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": True,
}
"""The noise schedule, as diffusers' schedulers read it."""


@dataclass(frozen=True)
class BaseRecipe:
    """Hyper-parameters.

    Attributes
    ----------
    dropped : float
        The share of captions replaced by the empty one, for guidance.
    things : float
        How much likelier a crop with a thing in its hole is drawn than one without.
    exponent : float
        Of `NoiseSchedule`.
    """

    channels: tuple[int, ...] = (48, 96, 160)
    attends: tuple[bool, ...] = (False, True, False)
    heads: int = 4
    groups: int = 16
    batch: int = 16
    dropped: float = 0.1
    things: float = 3.0
    exponent: float = 0.75
    steps: Recipe = field(default_factory=lambda: Recipe(learning_rate=1e-3, warmup=100, hold=0.4, ema=0.998))


def make_unet(recipe: BaseRecipe, latents: int, text_width: int) -> UNet2DConditionModel:
    """Return the untrained network; torch's random state draws its weights."""
    down = tuple("CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in recipe.attends)
    up = tuple("CrossAttnUpBlock2D" if attends else "UpBlock2D" for attends in reversed(recipe.attends))
    return UNet2DConditionModel(
        sample_size=NATIVE // 4,
        in_channels=latents,
        out_channels=latents,
        block_out_channels=recipe.channels,
        layers_per_block=1,
        down_block_types=down,
        up_block_types=up,
        cross_attention_dim=text_width,
        attention_head_dim=recipe.heads,
        norm_num_groups=recipe.groups,
        addition_embed_type="text",
        addition_embed_type_num_heads=8,
    )


@final
class BaseObjective:
    """Denoise the latents of crops whose captions say what they show."""

    def __init__(
        self,
        unet: UNet2DConditionModel,
        crops: Crops,
        latents: Latents,
        states: TextStates,
        recipe: BaseRecipe,
    ) -> None:
        self.network, self.batch = unet, recipe.batch
        self._crops, self._latents, self._states, self._recipe = crops, latents, states, recipe
        self._schedule = NoiseSchedule(SCHEDULE, recipe.exponent)

    def loss(self, rng: np.random.Generator, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Return the mean squared error of one batch's answers."""
        chunk, rows = self._crops.draw(rng, 3 * self.batch)
        rows = rows[describes(self._crops, chunk, rows)]
        odds = np.where(self._crops.subjects(chunk)[rows], self._recipe.things, 1.0)
        rows = np.sort(rng.choice(rows, self.batch, replace=len(rows) < self.batch, p=odds / odds.sum()))
        captions = [
            "" if rng.random() < self._recipe.dropped else self._crops.captions[chunk][row] for row in rows
        ]
        question = self._schedule.ask(self._latents.rows(chunk, rows, self.network.device), generator)
        answer: Tensor = self.network(
            question.noisy, question.timesteps, self._states.of(captions), return_dict=False
        )[0]
        return (answer.float() - question.answer.float()).square().mean()


def train_base(
    out: Path,
    crops: Crops,
    budget: Budget,
    *,
    device: torch.device,
    sheet_every: float = SHEET_EVERY,
    recipe: BaseRecipe | None = None,
) -> Generator[Progress]:
    """Train into ``out``/base_model, or go on from ``out``/checkpoints/unet.

    Reads ``out``/vae, ``out``/text_encoder and ``out``/tokenizer, which stay as they are.
    """
    recipe = recipe or BaseRecipe()
    vae: Any = AutoencoderKL.from_pretrained(out / "vae").eval()
    encoder: Any = CLIPTextModel.from_pretrained(out / "text_encoder")
    tokenizer = CLIPTokenizer.from_pretrained(out / "tokenizer")
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(recipe.steps.seed)
        unet: Any = make_unet(recipe, vae.config["latent_channels"], encoder.config.hidden_size)
    for network in (vae, encoder, unet):
        network.to(device)
    latents = Latents(out / "latents", crops, vae, masked=False)
    states = TextStates(tokenizer, encoder)
    objective = BaseObjective(unet, crops, latents, states, recipe)

    def draw_sheet() -> None:
        write_sheet(out / "sheets" / "base.png", imagination_sheet(unet, vae, states, SCHEDULE))

    trainer = Trainer(objective, recipe.steps, budget, out / "checkpoints" / "unet")
    yield from trainer.run(sheet=Sheet(draw_sheet, sheet_every))
    trainer.load_average()
    save_base(out / "base_model", vae, encoder, tokenizer, unet)


def save_base(
    folder: Path,
    vae: AutoencoderKL,
    encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    unet: UNet2DConditionModel,
) -> None:
    """Write a base model in diffusers' layout, its weights in half precision."""
    scheduler: Any = UniPCMultistepScheduler.from_config(dict(SCHEDULE))
    vae.register_to_config(_name_or_path="")  # where it was trained is nobody's concern
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=scheduler,
        safety_checker=None,  # pyright: ignore[reportArgumentType]
        feature_extractor=None,  # pyright: ignore[reportArgumentType]
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16).save_pretrained(folder)
