"""Base models of both families, in any dtype, with LoRAs, strictly loaded."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from app.bootstrap import PainterChoice, load_conductor
from app.generators import run
from brushedit.diffusion.brushnet import BrushNetModel
from brushedit.errors import InvalidOption, InvalidWeights, PaintingFailed
from brushedit.options import PaintOptions
from models.stable_diffusion import Lora, load_base

CPU = torch.device("cpu")
IMAGE = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
MASK = np.zeros((70, 90), np.bool_)
MASK[20:50, 30:60] = True


def paint(conductor, caption="a red ball", **options):
    return run(conductor.paint(IMAGE, MASK, caption, PaintOptions(**{"steps": 2, "seed": 1} | options)))


@pytest.fixture(scope="module")
def xl(tmp_path_factory, weights) -> Path:
    """Return a small SDXL-shaped base model and BrushNet with random weights."""
    folder = tmp_path_factory.mktemp("xl")
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(weights / "base_model" / "tokenizer")
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        projection_dim=16,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(16, 32),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=(2, 4),
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=16 + 6 * 8,
        norm_num_groups=8,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=8,
        scaling_factor=0.13025,
        force_upcast=True,
    )
    brushnet = BrushNetModel.from_unet(unet)
    for name, weight in brushnet.named_parameters():
        if name.startswith("brushnet_"):
            torch.nn.init.normal_(weight, std=0.05)
    StableDiffusionXLPipeline(
        vae,
        CLIPTextModel(text),
        CLIPTextModelWithProjection(text),
        tokenizer,
        tokenizer,
        unet,
        EulerDiscreteScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012),
        add_watermarker=False,
    ).save_pretrained(folder / "base")
    brushnet.save_pretrained(folder / "brushnet")
    return folder


def test_xl_paints_under_the_contract_and_runs_brushnet_on_both_halves(xl):
    conductor = load_conductor(PainterChoice(xl / "base", xl / "brushnet", device="cpu"))
    batches = []
    conductor.brushnet.register_forward_hook(lambda _m, args, _o: batches.append(args[0].shape[0]))
    painting = paint(conductor, scheduler="euler")
    assert painting.reports[0].outside_changed == 0
    assert batches == [2, 2]  # pooled text differs between the halves
    paint(conductor, scheduler="euler", guess_mode=True)
    assert batches[2:] == [1, 1]
    assert not np.array_equal(painting.images[0], paint(conductor, "a cube", scheduler="euler").images[0])
    without_negative = paint(conductor, negative="").images[0]
    assert not np.array_equal(without_negative, paint(conductor, negative="text").images[0])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_types_paint_much_the_same(weights, dtype):
    choice = {"base": weights / "base_model", "brushnet": weights / "brushnetX", "device": "cpu"}
    wide = paint(load_conductor(PainterChoice(**choice)))
    narrow = paint(load_conductor(PainterChoice(**choice, dtype=dtype)))
    assert narrow.reports[0].outside_changed == 0
    difference = np.abs(wide.images[0][MASK].astype(int) - narrow.images[0][MASK])
    assert 0 < difference.mean() < 12


def test_a_vae_that_overflows_stays_wide_in_float16(xl, weights):
    assert load_base(xl / "base", device=CPU, dtype=torch.float16).vae.dtype == torch.float32
    assert load_base(xl / "base", device=CPU, dtype=torch.bfloat16).vae.dtype == torch.bfloat16
    conductor = load_conductor(PainterChoice(xl / "base", xl / "brushnet", device="cpu", dtype="float16"))
    assert paint(conductor).reports[0].outside_changed == 0


@pytest.fixture(scope="module")
def lora(tmp_path_factory, weights) -> Path:
    torch.manual_seed(3)
    unet = UNet2DConditionModel.from_pretrained(weights / "base_model" / "unet")
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    folder = tmp_path_factory.mktemp("lora")
    StableDiffusionPipeline.save_lora_weights(
        folder, unet_lora_layers=get_peft_model_state_dict(unet), safe_serialization=True
    )
    return folder / "pytorch_lora_weights.safetensors"


def test_a_lora_changes_the_painting_by_its_weight(weights, lora):
    def painted(*loras: tuple[Path, float]) -> np.ndarray:
        choice = PainterChoice(weights / "base_model", weights / "brushnetX", loras, device="cpu")
        return paint(load_conductor(choice)).images[0]

    plain, half, full = painted(), painted((lora, 0.5)), painted((lora, 1.0))
    assert not np.array_equal(plain, full)
    assert not np.array_equal(half, full)
    assert np.array_equal(plain, painted((lora, 0.0)))


def test_a_lora_that_does_not_fit_is_refused(weights, lora, tmp_path):
    other = tmp_path / "other.safetensors"
    save_file({key: torch.zeros(3, 3) for key in load_file(lora)}, other)
    half = tmp_path / "half.safetensors"
    surplus = {
        key.replace("unet.", "unet.elsewhere.", 1): value.clone() for key, value in load_file(lora).items()
    }
    save_file(load_file(lora) | surplus, half)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x08" * 100)
    pickle = tmp_path / "lora.bin"
    torch.save(load_file(lora), pickle)
    for path in (other, half, broken, pickle, tmp_path / "missing.safetensors"):
        with pytest.raises(InvalidWeights, match=path.name):
            load_base(weights / "base_model", device=CPU, dtype=torch.float32, loras=[Lora(path)])


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 1e9])
def test_a_lora_weight_has_bounds(weights, lora, weight):
    with pytest.raises(InvalidOption, match="weight"):
        load_base(weights / "base_model", device=CPU, dtype=torch.float32, loras=[Lora(lora, weight)])


def test_numbers_that_are_no_picture_are_an_error(weights):
    conductor = load_conductor(PainterChoice(weights / "base_model", weights / "brushnetX", device="cpu"))
    with torch.no_grad():
        conductor.brushnet.brushnet_mid_block.bias.fill_(float("nan"))
    with pytest.raises(PaintingFailed, match="not finite"):
        paint(conductor)


@pytest.mark.parametrize(
    ("part", "file"),
    [("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model"), ("text_encoder", "model")],
)
def test_a_part_with_other_keys_is_refused_by_name(weights, tmp_path, part, file):
    base = tmp_path / "base"
    shutil.copytree(weights / "base_model", base)
    path = base / part / f"{file}.safetensors"
    tensors = load_file(path)
    name = sorted(tensors)[0]
    tensors["surplus"] = tensors.pop(name)
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(InvalidWeights, match="missing"):
        load_base(base, device=CPU, dtype=torch.float32)


def test_another_kind_of_model_is_refused(weights, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(weights / "base_model", base)
    index = base / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "FluxPipeline"))
    with pytest.raises(InvalidWeights, match="FluxPipeline"):
        load_base(base, device=CPU, dtype=torch.float32)
    shutil.rmtree(base / "tokenizer")
    index.write_text(index.read_text().replace("FluxPipeline", "StableDiffusionPipeline"))
    with pytest.raises(InvalidWeights, match="tokenizer"):
        load_base(base, device=CPU, dtype=torch.float32)


def test_clip_skip_has_an_end(conductor):
    paint(conductor, clip_skip=1)
    with pytest.raises(InvalidOption, match="clip_skip"):
        paint(conductor, clip_skip=2)


def test_a_long_caption_is_read_as_far_as_it_goes(conductor):
    long = "red " * 400
    assert np.array_equal(paint(conductor, long).images[0], paint(conductor, long + "ball").images[0])
