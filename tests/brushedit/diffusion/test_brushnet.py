"""BrushNet's architecture, initialisation and strict loading."""

import json

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from brushedit.diffusion.brushnet import BrushNetModel, SizeConditions, feature_scales
from brushedit.errors import InvalidWeights

SDXL = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D",) * 3,
    "up_block_types": ("UpBlock2D",) * 3,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
SMALL = {
    "block_out_channels": (16, 32),
    "down_block_types": ("DownBlock2D",) * 2,
    "up_block_types": ("UpBlock2D",) * 2,
    "layers_per_block": 1,
    "norm_num_groups": 8,
}


@pytest.fixture
def unet():
    torch.manual_seed(0)
    return UNet2DConditionModel(
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=24,
        attention_head_dim=4,
    ).eval()


@pytest.mark.parametrize(
    ("config", "parameters", "keys", "down", "up"),
    [({}, 618_830_080, 322, 12, 15), (SDXL, 373_332_480, 252, 9, 11)],
    ids=["sd15", "sdxl"],
)
def test_full_size_networks_have_the_published_size(config, parameters, keys, down, up):
    with torch.device("meta"):
        brushnet = BrushNetModel(**config)
    assert sum(p.numel() for p in brushnet.parameters()) == parameters
    assert len(brushnet.state_dict()) == keys
    assert (len(brushnet.brushnet_down_blocks), len(brushnet.brushnet_up_blocks)) == (down, up)
    assert brushnet.site_count == down + 1 + up


@pytest.mark.parametrize(
    "field",
    [
        {"down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D")},
        {"mid_block_type": "UNetMidBlock2DCrossAttn"},
        {"class_embed_type": "timestep"},
        {"addition_embed_type": "image"},
        {"addition_embed_type": "text_time"},
        {"brushnet_conditioning_channel_order": "bgr"},
    ],
    ids=lambda field: next(iter(field)),
)
def test_another_architecture_is_refused(field):
    with pytest.raises(InvalidWeights):
        BrushNetModel(**SMALL | field)


@torch.inference_mode()
@pytest.mark.parametrize("size", [(16, 16), (17, 13), (5, 9)])
def test_features_have_the_size_of_their_sites(size):
    brushnet = BrushNetModel(**SMALL)
    features = brushnet(torch.randn(2, 4, *size), torch.tensor(7), torch.randn(2, 5, *size))
    half = tuple((side + 1) // 2 for side in size)
    assert [tuple(f.shape) for f in features.down] == [
        (2, 16, *size),
        (2, 16, *size),
        (2, 16, *half),
        (2, 32, *half),
    ]
    assert features.mid.shape == (2, 32, *half)
    assert [tuple(f.shape[1:]) for f in features.up] == [
        (32, *half),
        (32, *half),
        (32, *size),
        (16, *size),
        (16, *size),
    ]


@torch.inference_mode()
def test_a_fresh_branch_is_silent_and_shares_nothing_with_its_unet(unet):
    brushnet = BrushNetModel.from_unet(unet)
    features = brushnet(torch.randn(1, 4, 16, 16), torch.tensor(500), torch.randn(1, 5, 16, 16))
    assert all((feature == 0).all() for feature in features.all())
    own = {p.data_ptr() for p in brushnet.parameters()}
    assert own.isdisjoint(p.data_ptr() for p in unet.parameters())


def test_initialisation_copies_the_base(unet):
    brushnet = BrushNetModel.from_unet(unet)
    ours, base = brushnet.state_dict(), unet.state_dict()
    stem = ours["conv_in_condition.weight"]
    assert torch.equal(stem[:, :4], base["conv_in.weight"])
    assert torch.equal(stem[:, 4:8], base["conv_in.weight"])
    assert (stem[:, 8] == 0).all()
    shared = [key for key in ours if key in base]
    assert len(shared) > 40
    assert all(torch.equal(ours[key], base[key]) for key in shared)


def test_guess_mode_rises_from_a_tenth_to_all():
    scales = feature_scales(28, 0.5, guess_mode=True)
    assert scales[0] == pytest.approx(0.05)
    assert scales[-1] == pytest.approx(0.5)
    assert list(scales) == sorted(scales)
    assert feature_scales(3, 0.7, guess_mode=False) == (0.7, 0.7, 0.7)


def test_text_conditions_are_required_where_they_are_read():
    brushnet = BrushNetModel(
        **SMALL,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=72,
    )
    assert brushnet.reads_text
    latents, conditioning = torch.randn(1, 4, 8, 8), torch.randn(1, 5, 8, 8)
    with pytest.raises(ValueError, match="pooled text"):
        brushnet(latents, torch.tensor(1), conditioning)
    sizes = SizeConditions(torch.randn(1, 24), torch.ones(1, 6))
    brushnet(latents, torch.tensor(1), conditioning, sizes=sizes)


@torch.inference_mode()
def test_a_branch_reads_text_as_its_unet_does():
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D",) * 2,
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("UpBlock2D",) * 2,
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=24,
        attention_head_dim=4,
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )
    brushnet = BrushNetModel.from_unet(unet).eval()
    assert brushnet.reads_text
    ours, base = brushnet.state_dict(), unet.state_dict()
    read = [key for key in base if key.startswith("add_embedding.")]
    assert read
    assert all(torch.equal(ours[key], base[key]) for key in read)
    torch.nn.init.eye_(brushnet.brushnet_mid_block.weight[:, :, 0, 0])
    shown = torch.randn(1, 4, 8, 8), torch.tensor(1), torch.randn(1, 5, 8, 8)
    with pytest.raises(ValueError, match="caption"):
        brushnet(*shown)
    words = torch.randn(1, 7, 24)
    assert torch.equal(brushnet(*shown, words).mid, brushnet(*shown, words).mid)
    assert not torch.allclose(brushnet(*shown, words).mid, brushnet(*shown, -words).mid)


