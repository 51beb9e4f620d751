"""The mask operations against their definitions, on masks of any size and kind."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from brushedit import masks
from brushedit.errors import InvalidMask, InvalidOption
from brushedit.types import Box, Mask

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=17), fill=st.booleans())
DISTANCES = st.integers(0, 9) | st.floats(0, 9)
SIZES = st.tuples(st.integers(1, 20), st.integers(1, 20))
CORNERS = st.integers(-6, 26)


def distance(mask: Mask) -> np.ndarray:
    """Distance of every pixel to the mask by trying every masked pixel; infinite for an empty mask."""
    nearest = np.full(mask.shape, np.inf)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    for row, column in np.argwhere(mask):
        nearest = np.minimum(nearest, np.hypot(y - row, x - column))
    return nearest


@given(MASKS, DISTANCES)
def test_grow_reaches_every_pixel_within_the_distance_and_no_other(mask: Mask, px: float) -> None:
    exact = distance(mask)
    clear = np.abs(exact - px) > 1e-5 if px != int(px) else np.ones_like(mask)
    grown = masks.grow(mask, px)
    np.testing.assert_array_equal(grown[clear], (exact <= px)[clear])
    assert grown.dtype == np.bool_


@given(MASKS, DISTANCES)
def test_shrink_takes_what_is_near_the_outside_and_spares_the_border(mask: Mask, px: float) -> None:
    exact = distance(~mask)
    clear = np.abs(exact - px) > 1e-5 if px != int(px) else np.ones_like(mask)
    np.testing.assert_array_equal(masks.shrink(mask, px)[clear], (mask & (exact > px))[clear])


@given(MASKS)
def test_no_distance_changes_nothing_and_shares_no_memory(mask: Mask) -> None:
    for change in (masks.grow, masks.shrink, masks.smooth):
        same = change(mask, 0)
        np.testing.assert_array_equal(same, mask)
        assert not np.shares_memory(same, mask)
    np.testing.assert_array_equal(masks.feather(mask, 0), mask.astype(np.float32))


@given(MASKS, st.integers(1, 9))
def test_feather_is_one_inside_zero_from_the_distance_on_and_falls_between(mask: Mask, px: int) -> None:
    weights, exact = masks.feather(mask, px), distance(mask)
    assert weights.dtype == np.float32
    assert (weights[mask] == 1).all()
    assert (weights[exact >= px] == 0).all()
    between = (exact > 0) & (exact < px)
    assert ((weights[between] > 0) & (weights[between] < 1)).all()
    t = 1 - np.minimum(exact, px) / px
    np.testing.assert_allclose(weights, t * t * (3 - 2 * t), atol=1e-5)


@pytest.mark.parametrize("px", [-1, -0.01, math.nan, math.inf])
@pytest.mark.parametrize("change", [masks.grow, masks.shrink, masks.feather, masks.smooth])
def test_a_distance_that_is_none_is_refused(change: Callable[[Mask, float], object], px: float) -> None:
    with pytest.raises(InvalidOption) as refused:
        change(np.ones((3, 3), np.bool_), px)
    assert refused.value.param == "px"


def test_smooth_takes_specks_spurs_and_cracks() -> None:
    block = masks.from_box(Box(10, 10, 40, 40), 60, 60)
    rough = block.copy()
    rough[50, 50] = True
    rough[25, 40:55] = True
    rough[20, 12:38] = False
    smooth = masks.smooth(rough, 3)
    assert not smooth[50, 50]
    assert not smooth[:, 42:].any()
    assert smooth[23:38, 14:36].all()
    np.testing.assert_array_equal(masks.smooth(masks.invert(block), 3)[:5], True)


@given(SIZES, st.tuples(CORNERS, CORNERS, CORNERS, CORNERS))
def test_a_box_covers_its_half_open_pixels_inside_the_picture(
    size: tuple[int, int], corners: tuple[int, int, int, int]
) -> None:
    box = Box(*corners)
    y, x = np.mgrid[: size[0], : size[1]]
    expected = (x >= box.x0) & (x < box.x1) & (y >= box.y0) & (y < box.y1)
    np.testing.assert_array_equal(masks.from_box(box, *size), expected)


@given(SIZES, st.tuples(CORNERS, CORNERS, st.integers(1, 30), st.integers(1, 30)))
def test_an_ellipse_stays_in_its_box_and_fills_its_middle(
    size: tuple[int, int], shape: tuple[int, int, int, int]
) -> None:
    x, y, width, height = shape
    box = Box(x, y, x + width, y + height)
    ellipse = masks.from_ellipse(box, *size)
    assert not (ellipse & ~masks.from_box(box, *size)).any()
    whole = masks.from_ellipse(Box(0, 0, width, height), height, width)
    assert whole[height // 2].all() or height % 2 == 0
    assert whole[:, width // 2].all() or width % 2 == 0
    assert whole[height // 2, width // 2]
    np.testing.assert_array_equal(whole, whole[::-1, ::-1])


def test_an_ellipse_has_the_area_of_an_ellipse() -> None:
    ellipse = masks.from_ellipse(Box(20, 10, 220, 110), 130, 240)
    assert np.count_nonzero(ellipse) == pytest.approx(math.pi * 100 * 50, rel=0.003)


@given(SIZES, st.tuples(CORNERS, CORNERS, CORNERS, CORNERS))
def test_a_polygon_of_a_boxs_corners_is_the_box(
    size: tuple[int, int], corners: tuple[int, int, int, int]
) -> None:
    x0, x1 = sorted(corners[:2])
    y0, y1 = sorted(corners[2:])
    polygon = masks.from_polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], *size)
    np.testing.assert_array_equal(polygon, masks.from_box(Box(x0, y0, x1, y1), *size))


@given(SIZES, st.lists(st.tuples(st.floats(-5, 25), st.floats(-5, 25)), min_size=3, max_size=8))
def test_a_polygon_covers_the_pixels_whose_centres_it_winds_an_odd_number_of_times(
    size: tuple[int, int], points: list[tuple[float, float]]
) -> None:
    polygon = masks.from_polygon(points, *size)
    row, column = size[0] // 2, size[1] // 2
    crossings = 0
    for (xa, ya), (xb, yb) in zip(points, points[1:] + points[:1], strict=True):
        if (ya <= row + 0.5) != (yb <= row + 0.5):
            crossings += xa + (row + 0.5 - ya) * (xb - xa) / (yb - ya) <= column + 0.5
    assert polygon[row, column] == bool(crossings % 2)


@pytest.mark.parametrize(
    "points", [[], [(0, 0), (5, 5)], [(0, 0), (5, 5), (math.nan, 1)], [(0, 0), (5, 5), (1, 1e300)]]
)
def test_a_polygon_that_is_none_is_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(InvalidMask):
        masks.from_polygon(points, 10, 10)


def test_polarity_of_alpha_and_of_grey() -> None:
    levels = np.array([[0, 127, 128, 255]], np.uint8)
    assert masks.from_alpha(levels).tolist() == [[True, True, False, False]]
    assert masks.from_luminance(levels).tolist() == [[False, False, True, True]]
    for wrong in (levels.astype(np.int64), levels[..., None], np.zeros((0, 4), np.uint8)):
        with pytest.raises(InvalidMask):
            masks.from_alpha(wrong)
        with pytest.raises(InvalidMask):
            masks.from_luminance(wrong)


def flood(mask: Mask, seeds: Mask, diagonal: bool) -> Mask:
    """What the seeds reach inside the mask, one ring of neighbours at a time."""
    reached = seeds & mask
    while True:
        padded = np.pad(reached, 1)
        wider = padded.copy()
        for axis in (0, 1):
            wider |= np.roll(padded, 1, axis) | np.roll(padded, -1, axis)
            padded = wider.copy() if diagonal else padded
        wider = wider[1:-1, 1:-1] & mask
        if (wider == reached).all():
            return reached
        reached = wider


@given(MASKS)
def test_holes_are_what_the_border_cannot_reach(mask: Mask) -> None:
    border = np.ones_like(mask)
    border[1:-1, 1:-1] = False
    np.testing.assert_array_equal(masks.fill_holes(mask), ~flood(~mask, border, diagonal=False))


@given(MASKS)
def test_components_are_the_islands_and_the_largest_is_one_of_them(mask: Mask) -> None:
    islands: list[Mask] = []
    left = mask.copy()
    while left.any():
        seed = np.zeros_like(mask)
        seed[tuple(np.argwhere(left)[0])] = True
        islands.append(flood(mask, seed, diagonal=True))
        left &= ~islands[-1]
    assert set(masks.components(mask)) == {masks.bounding_box(island) for island in islands}
    assert len(masks.components(mask)) == len(islands)
    largest = masks.largest_component(mask)
    if islands:
        assert any((largest == island).all() for island in islands)
        assert largest.sum() == max(island.sum() for island in islands)
    else:
        assert not largest.any()


def test_specks_are_islands_much_smaller_than_the_largest() -> None:
    mask = masks.from_box(Box(0, 0, 10, 10), 30, 40)
    part, speck = (masks.from_box(box, 30, 40) for box in (Box(20, 20, 25, 22), Box(39, 29, 40, 30)))
    assert np.array_equal(masks.without_specks(mask | part | speck, 0.05), mask | part)
    assert np.array_equal(masks.without_specks(mask | part | speck, 1.0), mask)
    assert not masks.without_specks(np.zeros_like(mask), 0.05).any()


@given(MASKS, st.integers(-20, 20), st.integers(-20, 20))
def test_move_shifts_without_wrapping(mask: Mask, dx: int, dy: int) -> None:
    kept = [(y + dy, x + dx) for y, x in np.argwhere(mask).tolist()]
    height, width = mask.shape
    expected = {(y, x) for y, x in kept if 0 <= y < height and 0 <= x < width}
    assert {(y, x) for y, x in np.argwhere(masks.move(mask, dx, dy)).tolist()} == expected


@given(MASKS, st.randoms(use_true_random=False))
def test_set_algebra(a: Mask, random: object) -> None:
    b = np.roll(a, 1, axis=1) ^ np.eye(*a.shape, dtype=np.bool_)
    np.testing.assert_array_equal(masks.union(a, b), masks.invert(masks.intersect(~a, ~b)))
    np.testing.assert_array_equal(masks.subtract(a, b), masks.intersect(a, masks.invert(b)))
    assert masks.coverage(a) + masks.coverage(masks.invert(a)) == pytest.approx(1)
    for combine in (masks.union, masks.intersect, masks.subtract):
        with pytest.raises(InvalidMask):
            combine(a, np.ones((a.shape[0] + 1, a.shape[1]), np.bool_))


@given(MASKS)
def test_the_bounding_box_is_the_smallest_that_holds_the_mask(mask: Mask) -> None:
    box = masks.bounding_box(mask)
    if box is None:
        assert not mask.any()
        return
    assert mask[box.y0 : box.y1, box.x0 : box.x1].sum() == mask.sum()
    inside = mask[box.y0 : box.y1, box.x0 : box.x1]
    assert inside[0].any()
    assert inside[-1].any()
    assert inside[:, 0].any()
    assert inside[:, -1].any()


@given(MASKS)
def test_nothing_changes_its_argument(mask: Mask) -> None:
    before = mask.copy()
    mask.setflags(write=False)
    for change in (masks.grow, masks.shrink, masks.feather, masks.smooth):
        change(mask, 2)
    for change in (masks.fill_holes, masks.largest_component, masks.components, masks.invert):
        change(mask)
    masks.move(mask, 1, 1)
    np.testing.assert_array_equal(mask, before)


def test_a_large_mask_and_a_far_one() -> None:
    mask = np.zeros((3000, 4000), np.bool_)
    mask[2999, 3999] = True
    assert masks.bounding_box(masks.grow(mask, 7)) == Box(3992, 2992, 4000, 3000)
    assert masks.bounding_box(masks.move(mask, -3999, -2999)) == Box(0, 0, 1, 1)
    assert masks.coverage(masks.shrink(masks.invert(mask), 1)) == pytest.approx(1 - 3 / mask.size, abs=1e-12)
