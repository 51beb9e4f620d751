"""The pixel contract from file to file, over modes, orientations, sizes and masks."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from app.generators import run
from app.pictures import decode, encode
from brushedit.errors import EmptyMask
from brushedit.options import PaintOptions

MODES = ("RGB", "RGBA", "L", "LA", "P")
SIZES = st.one_of(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 120), st.integers(1, 120)),
    st.sampled_from([(1, 500), (500, 1), (333, 17), (401, 399)]),
)


def stored(mode: str, width: int, height: int, orientation: int, seed: int, kind: str) -> bytes:
    rng = np.random.default_rng(seed)
    samples = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    image = Image.fromarray(samples)
    image = image.convert("RGB").quantize(int(rng.integers(2, 257))) if mode == "P" else image.convert(mode)
    exif = Image.Exif()
    exif[0x112] = orientation
    out = io.BytesIO()
    image.save(
        out, kind, exif=exif, dpi=(72, 72), **({"lossless": True, "exact": True} if kind == "WEBP" else {})
    )
    return out.getvalue()


def raw(data: bytes) -> tuple[Image.Image, np.ndarray]:
    """Open a file with Pillow alone, as an independent witness; samples with alpha, (H, W, 4)."""
    image = Image.open(io.BytesIO(data))
    return image, np.asarray(image.convert("RGBA"))


def mask_of(kind: str, height: int, width: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.bool_)
    if kind == "full":
        mask[:] = True
    elif kind == "specks":
        mask[:] = rng.random((height, width)) < 0.02
    elif kind == "box":
        y, x = rng.integers(0, height), rng.integers(0, width)
        mask[y : y + 1 + height // 3, x : x + 1 + width // 3] = True
    return mask


@given(
    st.sampled_from(MODES),
    SIZES,
    st.integers(1, 8),
    st.sampled_from(["box", "box", "specks", "full", "empty"]),
    st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_only_the_region_changes(conductor, mode, size, orientation, kind, seed):
    data = stored(mode, *size, orientation, seed, "PNG")
    picture = decode(data)
    mask = mask_of(kind, *picture.pixels.shape[:2], seed)
    events = conductor.paint(picture.pixels, mask, "a ball", PaintOptions(steps=1, seed=seed))
    if not mask.any():
        with pytest.raises(EmptyMask):
            run(events)
        return
    painting = run(events)
    result = encode(painting.images[0], picture)
    (before, old), (after, new) = raw(data), raw(result)
    assert (after.size, after.mode, after.format) == (before.size, before.mode, before.format)
    assert after.getexif().get(0x112) == orientation
    assert after.info.get("dpi") == before.info.get("dpi")
    upright = decode(result)
    assert upright.pixels.shape == picture.pixels.shape
    # In upright coordinates, where the region is known ...
    outside = ~painting.region
    assert np.array_equal(upright.pixels[outside], picture.pixels[outside])
    # ... and in the stored ones, by another decoder: as many pixels changed as lie in the region, at most.
    assert (old != new).any(axis=2).sum() <= painting.region.sum()
    assert np.array_equal(old[..., 3], new[..., 3])


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_keeps_it_too(conductor, mode):
    data = stored(mode, 61, 47, 6, 1, "WEBP")
    picture = decode(data)
    mask = mask_of("box", *picture.pixels.shape[:2], 1)
    painting = run(conductor.paint(picture.pixels, mask, "a ball", PaintOptions(steps=1)))
    result = decode(encode(painting.images[0], picture))
    outside = ~painting.region
    assert np.array_equal(result.pixels[outside], picture.pixels[outside])
    assert raw(encode(painting.images[0], picture))[0].format == "WEBP"


def test_twelve_megapixels(conductor):
    data = stored("RGB", 4000, 3000, 1, 0, "PNG")
    picture = decode(data)
    mask = mask_of("box", 3000, 4000, 3)
    painting = run(conductor.paint(picture.pixels, mask, "a ball", PaintOptions(steps=1)))
    _, new = raw(encode(painting.images[0], picture))
    changed = (new[..., :3] != picture.pixels).any(axis=2)
    assert not changed[~painting.region].any()
    assert changed.any()
