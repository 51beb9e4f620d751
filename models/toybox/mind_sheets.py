"""Sample sheets of the networks that locate: pictures with what was asked for and what was found."""

import cv2
import numpy as np

from brushedit.types import Box, Image, Mask
from models.toybox.measuring import Detects, Segments
from models.toybox.naming import draw_phrases
from models.toybox.pictures import draw_picture
from models.toybox.prompting import jitter_box, shown
from models.toybox.sheets import grid, titled

_SIDE = 128
_RED = (255, 0, 0)


def mask_sheet(segmenter: Segments, seed: int, rows: int = 4, columns: int = 8) -> Image:
    """Return a sheet of things in boxes a little off, dimmed outside the mask found, with the IoU promised."""
    cells: list[Image] = []
    number = 0
    while len(cells) < rows * columns:
        rng = np.random.default_rng((seed, number))
        number += 1
        picture = draw_picture(rng, _SIDE, int(rng.integers(1, 5)), aspect=1.0)
        for i in shown(picture)[:1]:
            x0, y0, x1, y1 = (
                np.rint(jitter_box(rng, picture.layers[i].box, 0.1, (_SIDE, _SIDE))).astype(int).tolist()
            )
            mask, promised = segmenter.segment(picture.image, Box(x0, y0, x1, y1), ())
            cells.append(titled(_boxed(_dimmed(picture.image, mask), Box(x0, y0, x1, y1)), f"{promised:.2f}"))
    return grid([cells[at : at + columns] for at in range(0, len(cells), columns)])


def box_sheet(detector: Detects, floor: float, seed: int, rows: int = 4, columns: int = 8) -> Image:
    """Return a sheet of pictures with the candidates for a phrase above the floor, and the best score."""
    cells: list[Image] = []
    for number in range(rows * columns):
        rng = np.random.default_rng((seed, number))
        picture = draw_picture(rng, _SIDE, int(rng.integers(1, 5)), aspect=1.0)
        phrase = draw_phrases(rng, picture.scene, 1)[0]
        found = detector.detect(picture.image, phrase)
        image = picture.image
        for candidate in found:
            if candidate.score >= floor:
                image = _boxed(image, candidate.box)
        best = f"{found[0].score:.2f}" if found else "-"
        cells.append(titled(image, f"{phrase}: {best}"))
    return grid([cells[at : at + columns] for at in range(0, len(cells), columns)])


def _dimmed(image: Image, mask: Mask) -> Image:
    return np.where(mask[..., None], image, image // 4).astype(np.uint8)


def _boxed(image: Image, box: Box) -> Image:
    drawn = cv2.rectangle(image.copy(), (box.x0, box.y0), (box.x1 - 1, box.y1 - 1), _RED, 1)
    return np.asarray(drawn, dtype=np.uint8)
