"""`make demo`: draw a picture, repaint a part of it, and show that the rest is what it was."""

import argparse
from pathlib import Path

import numpy as np

from app.generators import run
from app.pictures import Picture, encode_mask, write
from brushedit import masks
from brushedit.types import Box, Image, PaintOptions


def draw(height: int, width: int) -> Image:
    """Return a ball on a table under a window's light, (height, width, 3)."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height, x / width
    wall = np.stack([215 - 70 * x, 205 - 60 * x, 190 - 40 * x], axis=-1)
    table = np.stack([150 - 50 * y + 8 * np.sin(60 * x + 9 * y), 100 - 40 * y, 60 - 20 * y], axis=-1)
    picture = np.where((y > 0.62)[..., None], table, wall)
    shadow = np.exp(-(((x - 0.55) / 0.16) ** 2) - ((y - 0.80) / 0.035) ** 2)
    picture *= 1 - 0.6 * shadow[..., None]
    dx, dy = (x - 0.5) * width / height, y - 0.62
    distance = np.hypot(dx, dy) / 0.18
    light = np.clip(1.1 - np.hypot(dx + 0.06, dy + 0.07) / 0.25, 0.15, 1)
    ball = np.stack([225 * light, 60 * light, 45 * light], axis=-1)
    picture = np.where((distance < 1)[..., None], ball, picture)
    return np.clip(picture, 0, 255).astype(np.uint8)


def main() -> None:
    """Write before.png, mask.png and after.png into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)

    from app.bootstrap import PainterChoice, load_conductor

    before = draw(384, 512)
    mask = masks.from_ellipse(Box(170, 150, 342, 322), *before.shape[:2])
    write(folder / "before.png", before, Picture(before))
    (folder / "mask.png").write_bytes(encode_mask(mask))
    painting = run(load_conductor(PainterChoice()).paint(before, mask, "a blue cube", PaintOptions(seed=1)))
    write(folder / "after.png", painting.images[0], Picture(before))
    print(f"{painting.reports[0].outside_changed} samples outside the region changed")
    print(f"see {folder}/before.png, mask.png and after.png")
    print("The weights were a small untrained network's, so what is painted is noise.")


if __name__ == "__main__":
    main()
