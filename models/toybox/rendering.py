"""Scenes as pictures, and the true masks and boxes of all that is in them, at any resolution."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from brushedit.types import Box, Image, Mask
from models.toybox.backgrounds import backdrop
from models.toybox.scenes import Color, Scene, Thing, View
from models.toybox.shapes import FOOTPRINT, FRAME, PITCH, light_tilt, shadow_sprite, sprite

Array: TypeAlias = NDArray[np.floating[Any]]

PALETTE: dict[Color, tuple[int, int, int]] = {
    Color.RED: (222, 30, 36),
    Color.GREEN: (20, 152, 66),
    Color.BLUE: (36, 78, 226),
    Color.YELLOW: (252, 222, 36),
    Color.ORANGE: (252, 130, 10),
    Color.PURPLE: (132, 44, 188),
    Color.PINK: (255, 134, 188),
    Color.WHITE: (246, 246, 246),
}
"""Each colour in full light, RGB 0..255."""

SHADOW = 0.55
"""How much of the background's light a contact shadow takes away where it is darkest."""


@dataclass(frozen=True)
class Layer:
    """Where one thing of a scene is in a picture.

    Attributes
    ----------
    full : Mask
        The whole thing, parts hidden behind others included; without shadow.
    visible : Mask
        What can be seen of it; without shadow.
    touched : Mask
        Every pixel that can differ if the thing is left out: soft edges and the seen part of its shadow
        included.
    box : Box
        Of `visible`; empty where nothing is seen.
    """

    full: Mask
    visible: Mask
    touched: Mask
    box: Box


@dataclass(frozen=True)
class _Patch:
    """A sprite laid over some rows and columns of the picture; `texels` is (rows, columns[, 3])."""

    rows: slice
    columns: slice
    texels: Array


def render(scene: Scene, height: int, width: int, view: View | None = None) -> Image:
    """Draw a scene, or a window of it.

    Parameters
    ----------
    height, width : int
        Of the picture; pixels are square where width / height is the aspect of the scene (or of the window).
    view : View or None
        The window to draw, in picture heights; None = the whole scene.
    """
    window = view or scene.window
    canvas = backdrop(scene, height, width, window).copy()
    for index in scene.painted_order:
        shade = _shadow(scene, index, height, width, window)
        if shade is not None:
            canvas[shade.rows, shade.columns] *= (1 - SHADOW * shade.texels)[..., None]
    for index in scene.painted_order:
        patch = _body(scene, index, height, width, window)
        if patch is not None:
            color = np.array(PALETTE[scene.things[index].color], dtype=np.float32)
            cover, tint, shine = (patch.texels[..., c : c + 1] for c in range(3))
            under = canvas[patch.rows, patch.columns]
            canvas[patch.rows, patch.columns] = under * (1 - cover) + tint * color + shine * 255
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


def layers(scene: Scene, height: int, width: int, view: View | None = None) -> tuple[Layer, ...]:
    """Return where each thing of `scene.things` is in the picture that `render` draws."""
    window = view or scene.window
    order = scene.painted_order
    covers = {i: _whole(_body(scene, i, height, width, window), height, width) for i in order}
    shades = {i: _whole(_shadow(scene, i, height, width, window), height, width) for i in order}
    open_ground = np.ones((height, width), dtype=np.float32)
    found: dict[int, Layer] = {}
    for i in reversed(order):
        seen = covers[i] * open_ground
        found[i] = Layer(covers[i] >= 0.5, seen >= 0.5, seen > 0, bounds(seen >= 0.5))
        open_ground *= 1 - covers[i]
    for i in order:
        shaded = (shades[i] > 0) & (open_ground > 0)
        found[i] = Layer(found[i].full, found[i].visible, found[i].touched | shaded, found[i].box)
    return tuple(found[i] for i in range(len(scene.things)))


