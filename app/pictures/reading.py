"""Reading pictures: from a file's bytes to upright RGB pixels, or to one sentence why that cannot be."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from app.pictures import exif
from app.pictures.container import NAMES, Container
from app.pictures.containers import take_apart
from app.pictures.records import Mode, Palette, Picture, Source, fits
from brushedit.errors import InvalidImage

MAX_PIXELS = 100_000_000
"""Pixels a picture may have unless the caller says otherwise: 300 MB once decoded."""

# The plugins' own classes, because Image.open adds a process-wide size limit and guesses among formats.
_OPENERS = {"PNG": PngImageFile, "JPEG": JpegImageFile, "WEBP": WebPImageFile}
_MODES: dict[int, Mode] = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def read(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture file. See `decode`.

    Raises
    ------
    InvalidImage
        No such file, no right to read it, or not a picture that `decode` accepts; the message names the path.
    ImageTooLarge
        More than `max_pixels`.
    """
    data = read_bytes(path)
    try:
        return decode(data, max_pixels=max_pixels)
    except InvalidImage as error:
        raise InvalidImage(f"{path}: {error.message}", param=error.param) from error


def read_bytes(path: Path) -> bytes:
    """Return a regular file's content, or raise `InvalidImage` with the path and the reason."""
    try:
        if path.is_dir():
            raise InvalidImage(f"{path} is a folder, not a picture", param="image")
        if path.exists() and not path.is_file():
            raise InvalidImage(f"{path} is not a regular file", param="image")
        return path.read_bytes()
    except OSError as error:
        raise InvalidImage(f"{path} cannot be read: {error.strerror}", param="image") from error


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a PNG, JPEG or WebP file. Its content decides which it is, never a name.

    Parameters
    ----------
    data : bytes
    max_pixels : int
        Largest width times height, checked in the header before anything is decoded.

    Raises
    ------
    InvalidImage
        Another format, or a file that is cut off or damaged.
    ImageTooLarge
        More than `max_pixels`.
    """
    container = take_apart(data, max_pixels)
    warnings = list(container.warnings)
    block, orientation = _exif(container.exif, warnings)
    samples = exif.to_upright(_samples(container, warnings), orientation)
    if container.frames > 1:
        warnings.append(f"Only the first of the animation's {container.frames} frames is used.")

    palette = _palette(container, samples[:, :, 0]) if container.palette else None
    if palette:
        samples = palette.colours[palette.indices]
        mode: Mode = "P"
        has_alpha = palette.transparent
    else:
        if container.transparency is not None:
            samples = _with_keyed_alpha(samples, container, warnings)
        mode = _MODES[samples.shape[2]]
        has_alpha = mode in ("LA", "RGBA")
    colour = samples[:, :, :3] if samples.shape[2] >= 3 else np.repeat(samples[:, :, :1], 3, axis=2)

    profile = container.icc_profile
    if profile and not fits(profile, mode):
        profile = None
        warnings.append("The colour profile does not belong to this kind of picture and was left out.")
    source = Source(
        format=container.format,
        mode=mode,
        orientation=orientation,
        icc_profile=profile,
        exif=block,
        dpi=container.dpi,
        colour_chunks=container.colour_chunks,
        palette=palette,
        warnings=tuple(warnings),
    )
    alpha = np.ascontiguousarray(samples[:, :, -1]) if has_alpha else None
    return Picture(np.ascontiguousarray(colour), alpha, source)


def _exif(block: bytes | None, warnings: list[str]) -> tuple[bytes | None, int]:
    """Return what of the EXIF block is carried over, and the orientation."""
    if block is None:
        return None, 1
    block = block.removeprefix(exif.PREFIX)
    orientation = exif.orientation_of(block)
    if orientation is None:
        warnings.append("The EXIF block is broken and was left out.")
        return None, 1
    if len(block) > exif.LARGEST:
        warnings.append("The EXIF block is too large and was left out, except for the orientation.")
        return None, orientation
    block = exif.without_thumbnail(block)
    if exif.orientation_of(block) != orientation:  # a thumbnail that overlaps the tags: made to mislead
        warnings.append("The EXIF block is broken and was left out, except for the orientation.")
        return None, orientation
    return block, orientation


def _samples(container: Container, warnings: list[str]) -> NDArray[np.uint8]:
    """Decode to uint8 (H, W, channels), as stored; palette indices where there is a palette."""
    name = NAMES[container.format]
    try:
        image = _OPENERS[container.format](io.BytesIO(container.encoded))
        if image.size != container.size:
            raise InvalidImage(f"the {name} file is damaged: it states two sizes", param="image")
        image.load()
    except (OSError, EOFError, SyntaxError, ValueError) as error:
        raise InvalidImage(
            f"the {name} file is damaged or cut off; its picture cannot be decoded", param="image"
        ) from error
    if image.mode == "CMYK":
        warnings.append("CMYK was converted to RGB.")
        image = image.convert("RGB")
    elif image.mode == "1":
        warnings.append("Black and white was turned into shades of grey.")
        image = image.convert("L")
    stored = np.asarray(image)
    if container.depth == 16:
        warnings.append("16-bit samples were reduced to 8 bits.")
    if stored.dtype == np.uint16:  # Pillow reduces the other 16-bit kinds itself, in this way
        stored = (stored >> 8).astype(np.uint8)
    if stored.ndim == 2:
        stored = stored[:, :, None]
    return stored


def _palette(container: Container, indices: NDArray[np.uint8]) -> Palette:
    rgb = np.frombuffer(container.palette, np.uint8).reshape(-1, 3)
    count = max(len(rgb), int(indices.max()) + 1)  # indices past the palette show black, as in browsers
    colours = np.zeros((count, 4), np.uint8)
    colours[: len(rgb), :3] = rgb
    colours[:, 3] = 255
    opacity = np.frombuffer(container.transparency or b"", np.uint8)[:count]
    colours[: len(opacity), 3] = opacity
    return Palette(colours, np.ascontiguousarray(indices), container.transparency is not None)


def _with_keyed_alpha(
    samples: NDArray[np.uint8], container: Container, warnings: list[str]
) -> NDArray[np.uint8]:
    """Append the alpha channel that PNG's one transparent colour stands for."""
    said = container.transparency or b""
    if len(said) != 2 * samples.shape[2]:
        raise InvalidImage("the PNG file is damaged: its transparent colour makes no sense", param="image")
    key = np.frombuffer(said, ">u2")
    # The key is given in the file's own depth, the samples are 8 bits by now.
    key = key >> 8 if container.depth == 16 else key * (255 // (2**container.depth - 1))
    opaque = (samples != key).any(axis=2)
    warnings.append("The transparent colour was turned into an alpha channel.")
    return np.dstack([samples, opaque * np.uint8(255)])
