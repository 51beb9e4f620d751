"""The six toys as solids, and their shaded sprites: distance fields, sphere-traced once and kept.

A toy stands with its foot at the origin, x to the right, y up, z towards the viewer; its unit of length is
the toy's ``size``. The camera is orthographic and looks down by `PITCH`. A sprite covers the square `FRAME`
of the camera plane; on the plane u points right, v down, and the foot is at (0, 0).
"""

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]

PITCH = np.deg2rad(22.0)
FRAME = (-0.7, -1.15, 0.7, 0.25)
"""The part of the camera plane that holds any toy: u0, v0, u1, v1."""

LIGHTS = 5
"""Directions the light may come from, 0 = from the left to LIGHTS - 1 = from the right."""

POSES = 6
"""Turns a toy may stand in; balls, cylinders and cones look the same in each."""


class Kind(StrEnum):
    """What a toy is."""

    BALL = "ball"
    CUBE = "cube"
    CYLINDER = "cylinder"
    CONE = "cone"
    RING = "ring"
    STAR = "star"


def light_tilt(light: int) -> float:
    """Return how far to the right the light stands, -1 (left) to 1 (right)."""
    return 2.0 * light / (LIGHTS - 1) - 1.0


def _length(x: Array, y: Array) -> Array:
    return np.sqrt(x * x + y * y)


def _turned(x: Array, z: Array, angle: float) -> tuple[Array, Array]:
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * x + sin * z, cos * z - sin * x


def _ball(x: Array, y: Array, z: Array, pose: int) -> Array:  # noqa: ARG001
    return np.sqrt(x * x + (y - 0.46) ** 2 + z * z) - 0.46


def _cube(x: Array, y: Array, z: Array, pose: int) -> Array:
    x, z = _turned(x, z, np.deg2rad(18.0 + 54.0 * pose / (POSES - 1)))
    half, edge = 0.375, 0.035
    qx, qy, qz = (np.abs(a) - (half - edge) for a in (x, y - half, z))
    outside = np.sqrt(np.maximum(qx, 0) ** 2 + np.maximum(qy, 0) ** 2 + np.maximum(qz, 0) ** 2)
    return outside + np.minimum(np.maximum(qx, np.maximum(qy, qz)), 0) - edge


def _cylinder(x: Array, y: Array, z: Array, pose: int) -> Array:  # noqa: ARG001
    half, radius, edge = 0.46, 0.35, 0.03
    qr, qy = _length(x, z) - (radius - edge), np.abs(y - half) - (half - edge)
    return _length(np.maximum(qr, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qr, qy), 0) - edge


def _cone(x: Array, y: Array, z: Array, pose: int) -> Array:  # noqa: ARG001
    # The slope's half-plane and the floor's; inside their corner the larger of the two is the distance.
    height, radius, edge = 1.1, 0.46, 0.02
    slope = ((_length(x, z) * height + (y - height) * radius) / np.hypot(height, radius)) + edge
    floor = edge - y
    return (
        _length(np.maximum(slope, 0), np.maximum(floor, 0)) + np.minimum(np.maximum(slope, floor), 0) - edge
    )


def _ring(x: Array, y: Array, z: Array, pose: int) -> Array:
    x, z = _turned(x, z, np.deg2rad(-25.0 + 50.0 * pose / (POSES - 1)))
    return _length(_length(x, y - 0.5) - 0.35, z) - 0.14


def _star(x: Array, y: Array, z: Array, pose: int) -> Array:
    # A five-pointed star's outline (Quilez, "2D distance functions"), roofed over: its arms have ridges.
    x, z = _turned(x, z, np.deg2rad(-20.0 + 40.0 * pose / (POSES - 1)))
    px, py = np.abs(x), y - 0.47
    kx, ky = np.float32(0.809016994375), np.float32(-0.587785252292)
    for sign in (1, -1):
        fold = 2.0 * np.maximum(sign * kx * px + ky * py, 0)
        px, py = px - fold * sign * kx, py - fold * ky
    radius, inner = 0.57, 0.42
    px, py = np.abs(px), py - radius
    bx, by = np.float32(-ky * inner), np.float32(kx * inner - 1.0)
    along = np.clip((px * bx + py * by) / (bx * bx + by * by), 0, radius)
    outline = _length(px - bx * along, py - by * along) * np.sign(py * bx - px * by)
    steep = 0.8
    return (outline + steep * np.abs(z)) / np.float32(np.hypot(1.0, steep))


_SOLIDS: dict[Kind, Callable[[Array, Array, Array, int], Array]] = {
    Kind.BALL: _ball,
    Kind.CUBE: _cube,
    Kind.CYLINDER: _cylinder,
    Kind.CONE: _cone,
    Kind.RING: _ring,
    Kind.STAR: _star,
}

