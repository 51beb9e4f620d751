"""The records of an edit, and the one array convention they all keep.

An ``Image`` is RGB uint8 of shape (H, W, 3). A ``Mask`` is bool of shape (H, W), True = may change. Boxes are
XYXY in pixels, half open. PIL is used only where files and wires are read and written, tensors only in ``models``
and ``brushedit.diffusion``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from brushedit.errors import InvalidImage, InvalidMask
from brushedit.options import PaintOptions

Image: TypeAlias = NDArray[np.uint8]
"""RGB picture, uint8, shape (H, W, 3)."""

Mask: TypeAlias = NDArray[np.bool_]
"""Selection, bool, shape (H, W); True = may change."""


def require_image(image: Image) -> tuple[int, int]:
    """Return (H, W) of an RGB picture, or raise `InvalidImage` where the array is none."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InvalidImage(
            f"expected RGB uint8 of shape (H, W, 3), got {image.dtype} {image.shape}", param="image"
        )
    return image.shape[0], image.shape[1]


def require_mask(mask: Mask, image: Image) -> None:
    """Raise `InvalidMask` unless the mask is bool and as large as the picture."""
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise InvalidMask(
            f"expected a bool mask of shape (H, W), got {mask.dtype} {mask.shape}", param="mask"
        )
    if mask.shape != image.shape[:2]:
        raise InvalidMask(
            f"the mask is {mask.shape[1]}x{mask.shape[0]}, the picture {image.shape[1]}x{image.shape[0]}",
            param="mask",
        )


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels, XYXY, half open: it covers x0 <= x < x1 and y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Columns covered; 0 or less where the box is empty."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows covered; 0 or less where the box is empty."""
        return self.y1 - self.y0

    @property
    def empty(self) -> bool:
        """Whether no pixel is covered."""
        return self.width <= 0 or self.height <= 0

    @property
    def area(self) -> int:
        """Pixels covered."""
        return 0 if self.empty else self.width * self.height

    def intersection(self, other: "Box") -> "Box":
        """Return the pixels both cover; may be `empty`."""
        return Box(
            max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1)
        )

    def union(self, other: "Box") -> "Box":
        """Return the smallest box that covers both."""
        return Box(
            min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1)
        )

    def iou(self, other: "Box") -> float:
        """Return intersection over union, 0..1."""
        shared = self.intersection(other).area
        return shared / max(1, self.area + other.area - shared)


@dataclass(frozen=True)
class Point:
    """A click on a pixel: on the target where `positive`, beside it where not."""

    x: int
    y: int
    positive: bool = True


NormalizedBox: TypeAlias = tuple[int, int, int, int]
"""A box as the instructor writes it: (x0, y0, x1, y1), each 0..1000 of the picture's width or height."""


class EditKind(StrEnum):
    """What an edit does (BrushEdit, section III-B; `GLOBAL` is the whole picture)."""

    ADD = "add"
    REMOVE = "remove"
    LOCAL = "local"
    BACKGROUND = "background"
    GLOBAL = "global"


class Which(StrEnum):
    """Whether a target phrase means one thing or every such thing."""

    ONE = "one"
    ALL = "all"


@dataclass(frozen=True)
class EditStep:
    """One edit of one thing.

    Attributes
    ----------
    kind : EditKind
    target : str
        Noun phrase of what the edit is about, without spatial words ("blue cube"); for `add` what is added, for
        `background` the subject that stays.
    caption : str
        What the repainted region shows afterwards; the diffusion model's prompt.
    negative : str
        What it must not show.
    box : NormalizedBox or None
        Where the instructor sees the target, or where it wants the added thing.
    which : Which
        One instance or all of them.
    where : str
        Spatial or ordinal words of the instruction ("left", "second from the right", "largest").
    """

    kind: EditKind
    target: str
    caption: str
    negative: str = ""
    box: NormalizedBox | None = None
    which: Which = Which.ONE
    where: str = ""


@dataclass(frozen=True)
class EditPlan:
    """What the instructor made of an instruction: steps, done one after the other."""

    steps: tuple[EditStep, ...]


