import math

import numpy as np
import pytest

from brushedit.errors import InvalidImage, InvalidMask
from brushedit.evaluation import metrics
from brushedit.types import Image

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (20, 24, 3)).astype(np.uint8)
KEPT = np.zeros((20, 24), np.bool_)
KEPT[:5] = True


def shifted(levels: int) -> Image:
    return (IMAGE // 2 + 40 + levels).astype(np.uint8)


def test_the_published_formulas_on_a_case_by_hand() -> None:
    # Every sample of the kept pixels is off by 51 levels, a fifth: 3 x 0.04 per pixel as published, 0.04 per sample.
    before, after = shifted(0), shifted(51)
    after[~KEPT] = 0
    assert metrics.published_mse(before, after, KEPT) == pytest.approx(0.12)
    assert metrics.published_psnr(before, after, KEPT) == pytest.approx(-10 * math.log10(0.12))
    assert metrics.mse(before, after, KEPT) == pytest.approx(0.04)
    assert metrics.psnr(before, after, KEPT) == pytest.approx(13.9794, abs=1e-4)


def test_published_psnr_is_lower_by_a_factor_of_three_and_capped() -> None:
    before, after = shifted(0), shifted(7)
    gap = metrics.psnr(before, after, KEPT) - metrics.published_psnr(before, after, KEPT)
    assert gap == pytest.approx(10 * math.log10(3))
    assert metrics.published_psnr(IMAGE, IMAGE, KEPT) == 1000
    assert metrics.psnr(IMAGE, IMAGE, KEPT) == math.inf


def test_only_one_channel_off_counts_a_third() -> None:
    before, after = shifted(0), shifted(0)
    after[..., 1] += 51
    assert metrics.published_mse(before, after, KEPT) == pytest.approx(0.04)
    assert metrics.mse(before, after, KEPT) == pytest.approx(0.04 / 3)


def test_ssim_of_flat_pictures_is_the_luminance_term() -> None:
    dark, light = np.full((16, 16, 3), 50, np.uint8), np.full((16, 16, 3), 100, np.uint8)
    c1 = (0.01 * 255) ** 2
    expected = (2 * 50 * 100 + c1) / (50**2 + 100**2 + c1)
    assert metrics.ssim(dark, light) == pytest.approx(expected, abs=1e-6)


def test_ssim_against_its_definition_pixel_by_pixel() -> None:
    other = np.clip(IMAGE + RNG.normal(0, 30, IMAGE.shape), 0, 255).astype(np.uint8)
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    for y, x in ((5, 5), (10, 12), (14, 18)):
        values: list[float] = []
        for channel in range(3):
            a, b = (p[y - 5 : y + 6, x - 5 : x + 6, channel].astype(float) for p in (IMAGE, other))
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            cov = (window * (a - mean_a) * (b - mean_b)).sum()
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            values.append(
                (2 * mean_a * mean_b + c1)
                * (2 * cov + c2)
                / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
            )
        assert metrics.ssim_map(IMAGE, other)[y, x] == pytest.approx(np.mean(values), rel=1e-9)


def test_ssim_agrees_with_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    other = np.clip(IMAGE + RNG.normal(0, 30, IMAGE.shape), 0, 255).astype(np.uint8)
    one, two = (torch.from_numpy(p).permute(2, 0, 1)[None].double() for p in (IMAGE, other))
    theirs = functional.structural_similarity_index_measure(one, two, data_range=255.0).item()
    assert metrics.ssim(IMAGE, other) == pytest.approx(theirs, abs=1e-9)


def test_ssim_is_one_for_equal_pictures_symmetric_and_local() -> None:
    other = IMAGE.copy()
    other[:4] = 255 - other[:4]
    assert metrics.ssim(IMAGE, IMAGE) == pytest.approx(1)
    assert metrics.ssim(IMAGE, other) == pytest.approx(metrics.ssim(other, IMAGE))
    far = np.zeros_like(KEPT)
    far[12:] = True
    assert metrics.ssim(IMAGE, other, far) == pytest.approx(1)
    assert metrics.ssim(IMAGE, other, KEPT) < 0.7


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InvalidMask):
        metrics.mse(IMAGE, IMAGE[:10], KEPT)
    with pytest.raises(InvalidMask):
        metrics.mse(IMAGE, IMAGE, np.zeros_like(KEPT))
    with pytest.raises(InvalidImage):
        metrics.mse(IMAGE.astype(float), IMAGE, KEPT)  # pyright: ignore[reportArgumentType]
