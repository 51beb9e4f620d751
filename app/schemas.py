"""The wire: what requests may hold, and what the answers look like."""

from dataclasses import asdict
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.jobs import wire
from brushedit.options import PaintOptions
from brushedit.types import EditPlan
from models.catalog import Sampling

EDIT_ID = r"^edit_[0-9a-f]{32}$"
SESSION_ID = r"^session_[0-9a-f]{32}$"
BATCH_ID = r"^batch_[0-9a-f]{32}$"
FILE_ID = r"^file_[0-9a-f]{32}$"

OPTION_ALIASES = {
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "cfg_scale": "guidance",
    "negative_prompt": "negative",
    "brushnet_conditioning_scale": "preservation_scale",
    "n": "samples",
    "num_images_per_prompt": "samples",
    "denoising_strength": "strength",
    "mask_blur": "blur",
    "grow_mask": "grow",
    "padding_mask_crop": "context",
}
"""Names users know from elsewhere, and ours."""

TEXT = r"^[^\x00]*$"
"""PostgreSQL stores every character but this one."""

Text = Annotated[str, Field(pattern=TEXT)]

Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
Coordinate = Annotated[int, Field(ge=-(2**20), le=2**20)]
WebhookAddress = Annotated[str, Field(max_length=2000, description="Told how it ended, by a signed POST.")]
Ending = Literal["completed", "failed", "cancelled"]
WebhookEvents = Annotated[tuple[Ending, ...], Field(max_length=8, description="Of which ends it is told.")]
ENDS: Final[tuple[Ending, ...]] = ("completed", "failed", "cancelled")
PictureRef = Annotated[str, Field(max_length=100_000_000)]


class Strict(BaseModel):
    """Unknown fields are refused: a misspelt option must not be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PointBody(Strict):
    """A click."""

    x: Coordinate
    y: Coordinate
    positive: bool = True


class EditBody(Strict):
    """What an edit can be asked with; in multipart forms `image` and `mask` are files, the rest fields."""

    image: PictureRef | None = Field(
        default=None,
        description="Data URL, file id, edit id (what that edit made) or session id (what that began with).",
    )
    instruction: Text = Field(min_length=1, max_length=4000)
    mask: PictureRef | None = Field(default=None, description="As `image`; polarity by `mask_polarity`.")
    mask_mode: Literal["replace", "add", "subtract"] = Field(
        default="replace",
        description="What becomes of the mask, or without one of what box and points select: it replaces what "
        "is found, is added to it, or is kept as it is.",
    )
    mask_polarity: Literal["auto", "white", "black", "alpha"] = "auto"
    mask_resize: Literal["error", "nearest"] = "error"
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = None
    points: tuple[PointBody, ...] = Field(default=(), max_length=64)
    plan: dict[str, Any] | None = Field(
        default=None, description="A plan to carry out instead of the instructor's."
    )
    which: Literal["one", "all"] | None = None
    options: dict[str, Any] = Field(default_factory=dict, description="See PaintOptions.")
    session_id: str | None = Field(default=None, pattern=SESSION_ID)
    parent_id: str | None = Field(default=None, pattern=EDIT_ID)
    parent_index: int = Field(default=0, ge=0, le=15)
    output_format: Literal["png", "jpeg", "webp"] | None = None
    output_quality: int = Field(default=95, ge=1, le=100)
    recipe: bool = Field(default=True, description="Keep the recipe in PNG results.")
    metadata: Metadata = Field(default_factory=dict)
    webhook: WebhookAddress | None = None
    webhook_events_filter: WebhookEvents = ENDS

    def paint_options(self, sampling: Sampling) -> PaintOptions:
        """Return the options, under our names; `sampling` where the request says nothing.

        Raises
        ------
        InvalidOption, ValidationError
        """
        options = {OPTION_ALIASES.get(name, name): value for name, value in self.options.items()}
        return OptionsBody.model_validate(asdict(sampling) | options).to_options()

    def edit_plan(self) -> EditPlan | None:
        """Return the plan, or raise pydantic's `ValidationError`."""
        return None if self.plan is None else wire.plan_from_json(self.plan)


class OptionsBody(Strict):
    """`PaintOptions` on the wire; what is left out has the default, and the seed is drawn."""

    steps: int | None = None
    guidance: float | None = None
    negative: str | None = Field(default=None, max_length=2000)
    seed: int | None = None
    samples: int | None = None
    tries: int | None = None
    scheduler: str | None = Field(default=None, max_length=64)
    strength: float | None = None
    preservation_scale: float | None = None
    control_start: float | None = None
    control_end: float | None = None
    guess_mode: bool | None = None
    posterior: Literal["mode", "sample"] | None = None
    latent_mask: Literal["nearest", "cubic"] | None = None
    clip_skip: int | None = None
    context: float | None = None
    grow: int | None = None
    blur: int | None = None
    blend: bool | None = None
    preview_every: int | None = None

    def to_options(self) -> PaintOptions:
        """Return the record, or raise `InvalidOption`."""
        return wire.options_from_json(self.model_dump(exclude_none=True))


class ForkBody(Strict):
    """From which stage an edit is resumed, and what is different."""

    stage: Literal["plan", "locate", "paint"] = "paint"
    instruction: Text | None = Field(
        default=None, min_length=1, max_length=4000, description='A new one needs stage "plan".'
    )
    caption: str | None = Field(default=None, max_length=300, description="Of the first step.")
    plan: dict[str, Any] | None = None
    mask: PictureRef | None = None
    mask_polarity: Literal["auto", "white", "black", "alpha"] = "auto"
    options: dict[str, Any] = Field(default_factory=dict)


class SessionBody(Strict):
    """A new session: a picture, and a title."""

    image: PictureRef | None = None
    title: Text = Field(default="", max_length=200)


class TitleBody(Strict):
    """A new title of a session or an edit."""

    title: Text = Field(max_length=200)


class HeadBody(Strict):
    """The node a session's next turn starts from; null = the picture it began with."""

    head: str | None = Field(pattern=EDIT_ID)
