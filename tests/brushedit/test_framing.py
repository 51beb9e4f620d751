"""Frames hold the whole mask, stay in the picture, keep its proportions, and lead back to where they were."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from brushedit import masks
from brushedit.errors import EmptyMask
from brushedit.framing import (
    CUBIC_REACH,
    MAX_ASPECT,
    MAX_FRAMES,
    MAX_ZOOM,
    MIN_CONTEXT,
    Frame,
    crop,
    crop_mask,
    frames,
    paste,
)
from brushedit.types import Box, Image, Mask

MODELS = st.sampled_from([(512, 64), (512, 8), (1024, 64), (64, 16), (128, 64), (400, 64)])
CONTEXTS = st.sampled_from([0.0, 0.1, 0.5, 1.0, 16.0])
SIDES = st.integers(1, 300) | st.sampled_from([1, 2, 3, 1000, 1501])


@st.composite
def selections(draw: st.DrawFn) -> Mask:
    """Masks of one to many boxes anywhere in a picture of any proportions, borders included."""
    height, width = draw(SIDES), draw(SIDES)
    mask = np.zeros((height, width), np.bool_)
    for _ in range(draw(st.integers(1, 12))):
        x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        w, h = (
            draw(st.integers(1, width) | st.integers(1, 5)),
            draw(st.integers(1, height) | st.integers(1, 5)),
        )
        mask |= masks.from_box(Box(x, y, x + w, y + h), height, width)
    return mask


def picture(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def inside(frame: Frame, mask: Mask) -> Box:
    return frame.box.intersection(Box(0, 0, mask.shape[1], mask.shape[0]))


@given(selections(), MODELS, CONTEXTS)
def test_every_masked_pixel_lies_in_exactly_one_frame(
    mask: Mask, model: tuple[int, int], context: float
) -> None:
    found = frames(mask, native=model[0], multiple=model[1], context=context)
    assert 1 <= len(found) <= MAX_FRAMES
    times = np.zeros(mask.shape, np.uint8)
    for frame in found:
        box = inside(frame, mask)
        times[box.y0 : box.y1, box.x0 : box.x1] += 1
    assert (times[mask] == 1).all()
    assert times.max() == 1


@given(selections(), MODELS, CONTEXTS)
def test_a_frame_has_the_models_size_and_the_crops_proportions(
    mask: Mask, model: tuple[int, int], context: float
) -> None:
    native, multiple = model
    height, width = mask.shape
    for frame in frames(mask, native=native, multiple=multiple, context=context):
        for side in (frame.width, frame.height):
            assert side % multiple == 0
            assert side >= 2 * multiple
        assert 1 / MAX_ASPECT <= frame.width / frame.height <= MAX_ASPECT
        if multiple * 8 <= native:
            assert 0.8 < frame.width * frame.height / native**2 < 1.35
        crop_aspect = frame.box.width / frame.box.height
        # Sides are whole pixels, so that thin crops of a few pixels are off by up to one of them.
        slack = 1 + 1 / min(frame.box.width, frame.box.height)
        assert 1 / MAX_ASPECT / slack <= crop_aspect <= MAX_ASPECT * slack
        if frame.box.width < width and frame.box.height < height:
            assert 1 / slack <= crop_aspect / (frame.width / frame.height) <= slack


@given(selections(), MODELS, CONTEXTS)
def test_a_frame_leaves_the_picture_only_where_that_is_thin(
    mask: Mask, model: tuple[int, int], context: float
) -> None:
    height, width = mask.shape
    for frame in frames(mask, native=model[0], multiple=model[1], context=context):
        box = frame.box
        if box.x0 < 0 or box.x1 > width:
            assert width * MAX_ASPECT < height
            assert box.x0 <= 0
            assert box.x1 >= width
        if box.y0 < 0 or box.y1 > height:
            assert height * MAX_ASPECT < width
            assert box.y0 <= 0
            assert box.y1 >= height


@given(selections(), MODELS, CONTEXTS)
def test_a_frame_keeps_its_margin_and_least_size(mask: Mask, model: tuple[int, int], context: float) -> None:
    holds_margins(mask, model, context, 0)


@given(selections(), MODELS, st.integers(1, 60))
def test_a_frame_reaches_as_far_as_the_blend(mask: Mask, model: tuple[int, int], reach: int) -> None:
    holds_margins(mask, model, 0.1, reach)


def holds_margins(mask: Mask, model: tuple[int, int], context: float, reach: int) -> None:
    height, width = mask.shape
    assume(masks.bounding_box(mask) is not None)
    for frame in frames(mask, native=model[0], multiple=model[1], context=context, margin=reach):
        part = inside(frame, mask)
        assert part.width >= min(width, model[0] // MAX_ZOOM)
        assert part.height >= min(height, model[0] // MAX_ZOOM)
        rows, columns = slice(part.y0, part.y1), slice(part.x0, part.x1)
        held = masks.bounding_box(mask[rows, columns])
        assert held is not None
        longest = max(max(box.width, box.height) for box in masks.components(mask[rows, columns]))
        margin = max(context * longest, MIN_CONTEXT * max(held.width, held.height), reach)
        assert part.width >= min(width, held.width + 2 * margin)
        assert part.height >= min(height, held.height + 2 * margin)


@given(selections(), MODELS)
def test_a_cropped_mask_covers_every_masked_pixel_and_no_untouched_one(
    mask: Mask, model: tuple[int, int]
) -> None:
    for frame in frames(mask, native=model[0], multiple=model[1], context=0.5):
        small = crop_mask(mask, frame)
        assert small.shape == (frame.height, frame.width)
        box = frame.box
        for y, x in np.argwhere(mask)[:: max(1, int(mask.sum()) // 20)].tolist():
            if box.x0 <= x < box.x1 and box.y0 <= y < box.y1:
                top, left = (y - box.y0) * frame.height, (x - box.x0) * frame.width
                rows = slice(top // box.height, -(-(top + frame.height) // box.height))
                columns = slice(left // box.width, -(-(left + frame.width) // box.width))
                assert small[rows, columns].all()
        for y, x in np.argwhere(small)[:: max(1, int(small.sum()) // 20)].tolist():
            top, left = y * box.height // frame.height, x * box.width // frame.width
            bottom, right = -(-(y + 1) * box.height // frame.height), -(-(x + 1) * box.width // frame.width)
            reach = 0 if frame.height <= box.height and frame.width <= box.width else CUBIC_REACH
            # Past the picture's sides its edge repeats.
            rows = np.arange(top - reach, bottom + reach).clip(0, box.height - 1) + box.y0
            columns = np.arange(left - reach, right + reach).clip(0, box.width - 1) + box.x0
            assert mask[np.ix_(rows.clip(0, mask.shape[0] - 1), columns.clip(0, mask.shape[1] - 1))].any()


@given(selections(), MODELS)
def test_nothing_of_what_a_mask_hides_shows_beside_it(mask: Mask, model: tuple[int, int]) -> None:
    image = np.full((*mask.shape, 3), 100, np.uint8)
    other = np.where(mask[..., None], np.uint8(255), image)
    for frame in frames(mask, native=model[0], multiple=model[1], context=0.5):
        kept = ~crop_mask(mask, frame)
        np.testing.assert_array_equal(crop(image, frame)[kept], crop(other, frame)[kept])


@given(selections(), MODELS)
def test_pasting_changes_the_frames_box_alone(mask: Mask, model: tuple[int, int]) -> None:
    image = picture(*mask.shape)
    before = image.copy()
    for frame in frames(mask, native=model[0], multiple=model[1], context=0.5):
        assert crop(image, frame).shape == (frame.height, frame.width, 3)
        pasted = paste(np.zeros((frame.height, frame.width, 3), np.uint8), frame, image)
        expected = image.copy()
        box = inside(frame, mask)
        expected[box.y0 : box.y1, box.x0 : box.x1] = 0
        np.testing.assert_array_equal(pasted, expected)
    np.testing.assert_array_equal(image, before)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_at_scale_one_paste_undoes_crop_bit_for_bit(height: int, width: int, data: st.DataObject) -> None:
    x, y = data.draw(st.integers(-20, width - 1)), data.draw(st.integers(-20, height - 1))
    w, h = data.draw(st.integers(max(1, 1 - x), 60)), data.draw(st.integers(max(1, 1 - y), 60))
    frame = Frame(Box(x, y, x + w, y + h), w, h)
    image, other = picture(height, width), picture(height, width, seed=1)
    part = crop(image, frame)
    padded = np.pad(image, ((60, 60), (60, 60), (0, 0)), mode="edge")
    np.testing.assert_array_equal(part, padded[y + 60 : y + h + 60, x + 60 : x + w + 60])
    pasted = paste(part, frame, other)
    covered = masks.from_box(frame.box, height, width)
    np.testing.assert_array_equal(pasted[covered], image[covered])
    np.testing.assert_array_equal(pasted[~covered], other[~covered])


def test_a_frame_of_the_models_own_size_is_cropped_without_resampling() -> None:
    mask = masks.from_box(Box(300, 300, 556, 556), 1200, 1600)
    (frame,) = frames(mask, native=512, multiple=64, context=0.5)
    assert frame == Frame(Box(172, 172, 684, 684), 512, 512)
    np.testing.assert_array_equal(crop(picture(1200, 1600), frame), picture(1200, 1600)[172:684, 172:684])
    np.testing.assert_array_equal(crop_mask(mask, frame), mask[172:684, 172:684])


@pytest.mark.parametrize("size", [(480, 640), (3000, 4000), (333, 217)])
def test_a_smooth_picture_survives_the_round_trip(size: tuple[int, int]) -> None:
    height, width = size
    y, x = np.mgrid[:height, :width]
    waves = (np.sin(x / width * 9), np.cos(y / height * 7), np.sin((x + y) / (width + height) * 12))
    image = np.stack([127 + 100 * wave for wave in waves], axis=2).astype(np.uint8)
    (frame,) = frames(np.ones(size, np.bool_), native=512, multiple=64, context=0.5)
    assert frame.box == Box(0, 0, width, height)
    back = paste(crop(image, frame), frame, image)
    assert np.abs(back.astype(int) - image)[8:-8, 8:-8].max() <= 3


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((2048, 2048, 3), np.uint8)
    stripes[:, ::4] = 255
    stripes[:, 3::4] = 255
    (frame,) = frames(np.ones((2048, 2048), np.bool_), native=512, multiple=64, context=0.0)
    small = crop(stripes, frame)
    assert small.min() >= 127
    assert small.max() <= 128


def test_a_small_object_in_a_large_photo_is_magnified() -> None:
    mask = masks.from_box(Box(2000, 1500, 2012, 1512), 3000, 4000)
    (frame,) = frames(mask, native=512, multiple=64, context=0.5)
    assert (frame.box.width, frame.box.height) == (128, 128)
    assert (frame.width, frame.height) == (512, 512)
    assert crop_mask(mask, frame).sum() == (4 * (12 + 2 * CUBIC_REACH)) ** 2


def test_far_islands_are_painted_apart_and_near_ones_together() -> None:
    mask = np.zeros((2000, 3000), np.bool_)
    mask[100:200, 100:200] = True
    mask[100:200, 260:360] = True
    mask[1700:1900, 2700:2900] = True
    near, far = frames(mask, native=512, multiple=64, context=0.5)
    assert near.box.intersection(Box(100, 100, 360, 200)) == Box(100, 100, 360, 200)
    assert far.box.intersection(Box(2700, 1700, 2900, 1900)) == Box(2700, 1700, 2900, 1900)
    assert near.box.area + far.box.area < 0.1 * mask.size


def test_a_background_is_one_frame() -> None:
    mask = masks.invert(masks.from_ellipse(Box(200, 100, 500, 400), 480, 640))
    mask[200:210, 300:310] = True
    (frame,) = frames(mask, native=512, multiple=64, context=0.5)
    assert frame.box == Box(0, 0, 640, 480)


def test_specks_in_two_corners_are_two_frames() -> None:
    mask = np.zeros((1500, 2000), np.bool_)
    mask[100:200:5, 100:200:5] = True
    mask[1300:1400:5, 1800:1900:5] = True
    first, last = frames(mask, native=512, multiple=64, context=0.5)
    assert max(first.box.width, last.box.height) < 300


def test_of_too_many_far_islands_the_nearest_share_frames() -> None:
    mask = np.zeros((1200, 1600), np.bool_)
    mask[100::400, 100::400] = True
    mask[100, 180] = True
    found = frames(mask, native=64, multiple=16, context=0.5)
    assert 6 <= len(found) <= MAX_FRAMES
    assert any(inside(frame, mask).intersection(Box(100, 100, 181, 101)).area == 81 for frame in found)


@pytest.mark.parametrize("native", [64, 400, 512])
@pytest.mark.parametrize("aspect", [1.0, 1.3, 1.6, 2.0])
def test_a_painted_size_is_never_thinner_than_its_picture(native: int, aspect: float) -> None:
    mask = np.ones((600, round(600 * aspect)), np.bool_)
    for turned in (mask, mask.T):
        (frame,) = frames(turned, native=native, multiple=32, context=0.5)
        painted = max(frame.width, frame.height) / min(frame.width, frame.height)
        assert painted <= aspect


@pytest.mark.parametrize("spacing", [40, 200, 450])
def test_many_islands_share_at_most_eight_frames(spacing: int) -> None:
    mask = np.zeros((3000, 4000), np.bool_)
    mask[spacing // 2 :: spacing, spacing // 2 :: spacing] = True
    found = frames(mask, native=64, multiple=16, context=0.5)
    assert len(found) <= MAX_FRAMES
    held = [inside(frame, mask) for frame in found]
    assert sum(int(mask[box.y0 : box.y1, box.x0 : box.x1].sum()) for box in held) == mask.sum()


@pytest.mark.parametrize("size", [(50, 4000), (4000, 50), (1, 700), (700, 1)])
def test_a_long_thin_picture_is_padded_along_its_thin_side(size: tuple[int, int]) -> None:
    height, width = size
    (frame,) = frames(np.ones(size, np.bool_), native=512, multiple=64, context=0.5)
    assert max(frame.box.width, frame.box.height) == max(size)
    assert min(frame.box.width, frame.box.height) == max(size) // 2
    assert crop_mask(np.ones(size, np.bool_), frame).all()
    image = picture(height, width)
    repeated = crop(np.broadcast_to(image[:1, :1], image.shape), frame)
    assert (repeated == image[0, 0]).all()


def test_the_smallest_picture() -> None:
    mask = np.ones((1, 1), np.bool_)
    (frame,) = frames(mask, native=512, multiple=64, context=0.5)
    assert frame == Frame(Box(0, 0, 1, 1), 512, 512)
    assert crop_mask(mask, frame).all()
    image = np.array([[[1, 2, 3]]], np.uint8)
    np.testing.assert_array_equal(paste(crop(image, frame), frame, image), image)


def test_an_empty_mask_has_no_frames() -> None:
    with pytest.raises(EmptyMask) as refused:
        frames(np.zeros((5, 5), np.bool_), native=512, multiple=64, context=0.5)
    assert refused.value.code == "mask_empty"