def uncovered(scene: Scene, height: int, width: int, view: View | None = None) -> Mask:
    """Return every pixel at which the background can be seen, be it through a soft edge."""
    window = view or scene.window
    ground = np.ones((height, width), dtype=np.float32)
    for i in scene.painted_order:
        patch = _body(scene, i, height, width, window)
        if patch is not None:
            ground[patch.rows, patch.columns] *= 1 - patch.texels[..., 0]
    return ground > 0


def changed_region(before: Scene, after: Scene, height: int, width: int, view: View | None = None) -> Mask:
    """Return a region outside which the pictures of two scenes are equal, sample for sample.

    It holds the touched pixels of every thing that only one of the two has, and, where the backgrounds
    differ, all that is not covered by things. Things are compared by value.
    """
    region = np.zeros((height, width), dtype=np.bool_)
    for scene, other in ((before, after), (after, before)):
        for layer, thing in zip(layers(scene, height, width, view), scene.things, strict=True):
            if thing not in other.things or scene.light != other.light:
                region |= layer.touched
        if (scene.background, scene.seed) != (other.background, other.seed):
            region |= uncovered(scene, height, width, view)
    return region


def bounds(mask: Mask) -> Box:
    """Return the box of a mask; Box(0, 0, 0, 0) where it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return Box(0, 0, 0, 0)
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _body(scene: Scene, index: int, height: int, width: int, window: View) -> _Patch | None:
    thing = scene.things[index]
    frame = thing.placed(FRAME)
    # The next larger power of two keeps bilinear sampling honest: it shrinks by less than two.
    pixels = max(frame.width * width / window.width, frame.height * height / window.height)
    side = max(16, 1 << int(np.ceil(np.log2(max(1.0, pixels)))))
    patch = _laid(sprite(thing.kind, thing.pose, scene.light, side), frame, height, width, window)
    if patch is not None:
        # Interpolation weights do not sum to 1 exactly, but what is covered must hide everything behind it.
        texels = patch.texels
        texels[..., 0][texels[..., 0] > 0.999] = 1.0
    return patch


def _shadow(scene: Scene, index: int, height: int, width: int, window: View) -> _Patch | None:
    thing: Thing = scene.things[index]
    across, deep = (1.45 * thing.size * side for side in FOOTPRINT[thing.kind])
    x = thing.x - 0.12 * thing.size * light_tilt(scene.light)
    low = deep * float(np.sin(PITCH)) + 0.02 * thing.size
    frame = View(x - across, thing.y - low, x + across, thing.y + low)
    return _laid(shadow_sprite(), frame, height, width, window)


def _laid(texels: Array, frame: View, height: int, width: int, window: View) -> _Patch | None:
    """Return a sprite as it lies on the pixels of a window, or None where it lies wholly outside."""
    per_x, per_y = width / window.width, height / window.height
    x0, y0 = (frame.x0 - window.x0) * per_x, (frame.y0 - window.y0) * per_y
    x1, y1 = (frame.x1 - window.x0) * per_x, (frame.y1 - window.y0) * per_y
    left, top = max(0, int(np.floor(x0))), max(0, int(np.floor(y0)))
    right, bottom = min(width, int(np.ceil(x1))), min(height, int(np.ceil(y1)))
    if left >= right or top >= bottom:
        return None
    scale_x, scale_y = texels.shape[1] / (x1 - x0), texels.shape[0] / (y1 - y0)
    matrix = np.array(
        [
            [scale_x, 0, (left + 0.5 - x0) * scale_x - 0.5],
            [0, scale_y, (top + 0.5 - y0) * scale_y - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(texels, matrix, (right - left, bottom - top), flags=flags)
    return _Patch(slice(top, bottom), slice(left, right), np.asarray(laid, dtype=np.float32))


def _whole(patch: _Patch | None, height: int, width: int) -> Array:
    """Return a patch's coverage on the whole picture, (height, width)."""
    whole = np.zeros((height, width), dtype=np.float32)
    if patch is not None:
        texels = patch.texels
        whole[patch.rows, patch.columns] = texels if texels.ndim == 2 else texels[..., 0]
    return whole
