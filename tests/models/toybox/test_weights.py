"""The shipped painters: they load strictly, are as small as promised, and paint with every scheduler."""

from pathlib import Path

import numpy as np
import pytest
import torch

import models.toybox
from brushedit.diffusion.brushnet import BrushNetModel
from brushedit.diffusion.conductor import BrushNetConductor
from brushedit.diffusion.schedulers import SCHEDULERS
from brushedit.options import PaintOptions
from models.stable_diffusion import load_base
from models.toybox.probe import Case, Task, cases, judge, paint

WEIGHTS = Path(models.toybox.__file__).parent / "weights"


@pytest.fixture(scope="module")
def painter() -> BrushNetConductor:
    base = load_base(WEIGHTS / "base_model", device=torch.device("cpu"), dtype=torch.float32)
    return BrushNetConductor(
        base, BrushNetModel.from_pretrained(WEIGHTS / "brushnetX", torch_dtype=torch.float32)
    )


@pytest.fixture(scope="module")
def removal() -> Case:
    return next(cases(Task.REMOVE, seed=11, count=1))


def test_the_painters_are_small_and_have_cards() -> None:
    files = [*(WEIGHTS / "base_model").rglob("*"), *(WEIGHTS / "brushnetX").rglob("*")]
    assert sum(path.stat().st_size for path in files if path.is_file()) < 25e6
    assert not [path for path in files if path.suffix in (".bin", ".pt", ".ckpt")]
    for folder in ("base_model", "brushnetX"):
        card = (WEIGHTS / folder / "README.md").read_text()
        assert "brushedit train" in card


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_removes_a_thing(name: str, painter: BrushNetConductor, removal: Case) -> None:
    result, region = paint(painter, removal, PaintOptions(steps=10, guidance=1.5, scheduler=name))
    assert (result == removal.image)[~region].all()
    verdict = judge(removal, result, region)
    assert verdict.gone
    assert verdict.psnr > 17


def test_the_autoencoder_keeps_toys(painter: BrushNetConductor, removal: Case) -> None:
    vae = painter.base.vae
    size = (removal.image.shape[0] // 4 * 4, removal.image.shape[1] // 4 * 4)
    image = (
        torch.from_numpy(removal.image[: size[0], : size[1]].copy()).permute(2, 0, 1)[None].float() / 127.5
        - 1
    )
    with torch.no_grad():
        decoded = vae(image).sample.clamp(-1, 1)
    assert -10 * np.log10(float(((decoded - image) / 2).square().mean())) > 27
