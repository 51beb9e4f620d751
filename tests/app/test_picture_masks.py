import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pictures import decode, decode_mask, encode_mask, read_mask
from brushedit.errors import ImageTooLarge, InvalidMask


def saved(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


WANTED = np.zeros((6, 9), bool)
WANTED[1:4, 2:8] = True
GREY = PIL.Image.fromarray(WANTED * np.uint8(255))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_white_may_change_in_every_mode(mode):
    data = saved(GREY.convert(mode))
    np.testing.assert_array_equal(decode_mask(data, (6, 9)), WANTED)
    np.testing.assert_array_equal(decode_mask(data, (6, 9), polarity="white"), WANTED)
    np.testing.assert_array_equal(decode_mask(data, (6, 9), polarity="black"), ~WANTED)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_masks_come_in_every_format(kind):
    big = np.kron(WANTED, np.ones((8, 8), bool))
    data = saved(PIL.Image.fromarray(big * np.uint8(255)), kind, quality=95)
    np.testing.assert_array_equal(decode_mask(data, (48, 72)), big)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_may_change_as_in_masks_for_openai(mode):
    image = PIL.Image.new(mode[:-1], (9, 6), "white")
    image.putalpha(PIL.Image.fromarray(np.where(WANTED, 0, 255).astype(np.uint8)))
    data = saved(image)
    np.testing.assert_array_equal(decode_mask(data, (6, 9)), WANTED)
    np.testing.assert_array_equal(decode_mask(data, (6, 9), polarity="alpha"), WANTED)
    assert decode_mask(data, (6, 9), polarity="white").all()


def test_a_palette_with_a_transparent_entry_counts_as_alpha():
    image = PIL.Image.fromarray(WANTED.astype(np.uint8))
    image.putpalette([10, 10, 10, 20, 20, 20])
    np.testing.assert_array_equal(decode_mask(saved(image, transparency=1), (6, 9)), WANTED)


def test_thresholds():
    ramp = PIL.Image.fromarray(np.array([[127, 128]], np.uint8))
    assert decode_mask(saved(ramp), (1, 2)).tolist() == [[False, True]]
    clear = PIL.Image.new("L", (2, 1))
    clear.putalpha(ramp)
    assert decode_mask(saved(clear), (1, 2)).tolist() == [[True, False]]


def test_alpha_polarity_needs_an_alpha_channel():
    with pytest.raises(InvalidMask, match="alpha channel"):
        decode_mask(saved(GREY), (6, 9), polarity="alpha")
    assert not decode_mask(saved(GREY.convert("LA")), (6, 9), polarity="alpha").any()


def test_a_mask_of_another_size_is_refused_or_stretched():
    with pytest.raises(InvalidMask, match=r"9x6 .* 18x12.*--mask-resize nearest"):
        decode_mask(saved(GREY), (12, 18))
    doubled = decode_mask(saved(GREY), (12, 18), resize="nearest")
    np.testing.assert_array_equal(doubled, np.kron(WANTED, np.ones((2, 2), bool)))


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(1, 30)] * 4), st.integers(0, 2**32 - 1))
def test_stretching_takes_the_nearest_pixel(sizes, seed):
    height, width, rows, columns = sizes
    mask = np.random.default_rng(seed).random((rows, columns)) < 0.5
    stretched = decode_mask(encode_mask(mask), (height, width), resize="nearest")
    nearest = np.zeros((height, width, 4), bool)  # a centre that lies between two pixels may take either
    for case, (up, left) in enumerate([(-1e-6, -1e-6), (-1e-6, 1e-6), (1e-6, -1e-6), (1e-6, 1e-6)]):
        y = np.clip((np.arange(height) + 0.5) * rows / height + up, 0, rows - 1e-6).astype(int)
        x = np.clip((np.arange(width) + 0.5) * columns / width + left, 0, columns - 1e-6).astype(int)
        nearest[..., case] = mask[y][:, x]
    assert (nearest == stretched[..., None]).any(axis=2).all()


def test_a_mask_is_turned_upright_by_its_own_orientation():
    tags = PIL.Image.Exif()
    tags[0x0112] = 6
    stored = GREY.transpose(PIL.Image.Transpose.ROTATE_90)
    np.testing.assert_array_equal(decode_mask(saved(stored, exif=tags.tobytes()), (6, 9)), WANTED)


@given(st.integers(0, 2**20 - 1), st.integers(1, 5), st.integers(1, 4))
def test_an_encoded_mask_reads_back(bits, height, width):
    mask = (bits >> np.arange(height * width) & 1).astype(bool).reshape(height, width)
    data = encode_mask(mask)
    np.testing.assert_array_equal(decode_mask(data, (height, width)), mask)
    assert decode(data).source.mode == "L"


def test_what_is_no_mask_is_refused_as_a_mask(tmp_path):
    path = tmp_path / "mask.png"
    path.write_bytes(b"GIF89a")
    with pytest.raises(InvalidMask, match="GIF") as refusal:
        decode_mask(path.read_bytes(), (6, 9))
    assert refusal.value.param == "mask"
    with pytest.raises(InvalidMask, match=str(path)):
        read_mask(path, (6, 9))
    with pytest.raises(InvalidMask, match=r"missing\.png"):
        read_mask(tmp_path / "missing.png", (6, 9))
    with pytest.raises(ImageTooLarge, match="mask") as refusal:
        decode_mask(saved(GREY), (6, 9), max_pixels=50)
    assert refusal.value.param == "mask"
    path.write_bytes(saved(GREY))
    np.testing.assert_array_equal(read_mask(path, (6, 9)), WANTED)
