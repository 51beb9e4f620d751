"""The paper's objective: a branch that starts as silence beside a UNet that never changes."""

import numpy as np
import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor

from brushedit.diffusion.brushnet import BrushNetModel, SizeConditions
from brushedit.training.brushnet import BrushNetBranch, Examples, InpaintingObjective, conditioning_of
from brushedit.training.loop import Budget, Recipe, Trainer
from brushedit.training.noise import NoiseSchedule

SCALED_LINEAR = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def sd15_shaped(width: int = 16) -> UNet2DConditionModel:
    """Return Stable Diffusion 1.5's UNet, block for block, with thin channels."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(width, 2 * width, 4 * width, 4 * width),
        cross_attention_dim=24,
        attention_head_dim=8,
        norm_num_groups=8,
    )


def sdxl_shaped() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
        cross_attention_dim=24,
        attention_head_dim=(2, 4, 4),
        use_linear_projection=True,
        norm_num_groups=8,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=20 + 6 * 8,
    )


def examples(rng: np.random.Generator, generator: torch.Generator, *, pooled: bool = False) -> Examples:
    holes = torch.zeros(2, 64, 64, dtype=torch.bool)
    holes[:, 16:48, 8:40] = True
    latents = torch.randn(2, 4, 8, 8, generator=generator)
    text = torch.randn(2, 7, 24, generator=generator)
    sizes = None
    if pooled:
        sizes = SizeConditions(torch.randn(2, 20, generator=generator), torch.full((2, 6), 64.0))
    return Examples(latents, conditioning_of(latents * 0.5, holes), text, sizes)


def xl_examples(rng: np.random.Generator, generator: torch.Generator) -> Examples:
    return examples(rng, generator, pooled=True)


@pytest.mark.parametrize(("unet", "draw"), [(sd15_shaped(), examples), (sdxl_shaped(), xl_examples)])
def test_trains_the_branch_alone_and_starts_from_the_base_models_loss(
    unet: UNet2DConditionModel, draw
) -> None:
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    brushnet = BrushNetModel.from_unet(unet)
    objective = InpaintingObjective(BrushNetBranch(brushnet, unet), SCALED_LINEAR, draw, batch=2)

    generator = torch.Generator().manual_seed(1)
    batch = draw(np.random.default_rng(0), generator)
    question = NoiseSchedule(SCALED_LINEAR).ask(batch.latents, generator)
    added = (
        {"text_embeds": batch.sizes.pooled_text, "time_ids": batch.sizes.time_ids} if batch.sizes else None
    )
    alone = unet(question.noisy, question.timesteps, batch.text, added_cond_kwargs=added).sample
    expected = (alone - question.answer).square().mean()
    first = objective.loss(np.random.default_rng(0), torch.Generator().manual_seed(1), 0.0)
    assert torch.allclose(first, expected, rtol=1e-5)

    trainer = Trainer(objective, Recipe(learning_rate=1e-3, warmup=1), Budget(steps=3))
    list(trainer.run())
    for name, value in unet.state_dict().items():
        assert torch.equal(value, before[name])
    assert brushnet.brushnet_mid_block.weight.abs().sum() > 0
    assert all(site.weight.abs().sum() > 0 for site in brushnet.brushnet_down_blocks)
    assert all(site.weight.abs().sum() > 0 for site in brushnet.brushnet_up_blocks)


def test_the_published_size_steps_on_the_meta_device() -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8)
        brushnet = BrushNetModel(
            **{key: unet.config[key] for key in ("block_out_channels", "layers_per_block")}
        )
    features = brushnet(torch.empty(1, 4, 64, 64, device="meta"), torch.empty(1, device="meta"),
                        torch.empty(1, 5, 64, 64, device="meta"))  # fmt: skip
    assert len(features.down) == 12
    assert len(features.up) == 15


def test_what_the_branch_is_shown_says_keep_with_one() -> None:
    holes = torch.zeros(1, 32, 32, dtype=torch.bool)
    holes[0, 8:16, 0:16] = True
    shown = conditioning_of(torch.randn(1, 4, 8, 8), holes)
    assert shown.shape == (1, 5, 8, 8)
    assert shown[0, 4, 2:4, 0:4].eq(0).all()
    assert shown[0, 4].sum() == 64 - 8


def test_learns_to_copy_what_is_kept() -> None:
    unet = sd15_shaped()
    fixed = examples(np.random.default_rng(0), torch.Generator().manual_seed(5))

    def draw(rng: np.random.Generator, generator: torch.Generator) -> Examples:
        return fixed

    branch = BrushNetBranch(BrushNetModel.from_unet(unet), unet)
    objective = InpaintingObjective(branch, SCALED_LINEAR, draw, 2, hole_weight=2.0)
    trainer = Trainer(objective, Recipe(learning_rate=3e-3, warmup=3), Budget(steps=30))
    losses = [progress.loss for progress in trainer.run()]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_answers_lead_back_to_the_clean_latents(kind: str) -> None:
    latents = torch.randn(5, 4, 8, 8)
    schedule = NoiseSchedule({**SCALED_LINEAR, "prediction_type": kind})
    question = schedule.ask(latents, torch.Generator().manual_seed(2))
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = (1 - betas).cumprod(0)[question.timesteps][:, None, None, None].float()

    def clean(noisy: Tensor, answer: Tensor) -> Tensor:
        if kind == "epsilon":
            return (noisy - (1 - kept).sqrt() * answer) / kept.sqrt()
        return kept.sqrt() * noisy - (1 - kept).sqrt() * answer

    assert torch.allclose(clean(question.noisy, question.answer), latents, atol=1e-3)


def test_an_unknown_kind_of_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="sample"):
        NoiseSchedule({"prediction_type": "sample"}).ask(torch.zeros(1, 4, 2, 2), torch.Generator())
