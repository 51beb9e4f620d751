"""Writing pictures: a result follows the file it came from, in everything that was not edited."""

import io
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngInfo

from app.pictures import exif
from app.pictures.container import NAMES
from app.pictures.palettes import repaint
from app.pictures.recipe import KEYWORD, recipe_text
from app.pictures.records import Format, Mode, Palette, Picture, fits, luminance
from brushedit.errors import InvalidImage, InvalidOption, OutputNotWritable
from brushedit.types import Image, require_image

_FORMATS: dict[str, Format] = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP"}
_PNG_LEVEL = 4  # photos: 10 % smaller than level 1; level 6 takes 2-3 times as long for another 1.5 %
_WEBP_EFFORT = 20  # photos: as small within 1 % as at 80, in a third of the time
_LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}


def encode(
    pixels: Image,
    like: Picture,
    *,
    format: str | None = None,  # noqa: A002 - the name everybody looks for
    quality: int = 95,
    recipe: Mapping[str, object] | None = None,
) -> bytes:
    """Encode an edited picture so that its file follows the one it was made from.

    Mode, alpha, stored size, EXIF orientation, EXIF, colour profile and resolution are those of `like`; what
    a format cannot hold (JPEG and WebP no palette, WebP no grey, WebP no resolution) is stored in its nearest
    form, samples unchanged. PNG and WebP are lossless: pixels that equal those of `like` are stored as they
    were in its file, also under full transparency. (WebP does not store an alpha channel that is opaque
    everywhere.) In a grey picture colours become ITU-R BT.601 luma; in a palette picture new colours take
    free entries, see `palettes.repaint`. JPEG is lossy everywhere. Text chunks and XMP are not carried over.

    Parameters
    ----------
    pixels : Image
        Upright, as large as `like.pixels`.
    like : Picture
        The picture before the edit.
    format : str or None
        "png", "jpeg" or "webp"; None = the format of `like`.
    quality : int
        Of JPEG, 1..100; colour is stored at full resolution.
    recipe : mapping or None
        How the picture was made, as JSON values. Kept in PNG files alone, for `read_recipe`.

    Raises
    ------
    InvalidImage
        Pixels of another size than `like`.
    InvalidOption
        An unknown format, a quality out of range, transparency in a JPEG, or more pixels than the format can
        hold.
    """
    height, width = require_image(pixels)
    if pixels.shape != like.pixels.shape:
        raise InvalidImage(
            f"the result is {width}x{height} pixels large, its input "
            f"{like.pixels.shape[1]}x{like.pixels.shape[0]}",
            param="image",
        )
    if not 1 <= quality <= 100:
        raise InvalidOption(f"quality must be 1..100, not {quality}", param="quality")
    kind = _format(format, like)
    _require_storable(kind, like)

    source = like.source
    mode = _stored_mode(kind, like)
    palette = repaint(source.palette, pixels) if mode == "P" and source.palette else None
    samples = palette.indices if palette else _channels(pixels, like, mode)
    image = PIL.Image.fromarray(exif.to_stored(samples, source.orientation))
    profile = source.icc_profile if source.icc_profile and fits(source.icc_profile, mode) else None
    block = source.exif or (exif.only_orientation(source.orientation) if source.orientation > 1 else b"")
    block = exif.PREFIX + block if block else b""

    out = io.BytesIO()
    if kind == "PNG":
        _save_png(out, image, like, palette, profile, block, recipe)
    elif kind == "JPEG":
        dpi = tuple(round(d) for d in source.dpi or (0, 0))
        image.save(
            out,
            "JPEG",
            quality=quality,
            subsampling="4:4:4",
            dpi=dpi if all(0 < d < 65536 for d in dpi) else (0, 0),
            icc_profile=profile,
            exif=block,
        )
    else:
        image.save(
            out, "WEBP", lossless=True, exact=True, quality=_WEBP_EFFORT, icc_profile=profile, exif=block
        )
    return out.getvalue()


def write(
    path: Path,
    pixels: Image,
    like: Picture,
    *,
    format: str | None = None,  # noqa: A002 - as in `encode`
    quality: int = 95,
    recipe: Mapping[str, object] | None = None,
) -> None:
    """Write an edited picture to a file: completely, or not at all. See `encode`.

    The format is `format`, or the one that the path's suffix names, or (without a suffix) that of `like`. A
    file that is there is replaced; the target of a symbolic link, not the link.

    Raises
    ------
    InvalidImage, InvalidOption
        As `encode`.
    OutputNotWritable
        No such folder, no right to write there, no space, or the path is something else than a file.
    """
    data = encode(pixels, like, format=format or path.suffix, quality=quality, recipe=recipe)
    replace_file(path, data)