FOOTPRINT: dict[Kind, tuple[float, float]] = {
    Kind.BALL: (0.38, 0.38),
    Kind.CUBE: (0.48, 0.44),
    Kind.CYLINDER: (0.39, 0.39),
    Kind.CONE: (0.5, 0.5),
    Kind.RING: (0.38, 0.2),
    Kind.STAR: (0.42, 0.2),
}
"""Half width and half depth of the ground a toy's contact shadow darkens, in sizes."""


@lru_cache(maxsize=256)
def _surface(kind: Kind, pose: int, side: int) -> tuple[NDArray[np.bool_], Array]:
    """Return where a grid of (side, side) rays meets the toy, and the unit normals there, (hits, 3)."""
    solid = _SOLIDS[kind]
    u0, v0, u1, v1 = FRAME
    steps = (np.arange(side, dtype=np.float32) + 0.5) / side
    u, v = np.meshgrid(u0 + steps * (u1 - u0), v0 + steps * (v1 - v0))
    cos, sin = np.float32(np.cos(PITCH)), np.float32(np.sin(PITCH))
    x, y, z = u.ravel(), (-v * cos).ravel(), (v * sin).ravel()
    start = np.float32(2.0)
    y, z = y + start * sin, z + start * cos
    travelled = np.zeros_like(x)
    alive = np.arange(x.size)
    hit = np.zeros(x.size, dtype=bool)
    for _ in range(64):
        t = travelled[alive]
        gap = solid(x[alive], y[alive] - t * sin, z[alive] - t * cos, pose)
        travelled[alive] = t + 0.95 * gap
        hit[alive[gap < 1e-3]] = True
        alive = alive[(gap >= 1e-3) & (t < 2 * start)]
        if not alive.size:
            break
    px, py, pz = x[hit], y[hit] - travelled[hit] * sin, z[hit] - travelled[hit] * cos
    e = np.float32(2e-3)
    normal = np.stack(
        [
            solid(px + e, py, pz, pose) - solid(px - e, py, pz, pose),
            solid(px, py + e, pz, pose) - solid(px, py - e, pz, pose),
            solid(px, py, pz + e, pose) - solid(px, py, pz - e, pose),
        ],
        axis=1,
    )
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    return hit.reshape(side, side), normal


def pose_of(kind: Kind, pose: int) -> int:
    """Return the pose that is drawn: toys that are round about the vertical have a single one."""
    return pose if kind in (Kind.CUBE, Kind.RING, Kind.STAR) else 0


@lru_cache(maxsize=64)
def extent(kind: Kind, pose: int) -> tuple[float, float, float, float]:
    """Return the box (u0, v0, u1, v1) of a toy on the camera plane, in sizes."""
    side = 192
    hit, _ = _surface(kind, pose_of(kind, pose), side)
    rows, columns = np.flatnonzero(hit.any(axis=1)), np.flatnonzero(hit.any(axis=0))
    u0, v0, u1, v1 = FRAME
    du, dv = (u1 - u0) / side, (v1 - v0) / side
    return (
        u0 + float(columns[0]) * du,
        v0 + float(rows[0]) * dv,
        u0 + float(columns[-1] + 1) * du,
        v0 + float(rows[-1] + 1) * dv,
    )


@lru_cache(maxsize=1024)
def sprite(kind: Kind, pose: int, light: int, side: int) -> Array:
    """Return a toy's look without its colour, antialiased.

    Lambert's law, a sky that is brighter than the ground, and Blinn's highlight.

    Returns
    -------
    float32 (side, side, 3)
        Coverage 0..1, coverage times the share of the toy's colour, coverage times the highlight (white).
    """
    oversampling = 3 if side <= 256 else 2
    hit, normal = _surface(kind, pose_of(kind, pose), side * oversampling)
    tilt = light_tilt(light)
    sun = np.array([0.75 * tilt, 0.8, 0.65], dtype=np.float32)
    sun /= np.linalg.norm(sun)
    half = sun + np.array([0.0, np.sin(PITCH), np.cos(PITCH)], dtype=np.float32)
    half /= np.linalg.norm(half)
    shade = 0.52 + 0.08 * normal[:, 1] + 0.5 * np.maximum(normal @ sun, 0)
    shine = 0.5 * np.maximum(normal @ half, 0) ** 40
    fine = np.zeros((*hit.shape, 3), dtype=np.float32)
    fine[hit] = np.stack([np.ones_like(shade), shade, shine], axis=1)
    return np.asarray(cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)


@lru_cache(maxsize=1)
def shadow_sprite() -> Array:
    """Return a soft disc, float32 (64, 64): 1 in the middle, falling to exactly 0 at the rim."""
    steps = (np.arange(64, dtype=np.float32) + 0.5) / 32 - 1
    fall = np.clip(1 - np.sqrt(steps[:, None] ** 2 + steps[None, :] ** 2), 0, 1)
    fall = np.clip(fall / 0.75, 0, 1)
    return fall * fall * (3 - 2 * fall)
