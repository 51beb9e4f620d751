"""Figures of preservation against values computed by hand."""

import math

import numpy as np
import pytest

from brushedit.errors import InvalidMask
from brushedit.preservation import preservation


def test_equal_outside_is_infinite_and_exact_whatever_happened_inside():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    region = np.zeros((20, 30), np.bool_)
    region[5:10, 5:10] = True
    result = image.copy()
    result[region] = 0
    figures = preservation(image, result, region)
    assert (figures.size_kept, figures.psnr, figures.exact_fraction) == (True, math.inf, 1.0)


def test_a_known_error():
    image = np.full((10, 10, 3), 100, np.uint8)
    result = image.copy()
    result[:5] = 110
    figures = preservation(image, result, np.zeros((10, 10), np.bool_))
    assert figures.exact_fraction == 0.5
    assert figures.psnr == pytest.approx(10 * math.log10(255**2 / 50))


def test_one_sample_of_a_pixel_is_enough_not_to_be_exact():
    image = np.full((10, 10, 3), 100, np.uint8)
    result = image.copy()
    result[0, 0, 2] = 101
    assert preservation(image, result, np.zeros((10, 10), np.bool_)).exact_fraction == 0.99


def test_another_size_is_told():
    image = np.full((10, 12, 3), 100, np.uint8)
    figures = preservation(image, np.full((20, 24, 3), 100, np.uint8), np.zeros((10, 12), np.bool_))
    assert (figures.size_kept, figures.psnr) == (False, math.inf)


def test_nothing_outside_is_an_error():
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(InvalidMask):
        preservation(image, image, np.ones((4, 4), np.bool_))
