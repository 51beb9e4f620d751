from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from brushedit.errors import InvalidBenchmark
from brushedit.evaluation import run_length
from brushedit.types import Mask

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))


@given(MASKS)
def test_brushbench_and_brushdata_come_back_as_they_were(mask: Mask) -> None:
    height, width = mask.shape
    assert np.array_equal(
        run_length.decode_brushbench(run_length.encode_brushbench(mask), height, width), mask
    )
    assert np.array_equal(run_length.decode_brushdata(run_length.encode_brushdata(mask), height, width), mask)


@given(MASKS)
def test_pie_bench_comes_back_with_its_border_set(mask: Mask) -> None:
    height, width = mask.shape
    read = run_length.decode_pie_bench(run_length.encode_pie_bench(mask), height, width)
    assert np.array_equal(read[1:-1, 1:-1], mask[1:-1, 1:-1])
    assert read[[0, -1], :].all()
    assert read[:, [0, -1]].all()


@given(MASKS)
def test_runs_are_as_few_as_can_be_and_apart(mask: Mask) -> None:
    runs = run_length.encode_brushdata(mask)
    starts, lengths = runs[::2], runs[1::2]
    assert sum(lengths) == mask.sum()
    assert all(
        start + length < later for start, length, later in zip(starts, lengths, starts[1:], strict=False)
    )


def test_the_three_orders_differ_as_published() -> None:
    mask = np.zeros((3, 4), np.bool_)
    mask[1, 2] = True
    # Row 1, column 2: the seventh pixel row by row, the eighth column by column.
    assert run_length.encode_brushbench(mask) == [7, 1]
    assert run_length.encode_brushdata(mask) == [8, 1]
    assert run_length.encode_pie_bench(mask) == [6, 1]


def test_runs_go_on_from_row_to_row_or_from_column_to_column() -> None:
    rows = run_length.decode_brushbench([3, 4], 3, 4)
    assert np.argwhere(rows).tolist() == [[0, 2], [0, 3], [1, 0], [1, 1]]
    columns = run_length.decode_brushdata([3, 4], 3, 4)
    assert sorted(np.argwhere(columns).tolist()) == [[0, 1], [1, 1], [2, 0], [2, 1]]


def test_pie_bench_cuts_a_run_at_the_end_of_the_picture() -> None:
    assert run_length.decode_pie_bench([12, 999], 5, 5)[2, 2:].all()


@pytest.mark.parametrize("decode", [run_length.decode_brushbench, run_length.decode_brushdata])
@pytest.mark.parametrize("runs", [[1], [0, 1], [1, -1], [12, 2], [1.5, 2]])
def test_what_does_not_fit_is_refused(decode: Callable[..., Mask], runs: Sequence[int]) -> None:
    with pytest.raises(InvalidBenchmark):
        decode(runs, 3, 4)


def test_pie_bench_refuses_odd_lists_and_starts_past_the_end() -> None:
    for runs in ([1], [-1, 2], [99, 1]):
        with pytest.raises(InvalidBenchmark):
            run_length.decode_pie_bench(runs, 3, 4)
