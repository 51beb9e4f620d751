"""The toybox's recipes, tiny: each learns, each resumes bit for bit, and what they write loads as the big ones do."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors.torch import load_file

from brushedit.diffusion.brushnet import BrushNetModel
from brushedit.diffusion.conductor import BrushNetConductor
from brushedit.options import PaintOptions
from brushedit.training.loop import Budget, Progress, Recipe, Trainer, latest
from models.stable_diffusion import load_base
from models.toybox.ablation import AblationRecipe, train_ablation
from models.toybox.ablation_scores import measure, ways
from models.toybox.captions import vocabulary
from models.toybox.crops import Crops, draw_set
from models.toybox.probe import Task, cases, judge, paint
from models.toybox.train_base import BaseRecipe, train_base
from models.toybox.train_brushnet import BrushNetRecipe, open_painters, train_brushnet
from models.toybox.train_text import TextRecipe, train_text
from models.toybox.train_vae import VaeRecipe, make_vae, start_linear, train_vae
from models.toybox.words import make_tokenizer

CPU = torch.device("cpu")
STEPS = Recipe(learning_rate=2e-3, warmup=2, hold=0.5, ema=0.9)
# A linear start wants gentler steps than a random one.
GENTLE = replace(STEPS, learning_rate=4e-4, warmup=10)
VAE = VaeRecipe(channels=(16, 48, 64), latents=4, groups=4, batch=4, window=16, steps=GENTLE)
TEXT = TextRecipe(width=32, layers=1, sights=(8, 16), batch=12, steps=STEPS)
BASE = BaseRecipe(channels=(16, 32, 32), attends=(False, True, False), groups=8, batch=4, steps=STEPS)
BRUSHNET = BrushNetRecipe(batch=4, steps=STEPS)

Run = Callable[[Path, Crops, Budget, float], Iterator[Progress]]
NEVER = 1e9

RECIPES: dict[str, Run] = {
    "vae": lambda out, crops, budget, sheets: train_vae(
        out, crops, budget, device=CPU, sheet_every=sheets, recipe=VAE
    ),
    "text_encoder": lambda out, crops, budget, sheets: train_text(
        out, crops, budget, device=CPU, sheet_every=sheets, recipe=TEXT
    ),
    "unet": lambda out, crops, budget, sheets: train_base(
        out, crops, budget, device=CPU, sheet_every=sheets, recipe=BASE
    ),
    "brushnet": lambda out, crops, budget, sheets: train_brushnet(
        out, crops, budget, device=CPU, sheet_every=sheets, recipe=BRUSHNET
    ),
}


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Crops:
    folder = tmp_path_factory.mktemp("crops")
    draw_set(folder, seed=3, chunks=2, workers=1, count=24)
    return Crops(folder, 2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, crops: Crops) -> tuple[Path, dict[str, list[float]]]:
    """Return a folder in which the whole chain was trained for six steps each, a sheet after each, and the losses."""
    out = tmp_path_factory.mktemp("trained")
    losses = {name: [p.loss for p in run(out, crops, Budget(steps=6), 0.0)] for name, run in RECIPES.items()}
    return out, losses


@pytest.mark.parametrize("name", RECIPES)
def test_resumes_bit_for_bit_after_a_kill(
    name: str,
    tmp_path: Path,
    crops: Crops,
    trained: tuple[Path, dict[str, list[float]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, losses = trained
    for needed in ("vae", "text_encoder", "tokenizer", "base_model"):
        (tmp_path / needed).symlink_to(out / needed)
    if name in ("vae", "text_encoder"):
        (tmp_path / name).unlink()
    if name == "unet":
        (tmp_path / "base_model").unlink()
    monkeypatch.setattr(Trainer.run, "__kwdefaults__", {"save_every": 0.0})
    first = RECIPES[name](tmp_path, crops, Budget(steps=6), NEVER)
    for _ in range(2):
        next(first)
    del first
    again = [p.loss for p in RECIPES[name](tmp_path, crops, Budget(steps=6), NEVER)]
    assert again == losses[name][2:]
    one, other = (load_file(latest(each / "checkpoints" / name) / "average.safetensors")  # pyright: ignore
                  for each in (out, tmp_path))  # fmt: skip
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_sheets_show_sixteen_crops(trained: tuple[Path, dict[str, list[float]]]) -> None:
    """That sheets leave the training as it is shows in the test above: the first run drew them, the second did not."""
    sheets = {path.stem: cv2.imread(str(path)) for path in (trained[0] / "sheets").iterdir()}
    assert sheets.keys() == {"vae", "text", "base", "brushnet"}
    for sheet in sheets.values():
        assert sheet is not None
        assert sheet.shape[1] >= 8 * 64
        assert sheet.std() > 10


@pytest.mark.parametrize(("name", "steps", "share"), [("text_encoder", 40, 0.8), ("unet", 200, 0.9)])
def test_a_short_training_lowers_the_loss(
    name: str,
    steps: int,
    share: float,
    tmp_path: Path,
    crops: Crops,
    trained: tuple[Path, dict[str, list[float]]],
) -> None:
    for needed in ("vae", "text_encoder", "tokenizer"):
        if needed != name:
            (tmp_path / needed).symlink_to(trained[0] / needed)
    losses = [p.loss for p in RECIPES[name](tmp_path, crops, Budget(steps=steps), NEVER)]
    assert losses[-1] < share * losses[0]


def test_a_short_training_brings_pictures_through_the_autoencoder_better(
    tmp_path: Path, crops: Crops
) -> None:
    pixels = torch.from_numpy(crops.pixels(0)[..., :3].copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
    recipe = replace(VAE, batch=8, window=32)
    errors: list[float] = []
    for steps in (1, 60):
        out = tmp_path / str(steps)
        list(train_vae(out, crops, Budget(steps=steps), device=CPU, recipe=recipe))
        vae = AutoencoderKL.from_pretrained(out / "vae")
        with torch.no_grad():
            errors.append(float((vae(pixels).sample - pixels).abs().mean()))
    assert errors[1] < 0.9 * errors[0]


def test_the_ablation_trains_every_way_and_measures_it(
    crops: Crops, trained: tuple[Path, dict[str, list[float]]]
) -> None:
    out, _ = trained
    recipe = AblationRecipe(BRUSHNET, STEPS, drawn=(1, 8))
    steps = list(train_ablation(out, crops, Budget(steps=12), device=CPU, recipe=recipe))
    assert [p.step for p in steps] == 4 * [1, 2, 3]
    assert steps[-1].done == 1
    again = list(train_ablation(out, crops, Budget(steps=12), device=CPU, recipe=recipe))
    assert not again
    found = ways(out, open_painters(out, CPU))
    told = {name: measure(way, seed=1, count=1) for name, way in found.items()}
    assert len({figures["outside, dB"] for figures in told.values()}) == 5
    kept = told.pop("blended latent diffusion (no training)")["outside, dB"]
    # Putting back what was there keeps it as well as the autoencoder can, whatever the networks have learned.
    assert all(kept > figures["outside, dB"] for figures in told.values())


def test_what_is_written_loads_strictly_and_paints(trained: tuple[Path, dict[str, list[float]]]) -> None:
    out, _ = trained
    base = load_base(out / "base_model", device=CPU, dtype=torch.float32)
    brushnet = BrushNetModel.from_pretrained(out / "brushnetX", torch_dtype=torch.float32)
    assert base.native == 64
    conductor = BrushNetConductor(base, brushnet)
    for task in Task:
        (case,) = cases(task, seed=1, count=1)
        result, region = paint(conductor, case, PaintOptions(steps=1, guidance=2, scheduler="ddim"))
        assert (result == case.image)[~region].all()
        assert judge(case, result, region).psnr > 0


def test_the_linear_start_already_knows_the_colours(crops: Crops) -> None:
    torch.manual_seed(0)
    vae = make_vae(replace(VAE, latents=8))
    start_linear(vae, crops)
    pixels = torch.from_numpy(crops.pixels(0)[:8, ..., :3].copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        decoded = vae.eval()(pixels).sample
    colors = (torch.nn.functional.avg_pool2d(each, 8) for each in (pixels, decoded))
    error = torch.sub(*colors).abs().mean()
    assert error < 0.12  # drawn at random it is 0.5


def test_every_word_is_a_token_and_others_are_spelled() -> None:
    tokenizer = make_tokenizer(vocabulary())
    for word in vocabulary():
        assert tokenizer.tokenize(word) == [f"{word}</w>"]
    spelled = tokenizer.tokenize("an orange elephant!")
    assert spelled[:2] == ["an</w>", "orange</w>"]
    assert "".join(spelled[2:]).replace("</w>", " ").split() == ["elephant", "!"]
    assert tokenizer("zebra", padding="max_length")["input_ids"][-1] == tokenizer.eos_token_id


def test_crops_are_what_they_say(crops: Crops) -> None:
    assert len(crops) == 2
    for chunk in range(2):
        pixels = crops.pixels(chunk)
        holes, subjects = pixels[..., 3] > 0, pixels[..., 4] > 0
        assert len(crops.captions[chunk]) == len(pixels) == 24
        assert holes.any((1, 2)).all()
        named = np.array([any(kind in caption.split() for kind in ("ball", "cube", "cylinder", "cone", "ring", "star"))
                          for caption in crops.captions[chunk]])  # fmt: skip
        # A hole with a subject in it is captioned with a thing; strokes may miss every thing.
        assert (named | ~subjects.any((1, 2)) | (subjects.sum((1, 2)) < 90)).all()
