"""Results in a size that was asked for: all of a picture is resized, not its colours alone."""

import io

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest

from app.jobs.resizing import resized
from app.pictures import decode


def half_clear(mode, **saved):
    """Return a picture that is white on the left, and clear on a black ground on the right."""
    samples = np.zeros((32, 32, 4), np.uint8)
    samples[:, :16] = 255
    out = io.BytesIO()
    PIL.Image.fromarray(samples).convert(mode).save(out, "PNG", **saved)
    return out.getvalue()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_resized_too(mode):
    made = decode(resized(half_clear(mode), "64x48"))
    assert made.alpha is not None
    assert made.alpha.shape == (48, 64)
    assert (made.alpha[:, :24] == 255).all()
    assert (made.alpha[:, 40:] == 0).all()
    # The black that nobody sees darkens no edge.
    assert (made.pixels[made.alpha > 8] > 250).all()


def test_opaque_pictures_stay_so_and_keep_their_colour_profile():
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    made = decode(resized(half_clear("RGB", icc_profile=profile), "16x16"))
    assert made.alpha is None
    assert made.source.icc_profile == profile
