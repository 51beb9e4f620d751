"""The eight backgrounds, painted as functions of place, so that any window comes out at any resolution.

Detail finer than a pixel is faded out instead of aliased, and every outline is as soft as a pixel is wide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from models.toybox.scenes import Background, Scene, View

Array: TypeAlias = NDArray[np.floating[Any]]
Rgb: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True)
class _Canvas:
    """A window as pixels: coordinates of their middles, their size, and this background's own dice."""

    x: Array
    """(1, W) in picture heights."""
    y: Array
    """(H, 1) in picture heights."""
    pixel: float
    rng: np.random.Generator

    def noise(self, cells: float, stretch: float = 1.0) -> Array:
        """Return smooth noise (H, W), about -1..1: `cells` bumps per height, `stretch` times wider."""
        lattice = self.rng.uniform(-1, 1, (64, 64)).astype(np.float32)
        fade = np.clip(1.6 - 2.0 * self.pixel * cells, 0, 1)
        if fade == 0:
            return np.zeros((self.y.size, self.x.size), dtype=np.float32)
        across, down = cells / stretch, cells
        dx = (self.x[0, -1] - self.x[0, 0]) / max(1, self.x.size - 1) * across
        dy = (self.y[-1, 0] - self.y[0, 0]) / max(1, self.y.size - 1) * down
        matrix = np.array([[dx, 0, self.x[0, 0] * across], [0, dy, self.y[0, 0] * down]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        size = (self.x.size, self.y.size)
        return fade * cv2.warpAffine(lattice, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT)

    def above(self, height: Array | float, softness: float = 0.0) -> Array:
        """Return which pixels lie above y = height, 0..1, with an edge a pixel or `softness` wide."""
        return np.clip((height - self.y) / max(self.pixel, softness) + 0.5, 0, 1)

    def wave(self, cells: float) -> Array:
        """Return a smooth curve (1, W), about -1..1, with `cells` bumps per picture height."""
        curve = np.zeros_like(self.x)
        for octave, weight in enumerate((0.6, 0.3, 0.2), start=1):
            curve += weight * np.sin(self.x * (cells * 2.4 * octave) + self.rng.uniform(0, 6.28))
        return curve


def _between(position: Array, stops: Sequence[tuple[float, Rgb]]) -> Array:
    """Return the colours (…, 3) of a gradient through stops at rising positions."""
    at = [stop for stop, _ in stops]
    return np.stack(
        [np.interp(position, at, [color[c] for _, color in stops]) for c in range(3)], axis=-1
    ).astype(np.float32)


def _mixed(under: Array, over: Array, weight: Array) -> Array:
    return under + weight[..., None] * (over - under)


def _lit(colors: Array, factor: Array) -> Array:
    return colors * (1 + factor)[..., None]


def _beach(c: _Canvas) -> Array:
    horizon, shore = c.rng.uniform(0.3, 0.36), c.rng.uniform(0.46, 0.52)
    sky = _between(c.y, [(0, (112, 180, 232)), (horizon, (214, 236, 248))])
    sea = _between(c.y, [(horizon, (20, 104, 150)), (shore, (62, 190, 200))])
    sea = _lit(sea, 0.06 * c.noise(40, 8))
    sand = _between(c.y, [(shore, (214, 188, 136)), (1, (240, 216, 166))])
    sand = _lit(sand, 0.03 * c.noise(9, 2) + 0.035 * c.noise(60))
    edge = shore + 0.012 * c.wave(1.5)
    foam = c.above(edge + 0.008, 0.012) * (1 - c.above(edge - 0.008, 0.012))
    picture = _mixed(sand, sea, c.above(edge))
    picture = _mixed(picture, np.array([250, 252, 250], dtype=np.float32), 0.85 * foam)
    return _mixed(picture, sky, c.above(horizon))


def _grass(c: _Canvas) -> Array:
    crest = c.rng.uniform(0.38, 0.46) + 0.025 * c.wave(0.8)
    sky = _between(c.y, [(0, (86, 158, 238)), (0.5, (200, 228, 250))])
    cloud = np.clip(1.3 * (c.noise(5, 2) + 0.5 * c.noise(10, 2)) - 0.3, 0, 1) * c.above(0.36, 0.3)
    sky = _mixed(sky, np.array([252, 253, 255], dtype=np.float32), 0.85 * cloud)
    ground = _between(c.y, [(0.38, (126, 180, 62)), (1, (84, 142, 34))])
    ground = _lit(ground, 0.09 * c.noise(8, 2) + 0.08 * c.noise(44, 0.5))
    return _mixed(ground, sky, c.above(crest))


def _snow(c: _Canvas) -> Array:
    horizon = c.rng.uniform(0.4, 0.46)
    sky = _between(c.y, [(0, (150, 178, 214)), (horizon, (216, 226, 240))])
    ridge = horizon - 0.05 - 0.11 * np.abs(c.wave(1.1)) - 0.02 * np.abs(c.wave(5))
    rock = _between(c.y, [(0.2, (172, 188, 212)), (horizon, (112, 132, 168))])
    snow = _between(c.y, [(horizon, (208, 218, 234)), (0.7, (232, 238, 247)), (1, (222, 229, 242))])
    snow = _lit(snow, 0.03 * c.noise(5, 3) + 0.012 * c.noise(50))
    picture = _mixed(rock, sky, c.above(ridge))
    return _mixed(snow, picture, c.above(horizon + 0.012 * c.wave(0.7)))


def _desert(c: _Canvas) -> Array:
    far, near = c.rng.uniform(0.36, 0.42), c.rng.uniform(0.5, 0.56)
    sky = _between(c.y, [(0, (250, 176, 96)), (0.42, (255, 226, 172))])
    back = _between(c.y, [(far, (214, 138, 82)), (near, (190, 112, 64))])
    front = _between(c.y, [(near, (206, 128, 76)), (1, (178, 100, 58))])
    ripple = c.noise(5, 2) * 0.6
    front = _lit(
        front, 0.05 * np.sin(60 * c.y + 6 * ripple) * np.clip(1.6 - 20 * c.pixel, 0, 1) + 0.05 * ripple
    )
    picture = _mixed(front, back, c.above(near + 0.03 * c.wave(0.6), 0.01))
    return _mixed(picture, sky, c.above(far + 0.035 * c.wave(0.7)))


def _night(c: _Canvas) -> Array:
    horizon = c.rng.uniform(0.42, 0.48)
    sky = _between(c.y, [(0, (10, 12, 48)), (horizon, (44, 48, 122))])
    ground = _between(c.y, [(horizon, (24, 34, 52)), (1, (48, 62, 84))])
    ground = _lit(ground, 0.1 * c.noise(7, 2) + 0.05 * c.noise(30))
    right = float(c.rng.uniform(0, 1))
    radius = 0.052
    moon = np.sqrt((c.x - (0.15 + 0.6 * right)) ** 2 + (c.y - c.rng.uniform(0.1, 0.2)) ** 2)
    glow = np.clip(1 - moon / 0.3, 0, 1) ** 2
    sky = _mixed(sky, np.array([150, 150, 190], dtype=np.float32), 0.4 * glow)
    sky = _mixed(
        sky, np.array([250, 246, 222], dtype=np.float32), np.clip((radius - moon) / c.pixel + 0.5, 0, 1)
    )
    for _ in range(30):
        x, y, bright = c.rng.uniform(0, 1.8), c.rng.uniform(0.01, 0.4), c.rng.uniform(0.4, 1)
        _star_light(sky, c, x, y, bright)
    return _mixed(ground, sky, c.above(horizon + 0.008 * c.wave(1)))


def _star_light(sky: Array, c: _Canvas, x: float, y: float, bright: float) -> None:
    radius = 0.006 + c.pixel
    columns = slice(*np.searchsorted(c.x[0], (x - radius, x + radius)))
    rows = slice(*np.searchsorted(c.y[:, 0], (y - radius, y + radius)))
    distance = np.sqrt((c.x[:, columns] - x) ** 2 + (c.y[rows] - y) ** 2)
    # A star smaller than a pixel keeps its light: what its disc gains in radius it loses in brightness.
    weight = np.clip(1 - distance / radius, 0, 1) * bright * (0.006 / radius) ** 0.7
    patch = sky[rows, columns]
    patch += weight[..., None] * (255 - patch)


def _table(c: _Canvas) -> Array:
    edge = c.rng.uniform(0.36, 0.44)
    wall = _between(c.y, [(0, (226, 216, 194)), (edge, (190, 178, 156))])
    wood = _between(c.y, [(edge, (150, 92, 50)), (1, (186, 120, 68))])
    grain = c.noise(30, 12) + 0.6 * c.noise(12, 12)
    # Boards run across; the nearer, the wider.
    depth = np.sqrt(np.clip((c.y - edge) / (1 - edge), 0, 1)) * 4 + c.rng.uniform(0, 1)
    slope = 2 / np.maximum(np.sqrt(np.clip((c.y - edge) / (1 - edge), 1e-3, 1)), 0.1) / (1 - edge)
    gap = np.abs(depth - np.rint(depth)) / slope
    seam = np.clip(1.2 - gap / max(0.006, 0.7 * c.pixel), 0, 1)
    wood = _lit(wood, 0.09 * grain - 0.3 * seam)
    return _mixed(wood, wall, c.above(edge))


def _brick(c: _Canvas) -> Array:
    foot = c.rng.uniform(0.46, 0.52)
    tall, wide, joint = 0.075, 0.19, 0.011
    up = (foot - c.y) / tall
    row = np.floor(up)
    along = c.x / wide + 0.5 * (row % 2) + c.rng.uniform(0, 1)
    soft = max(c.pixel, 0.004)
    inside_row = np.minimum(up - row, 1 - (up - row)) * tall
    inside_column = np.minimum(along - np.floor(along), 1 - (along - np.floor(along))) * wide
    mortar = np.clip((joint / 2 - np.minimum(inside_row, inside_column)) / soft + 0.5, 0, 1)
    tone = np.sin(row * 12.9 + np.floor(along) * 78.2)
    brick = np.full((*mortar.shape, 3), (150, 84, 68), dtype=np.float32)
    brick = _lit(brick, 0.04 * tone + 0.04 * c.noise(36, 2))
    wall = _mixed(brick, np.array([192, 176, 162], dtype=np.float32), 0.85 * mortar)
    floor = _between(c.y, [(foot, (118, 116, 116)), (1, (160, 158, 156))])
    floor = _lit(floor, 0.05 * c.noise(7, 2) + 0.04 * c.noise(50))
    return _mixed(floor, wall, c.above(foot))


def _studio(c: _Canvas) -> Array:
    tint = np.array([c.rng.uniform(-8, 8), 0, c.rng.uniform(-8, 8)], dtype=np.float32)
    turn = c.rng.uniform(0.44, 0.52)
    sheet = _between(
        c.y,
        [(0, (150, 152, 156)), (turn, (188, 190, 194)), (turn + 0.12, (214, 215, 218)), (1, (196, 198, 202))],
    )
    across = 0.05 * np.cos((c.x - 0.5) * 2.6) - 0.03
    return _lit(sheet + tint, across + np.zeros_like(c.y))


_PAINTERS: dict[Background, Callable[[_Canvas], Array]] = {
    Background.BEACH: _beach,
    Background.GRASS: _grass,
    Background.SNOW: _snow,
    Background.DESERT: _desert,
    Background.NIGHT: _night,
    Background.TABLE: _table,
    Background.BRICK: _brick,
    Background.STUDIO: _studio,
}


def backdrop(scene: Scene, height: int, width: int, view: View) -> Array:
    """Return a window of a scene without its things, float32 (height, width, 3), 0..255, read-only."""
    return _backdrop(scene.background, scene.seed, height, width, view)


@lru_cache(maxsize=32)
def _backdrop(background: Background, seed: int, height: int, width: int, view: View) -> Array:
    pixel = max(view.width / width, view.height / height)
    x = view.x0 + (np.arange(width, dtype=np.float32) + 0.5) * np.float32(view.width / width)
    y = view.y0 + (np.arange(height, dtype=np.float32) + 0.5) * np.float32(view.height / height)
    canvas = _Canvas(x[None, :], y[:, None], pixel, np.random.default_rng(seed))
    picture = np.broadcast_to(_PAINTERS[background](canvas), (height, width, 3))
    picture = np.clip(picture, 0, 255).astype(np.float32)
    picture.setflags(write=False)
    return picture
