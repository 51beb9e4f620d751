import io
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo

from app.pictures import Picture, check_writable, decode, encode, read, read_recipe, write
from app.pictures.records import luminance
from brushedit.errors import InvalidImage, InvalidOption, OutputNotWritable

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION = 0x0112


def profile(space):
    return bytes(16) + space + bytes(16) + b"acsp" + bytes(100)


def exif(orientation):
    tags = PIL.Image.Exif()
    tags[ORIENTATION] = orientation
    tags[0x010F] = "A camera maker"
    return tags.tobytes()


def saved(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(data):
    image = PIL.Image.open(io.BytesIO(data))
    image.load()
    return image


@dataclass
class Case:
    kind: str
    mode: str
    data: bytes
    seed: int


@st.composite
def files(draw):
    kind = draw(st.sampled_from(["PNG", "WEBP"]))
    mode = draw(st.sampled_from(["RGB", "RGBA", "L", "LA", "P"] if kind == "PNG" else ["RGB", "RGBA"]))
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    orientation = draw(st.integers(1, 8))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    channels = {"L": (), "P": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}[mode]
    samples = rng.integers(0, 256, (height, width, *channels), dtype=np.uint8)
    options = {"exif": exif(orientation)} if orientation > 1 or draw(st.booleans()) else {}
    if mode == "RGBA":
        samples[0, 0, 3] = 0  # WebP stores no alpha channel that is opaque everywhere
    if mode == "P":
        colours = draw(st.sampled_from([1, 2, 3, 16, 17, 100, 256]))
        samples %= np.array(colours, np.uint16)
        if draw(st.booleans()):
            options["transparency"] = rng.integers(0, 256, colours, dtype=np.uint8).tobytes()
    image = PIL.Image.fromarray(samples.astype(np.uint8))
    if mode == "P":
        image.putpalette(rng.integers(0, 256, 3 * colours, dtype=np.uint8).tobytes())
    if draw(st.booleans()):
        options["icc_profile"] = profile(b"GRAY") if mode in ("L", "LA") else SRGB
    if kind == "PNG" and draw(st.booleans()):
        options["dpi"] = draw(st.sampled_from([(72, 72), (300, 299.5)]))
    if kind == "WEBP":
        options |= {"lossless": True, "exact": True}
    return Case(kind, mode, saved(image, kind, **options), seed)


@settings(max_examples=300, deadline=None)
@given(files())
def test_decode_agrees_with_pillow_and_writing_it_back_changes_nothing(case):
    before = opened(case.data)
    picture = decode(case.data)
    assert picture.source.warnings == ()
    assert (picture.source.format, picture.source.mode) == (case.kind, case.mode)
    shown = ImageOps.exif_transpose(before).convert("RGBA")
    np.testing.assert_array_equal(picture.pixels, np.asarray(shown)[:, :, :3])
    if picture.alpha is not None:
        np.testing.assert_array_equal(picture.alpha, np.asarray(shown)[:, :, 3])
    assert (picture.alpha is not None) == before.has_transparency_data

    after = opened(encode(picture.pixels, picture))
    assert (after.mode, after.size, after.format) == (before.mode, before.size, before.format)
    np.testing.assert_array_equal(np.asarray(after), np.asarray(before))
    assert after.getpalette() == before.getpalette()
    for key in ("icc_profile", "dpi", "transparency"):
        assert after.info.get(key) == before.info.get(key)
    assert dict(after.getexif()) == dict(before.getexif())


@settings(max_examples=400, deadline=None)
@given(files(), st.data())
def test_an_edit_changes_no_sample_outside_it(case, data):
    picture = decode(case.data)
    height, width = picture.pixels.shape[:2]
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    y1, x1 = data.draw(st.integers(y0 + 1, height)), data.draw(st.integers(x0 + 1, width))
    region = np.zeros((height, width), bool)
    region[y0:y1, x0:x1] = True
    edited = picture.pixels.copy()
    edited[region] = np.random.default_rng(case.seed + 1).integers(0, 256, (region.sum(), 3), dtype=np.uint8)

    written = encode(edited, picture)
    result = decode(written)
    np.testing.assert_array_equal(result.pixels[~region], picture.pixels[~region])
    if picture.alpha is None:
        assert result.alpha is None
    else:
        np.testing.assert_array_equal(result.alpha, picture.alpha)
    for name in ("format", "mode", "orientation", "icc_profile", "exif", "dpi", "warnings"):
        assert getattr(result.source, name) == getattr(picture.source, name)
    assert opened(written).size == opened(case.data).size

    if case.mode in ("L", "LA"):
        np.testing.assert_array_equal(result.pixels[..., 0], luminance(edited))
    elif case.mode != "P":
        np.testing.assert_array_equal(result.pixels, edited)
    else:
        was, now = picture.source.palette, result.source.palette
        np.testing.assert_array_equal(now.indices[~region], was.indices[~region])
        if len(was.colours) <= 256 - 81:  # a free entry for each of the 9x9 pixels
            np.testing.assert_array_equal(result.pixels, edited)
            np.testing.assert_array_equal(now.colours[: len(was.colours)], was.colours)


def palette_photo(colours, size=64, transparency=None):
    ramp = np.arange(size * size, dtype=np.int64).reshape(size, size) % colours
    image = PIL.Image.fromarray(ramp.astype(np.uint8))
    table = np.random.default_rng(5).integers(0, 256, (colours, 3), dtype=np.uint8)
    image.putpalette(table.tobytes())
    options = {"transparency": transparency} if transparency else {}
    return decode(saved(image, **options))


@pytest.mark.parametrize(("colours", "worst"), [(256, 60), (200, 40), (16, 20)])
def test_more_new_colours_than_free_entries_are_reduced_to_the_closest(colours, worst):
    picture = palette_photo(colours)
    edited = picture.pixels.copy()
    across = np.arange(40, dtype=np.uint8) * 6
    edited[10:50, 10:50] = np.dstack(np.broadcast_arrays(across[None], across[:, None], np.uint8(128)))
    result = decode(encode(edited, picture))
    outside = np.ones((64, 64), bool)
    outside[10:50, 10:50] = False
    np.testing.assert_array_equal(result.pixels[outside], picture.pixels[outside])
    error = np.linalg.norm(result.pixels[~outside].astype(float) - edited[~outside], axis=1)
    assert 0 < error.mean() < worst
    assert len(result.source.palette.colours) <= 256


def test_opacity_is_kept_where_every_palette_entry_is_in_use():
    picture = palette_photo(256, transparency=bytes(range(256)))
    edited = picture.pixels.copy()
    edited[:32] = (10, 200, 30)
    edited[:5, :5] = (1, 2, 3)
    result = decode(encode(edited, picture))
    np.testing.assert_array_equal(result.alpha, picture.alpha)
    np.testing.assert_array_equal(result.pixels[32:], picture.pixels[32:])
    whole = decode(encode(255 - picture.pixels, picture))
    np.testing.assert_array_equal(whole.alpha, picture.alpha)
    np.testing.assert_array_equal(whole.pixels, 255 - picture.pixels)


def test_a_large_picture_survives():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (75, 100, 3), dtype=np.uint8)
    pixels = np.kron(small, np.ones((40, 40, 1), np.uint8))
    data = saved(PIL.Image.fromarray(pixels), exif=exif(6), compress_level=1)
    picture = decode(data)
    assert picture.pixels.shape == (4000, 3000, 3)
    edited = picture.pixels.copy()
    edited[1000:1100, 2000:2100] ^= 255
    result = decode(encode(edited, picture))
    np.testing.assert_array_equal(result.pixels, edited)


