import io
import struct
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL.PngImagePlugin import PngInfo

from app.pictures import decode, encode, read_recipe
from brushedit.errors import EditError, ImageTooLarge, InvalidImage

RNG = np.random.default_rng(3)
NOISE = PIL.Image.fromarray(RNG.integers(0, 256, (23, 31, 3), dtype=np.uint8))


def saved(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, *chunks, colour=2):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def pixel(*chunks):
    """A valid PNG of one pixel with chunks before and after the data."""
    return png(1, 1, *chunks, chunk(b"IDAT", zlib.compress(b"\0\1\2\3")))


EXIF = PIL.Image.Exif()
EXIF[0x0112] = 6
EXIF[0x010F] = "maker"
SAMPLES = {
    "png": saved(NOISE, exif=EXIF.tobytes(), icc_profile=bytes(200)),
    "palette": saved(NOISE.quantize(20), transparency=3),
    "jpeg": saved(NOISE, "JPEG", exif=EXIF.tobytes(), icc_profile=bytes(200)),
    "progressive": saved(NOISE, "JPEG", progressive=True),
    "webp": saved(NOISE, "WEBP"),
    "lossless": saved(NOISE, "WEBP", lossless=True, exif=EXIF.tobytes()),
    "animation": saved(NOISE, "WEBP", save_all=True, append_images=[NOISE.rotate(180)]),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_cut_off_anywhere_is_refused(name):
    data = SAMPLES[name]
    decode(data)
    for length in range(len(data)):
        with pytest.raises(InvalidImage):
            decode(data[:length])


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_a_damaged_file_is_a_picture_or_a_clear_error(name, data):
    content = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    read_recipe(bytes(content))
    assert_picture_or_clear_error(bytes(content))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([(8, 2), (8, 3), (1, 0), (16, 4), (16, 0), (2, 3)]),
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(0, 1),
    st.binary(max_size=200),
    st.binary(max_size=10),
    st.booleans(),
)
def test_png_data_that_does_not_fill_the_picture(kind, width, height, interlaced, rows, transparency, packed):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *kind, 0, 0, interlaced))
    chunks = [chunk(b"PLTE", bytes(range(30))), chunk(b"tRNS", transparency)]
    chunks.append(chunk(b"IDAT", zlib.compress(rows) if packed else rows))
    assert_picture_or_clear_error(b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b""))


def assert_picture_or_clear_error(data):
    refusal = None
    try:
        picture = decode(data, max_pixels=10_000)
    except EditError as error:
        refusal = error
    if refusal is not None:
        assert refusal.message
        assert refusal.param == "image"
    else:
        again = decode(encode(picture.pixels, picture))
        np.testing.assert_array_equal(again.pixels.shape, picture.pixels.shape)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\1\0\0WEBPVP8 ", b"RIFF\xff\0\0\0WEBPVP8X"]
    ),
    st.binary(max_size=300),
)
def test_random_bytes_are_refused(start, rest):
    with pytest.raises((InvalidImage, ImageTooLarge)):
        decode(start + rest)
    assert read_recipe(start + rest) is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""]))
def test_any_exif_block_and_profile_are_carried_over_or_dropped(block, head):
    picture = decode(pixel(chunk(b"eXIf", head + block), chunk(b"iCCP", block)))
    again = decode(encode(picture.pixels, picture))
    assert again.source.orientation == picture.source.orientation
    np.testing.assert_array_equal(again.pixels, [[[1, 2, 3]]])


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"GIF89a", "GIF"),
        (b"II*\0", "TIFF"),
        (b"BM", "BMP"),
        (b"\0\0\0\x20ftypheic", "HEIC"),
        (b"\0\0\0\x20ftypavif", "AVIF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "SVG"),
        (b"\xef\xbb\xbf\n<?xml version='1.0'?><svg/>", "SVG"),
        (b"", "empty"),
        (b"hello", "not a picture"),
    ],
)
def test_other_formats_are_refused_by_name(start, name):
    with pytest.raises(InvalidImage, match=rf"{name}.*PNG, JPEG and WebP"):
        decode(start + bytes(100) if start else b"")


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "BMP", "AVIF", "ICO", "JPEG2000", "PPM"])
def test_formats_that_pillow_reads_are_refused_all_the_same(kind):
    with pytest.raises(InvalidImage, match="PNG, JPEG and WebP"):
        decode(saved(NOISE, kind))


def bomb(side):
    """A real PNG of side x side black pixels, a thousand times smaller than them."""
    row = bytes(1 + 3 * side)
    squeeze = zlib.compressobj(1)
    return png(
        side, side, chunk(b"IDAT", b"".join(squeeze.compress(row) for _ in range(side)) + squeeze.flush())
    )


def jpeg_claiming(width, height):
    data = bytearray(SAMPLES["jpeg"])
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_claiming(width, height):
    data = bytearray(SAMPLES["lossless"])
    data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


