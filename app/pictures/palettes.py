"""Edits of palette pictures: new colours take free entries, every entry in use stays what it is."""

from collections.abc import Iterator

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from app.pictures.records import Palette
from brushedit.types import Image

_ENTRIES = 256


def repaint(palette: Palette, pixels: Image) -> Palette:
    """Return a palette and indices that show `pixels`.

    Pixels whose colour did not change keep their index, and every pixel its opacity. New colours go to
    entries past the palette's end first, then to those that no unchanged pixel uses. Where they are too many,
    each opacity's share of the free entries is filled by median cut; with no entry free, the nearest colour
    of that opacity is taken.
    """
    count = len(palette.colours)
    table = np.zeros((_ENTRIES, 4), np.uint8)
    table[:count] = palette.colours
    before = table[palette.indices]
    changed = (before[:, :, :3] != pixels).any(axis=2)
    if not changed.any():
        return palette
    wanted = np.column_stack([pixels[changed], before[changed][:, 3]])

    taken = np.zeros(_ENTRIES, np.bool_)
    taken[palette.indices[~changed]] = True
    taken[:count] |= np.isin(_keys(table[:count]), _keys(wanted))
    free = np.concatenate([np.arange(count, _ENTRIES), np.flatnonzero(~taken[:count])])
    new = ~np.isin(_keys(wanted), _keys(table[taken]))
    if len(np.unique(_keys(wanted[new]))) > len(free):
        for where, colours in _fewer(wanted[new], table[taken], len(free)):
            wanted[np.flatnonzero(new)[where], :3] = colours

    fresh = np.setdiff1d(_keys(wanted), _keys(table[taken]))
    slots = free[: len(fresh)]
    table[slots] = fresh.view(np.uint8).reshape(-1, 4)
    taken[slots] = True
    entries = np.flatnonzero(taken)
    entries = entries[np.argsort(_keys(table[entries]), kind="stable")]
    indices = palette.indices.copy()
    indices[changed] = entries[np.searchsorted(_keys(table[entries]), _keys(wanted))]
    return Palette(table[: max(count, entries.max() + 1)], indices, palette.transparent)


def _keys(colours: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return each RGBA colour as one number."""
    return np.ascontiguousarray(colours).view(np.uint32).reshape(-1)


def _fewer(
    wanted: NDArray[np.uint8], kept: NDArray[np.uint8], room: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint8]]]:
    """Yield, for each opacity, which of the wanted colours have it and what they become: at most `room` new.

    An opacity that no kept entry has gets one entry before the rest is shared. That is always possible: each
    such opacity comes from an entry that is free by now.
    """
    opacities = np.unique(wanted[:, 3])
    kinds = [len(np.unique(_keys(wanted[wanted[:, 3] == opacity]))) for opacity in opacities]
    needed = [0 if (kept[:, 3] == opacity).any() else 1 for opacity in opacities]
    rest = room - sum(needed)
    for opacity, kind, need in zip(opacities, kinds, needed, strict=True):
        where = np.flatnonzero(wanted[:, 3] == opacity)
        share = need + rest * kind // sum(kinds)
        colours = wanted[where, :3]
        if share:
            yield where, _median_cut(colours, share)
        else:
            yield where, _nearest(colours, kept[kept[:, 3] == opacity][:, :3])


def _median_cut(colours: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    reduced = PIL.Image.fromarray(np.ascontiguousarray(colours[None])).quantize(
        count, method=PIL.Image.Quantize.MEDIANCUT, dither=PIL.Image.Dither.NONE
    )
    return np.asarray(reduced.convert("RGB"))[0]


def _nearest(colours: NDArray[np.uint8], kept: NDArray[np.uint8]) -> NDArray[np.uint8]:
    distinct, which = np.unique(colours, axis=0, return_inverse=True)
    best = np.empty(len(distinct), np.intp)
    for start in range(0, len(distinct), 4096):  # all at once would need gigabytes
        block = distinct[start : start + 4096, None].astype(np.int32)
        best[start : start + 4096] = np.square(block - kept.astype(np.int32)).sum(axis=2).argmin(axis=1)
    return kept[best][which.reshape(-1)]
