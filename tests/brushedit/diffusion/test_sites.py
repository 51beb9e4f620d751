"""Features enter a UNet where the published code adds them, and leave no trace."""

import pytest
import torch
from diffusers import UNet2DConditionModel

from brushedit.diffusion.brushnet import BrushNetModel, Features
from brushedit.diffusion.sites import features_added, sites
from brushedit.errors import InvalidWeights


@pytest.fixture
def unet():
    torch.manual_seed(0)
    return (
        UNet2DConditionModel(
            block_out_channels=(16, 32),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            norm_num_groups=8,
            cross_attention_dim=24,
            attention_head_dim=4,
        )
        .eval()
        .requires_grad_(False)
    )


@pytest.fixture
def features(unet):
    brushnet = BrushNetModel.from_unet(unet).requires_grad_(False)
    torch.manual_seed(1)
    for name, parameter in brushnet.named_parameters():
        if name.startswith("brushnet_"):
            torch.nn.init.normal_(parameter, std=0.1)
    return brushnet(torch.randn(1, 4, 16, 16), torch.tensor(10), torch.randn(1, 5, 16, 16))


def run(unet, batch=1):
    torch.manual_seed(2)
    return unet(
        torch.randn(1, 4, 16, 16).repeat(batch, 1, 1, 1), 10, torch.randn(1, 7, 24).repeat(batch, 1, 1)
    ).sample


def hooks(unet):
    return [
        (name, len(module._forward_hooks), len(module._forward_pre_hooks))
        for name, module in unet.named_modules()
    ]


def test_one_site_per_feature(unet, features):
    where = sites(unet)
    assert 1 + len(where.down) == len(features.down)
    assert len(where.up) == len(features.up)


def test_the_unet_is_as_before_afterwards(unet, features):
    before, hooks_before = run(unet), hooks(unet)
    weights = {key: value.clone() for key, value in unet.state_dict().items()}
    with features_added(unet, features):
        inside = run(unet)
    assert not torch.allclose(inside, before)
    assert torch.equal(run(unet), before)
    assert hooks(unet) == hooks_before
    assert all(torch.equal(value, weights[key]) for key, value in unet.state_dict().items())


def test_an_exception_leaves_no_hook(unet, features):
    hooks_before = hooks(unet)
    with pytest.raises(RuntimeError, match="half-way"), features_added(unet, features):
        raise RuntimeError("half-way")
    assert hooks(unet) == hooks_before
    wrong = Features(features.down[:-1], features.mid, features.up)
    with pytest.raises(ValueError, match="shorter"), features_added(unet, wrong):
        pass
    assert hooks(unet) == hooks_before


def test_other_peoples_hooks_stay(unet, features):
    calls = []
    unet.mid_block.register_forward_hook(lambda *_: calls.append(1))
    with features_added(unet, features):
        run(unet)
    run(unet)
    assert len(calls) == 2


def test_the_stems_feature_does_not_enter_the_first_skip(unet, features):
    """The first skip connection must hold the raw stem output (published unet_2d_condition.py, line 1215)."""
    silent = Features(
        (features.down[0], *(torch.zeros_like(f) for f in features.down[1:])),
        torch.zeros_like(features.mid),
        tuple(torch.zeros_like(f) for f in features.up),
    )
    seen = {}
    last = unet.up_blocks[-1].resnets[-1]
    last.register_forward_pre_hook(lambda _module, args: seen.update(skip=args[0][:, -16:].clone()))
    unet.conv_in.register_forward_hook(lambda _module, _args, output: seen.update(stem=output.clone()))
    with features_added(unet, silent):
        changed = run(unet)
    assert torch.equal(seen["skip"], seen["stem"])
    assert not torch.allclose(changed, run(unet))


@pytest.mark.parametrize("batch", [1, 2, 6])
def test_one_evaluation_serves_every_guidance_half(unet, features, batch):
    with features_added(unet, features):
        rows = run(unet, batch)
    doubled = Features(
        tuple(f.repeat(batch, 1, 1, 1) for f in features.down),
        features.mid.repeat(batch, 1, 1, 1),
        tuple(f.repeat(batch, 1, 1, 1) for f in features.up),
    )
    with features_added(unet, doubled):
        assert torch.allclose(rows, run(unet, batch), atol=1e-6)


def test_guess_mode_leaves_the_unconditional_half_alone(unet, features):
    plain = run(unet, 2)
    with features_added(unet, features.conditional_only()):
        guided = run(unet, 2)
    assert torch.allclose(guided[0], plain[0], atol=1e-6)
    assert not torch.allclose(guided[1], plain[1])


def test_an_unknown_block_is_refused():
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32),
        down_block_types=("SimpleCrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=24,
        attention_head_dim=4,
    )
    with pytest.raises(InvalidWeights, match="SimpleCrossAttnDownBlock2D"):
        sites(unet)
