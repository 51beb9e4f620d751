"""The published inpainting run: every picture of a benchmark repainted from mask and caption, and measured."""

import json
import os
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np

from brushedit.errors import EditError, InvalidBenchmark, InvalidOption, OutputNotWritable
from brushedit.evaluation import metrics, published
from brushedit.evaluation.benchmarks import Item, read_image
from brushedit.evaluation.report import finite
from brushedit.events import Blended, Denoised
from brushedit.options import PaintOptions
from brushedit.types import Image, Mask, Painting

PROTOCOL: Final = PaintOptions(
    steps=50,
    guidance=7.5,
    seed=1234,
    scheduler="unipc",
    posterior="sample",
    context=16,
    grow=10,
)
"""The published settings. The widest context makes the whole picture one frame, as it was evaluated."""


class Conductor(Protocol):
    """Repaints a region."""

    def paint(
        self, image: Image, mask: Mask, caption: str, options: PaintOptions
    ) -> Generator[Denoised | Blended, None, Painting]:
        """Yield events; return the painting."""
        ...


class Metric(Protocol):
    """A figure that needs a network."""

    def score(self, image: Image, result: Image, kept: Mask, prompt: str) -> float:
        """Return the raw figure of a result; `kept` is True where the input was to stay."""
        ...


@dataclass(frozen=True)
class Finish:
    """How a painted picture becomes the one that is measured.

    Attributes
    ----------
    blend : bool
        `PaintOptions.blend`: the conductor blends under the pixel contract.
    paste : callable
        From (input, painted, hole) to the final picture.
    suffix : str
        Of the file: the published evaluator stores JPEG, and measures what it reads back.
    """

    blend: bool
    paste: Callable[[Image, Image, Mask], Image]
    suffix: str


def _as_painted(image: Image, painted: Image, hole: Mask) -> Image:
    del image, hole
    return painted


def _blurred(image: Image, painted: Image, hole: Mask) -> Image:
    """Return the evaluator's blend: the hole, blurred by a Gaussian of 21 x 21, is the painted picture's weight."""
    weight = (
        np.asarray(cv2.GaussianBlur(hole.astype(np.uint8) * 255, (21, 21), 0), np.float64)[..., None] / 255
    )
    return (image * (1 - weight) + painted * weight).astype(np.uint8)


FINISHES: Final[Mapping[str, Finish]] = {
    "contract": Finish(True, _as_painted, ".png"),
    "raw": Finish(False, _as_painted, ".png"),
    "published": Finish(False, _as_painted, ".jpg"),
    "published-blended": Finish(False, _blurred, ".jpg"),
}
"""By name: our blend; the painted frame as it is; both published ways, through JPEG of quality 75."""

_JPEG_QUALITY: Final = 75


@dataclass(frozen=True)
class Measured:
    """One item of a run.

    Attributes
    ----------
    item : Item
    scores : mapping of metric to raw figure
        Empty where it failed; infinite PSNR where kept pixels are equal.
    error : str
        Why it failed, "code: sentence"; "" where it did not.
    resumed : bool
        The picture was there from an earlier run.
    """

    item: Item
    scores: Mapping[str, float]
    error: str
    resumed: bool


def run(
    items: Sequence[Item],
    conductor: Conductor,
    folder: Path,
    *,
    finish: str = "contract",
    options: PaintOptions = PROTOCOL,
    networks: Mapping[str, Metric] | None = None,
) -> Generator[Measured]:
    """Yield every item as it is painted and measured; a second run in the same folder paints only what is missing.

    Parameters
    ----------
    items : sequence of Item
    conductor : Conductor
    folder : Path
        For the pictures, by key, and for ``run.json``, which says how they were made.
    finish : str
        A key of `FINISHES`.
    options : PaintOptions
        The seed is every item's own, as published.
    networks : mapping of name to Metric
        Metrics besides those on arrays.

    Raises
    ------
    InvalidOption
        An unknown finish, or a folder that holds pictures made with other settings.
    InvalidBenchmark
        Two items of one name.
    OutputNotWritable
        A picture cannot be written.
    """
    if finish not in FINISHES:
        raise InvalidOption(f"finish must be one of {', '.join(FINISHES)}, not {finish!r}", param="finish")
    way = FINISHES[finish]
    twins = [name for name, count in Counter(_safe(item.key) for item in items).items() if count > 1]
    if twins:
        raise InvalidBenchmark(f"several items are named {', '.join(twins[:3])}")
    settings: dict[str, Any] = {**asdict(options), "blend": way.blend}
    _claim(folder, {"finish": finish, "options": settings})
    options = PaintOptions(**settings)
    for item in items:
        path = folder / f"{_safe(item.key)}{way.suffix}"
        resumed = path.exists()
        try:
            image = read_image(item)
            if not resumed:
                _store(path, way.paste(image, _painted(conductor, image, item, options), item.mask))
            result = _stored(path, image)
            yield Measured(item, _scores(image, result, item, networks or {}), "", resumed)
        except OutputNotWritable:
            raise
        except EditError as error:
            yield Measured(item, {}, f"{error.code}: {error.message}", resumed)


def _painted(conductor: Conductor, image: Image, item: Item, options: PaintOptions) -> Image:
    work = conductor.paint(image, item.mask, item.prompt, options)
    while True:
        try:
            next(work)
        except StopIteration as end:
            painting: Painting = end.value
            return painting.images[0]


def _scores(image: Image, result: Image, item: Item, networks: Mapping[str, Metric]) -> dict[str, float]:
    kept = ~item.mask
    return {
        **{name: metric.score(image, result, kept, item.prompt) for name, metric in networks.items()},
        published.PSNR: metrics.published_psnr(image, result, kept),
        published.PLAIN_PSNR: metrics.psnr(image, result, kept),
        published.MSE: metrics.published_mse(image, result, kept),
        published.PLAIN_MSE: metrics.mse(image, result, kept),
        published.SSIM: metrics.ssim(image, result, kept),
    }


def _safe(key: str) -> str:
    """Return a key as a file name."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in key)


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    """Note down how the folder's pictures are made, or refuse one whose pictures were made otherwise."""
    path = folder / "run.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _replace(path, json.dumps(finite(settings), indent=2).encode())
        there: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputNotWritable(f"{path} cannot be used: {error}", param="output") from error
    if there != json.loads(json.dumps(finite(settings))):
        raise InvalidOption(
            f"{folder} holds pictures made with other settings (see {path.name}): name another folder",
            param="output",
        )


def _store(path: Path, picture: Image) -> None:
    bgr = np.ascontiguousarray(picture[..., ::-1])
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    done, data = cv2.imencode(path.suffix, bgr, quality)
    assert done, path
    try:
        _replace(path, data.tobytes())
    except OSError as error:
        raise OutputNotWritable(f"{path} cannot be written: {error.strerror}", param="output") from error


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, so that whatever is there counts as finished."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    os.replace(partial, path)


def _stored(path: Path, image: Image) -> Image:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None or pixels.shape != image.shape:
        raise InvalidBenchmark(f"{path} from an earlier run is no picture of the right size: remove it")
    return np.ascontiguousarray(pixels[..., ::-1], np.uint8)
