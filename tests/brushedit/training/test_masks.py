"""Training holes: polarity, coverage of what they are drawn from, every kind reachable, never empty."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from brushedit.training.masks import HoleMix, box_around, brush, draw_hole, opened
from brushedit.types import Mask

SIZES = st.tuples(st.integers(24, 90), st.integers(24, 90))


def disc(height: int, width: int) -> Mask:
    y, x = np.ogrid[:height, :width]
    return (y - height / 2) ** 2 + (x - width / 2) ** 2 < (min(height, width) / 4) ** 2


@given(st.integers(0, 2**32), SIZES)
def test_brush_strokes_are_neither_nothing_nor_everything(seed: int, size: tuple[int, int]) -> None:
    hole = brush(np.random.default_rng(seed), *size)
    assert hole.shape == size
    assert hole.dtype == np.bool_
    assert hole.any()
    assert not hole.all()


@given(st.integers(0, 2**32), SIZES)
def test_a_box_holds_the_object_and_is_a_box(seed: int, size: tuple[int, int]) -> None:
    subject = disc(*size)
    hole = box_around(np.random.default_rng(seed), subject, slack=0.15)
    assert not (subject & ~hole).any()
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    assert hole.sum() == rows.size * columns.size
    subject_rows = np.flatnonzero(subject.any(axis=1))
    longer = max(subject_rows.size, np.flatnonzero(subject.any(axis=0)).size)
    assert rows.size <= subject_rows.size + 2 * int(0.15 * longer)


def test_each_kind_is_what_its_name_says() -> None:
    rng = np.random.default_rng(0)
    subject = disc(64, 48)
    only = {kind: HoleMix(**({"object": 0, "inverted": 0, "box": 0, "brush": 0} | {kind: 1}), smoothed=0)
            for kind in ("object", "inverted", "box", "brush")}  # fmt: skip
    assert (draw_hole(rng, 64, 48, subject, only["object"]) == subject).all()
    assert (draw_hole(rng, 64, 48, subject, only["inverted"]) == ~subject).all()
    assert (draw_hole(rng, 64, 48, subject, only["box"]) & subject).sum() == subject.sum()
    strokes = draw_hole(rng, 64, 48, subject, only["brush"])
    assert (strokes != subject).any()


def test_kinds_come_as_often_as_asked() -> None:
    rng = np.random.default_rng(1)
    subject = disc(40, 40)
    mix = HoleMix(object=3, inverted=1, box=0, brush=0, smoothed=0)
    objects = sum((draw_hole(rng, 40, 40, subject, mix) == subject).all() for _ in range(400))
    assert 260 < objects < 340


def test_without_a_segmentation_strokes_are_drawn() -> None:
    rng = np.random.default_rng(2)
    for nothing in (None, np.zeros((40, 40), np.bool_)):
        assert draw_hole(rng, 40, 40, nothing, HoleMix(brush=0)).any()


def test_opening_removes_specks_but_never_everything() -> None:
    subject = disc(256, 256)
    speckled = subject.copy()
    speckled[3, 3] = True
    assert not opened(speckled)[3, 3]
    assert opened(speckled).sum() > 0.98 * subject.sum()
    speck = np.zeros((256, 256), np.bool_)
    speck[5, 5] = True
    assert (opened(speck) == speck).all()