def test_luminance_of_grey_is_that_grey():
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    np.testing.assert_array_equal(luminance(grey), grey[:, :, 0])


@pytest.mark.parametrize(
    ("mode", "stored", "warning"),
    [
        ("1", "L", "grey"),
        ("I;16", "L", "16-bit"),
        ("CMYK", "RGB", "CMYK"),
    ],
)
def test_modes_that_cannot_be_kept_are_converted_with_a_warning(mode, stored, warning):
    if mode == "I;16":
        image = PIL.Image.fromarray((np.arange(256, dtype=np.uint16) * 257).reshape(16, 16))
    else:
        image = PIL.Image.linear_gradient("L").convert(mode)
    data = saved(image, "JPEG", quality=100) if mode == "CMYK" else saved(image)
    picture = decode(data)
    assert picture.source.mode == stored
    assert len(picture.source.warnings) == 1
    assert warning in picture.source.warnings[0]
    if mode == "I;16":
        np.testing.assert_array_equal(picture.pixels[..., 1].ravel(), np.arange(256))
    if mode == "1":
        np.testing.assert_array_equal(picture.pixels[..., 0], np.asarray(image.convert("L")))
    assert opened(encode(picture.pixels, picture)).mode == stored


def raw_png(depth, colour, width, height, rows, *chunks):
    def chunk(name, content):
        import zlib

        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    import zlib

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *(chunk(name, content) for name, content in chunks),
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )


