"""The pixel contract: nothing outside the region changes, and what is reported is what happened."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from brushedit import blending, masks
from brushedit.errors import InvalidImage, InvalidMask, InvalidOption
from brushedit.types import Box, Image, Mask

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=24), fill=st.booleans())
REACHES = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda pair: (max(pair), min(pair)))


def picture(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def photo(height: int, width: int, seed: int = 0) -> Image:
    """Blurred noise with some grain: neighbouring pixels are alike, as in a photo."""
    rough = cv2.GaussianBlur(picture(height, width, seed).astype(np.float32), (0, 0), 3)
    grain = np.random.default_rng(seed + 1).normal(0, 3, rough.shape)
    return np.clip(127 + 6 * (rough - 127) + grain, 0, 255).astype(np.uint8)


@given(MASKS, REACHES)
def test_weights_are_one_in_the_mask_and_zero_outside_the_region(mask: Mask, reach: tuple[int, int]) -> None:
    grow, blur = reach
    weights, region = blending.weights(mask, grow, blur), blending.region(mask, grow)
    assert weights.dtype == np.float32
    assert weights.shape == mask.shape
    assert ((weights >= 0) & (weights <= 1)).all()
    assert (weights[mask] == 1).all()
    assert (weights[~region] == 0).all()
    assert (weights[masks.grow(mask, grow - blur)] == 1).all()


def test_weights_fall_smoothly_over_the_last_blur_pixels() -> None:
    mask = np.zeros((1, 40), np.bool_)
    mask[0, 0] = True
    weights = blending.weights(mask, 20, 10)[0]
    t = np.clip((20 - np.arange(40)) / 10, 0, 1)
    np.testing.assert_allclose(weights, t * t * (3 - 2 * t), atol=1e-6)
    assert weights[20] == 0
    assert weights[19] > 0
    assert np.unique(blending.weights(mask, 20, 0)).tolist() == [0, 1]


@pytest.mark.parametrize(("grow", "blur"), [(3, 4), (3, -1), (3, math.nan), (math.nan, 0), (-1, 0), (-1, -2)])
def test_a_blur_wider_than_the_reach_is_refused(grow: float, blur: float) -> None:
    with pytest.raises(InvalidOption):
        blending.weights(np.ones((3, 3), np.bool_), grow, blur)


@given(MASKS, REACHES, st.integers(0, 2**32 - 1))
def test_a_blend_keeps_the_pixel_contract(mask: Mask, reach: tuple[int, int], seed: int) -> None:
    grow, blur = reach
    image, painted = picture(*mask.shape, seed), picture(*mask.shape, seed + 1)
    weights, region = blending.weights(mask, grow, blur), blending.region(mask, grow)
    before = image.copy(), painted.copy(), weights.copy()
    result = blending.blend(image, painted, weights)
    np.testing.assert_array_equal(result[~region], image[~region])
    np.testing.assert_array_equal(result[mask], painted[mask])
    exact = image + weights[..., None].astype(np.float64) * (painted.astype(np.float64) - image)
    assert np.abs(result - exact).max() <= 0.5 + 1e-4
    report = blending.report(image, result, region)
    assert report.outside_max_delta == 0
    assert report.outside_changed == 0
    assert report.region_fraction == pytest.approx(region.mean())
    assert report.changed_fraction == pytest.approx((result != image).any(axis=2).mean())
    for given_array, kept in zip((image, painted, weights), before, strict=True):
        np.testing.assert_array_equal(given_array, kept)


def test_every_pair_of_levels_blends_to_itself_at_both_ends() -> None:
    image, painted = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    image, painted = np.stack([image] * 3, axis=2), np.stack([painted] * 3, axis=2)
    for weight, expected in ((0, image), (1, painted)):
        blended = blending.blend(image, painted, np.full((256, 256), weight, np.float32))
        np.testing.assert_array_equal(blended, expected)
    half = blending.blend(image, painted, np.full((256, 256), 0.5, np.float32))
    np.testing.assert_array_equal(half, np.rint((image.astype(float) + painted) / 2))


def test_a_blend_across_several_bands() -> None:
    height = 2 * blending.BAND_ROWS + 77
    mask = masks.from_box(Box(3, 5, 17, height - 5), height, 20)
    weights = blending.weights(mask, 4, 4)
    image, painted = picture(height, 20), picture(height, 20, seed=1)
    exact = np.rint(image + weights[..., None].astype(np.float64) * (painted.astype(np.float64) - image))
    assert np.abs(blending.blend(image, painted, weights) - exact).max() <= 1
    np.testing.assert_array_equal(blending.blend(image, painted, weights)[mask], painted[mask])


def test_the_report_counts_what_leaks() -> None:
    image = picture(40, 50)
    region = masks.from_box(Box(10, 10, 30, 30), 40, 50)
    result = image.copy()
    result[20, 20] = 255 - result[20, 20]
    result[0, 0] = (image[0, 0].astype(int) + np.array([3, 0, 90])) % 256
    result[39, 49, 1] = image[39, 49, 1] ^ 1
    report = blending.report(image, result, region)
    assert report.outside_changed == 3
    assert report.outside_max_delta == np.abs(result.astype(int) - image)[0, 0].max()
    assert report.changed_fraction == pytest.approx(3 / 2000)
    assert report.region_fraction == pytest.approx(400 / 2000)


def test_the_published_averaging_of_the_whole_picture_is_caught() -> None:
    """BrushEdit's own application blends with mask * 0.5 + 0.5, so half of every pixel is repainted."""
    image, painted = picture(64, 64), picture(64, 64, seed=1)
    region = masks.from_box(Box(20, 20, 40, 40), 64, 64)
    leaky = blending.blend(image, painted, region.astype(np.float32) * np.float32(0.5) + np.float32(0.5))
    report = blending.report(image, leaky, region)
    assert report.outside_max_delta > 100
    assert report.outside_changed > 0.95 * 3 * (~region).sum()


