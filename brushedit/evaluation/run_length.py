"""The three run-length orders in which published sets write masks, read and written.

All are flat lists start, length, start, length, …; they differ in where counting starts and in which direction
it goes. Mixing them up gives a mask of the right size that lies elsewhere.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brushedit.errors import InvalidBenchmark
from brushedit.types import Mask


def decode_brushbench(runs: Sequence[int], height: int, width: int) -> Mask:
    """Return a BrushBench mask: starts count from 1, row by row; True = hole."""
    return _decode(runs, height, width, first=1, order="C")


def encode_brushbench(mask: Mask) -> list[int]:
    """Return the runs that `decode_brushbench` reads."""
    return _encode(mask, first=1, order="C")


def decode_brushdata(runs: Sequence[int], height: int, width: int) -> Mask:
    """Return a BrushData segmentation: starts count from 1, column by column; True = the object."""
    return _decode(runs, height, width, first=1, order="F")


def encode_brushdata(mask: Mask) -> list[int]:
    """Return the runs that `decode_brushdata` reads."""
    return _encode(mask, first=1, order="F")


def decode_pie_bench(runs: Sequence[int], height: int, width: int) -> Mask:
    """Return a PIE-Bench mask: starts count from 0, row by row; True = to be edited.

    As in the benchmark's own evaluator, a run is cut off at the picture's end, and the outermost pixels count
    as edited whatever the runs say ("to avoid annotation errors in boundary").
    """
    count = height * width
    cut = list(runs)
    cut[1::2] = [
        min(length, count - start) for start, length in zip(runs[::2], runs[1::2], strict=len(runs) % 2 == 0)
    ]
    mask = _decode(cut, height, width, first=0, order="C")
    mask[[0, -1], :] = True
    mask[:, [0, -1]] = True
    return mask


def encode_pie_bench(mask: Mask) -> list[int]:
    """Return the runs of a mask as PIE-Bench writes them; reading them sets the border."""
    return _encode(mask, first=0, order="C")


def _decode(runs: Sequence[int], height: int, width: int, *, first: int, order: Literal["C", "F"]) -> Mask:
    if len(runs) % 2:
        raise InvalidBenchmark(f"run lengths come in pairs, start and length; these are {len(runs)} numbers")
    pairs: NDArray[Any] = np.asarray(runs).reshape(-1, 2)
    if pairs.size and not np.issubdtype(pairs.dtype, np.integer):
        raise InvalidBenchmark(f"run lengths are whole numbers, not {pairs.dtype}")
    flat = np.zeros(height * width, dtype=np.bool_)
    for start, length in (pairs - [first, 0]).astype(np.int64):
        if start < 0 or length < 0 or start + length > flat.size:
            raise InvalidBenchmark(
                f"the run {start + first}, {length} does not fit a {width}x{height} picture counted from {first}"
            )
        flat[start : start + length] = True
    return flat.reshape((height, width), order=order)


def _encode(mask: Mask, *, first: int, order: Literal["C", "F"]) -> list[int]:
    edges = np.diff(np.pad(mask.ravel(order=order).astype(np.int8), 1))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return np.stack([starts + first, ends - starts], axis=1).ravel().tolist()