@dataclass(frozen=True)
class Candidate:
    """One detection: a box, how sure the detector is (0..1), and the words it matched."""

    box: Box
    score: float
    phrase: str


@dataclass(frozen=True)
class Region:
    """What may change, and how it was found.

    Attributes
    ----------
    mask : Mask
        What is repainted.
    candidates : tuple of Candidate
        Every detection above the floor, best first; empty where a person gave the mask.
    chosen : tuple of int
        Indices of the candidates that the mask was made from.
    scores : tuple of float
        The segmenter's predicted IoU of each chosen mask, 0..1.
    things : Mask or None
        What was found, where `mask` goes beyond it (a removed thing's shadow) or was changed by a person.
    """

    mask: Mask
    candidates: tuple[Candidate, ...] = ()
    chosen: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    things: Mask | None = None


@dataclass(frozen=True)
class BlendReport:
    """What a blend did to the samples, measured on the result against the input.

    Attributes
    ----------
    outside_max_delta : int
        Largest absolute difference of a sample outside the region, 0..255; the pixel contract says 0.
    outside_changed : int
        Samples outside the region that differ.
    changed_fraction, region_fraction : float
        Share of all pixels that differ, and that lie in the region, 0..1.
    seam_score : float
        Edge strength along the region's rim beyond that of its surroundings, in 8-bit levels; 0 = no visible seam.
    """

    outside_max_delta: int
    outside_changed: int
    changed_fraction: float
    region_fraction: float
    seam_score: float


@dataclass(frozen=True)
class Painting:
    """What the conductor returns: n pictures, their seeds, the region, and one report each.

    Attributes
    ----------
    images : tuple of Image
        Each as large as the input.
    seeds : tuple of int
        The seed that makes each picture alone.
    region : Mask
        The mask grown by `grow`: the pixels that could change.
    reports : tuple of BlendReport
    """

    images: tuple[Image, ...]
    seeds: tuple[int, ...]
    region: Mask
    reports: tuple[BlendReport, ...]


@dataclass(frozen=True)
class Turn:
    """An earlier turn of the conversation: what was asked, and the plan that was carried out."""

    instruction: str
    plan: EditPlan


@dataclass(frozen=True)
class EditRequest:
    """A picture and a sentence, with whatever a person wants to decide themselves.

    Attributes
    ----------
    image : Image
        The picture as it is now.
    instruction : str
    mask : Mask or None
        A person's mask; combined with the located one by `mask_mode`.
    mask_mode : {"replace", "add", "subtract"}
        What becomes of the mask, or without one of what the box and the points select: it takes the place of
        what the words find, is added to it, or is kept as it is.
    box : Box or None
        Where the target is, or where the added thing goes, in pixels.
    points : tuple of Point
        Clicks for the segmenter.
    plan : EditPlan or None
        A person's plan: the instructor is not asked.
    which : Which or None
        Overrides the plan's `which` ("all of them", asked for by a flag).
    options : PaintOptions
    history : tuple of Turn
        Earlier turns, oldest first.
    """

    image: Image
    instruction: str
    mask: Mask | None = None
    mask_mode: Literal["replace", "add", "subtract"] = "replace"
    box: Box | None = None
    points: tuple[Point, ...] = ()
    plan: EditPlan | None = None
    which: Which | None = None
    options: PaintOptions = field(default_factory=PaintOptions)
    history: tuple[Turn, ...] = ()


@dataclass(frozen=True)
class EditResult:
    """A finished edit.

    Attributes
    ----------
    images : tuple of Image
        One per sample, each as large as the input.
    seeds : tuple of int
    plan : EditPlan
    regions : tuple of Region
        One per step of the plan.
    reports : tuple of BlendReport
        One per sample, against the input of the first step, outside the union of all regions.
    timings : mapping of str to float
        Seconds per stage: "plan", "locate", "paint".
    peak_memory : int or None
        Peak of the device's memory during the edit, in bytes; None where it has none of its own.
    """

    images: tuple[Image, ...]
    seeds: tuple[int, ...]
    plan: EditPlan
    regions: tuple[Region, ...]
    reports: tuple[BlendReport, ...]
    timings: Mapping[str, float]
    peak_memory: int | None = None