@pytest.mark.parametrize(
    "make",
    [
        lambda: png(50_000, 50_000),
        lambda: png(2**31 - 1, 2**31 - 1),
        lambda: bomb(12_000),
        lambda: jpeg_claiming(65_000, 65_000),
        lambda: webp_claiming(2**24, 2**24),
        lambda: png(50_000, 50_000)[:40],
    ],
)
def test_a_picture_too_large_is_refused_before_it_takes_memory(make):
    data = make()
    tracemalloc.start()
    with pytest.raises(ImageTooLarge, match="at most 100,000,000 are"):
        decode(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_the_limit_is_the_callers():
    side = 700
    data = bomb(side)
    with pytest.raises(ImageTooLarge, match="700x700"):
        decode(data, max_pixels=side * side - 1)
    assert decode(data, max_pixels=side * side).pixels.shape == (side, side, 3)


def test_pillows_own_size_limit_does_not_speak_up(monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    for data in SAMPLES.values():
        assert decode(data).pixels.size == 23 * 31 * 3


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_a_picture_without_pixels_is_refused(size):
    for data in (png(*size), jpeg_claiming(*size)):
        with pytest.raises(InvalidImage, match="{}x{}".format(*size)):
            decode(data)


def test_two_sizes_are_refused():
    jpeg = SAMPLES["jpeg"]
    frame = jpeg.index(b"\xff\xc0")
    length = 2 + int.from_bytes(jpeg[frame + 2 : frame + 4])
    with pytest.raises(InvalidImage, match="frame header"):
        decode(jpeg[:frame] + jpeg[frame : frame + length] * 2 + jpeg[frame + length :])
    with pytest.raises(InvalidImage):
        decode(webp_claiming(40, 50))


def test_a_jpeg_of_a_thousand_scans_is_refused():
    data = SAMPLES["progressive"]
    scan = data.rindex(b"\xff\xda")
    with pytest.raises(InvalidImage, match="scans"):
        decode(data[:scan] + data[scan:-2] * 1000 + data[-2:])


def test_text_is_never_inflated():
    zeros = zlib.compress(bytes(200 * 2**20), 9)
    chunks = [
        chunk(b"zTXt", b"Comment\0\0" + zeros),
        chunk(b"iTXt", b"brushedit\0\1\0\0\0" + zeros),
        chunk(b"iCCP", b"icc\0\0" + zeros),
    ]
    data = pixel(*chunks * 3)
    tracemalloc.start()
    picture = decode(data)
    assert read_recipe(data) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * 2**20
    assert picture.source.icc_profile is None
    assert "profile" in picture.source.warnings[0]


def test_much_text_is_no_reason_to_refuse_a_picture():
    info = PngInfo()
    for number in range(70):
        info.add_text(f"key{number}", "x" * 2**20, zip=True)
    data = saved(NOISE, pnginfo=info)
    with pytest.raises(ValueError, match="MAX_TEXT_MEMORY"):
        PIL.Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(decode(data).pixels, np.asarray(NOISE))


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"not tiff at all",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff" + bytes(30),
    ],
)
def test_broken_exif_never_stops_a_picture(block):
    for data in (pixel(chunk(b"eXIf", block)), saved(NOISE, "JPEG", exif=b"Exif\0\0" + block)):
        picture = decode(data)
        assert picture.source.orientation == 1
        assert bool(picture.source.warnings) == (picture.source.exif is None)
        assert decode(encode(picture.pixels, picture)).source.exif == picture.source.exif


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(orientation):
    tags = PIL.Image.Exif()
    tags[0x0112] = orientation
    picture = decode(saved(NOISE, exif=tags.tobytes()))
    np.testing.assert_array_equal(picture.pixels, np.asarray(NOISE))


def test_an_exif_block_too_large_to_carry_keeps_the_orientation():
    block = EXIF.tobytes()[6:] + bytes(70_000)
    picture = decode(saved(NOISE, exif=block))
    assert picture.source.exif is None
    assert "too large" in picture.source.warnings[0]
    for kind in ("png", "webp", "jpeg"):
        data = encode(picture.pixels, picture, format=kind)
        assert PIL.Image.open(io.BytesIO(data)).size == NOISE.size
        assert decode(data).pixels.shape == picture.pixels.shape == (31, 23, 3)


def test_a_thumbnail_that_lies_over_the_tags_does_not_erase_them():
    entry = struct.Struct("<HHII")
    block = struct.pack("<2sHIH", b"II", 42, 8, 1) + entry.pack(0x0112, 3, 1, 6) + struct.pack("<I", 26)
    block += struct.pack("<H", 2) + entry.pack(0x0201, 4, 1, 0) + entry.pack(0x0202, 4, 1, 1000) + bytes(4)
    picture = decode(saved(NOISE, exif=block))
    assert picture.source.orientation == 6
    again = decode(encode(picture.pixels, picture))
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    assert PIL.Image.open(io.BytesIO(encode(picture.pixels, picture))).size == NOISE.size


def test_wrong_checksums_are_damage():
    data = bytearray(pixel())
    data[data.index(b"IDAT") + 6] ^= 1
    with pytest.raises(InvalidImage, match="checksum of its IDAT"):
        decode(bytes(data))


@pytest.mark.parametrize("palette", [b"", bytes(4), bytes(771)])
def test_a_palette_picture_without_a_palette_is_refused(palette):
    body = [chunk(b"PLTE", palette)] if palette else []
    with pytest.raises(InvalidImage, match="palette"):
        decode(png(1, 1, *body, chunk(b"IDAT", zlib.compress(b"\0\1")), colour=3))


def test_indices_past_the_palette_are_black():
    data = png(2, 1, chunk(b"PLTE", b"\7\7\7"), chunk(b"IDAT", zlib.compress(b"\0\0\x90")), colour=3)
    picture = decode(data)
    assert picture.pixels[0].tolist() == [[7] * 3, [0] * 3]
    again = decode(encode(picture.pixels, picture))
    np.testing.assert_array_equal(again.source.palette.indices, [[0, 0x90]])


def test_many_threads_read_at_once():
    broken = pixel(chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff"), chunk(b"acTL", bytes(8)))
    files = [*SAMPLES.values(), broken] * 20
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(decode, files))
    for data, picture in zip(files, results, strict=True):
        np.testing.assert_array_equal(decode(data).pixels, picture.pixels)