@pytest.mark.parametrize(
    ("depth", "colour", "rows", "expected"),
    [
        (16, 2, b"\0" + bytes([200, 1, 100, 2, 50, 3, 9, 9, 8, 8, 7, 7]), [[200, 100, 50], [9, 8, 7]]),
        (16, 6, b"\0" + bytes([200, 1, 100, 2, 50, 3, 128, 0] * 2), [[200, 100, 50]] * 2),
        (16, 4, b"\0" + bytes([200, 1, 128, 0, 3, 0, 4, 0]), [[200] * 3, [3] * 3]),
        (2, 0, b"\0" + bytes([0b01100000]), [[85] * 3, [170] * 3]),
        (4, 0, b"\0" + bytes([0x1F]), [[17] * 3, [255] * 3]),
    ],
)
def test_other_sample_depths_of_png(depth, colour, rows, expected):
    picture = decode(raw_png(depth, colour, 2, 1, rows))
    assert picture.pixels[0].tolist() == expected
    assert any("16-bit" in w for w in picture.source.warnings) == (depth == 16)
    assert (picture.alpha is not None) == (colour >= 4)
    again = decode(encode(picture.pixels, picture))
    np.testing.assert_array_equal(again.pixels, picture.pixels)


@pytest.mark.parametrize(
    ("depth", "colour", "rows", "key"),
    [
        (8, 2, b"\0" + bytes([1, 2, 3, 4, 5, 6]), struct.pack(">HHH", 1, 2, 3)),
        (8, 0, b"\0" + bytes([7, 8]), struct.pack(">H", 7)),
        (4, 0, b"\0" + bytes([0x5A]), struct.pack(">H", 5)),
        (1, 0, b"\0" + bytes([0b10000000]), struct.pack(">H", 1)),
    ],
)
def test_a_transparent_colour_becomes_an_alpha_channel(depth, colour, rows, key):
    picture = decode(raw_png(depth, colour, 2, 1, rows, (b"tRNS", key)))
    assert picture.alpha.tolist() == [[0, 255]]
    assert "The transparent colour was turned into an alpha channel." in picture.source.warnings
    result = decode(encode(picture.pixels, picture))
    np.testing.assert_array_equal(result.alpha, picture.alpha)
    np.testing.assert_array_equal(result.pixels, picture.pixels)


@pytest.mark.parametrize("key", [b"", b"\0", b"\0\7\0", b"\0\7\0\7"])
def test_a_transparent_colour_of_another_length_is_refused(key):
    with pytest.raises(InvalidImage, match="transparent colour"):
        decode(raw_png(8, 0, 2, 1, b"\0\7\x08", (b"tRNS", key)))


def test_chunks_that_define_the_colours_are_kept_and_text_is_not():
    chunks = [(b"gAMA", struct.pack(">I", 45455)), (b"sRGB", b"\0"), (b"tEXt", b"Comment\0secret")]
    picture = decode(raw_png(8, 0, 1, 1, b"\0\5", *chunks))
    written = encode(picture.pixels, picture)
    assert decode(written).source.colour_chunks == picture.source.colour_chunks == tuple(chunks[:2])
    assert b"secret" not in written


def animation(kind):
    frames = [PIL.Image.new("RGB", (8, 6), colour) for colour in ("red", "green", "blue")]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, lossless=True)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_used(kind):
    picture = decode(animation(kind))
    assert picture.source.warnings == ("Only the first of the animation's 3 frames is used.",)
    assert (picture.pixels == (255, 0, 0)).all()


