"""What happens during an edit, one frozen record per happening, in the order they come."""

from dataclasses import dataclass
from typing import TypeAlias

from brushedit.types import BlendReport, EditPlan, EditResult, Image, Region


@dataclass(frozen=True)
class Planned:
    """The instructor's plan is known."""

    plan: EditPlan


@dataclass(frozen=True)
class Located:
    """The region of one step of the plan is known; `step` counts from 0."""

    step: int
    region: Region


@dataclass(frozen=True)
class Denoised:
    """One denoising step is done.

    Attributes
    ----------
    step, steps : int
        Of the whole painting: samples × frames × denoising steps; `step` counts from 1.
    preview : Image or None
        The picture as it would look now, as large as the input, where one was asked for.
    """

    step: int
    steps: int
    preview: Image | None = None


@dataclass(frozen=True)
class Blended:
    """One sample is pasted back into the picture and measured; `sample` counts from 0."""

    sample: int
    report: BlendReport


@dataclass(frozen=True)
class Finished:
    """The edit is done."""

    result: EditResult


Event: TypeAlias = Planned | Located | Denoised | Blended | Finished
