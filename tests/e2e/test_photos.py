"""The pixel contract on real photos, and the published system's own results under the same measure."""

import io
import json
import math

import numpy as np
import pytest
from PIL import Image, ImageOps

from app.generators import run
from app.pictures import encode, read, read_mask
from brushedit import masks
from brushedit.options import PaintOptions
from brushedit.preservation import preservation

PHOTOS = ("frog", "hedgehog_rm_fg", "hedgehog_rp_bg", "mona_lisa", "pigeon_rm")


@pytest.mark.parametrize("name", PHOTOS)
def test_the_contract_holds_on_a_photo(shared, conductor, name):
    (path,) = (shared / "photos" / name).glob("image.*")
    picture = read(path)
    mask = read_mask(shared / "photos" / name / "mask.png", picture.pixels.shape[:2], resize="nearest")
    painting = run(conductor.paint(picture.pixels, mask, "a hat", PaintOptions(steps=2)))
    data = encode(painting.images[0], picture, format="png")
    before, after = Image.open(path), Image.open(io.BytesIO(data))
    with before:
        assert (after.size, after.mode) == (before.size, before.mode)
        assert after.getexif().get(0x112) == before.getexif().get(0x112)
        changed = np.asarray(ImageOps.exif_transpose(before)) != np.asarray(ImageOps.exif_transpose(after))
    changed = changed.reshape(*changed.shape[:2], -1).any(axis=2)
    assert not changed[~painting.region].any()
    assert changed[mask].mean() > 0.9
    assert masks.coverage(painting.region) < 1


@pytest.mark.parametrize("name", PHOTOS)
def test_the_published_results_do_not_keep_the_background(shared, name):
    """What the README's table says of them, and that the measure tells a kept picture from a changed one."""
    folder = shared / "photos" / name
    before = read(next(folder.glob("image.*"))).pixels
    region = masks.grow(read_mask(folder / "mask.png", before.shape[:2], resize="nearest"), 10)
    figures = preservation(before, read(folder / "reference_result.png").pixels, region)
    assert 15 < figures.psnr < 45, json.dumps(figures.__dict__)
    assert figures.exact_fraction < 0.2
    assert preservation(before, before, region).psnr == math.inf
