"""The paper's ablation in small: other ways to show a masked picture to the same frozen base model, trained alike.

arXiv 2403.06976, section 5.4 and tables 4 and 5. Beside the paper's branch: the same without the noisy latent, and a
ControlNet (arXiv 2302.05543), which adds to the skip connections and the mid block alone and reads pixels. And the base
model once more, fine-tuned to pictures with drawn outlines, for BrushNet to be plugged into unchanged.
"""

import copy
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import cv2
import numpy as np
import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from brushedit.diffusion.brushnet import BrushNetModel
from brushedit.diffusion.sites import features_added
from brushedit.training.brushnet import (
    Branch,
    BrushNetBranch,
    Examples,
    InpaintingObjective,
    conditioning_of,
)
from brushedit.training.loop import SHEET_EVERY, Budget, Objective, Progress, Recipe, Trainer
from brushedit.types import Image
from models.toybox.crops import CHUNK, Crops, draw_set
from models.toybox.latents import Latents
from models.toybox.samples import to_tensor
from models.toybox.train_base import SCHEDULE, BaseObjective, BaseRecipe
from models.toybox.train_brushnet import BrushNetRecipe, Painters, drawing, open_painters


@dataclass(frozen=True)
class AblationRecipe:
    """Hyper-parameters.

    Attributes
    ----------
    branches : BrushNetRecipe
        Of all branches alike.
    drawing : Recipe
        Of the base model's fine-tuning to outlines.
    drawn : tuple of (int, int)
        Chunks of crops that it learns outlines from, and crops in each.
    """

    branches: BrushNetRecipe = field(default_factory=BrushNetRecipe)
    drawing: Recipe = field(default_factory=lambda: Recipe(learning_rate=3e-4, warmup=50, hold=0.4, ema=0.99))
    drawn: tuple[int, int] = (6, CHUNK)


@final
class NoiselessBranch:
    """BrushNet that is not shown what is being denoised."""

    def __init__(self, brushnet: BrushNetModel, unet: UNet2DConditionModel) -> None:
        self.network = brushnet
        self._unet = unet

    def answer(self, noisy: Tensor, timesteps: Tensor, examples: Examples) -> Tensor:
        """See `Branch`."""
        features = self.network(torch.zeros_like(noisy), timesteps, examples.conditioning, examples.text)
        with features_added(self._unet, features):
            return self._unet(noisy, timesteps, examples.text, return_dict=False)[0]


@final
class ControlNetBranch:
    """A ControlNet, whose condition is the masked pictures' pixels and the mask, (B, 4, H, W)."""

    def __init__(self, network: ControlNetModel, unet: UNet2DConditionModel) -> None:
        self.network = network
        self._unet = unet

    def answer(self, noisy: Tensor, timesteps: Tensor, examples: Examples) -> Tensor:
        """See `Branch`."""
        down, mid = self.network(
            noisy, timesteps, examples.text, controlnet_cond=examples.conditioning, return_dict=False
        )
        return self._unet(
            noisy,
            timesteps,
            examples.text,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
            return_dict=False,
        )[0]


def _brushnet(unet: UNet2DConditionModel) -> Branch:
    return BrushNetBranch(BrushNetModel.from_unet(unet), unet)


def _noiseless(unet: UNet2DConditionModel) -> Branch:
    return NoiselessBranch(BrushNetModel.from_unet(unet), unet)


def _controlnet(unet: UNet2DConditionModel) -> Branch:
    # Two halvings in the condition's encoder, as the autoencoder has.
    network = ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=(16, 32, 64), conditioning_channels=4
    )
    # `from_unet` copies this part's weights into one with another number of heads.
    embedding: Any = copy.deepcopy(unet.add_embedding)
    network.add_embedding = embedding.requires_grad_(requires_grad=True)
    return ControlNetBranch(network, unet)


BRANCHES: Final[Mapping[str, Callable[[UNet2DConditionModel], Branch]]] = {
    "brushnet": _brushnet,
    "noiseless": _noiseless,
    "controlnet": _controlnet,
}
"""What is trained beside a base model, by name."""


