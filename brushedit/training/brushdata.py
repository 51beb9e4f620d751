"""BrushData, the pictures BrushNet was trained on: web dataset tars of pictures, captions and segmentations.

arXiv 2403.06976, section 4.1. Samples are read where they lie in the tars, so that any of them can be drawn at random
and a training's data follow from its seed. Nothing is ever unpacked to disk.
"""

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import cv2
import numpy as np
import PIL.Image
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor

from brushedit.errors import InvalidBenchmark, InvalidImage, InvalidMask, InvalidOption
from brushedit.evaluation.run_length import decode_brushdata
from brushedit.training.brushnet import Examples, conditioning_of
from brushedit.training.masks import HoleMix, draw_hole
from brushedit.types import Image, Mask, require_image

FIELDS = ("image", "caption", "segmentation")
LARGEST_FIELD = 64 << 20
"""Bytes; a field that claims more is not read."""


@dataclass(frozen=True)
class Sample:
    """A picture, what it shows, and masks (H, W) of objects in it, each True on its object."""

    image: Image
    caption: str
    segmentations: tuple[Mask, ...]


@dataclass(frozen=True)
class _Place:
    offset: int
    size: int


@final
class BrushData:
    """The samples of some tars, in the order they are stored.

    Members are named ``KEY.FIELD``; those of one sample follow each other. Samples without all of `FIELDS` are left
    out and counted.

    Raises
    ------
    InvalidOption
        No tar, one that cannot be read, or none with a whole sample.
    """

    def __init__(self, tars: Sequence[Path]) -> None:
        self._samples: list[tuple[Path, dict[str, _Place]]] = []
        self.incomplete = 0
        for path in tars:
            self._index(path)
        if not self._samples:
            raise InvalidOption(f"no samples with {', '.join(FIELDS)} in {len(tars)} tar files", param="data")

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        """Read one sample; raises `InvalidImage` or `InvalidMask` where its bytes are broken."""
        path, places = self._samples[index]
        with path.open("rb") as file:
            image, caption, segmentation = (_read(file, places[field]) for field in FIELDS)
        picture = _picture(image)
        return Sample(
            picture, caption.decode("utf-8", "replace").strip(), _masks(segmentation, picture.shape[:2])
        )

    def _index(self, path: Path) -> None:
        samples: dict[str, dict[str, _Place]] = {}
        try:
            with tarfile.open(path, "r:") as tar:
                for member in tar:
                    key, _, field = member.name.rpartition(".")
                    if member.isreg() and field in FIELDS and member.size <= LARGEST_FIELD:
                        samples.setdefault(key, {})[field] = _Place(member.offset_data, member.size)
        except (OSError, tarfile.TarError) as error:
            raise InvalidOption(f"{path} is no readable tar: {error}", param="data") from error
        whole = [places for places in samples.values() if len(places) == len(FIELDS)]
        self.incomplete += len(samples) - len(whole)
        self._samples += [(path, places) for places in whole]


def prepare(
    rng: np.random.Generator, sample: Sample, resolution: int, mix: HoleMix
) -> tuple[Image, Mask, str]:
    """Return picture (resolution, resolution, 3), hole and caption: one object drawn, the shorter side fitted, cropped.

    The published trainer swaps height and width of pictures that are not square; this one does not.
    """
    height, width = require_image(sample.image)
    chosen = sample.segmentations[rng.integers(len(sample.segmentations))] if sample.segmentations else None
    hole = draw_hole(rng, height, width, chosen, mix)
    scale = resolution / min(height, width)
    size = (max(resolution, round(width * scale)), max(resolution, round(height * scale)))
    picture = cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    small = cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    x, y = (int(rng.integers(length - resolution + 1)) for length in size)
    window = np.s_[y : y + resolution, x : x + resolution]
    return np.ascontiguousarray(picture[window], dtype=np.uint8), small[window], sample.caption


@final
class BrushDataDraw:
    """Draws batches from BrushData for `brushedit.training.brushnet.InpaintingObjective`.

    Parameters
    ----------
    encode : callable
        Captions to text states (B, L, D), on the VAE's device.
    broken : callable
        Told of every sample that cannot be read; another is drawn in its place.
    """

    def __init__(
        self,
        data: BrushData,
        vae: AutoencoderKL,
        encode: Callable[[list[str]], Tensor],
        *,
        batch: int,
        resolution: int,
        mix: HoleMix,
        broken: Callable[[str], None],
    ) -> None:
        self._data, self._vae, self._encode = data, vae.eval().requires_grad_(False), encode
        self._batch, self._resolution, self._mix, self._broken = batch, resolution, mix, broken

    def __call__(self, rng: np.random.Generator, generator: torch.Generator) -> Examples:
        """Draw one batch; latents are drawn from the posterior, as the published trainer's are."""
        drawn = [self._prepared(rng) for _ in range(self._batch)]
        images = np.stack([image for image, _, _ in drawn])
        holes = np.stack([hole for _, hole, _ in drawn])
        masked = np.where(holes[..., None], np.uint8(0), images)
        return Examples(
            self._latents(images, generator),
            conditioning_of(self._latents(masked, generator), torch.from_numpy(holes).to(self._vae.device)),
            self._encode([caption for _, _, caption in drawn]),
        )

    def _prepared(self, rng: np.random.Generator) -> tuple[Image, Mask, str]:
        for _ in range(100):
            index = int(rng.integers(len(self._data)))
            try:
                return prepare(rng, self._data[index], self._resolution, self._mix)
            except (InvalidImage, InvalidMask) as error:
                self._broken(f"sample {index}: {error.message}")
        raise InvalidImage("a hundred samples in a row cannot be read")

    @torch.no_grad()
    def _latents(self, images: np.ndarray, generator: torch.Generator) -> Tensor:
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(self._vae.device, self._vae.dtype)
        posterior = self._vae.encode(pixels / 127.5 - 1).latent_dist  # pyright: ignore[reportAttributeAccessIssue]
        noise = torch.randn(posterior.mean.shape, generator=generator, device=self._vae.device)
        return (posterior.mean + posterior.std * noise) * self._vae.config["scaling_factor"]


def _read(file: Any, place: _Place) -> bytes:
    file.seek(place.offset)
    return file.read(place.size)


def _picture(data: bytes) -> Image:
    try:
        with PIL.Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise InvalidImage(f"a picture that cannot be read: {error}") from error


def _masks(data: bytes, shape: tuple[int, ...]) -> tuple[Mask, ...]:
    try:
        runs = json.loads(data)["mask"]
        return tuple(np.ascontiguousarray(decode_brushdata(each, shape[0], shape[1])) for each in runs)
    except (ValueError, KeyError, TypeError, InvalidBenchmark) as error:
        raise InvalidMask(f"a segmentation that cannot be read: {error}") from error