def check_writable(
    path: Path,
    like: Picture,
    *,
    format: str | None = None,  # noqa: A002 - as in `encode`
) -> None:
    """Raise, before long work, what `write` would raise at its end: a path or a format that cannot be."""
    _require_storable(_format(format or path.suffix, like), like)
    target = _target(path)
    part = _part(target)
    try:
        part.touch(exist_ok=False)
        part.unlink()
    except OSError as error:
        raise _not_writable(path, error) from error


def format_named(name: str) -> Format:
    """Return the format of a name or a suffix ("jpg", ".PNG"), or raise `InvalidOption`."""
    try:
        return _FORMATS[name.lower().removeprefix(".")]
    except KeyError:
        raise InvalidOption(
            f"pictures are written as PNG, JPEG or WebP, not as {name}", param="format"
        ) from None


def _format(name: str | None, like: Picture) -> Format:
    return format_named(name) if name else like.source.format


def _require_storable(kind: Format, like: Picture) -> None:
    height, width = like.pixels.shape[:2]
    longest = _LONGEST_SIDE.get(kind)
    if longest and max(height, width) > longest:
        raise InvalidOption(
            f"{NAMES[kind]} holds at most {longest} pixels a side, the picture is {width}x{height}; use PNG",
            param="format",
        )
    if kind == "JPEG" and like.alpha is not None and (like.alpha < 255).any():
        raise InvalidOption("JPEG cannot hold the picture's transparency; use PNG or WebP", param="format")


def _stored_mode(kind: Format, like: Picture) -> Mode:
    mode = like.source.mode
    if kind == "PNG":
        return mode
    if kind == "JPEG":
        return "L" if mode in ("L", "LA") else "RGB"
    return "RGB" if like.alpha is None else "RGBA"


def _channels(pixels: Image, like: Picture, mode: Mode) -> NDArray[np.uint8]:
    shown = pixels
    if like.source.mode in ("L", "LA"):
        grey = luminance(pixels)
        shown = grey if mode in ("L", "LA") else np.dstack([grey, grey, grey])
    if mode in ("LA", "RGBA"):
        assert like.alpha is not None
        return np.dstack([shown, like.alpha])
    return shown


def _save_png(
    out: io.BytesIO,
    image: PIL.Image.Image,
    like: Picture,
    palette: Palette | None,
    profile: bytes | None,
    block: bytes,
    recipe: Mapping[str, object] | None,
) -> None:
    chunks = PngInfo()
    for name, content in like.source.colour_chunks:
        chunks.add(name, content)
    if recipe is not None:
        chunks.add_itxt(KEYWORD, recipe_text(recipe))
    transparency = None
    if palette:
        image.putpalette(palette.colours[:, :3].tobytes())
        transparency = palette.colours[:, 3].tobytes() if palette.transparent else None
    image.save(
        out,
        "PNG",
        compress_level=_PNG_LEVEL,
        pnginfo=chunks,
        icc_profile=profile,
        dpi=like.source.dpi,
        exif=block,
        transparency=transparency,
    )


def _target(path: Path) -> Path:
    """Return the file that writing to `path` would make or replace."""
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise OutputNotWritable(f"{path} is a folder, not a file", param="output")
        if target.exists() and not target.is_file():
            raise OutputNotWritable(f"{path} is not a regular file", param="output")
        if not target.parent.is_dir():
            raise OutputNotWritable(
                f"{path} cannot be written: there is no folder {path.parent}", param="output"
            )
    except OSError as error:
        raise _not_writable(path, error) from error
    return target


def _part(target: Path) -> Path:
    return target.with_name(f".brushedit-{secrets.token_hex(8)}.part")


def replace_file(path: Path, data: bytes) -> None:
    """Write a file completely or not at all; see `write` for what it raises."""
    target = _target(path)
    part = _part(target)
    try:
        # Not with `tempfile`: the file shall have the access rights of any other new file.
        with part.open("xb") as file:
            file.write(data)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _not_writable(path, error) from error


def _not_writable(path: Path, error: OSError) -> OutputNotWritable:
    return OutputNotWritable(f"{path} cannot be written: {error.strerror}", param="output")
