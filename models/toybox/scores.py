"""What is said of one finished edit of a toy scene: per plan, per change, of the whole, and where it was lost."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from brushedit.types import Image, Mask

FOUND: Final = 0.5
"""A mask with at least this IoU with the true one selects the right thing, a box with it sights it there."""


class Task(StrEnum):
    """What a change is, finer than `EditKind`."""

    REMOVE = "remove"
    ADD = "add"
    RECOLOR = "recolour"
    RESHAPE = "reshape"
    BACKGROUND = "background"
    REPLACE = "replace"

    @property
    def appears(self) -> bool:
        """Whether a new shape appears: then the agent frames the hole closely."""
        return self in (Task.ADD, Task.RESHAPE, Task.REPLACE)


class Given(StrEnum):
    """Which stages get the true result from outside."""

    NOTHING = "nothing"
    PLAN = "plan"
    REGIONS = "plan and regions"


@dataclass(frozen=True)
class PlanScore:
    """Which parts of a plan are the true one's; all wrong where none came or the number of steps differs."""

    kind: bool = False
    target: bool = False
    which: bool = False
    where: bool = False
    caption: bool = False

    @property
    def exact(self) -> bool:
        """Whether all of it is right."""
        return self.kind and self.target and self.which and self.where and self.caption


@dataclass(frozen=True)
class ChangeScore:
    """One change of an edit, judged in the final picture.

    Attributes
    ----------
    task : Task
    mask_iou, hole_iou : float or None
        Of the located mask with what a perfect locator selects, and with what has to be repainted; None where
        nothing was located.
    removed, background, color, shape : bool or None
        What the picture shows there, by the nearest true render; None where the task does not ask it.
    sighted : bool or None
        The same by the detector: a removed thing is not found there, another one is, by colour and kind.
    psnr : float or None
        Over the hole, against the nearest picture that the words allow, dB, 100 where equal; None where nothing
        was painted.
    similarity : float or None
        SSIM there, likewise.
    """

    task: Task
    mask_iou: float | None = None
    hole_iou: float | None = None
    removed: bool | None = None
    background: bool | None = None
    color: bool | None = None
    shape: bool | None = None
    sighted: bool | None = None
    psnr: float | None = None
    similarity: float | None = None

    @property
    def found(self) -> bool:
        """Whether the mask selects the right thing or place, or what has to be repainted of it."""
        return max(self.mask_iou or 0.0, self.hole_iou or 0.0) >= FOUND

    @property
    def right(self) -> bool:
        """Whether the picture shows what was asked for, an added thing also where it was asked for."""
        asked = (self.removed, self.background, self.color, self.shape)
        return False not in asked and (self.task is not Task.ADD or self.found)


@dataclass(frozen=True)
class ExampleScore:
    """One run of the whole agent.

    Attributes
    ----------
    form : str
        As in `Example`.
    given : Given
    expected, outcome : str
        "edited", "target_not_found", "declined"; an outcome may also be "failed".
    code : str
        Of the error the run ended in; "" for none.
    plan : PlanScore or None
        None where no plan is expected.
    changes : tuple of ChangeScore
        Empty unless an edit is expected.
    spared : bool or None
        Every thing that was to stay is still there unharmed (see `HARMED`).
    outside_changed : int or None
        Samples that differ from the input beyond `REACH` of the located masks, or outside the region that the
        result reports on, whichever are more; the pixel contract says 0.
    seconds : float
    """

    form: str
    given: Given
    expected: str
    outcome: str
    code: str
    plan: PlanScore | None
    changes: tuple[ChangeScore, ...]
    spared: bool | None
    outside_changed: int | None
    seconds: float

    @property
    def success(self) -> bool:
        """Whether the whole edit is right.

        The outcome is the expected one and, for an edit, every change is `right`, every other thing is
        `spared`, and no sample outside changed. Plans and masks count only through what they led to.
        """
        return (
            self.outcome == self.expected
            and all(change.right for change in self.changes)
            and self.spared in (None, True)
            and self.outside_changed in (None, 0)
        )

    @property
    def lost_at(self) -> str:
        """The first stage that was wrong where the whole edit is: "plan", "locate" or "paint"; else ""."""
        if self.success:
            return ""
        if self.plan is None or not (self.plan.kind and self.plan.target):
            return "plan"
        if self.changes and all(change.found for change in self.changes):
            return "paint"
        return "locate" if self.plan.which and self.plan.where else "plan"

    @property
    def group(self) -> str:
        """The task of a single change, "two steps", "absent" or "declined"."""
        if self.expected == "edited":
            return self.changes[0].task if len(self.changes) == 1 else "two steps"
        return "absent" if self.expected == "target_not_found" else "declined"


@dataclass(frozen=True)
class Scored:
    """A score with the pictures it was told from; `before` alone where nothing was expected or came."""

    score: ExampleScore
    instruction: str
    before: Image
    mask: Mask | None
    result: Image | None
    truth: Image | None
