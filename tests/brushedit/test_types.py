"""Options refuse what is out of range under the option's own name; boxes are half open."""

import math
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brushedit import masks
from brushedit.errors import InvalidImage, InvalidMask, InvalidOption
from brushedit.options import MAX_SEED, PaintOptions
from brushedit.types import Box, require_image, require_mask

RANGES: list[tuple[str, Any, Any]] = [
    ("steps", 1, 1000),
    ("guidance", 0, 50),
    ("samples", 1, 16),
    ("seed", 0, MAX_SEED),
    ("preservation_scale", 0, 10),
    ("clip_skip", 0, 11),
    ("context", 0, 16),
    ("grow", 0, 4096),
    ("blur", 0, 4096),
    ("preview_every", 0, 1000),
]
FLOATS = [f.name for f in fields(PaintOptions) if float in (f.type, *get_args(f.type))]


@pytest.mark.parametrize(("name", "low", "high"), RANGES)
def test_both_ends_of_a_range_are_allowed(name: str, low: int, high: int) -> None:
    for value in (low, high):
        assert getattr(PaintOptions(**{name: value}), name) == value


@pytest.mark.parametrize(("name", "low", "high"), RANGES)
def test_past_a_range_the_option_is_named(name: str, low: int, high: int) -> None:
    for value in (low - 1, high + 1):
        with pytest.raises(InvalidOption) as refused:
            PaintOptions(**{name: value})
        assert refused.value.code == "invalid_option"
        assert refused.value.param == name
        assert name in refused.value.message


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", [*FLOATS, "steps", "samples", "seed", "grow", "blur"])
def test_what_is_no_number_is_refused_under_its_name(name: str, value: float) -> None:
    with pytest.raises(InvalidOption) as refused:
        PaintOptions(**{name: value})
    assert refused.value.param == name


def test_every_float_is_among_the_tested() -> None:
    assert set(FLOATS) == {
        "guidance",
        "strength",
        "preservation_scale",
        "control_start",
        "control_end",
        "context",
    }


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"strength": 0.0}, "strength"),
        ({"strength": 1.01}, "strength"),
        ({"control_start": 0.5, "control_end": 0.5}, "control_start"),
        ({"control_start": 0.6, "control_end": 0.5}, "control_start"),
        ({"control_start": -0.1}, "control_start"),
        ({"control_end": 1.1}, "control_end"),
        ({"grow": 4, "blur": 5}, "blur"),
        ({"posterior": "mean"}, "posterior"),
        ({"latent_mask": "linear"}, "latent_mask"),
        ({"seed": MAX_SEED - 2, "samples": 4}, "seed"),
    ],
)
def test_options_that_contradict_are_refused(options: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        PaintOptions(**options)
    assert refused.value.param == param


def test_options_stay_as_they_were_made() -> None:
    options = PaintOptions(grow=8, blur=8, seed=MAX_SEED - 3, samples=4)
    with pytest.raises(FrozenInstanceError):
        options.steps = 3  # type: ignore[misc]  # the refusal is what is tested
    with pytest.raises(InvalidOption):
        replace(options, steps=0)
    assert replace(options, steps=3).grow == 8


BOXES = st.builds(Box, *[st.integers(-8, 16)] * 4)


@given(BOXES, BOXES)
def test_box_geometry_is_the_geometry_of_its_pixels(a: Box, b: Box) -> None:
    def pixels(box: Box) -> int:
        return int(np.count_nonzero(masks.from_box(shifted(box), 32, 32)))

    def shifted(box: Box) -> Box:
        return Box(box.x0 + 10, box.y0 + 10, box.x1 + 10, box.y1 + 10)

    both = masks.from_box(shifted(a), 32, 32) & masks.from_box(shifted(b), 32, 32)
    either = masks.from_box(shifted(a), 32, 32) | masks.from_box(shifted(b), 32, 32)
    assert a.area == pixels(a)
    assert a.empty == (pixels(a) == 0)
    assert a.intersection(b).area == np.count_nonzero(both)
    assert a.intersection(b) == b.intersection(a)
    assert a.iou(b) == b.iou(a)
    assert a.iou(b) == pytest.approx(np.count_nonzero(both) / max(1, np.count_nonzero(either)))
    if not a.empty and not b.empty:
        assert a.union(b) == masks_box(either)


def masks_box(mask: np.ndarray) -> Box | None:
    box = masks.bounding_box(mask)
    return box and Box(box.x0 - 10, box.y0 - 10, box.x1 - 10, box.y1 - 10)


def test_a_box_equals_itself_alone() -> None:
    box = Box(1, 2, 4, 8)
    assert (box.width, box.height, box.area) == (3, 6, 18)
    assert box.iou(box) == 1
    assert box.iou(Box(4, 2, 6, 8)) == 0
    assert Box(3, 3, 3, 9).empty
    assert Box(3, 3, 1, 1).area == 0


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 5, 3), np.float32),
        np.zeros((4, 5), np.uint8),
        np.zeros((4, 5, 4), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((1, 4, 5, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(array: np.ndarray) -> None:
    with pytest.raises(InvalidImage) as refused:
        require_image(array)
    assert (refused.value.code, refused.value.param) == ("invalid_image", "image")


def test_a_mask_is_bool_and_as_large_as_its_picture() -> None:
    image = np.zeros((4, 5, 3), np.uint8)
    assert require_image(image) == (4, 5)
    require_mask(np.zeros((4, 5), np.bool_), image)
    for wrong in (np.zeros((5, 4), np.bool_), np.zeros((4, 5), np.uint8), np.zeros((4, 5, 1), np.bool_)):
        with pytest.raises(InvalidMask) as refused:
            require_mask(wrong, image)
        assert (refused.value.code, refused.value.param) == ("invalid_mask", "mask")