def train_ablation(
    out: Path,
    crops: Crops,
    budget: Budget,
    *,
    device: torch.device,
    sheet_every: float = SHEET_EVERY,  # noqa: ARG001
    recipe: AblationRecipe | None = None,
) -> Generator[Progress]:
    """Train all branches and the drawn base into ``out``/ablation, each with the same share of the budget.

    Reads ``out``/base_model and ``out``/latents; goes on from its own checkpoints.
    """
    recipe = recipe or AblationRecipe()
    branches = recipe.branches
    painters = open_painters(out, device)
    count = len(BRANCHES) + 1
    share = Budget(
        steps=None if budget.steps is None else max(1, budget.steps // count),
        seconds=None if budget.seconds is None else budget.seconds / count,
    )

    for i, (name, make) in enumerate(BRANCHES.items()):
        branch = make(painters.unet)
        nn.Module.to(branch.network, device)
        draw = drawing(out, crops, painters, branches, partial(condition, name))
        objective = InpaintingObjective(
            branch, SCHEDULE, draw, branches.batch, branches.hole_weight, branches.exponent
        )
        for progress in _trained(objective, branches.steps, share, out / "ablation" / name):
            yield replace(progress, done=(i + progress.done) / count)
    for progress in _trained(
        _drawn_objective(out, painters, recipe.drawn), recipe.drawing, share, out / "ablation" / "drawn"
    ):
        yield replace(progress, done=1 - (1 - progress.done) / count)


def condition(name: str, pictures: NDArray[np.uint8], holes: Tensor, masked_latents: Tensor) -> Tensor:
    """Return what a branch of `BRANCHES` is shown of pictures (B, H, W, 3) with holes (B, H, W), bool."""
    if name != "controlnet":
        return conditioning_of(masked_latents, holes)
    keep = (~holes)[:, None].float()
    return torch.cat([torch.where(keep > 0, to_tensor(pictures, holes.device), -1.0), keep], dim=1)


def load_branch(out: Path, name: str, unet: UNet2DConditionModel) -> Branch:
    """Return a trained branch of `BRANCHES`."""
    branch = BRANCHES[name](unet)
    branch.network.load_state_dict(load_file(out / "ablation" / name / "network.safetensors"))
    branch.network.to(unet.device).eval().requires_grad_(requires_grad=False)
    return branch


def load_drawn(out: Path, painters: Painters) -> Painters:
    """Return the painters with the base model that draws outlines."""
    unet = copy.deepcopy(painters.unet)
    unet.load_state_dict(load_file(out / "ablation" / "drawn" / "network.safetensors"))
    return replace(painters, unet=unet)


def drawn(image: Image) -> Image:
    """Return a picture with dark outlines drawn along its edges."""
    edges = cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 60, 150)
    lines = cv2.dilate(edges, np.ones((2, 2), np.uint8)) > 0
    return np.where(lines[..., None], image // 5, image)


def _trained(objective: Objective, steps: Recipe, budget: Budget, folder: Path) -> Generator[Progress]:
    trainer = Trainer(objective, steps, budget, folder / "checkpoints")
    yield from trainer.run()
    trainer.load_average()
    tensors = {name: value.contiguous() for name, value in objective.network.state_dict().items()}
    save_file(tensors, folder / "network.safetensors")


def _drawn_objective(out: Path, painters: Painters, drawn_crops: tuple[int, int]) -> BaseObjective:
    """Return the training of the base model on crops with outlines."""
    folder = out / "ablation" / "drawn-crops"
    chunks, count = drawn_crops
    draw_set(folder / "plain", seed=2, chunks=chunks, workers=1, count=count)
    for path in sorted((folder / "plain").glob("?????.npy")):
        pixels = np.load(path)
        pixels[..., :3] = np.stack([drawn(np.ascontiguousarray(crop[..., :3])) for crop in pixels])
        np.save(folder / path.name, pixels)
        (folder / path.name).with_suffix(".json").write_bytes(path.with_suffix(".json").read_bytes())
    crops = Crops(folder, chunks)
    latents = Latents(out / "ablation" / "drawn-latents", crops, painters.vae, masked=False)
    unet = copy.deepcopy(painters.unet).requires_grad_(requires_grad=True)
    return BaseObjective(unet, crops, latents, painters.states, BaseRecipe())