@pytest.mark.parametrize("step", [(2, 2, 2), (40, 0, 0), (0, 0, 200), (90, 10, 50)])
def test_a_patch_off_by_n_levels_on_a_plain_picture_scores_n(step: tuple[int, int, int]) -> None:
    region = masks.from_ellipse(Box(20, 20, 70, 60), 80, 90)
    image = np.full((80, 90, 3), 30, np.uint8)
    image[region] += np.array(step, np.uint8)
    assert blending.seam_score(image, region) == pytest.approx(max(step))


@pytest.mark.parametrize("seed", range(4))
def test_a_patch_scores_high_and_a_seamless_fill_next_to_nothing(seed: int) -> None:
    image = photo(160, 200, 10 * seed)
    mask = masks.from_ellipse(Box(50, 40, 150, 120), 160, 200)
    region = blending.region(mask, 12)
    patch = blending.blend(image, np.full_like(image, 250), region.astype(np.float32))
    brighter = np.clip(image.astype(int) + 60, 0, 255).astype(np.uint8)
    pasted = blending.blend(image, brighter, region.astype(np.float32))
    faded = blending.blend(image, brighter, blending.weights(mask, 12, 12))
    assert blending.seam_score(image, region) < 1
    assert blending.seam_score(faded, region) < 2
    assert blending.seam_score(pasted, region) > 30
    assert blending.seam_score(patch, region) > 60


def test_a_narrow_blur_is_still_a_seam() -> None:
    image = np.full((80, 80, 3), 50, np.uint8)
    mask = masks.from_box(Box(25, 25, 55, 55), 80, 80)
    scores = [
        blending.seam_score(
            blending.blend(image, image + np.uint8(100), blending.weights(mask, 12, blur)),
            blending.region(mask, 12),
        )
        for blur in (0, 1, 2, 4, 12)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 100
    assert scores[1] > 80
    assert scores[2] > 40
    assert scores[-1] == 0


def test_the_seams_direction_and_place_do_not_matter() -> None:
    image, region = photo(90, 120), masks.from_box(Box(0, 30, 60, 90), 90, 120)
    score = blending.seam_score(blending.blend(image, 255 - image, region.astype(np.float32)), region)
    turned = np.rot90(blending.blend(image, 255 - image, region.astype(np.float32)))
    assert blending.seam_score(turned, np.rot90(region)) == pytest.approx(score)
    assert score > 10


@given(MASKS, st.integers(0, 99))
def test_the_score_of_any_region_is_a_level(mask: Mask, seed: int) -> None:
    assert 0 <= blending.seam_score(picture(*mask.shape, seed), mask) <= 255


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (30, 40)])
def test_no_rim_no_seam(size: tuple[int, int]) -> None:
    image = picture(*size)
    for region in (np.ones(size, np.bool_), np.zeros(size, np.bool_)):
        report = blending.report(image, 255 - image, region)
        assert report.seam_score == 0
        assert report.outside_changed == (0 if region.all() else np.count_nonzero(image != 255 - image))
        assert report.changed_fraction == 1


def test_a_long_rim_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    region = masks.from_ellipse(Box(20, 20, 180, 180), 200, 200)
    image = np.where(region[..., None], np.uint8(90), np.uint8(20)).repeat(3, axis=2)
    monkeypatch.setattr(blending, "MAX_RIM", 10)
    assert blending.seam_score(image, region) == pytest.approx(70)


def test_what_does_not_fit_is_refused() -> None:
    image = picture(8, 9)
    with pytest.raises(InvalidMask):
        blending.report(image, image, np.ones((9, 8), np.bool_))
    with pytest.raises(InvalidImage):
        blending.report(image[..., 0], image[..., 0], np.ones((8, 9), np.bool_))
    with pytest.raises(InvalidImage):
        blending.blend(image.astype(np.float32), image, np.ones((8, 9), np.float32))