class TestLoading:
    @pytest.fixture
    def folder(self, tmp_path):
        torch.manual_seed(1)
        BrushNetModel(**SMALL).save_pretrained(tmp_path / "brushnet")
        return tmp_path / "brushnet"

    def edit(self, folder, change):
        path = folder / "diffusion_pytorch_model.safetensors"
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)

    def test_round_trip(self, folder):
        loaded = BrushNetModel.from_pretrained(folder).state_dict()
        assert all(
            torch.equal(loaded[key], value)
            for key, value in load_file(folder / "diffusion_pytorch_model.safetensors").items()
        )
        half = BrushNetModel.from_pretrained(folder.parent, subfolder="brushnet", torch_dtype=torch.float16)
        assert half.dtype == torch.float16

    def test_a_missing_key_is_named(self, folder):
        self.edit(folder, lambda tensors: tensors.pop("brushnet_mid_block.bias"))
        with pytest.raises(InvalidWeights, match=r"missing brushnet_mid_block\.bias"):
            BrushNetModel.from_pretrained(folder)

    def test_an_extra_key_is_named(self, folder):
        self.edit(folder, lambda tensors: tensors.update(surplus=torch.zeros(1)))
        with pytest.raises(InvalidWeights, match="unexpected surplus"):
            BrushNetModel.from_pretrained(folder)

    def test_another_shape_is_refused(self, folder):
        self.edit(folder, lambda tensors: tensors.update({"brushnet_mid_block.bias": torch.zeros(7)}))
        with pytest.raises(InvalidWeights, match="brushnet_mid_block"):
            BrushNetModel.from_pretrained(folder)

    def test_a_broken_file_or_no_folder_is_refused(self, folder, tmp_path):
        (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"nothing")
        with pytest.raises(InvalidWeights):
            BrushNetModel.from_pretrained(folder)
        with pytest.raises(InvalidWeights):
            BrushNetModel.from_pretrained(tmp_path / "elsewhere")

    def test_pickles_are_not_read(self, folder):
        path = folder / "diffusion_pytorch_model.safetensors"
        torch.save(load_file(path), folder / "diffusion_pytorch_model.bin")
        path.unlink()
        with pytest.raises(InvalidWeights):
            BrushNetModel.from_pretrained(folder)

    def test_unused_published_fields_are_accepted(self, folder):
        config = json.loads((folder / "config.json").read_text())
        config |= {"_name_or_path": "logs/checkpoint-28000", "attention_head_dim": [5, 10]}
        (folder / "config.json").write_text(json.dumps(config))
        BrushNetModel.from_pretrained(folder)
