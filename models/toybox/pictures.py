"""Toy pictures for networks that locate things: whole scenes, a little worse than drawn, with what is where."""

from dataclasses import dataclass

import cv2
import numpy as np

from brushedit.types import Image
from models.toybox.rendering import Layer, layers, render
from models.toybox.scenes import Scene, sample_scene

ASPECTS = (1.0, 1.0, 4 / 3, 3 / 2, 3 / 4)
"""Width over height of the pictures that are drawn."""


@dataclass(frozen=True)
class Picture:
    """A scene, the picture of it, and where its things are, in the order of `scene.things`."""

    scene: Scene
    image: Image
    layers: tuple[Layer, ...]


def draw_picture(
    rng: np.random.Generator, longest: int, count: int | None = None, aspect: float | None = None
) -> Picture:
    """Draw a picture whose longest side has so many pixels.

    How many things it shows, and its aspect, are drawn by lot where they are None.

    Some are blurred and some noisy, as what an autoencoder repainted or a camera saw is.
    """
    scene = sample_scene(rng, count, aspect=aspect or ASPECTS[rng.integers(len(ASPECTS))], repeat=0.35)
    width = longest if scene.aspect >= 1 else round(longest * scene.aspect)
    height = round(width / scene.aspect)
    image = render(scene, height, width)
    if rng.random() < 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 0.9))), dtype=np.uint8)
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(1, 6), image.shape)
        image = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
    return Picture(scene, image, layers(scene, height, width))