def test_a_jpeg_that_holds_several_pictures_is_a_jpeg():
    frames = [PIL.Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert opened(data).format == "MPO"
    picture = decode(data)
    assert picture.source.format == "JPEG"
    assert picture.pixels[0, 0, 0] > 200
    assert "main picture" in picture.source.warnings[0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_keeps_everything_but_the_last_bits(orientation, mode):
    image = PIL.Image.radial_gradient("L").resize((48, 33)).convert(mode)
    icc = profile(b"GRAY") if mode == "L" else SRGB
    data = saved(image, "JPEG", exif=exif(orientation), dpi=(300, 300), icc_profile=icc)
    picture = decode(data)
    shown = ImageOps.exif_transpose(opened(data)).convert("RGB")
    np.testing.assert_array_equal(picture.pixels, np.asarray(shown))
    written = encode(picture.pixels, picture)
    after = opened(written)
    assert (after.format, after.mode, after.size) == ("JPEG", mode, (48, 33))
    assert (after.info["dpi"], after.info["icc_profile"]) == ((300, 300), icc)
    assert after.getexif()[ORIENTATION] == orientation
    assert after.getexif()[0x010F] == "A camera maker"
    assert np.abs(decode(written).pixels.astype(int) - picture.pixels).max() <= 6
    if mode == "RGB":
        assert [layer[1:3] for layer in after.layer] == [(1, 1)] * 3


def test_format_changes_keep_samples_orientation_and_metadata():
    data = saved(PIL.Image.radial_gradient("L").convert("RGB"), "JPEG", exif=exif(5), icc_profile=SRGB)
    picture = decode(data)
    for name in ("png", "WEBP"):
        result = decode(encode(picture.pixels, picture, format=name))
        np.testing.assert_array_equal(result.pixels, picture.pixels)
        assert result.source.format == name.upper()
        assert result.source.orientation == 5
        assert (result.source.icc_profile, result.source.exif) == (SRGB, picture.source.exif)


@pytest.mark.parametrize("mode", ["L", "LA", "P"])
def test_webp_of_a_grey_or_palette_picture_shows_the_same(mode):
    grey = PIL.Image.linear_gradient("L").convert(mode)
    options = {"transparency": bytes(range(256))} if mode == "P" else {}
    if mode == "LA":
        grey.putalpha(PIL.Image.radial_gradient("L"))
    picture = decode(saved(grey, **options, icc_profile=profile(b"GRAY" if mode != "P" else b"RGB ")))
    result = decode(encode(picture.pixels, picture, format="webp"))
    np.testing.assert_array_equal(result.pixels, picture.pixels)
    if mode == "L":
        assert result.alpha is None
    else:
        np.testing.assert_array_equal(result.alpha, picture.alpha)
    assert result.source.icc_profile == (None if mode != "P" else picture.source.icc_profile)


def test_a_profile_of_another_colour_space_is_not_kept():
    picture = decode(saved(PIL.Image.new("RGB", (2, 2)), icc_profile=profile(b"CMYK")))
    assert picture.source.icc_profile is None
    assert "profile" in picture.source.warnings[0]


def test_the_thumbnail_of_the_unedited_picture_is_blanked():
    thumbnail = b"\xff\xd8thumbnail\xff\xd9"
    entry = struct.Struct("<HHII")
    block = struct.pack("<2sHIH", b"II", 42, 8, 1) + entry.pack(ORIENTATION, 3, 1, 8) + struct.pack("<I", 26)
    block += struct.pack("<H", 2) + entry.pack(0x0201, 4, 1, 56) + entry.pack(0x0202, 4, 1, len(thumbnail))
    block += bytes(4) + thumbnail
    data = saved(PIL.Image.new("RGB", (3, 2)), "JPEG", exif=b"Exif\0\0" + block)
    assert b"thumbnail" in data
    picture = decode(data)
    assert picture.source.orientation == 8
    written = encode(picture.pixels, picture)
    assert b"thumbnail" not in written
    tags = opened(written).getexif()
    assert tags[ORIENTATION] == 8
    assert tags.get_ifd(1) == {}
    assert len(picture.source.exif) == len(block)


def test_recipe_travels_in_png():
    recipe = {"instruction": "mach das Auto grün", "seed": 7, "steps": [{"kind": "local"}]}
    picture = Picture(np.zeros((2, 3, 3), np.uint8))
    data = encode(picture.pixels, picture, recipe=recipe)
    assert read_recipe(data) == recipe
    assert opened(data).text == {"brushedit": opened(data).text["brushedit"]}
    assert read_recipe(encode(picture.pixels, picture, format="webp", recipe=recipe)) is None
    assert read_recipe(encode(picture.pixels, decode(data))) is None
    with pytest.raises(InvalidOption, match="recipe"):
        encode(picture.pixels, picture, recipe={"long": "x" * 2**20})


@pytest.mark.parametrize(
    ("value", "compressed"),
    [
        ("no json", False),
        ("[1]", False),
        ("", False),
        ("[" * 100_000, True),
        ('{"a":"' + "x" * 2**24 + '"}', True),
        ("{" + '"a":' * 10, False),
    ],
)
def test_a_foreign_recipe_is_no_recipe(value, compressed):
    info = PngInfo()
    info.add_itxt("brushedit", value, zip=compressed)
    assert read_recipe(saved(PIL.Image.new("L", (1, 1)), pnginfo=info)) is None


def test_a_compressed_recipe_is_read():
    info = PngInfo()
    info.add_itxt("other", "x")
    info.add_itxt("brushedit", '{"a": 1}', zip=True)
    assert read_recipe(saved(PIL.Image.new("L", (1, 1)), pnginfo=info)) == {"a": 1}


def test_what_a_format_cannot_hold_is_refused():
    clear = decode(saved(PIL.Image.new("RGBA", (2, 2), (1, 2, 3, 100))))
    with pytest.raises(InvalidOption, match="transparency"):
        encode(clear.pixels, clear, format="jpg")
    opaque = decode(saved(PIL.Image.new("RGBA", (2, 2), (1, 2, 3, 255))))
    assert opened(encode(opaque.pixels, opaque, format="jpg")).mode == "RGB"
    wide = Picture(np.zeros((1, 16384, 3), np.uint8))
    with pytest.raises(InvalidOption, match="16383"):
        encode(wide.pixels, wide, format="webp")
    tall = Picture(np.zeros((65501, 1, 3), np.uint8))
    with pytest.raises(InvalidOption, match="65500"):
        encode(tall.pixels, tall, format="jpeg")
    with pytest.raises(InvalidOption, match="gif"):
        encode(opaque.pixels, opaque, format="gif")
    with pytest.raises(InvalidOption, match="quality"):
        encode(opaque.pixels, opaque, format="jpg", quality=0)
    with pytest.raises(InvalidImage, match="3x2"):
        encode(np.zeros((2, 3, 3), np.uint8), opaque)


def test_the_suffix_names_the_format_and_the_content_decides_on_reading(tmp_path):
    picture = Picture(np.full((2, 3, 3), 9, np.uint8))
    for suffix, kind in [(".png", "PNG"), (".JPG", "JPEG"), (".webp", "WEBP"), ("", "PNG")]:
        path = tmp_path / f"out{suffix}"
        check_writable(path, picture)
        write(path, picture.pixels, picture)
        assert read(path).source.format == kind
    write(tmp_path / "out.jpg", picture.pixels, picture, format="png")
    assert read(tmp_path / "out.jpg").source.format == "PNG"
    with pytest.raises(InvalidOption, match="tiff"):
        check_writable(tmp_path / "out.tiff", picture)
    check_writable(tmp_path / "out.tiff", picture, format="png")
    clear = decode(saved(PIL.Image.new("RGBA", (2, 2), (1, 2, 3, 100))))
    with pytest.raises(InvalidOption, match="transparency"):
        check_writable(tmp_path / "clear.jpg", clear)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing.png", tmp_path, tmp_path / "text.png", tmp_path / "pipe"):
        with pytest.raises(InvalidImage, match=str(path)):
            read(path)


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    picture = Picture(np.zeros((2, 2, 3), np.uint8))
    for path in (tmp_path, tmp_path / "no" / "out.png", Path(os.devnull)):
        for attempt in (
            lambda p: check_writable(p, picture, format="png"),
            lambda p: write(p, picture.pixels, picture, format="png"),
        ):
            with pytest.raises(OutputNotWritable, match=str(path)):
                attempt(path)
    path = tmp_path / "out.png"
    path.write_bytes(b"old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputNotWritable, match="No space left"):
        write(path, picture.pixels, picture)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputNotWritable):
        check_writable(tmp_path / "out.png", Picture(np.zeros((2, 2, 3), np.uint8)))


def test_a_symbolic_link_is_written_through(tmp_path):
    (tmp_path / "real.png").write_bytes(b"")
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    picture = Picture(np.zeros((2, 2, 3), np.uint8))
    write(tmp_path / "link.png", picture.pixels, picture)
    assert (tmp_path / "link.png").is_symlink()
    assert read(tmp_path / "real.png").pixels.shape == (2, 2, 3)
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "real.png").stat().st_mode & 0o777 == 0o666 & ~umask
