"""How the conductor repaints: every setting of a painting, checked."""

import math
from dataclasses import dataclass, fields
from typing import Literal

from brushedit.errors import InvalidOption

CONTEXT = 0.5
"""Margin around a mask, in sides of its bounding box, unless a request says another."""

MAX_SEED = 2**32 - 1
"""torch's CPU generator reads 32 bits; a larger seed would repeat a smaller one."""


SCHEDULER_NAMES = (
    "unipc",
    "ddim",
    "ddpm",
    "pndm",
    "euler",
    "euler karras",
    "euler a",
    "euler ancestral",
    "heun",
    "dpm++ 2m",
    "dpm++ 2m karras",
    "dpm++ 2m sde",
    "dpm++ 2m sde karras",
    "dpm++ 2s",
    "lcm",
)
"""Those of `brushedit.diffusion.schedulers.SCHEDULERS`, for whoever does without diffusers."""


@dataclass(frozen=True)
class PaintOptions:
    """How the conductor repaints a region. Every field may be set by a request.

    Attributes
    ----------
    steps : int
        Denoising steps, 1..1000.
    guidance : float
        Classifier-free guidance scale, 0..50; up to 1 runs the conditional half alone.
    negative : str
        Negative caption.
    seed : int
        0..2^32-1. Sample k of n uses seed + k, so it equals a single sample of that seed.
    samples : int
        How many pictures to paint, 1..16.
    tries : int
        How often a step of a plan is painted at most, 1..16: again, on another seed that follows from this one, where
        the detector does not see in the result what was asked for. 1 looks at nothing.
    scheduler : str
        A name of `brushedit.diffusion.schedulers.SCHEDULERS`, such as "unipc" or "dpm++ 2m karras".
    strength : float
        1 starts from pure noise; below that from the noised original, (0, 1].
    preservation_scale : float
        The paper's w: factor on BrushNet's features, 0..10.
    control_start, control_end : float
        The share of the steps at which BrushNet acts, 0 <= start < end <= 1.
    guess_mode : bool
        BrushNet on the conditional half alone, features scaled 0.1..1 from the first to the last site.
    posterior : {"mode", "sample"}
        The masked picture's latent: the posterior's mode, or (as published) a draw from it, with the request's seed.
    latent_mask : {"nearest", "cubic"}
        How the mask comes down to latent size: as the published code does, or as the paper says.
    clip_skip : int
        Text encoder layers left out, counted from the end, 0..11.
    context : float or None
        Margin around the mask, in sides of its bounding box, 0..16; None = `CONTEXT`, or as suits the networks best
        where something new is to appear.
    grow : int or None
        How far past the mask the blend may reach, in pixels of the picture; None = 2 % of the crop's longer side
        (of the smallest crop, where separate islands have several).
    blur : int or None
        Width of the blend's fall to 0, 0..grow; None = grow.
    blend : bool
        False returns the raw painted frame (the paper's option): then pixels outside the region change as well.
    preview_every : int
        Every how many steps a preview picture is made; 0 = never.
    """

    steps: int = 20
    guidance: float = 7.5
    negative: str = ""
    seed: int = 0
    samples: int = 1
    tries: int = 1
    scheduler: str = "unipc"
    strength: float = 1.0
    preservation_scale: float = 1.0
    control_start: float = 0.0
    control_end: float = 1.0
    guess_mode: bool = False
    posterior: Literal["mode", "sample"] = "mode"
    latent_mask: Literal["nearest", "cubic"] = "nearest"
    clip_skip: int = 0
    context: float | None = None
    grow: int | None = None
    blur: int | None = None
    blend: bool = True
    preview_every: int = 0

    def __post_init__(self) -> None:
        _require_finite_floats(self)
        scheduler_key(self.scheduler)
        _require_range("steps", self.steps, 1, 1000)
        _require_range("guidance", self.guidance, 0, 50)
        _require_range("samples", self.samples, 1, 16)
        _require_range("tries", self.tries, 1, 16)
        _require_range("seed", self.seed, 0, MAX_SEED - self.samples + 1)
        _require_range("strength", self.strength, 0, 1)
        _require_range("preservation_scale", self.preservation_scale, 0, 10)
        _require_range("control_start", self.control_start, 0, 1)
        _require_range("control_end", self.control_end, 0, 1)
        _require_range("clip_skip", self.clip_skip, 0, 11)
        _require_range("context", CONTEXT if self.context is None else self.context, 0, 16)
        _require_range("preview_every", self.preview_every, 0, 1000)
        if self.strength == 0:
            raise InvalidOption("strength must be above 0: nothing would be repainted", param="strength")
        if self.control_start >= self.control_end:
            raise InvalidOption("control_start must be below control_end", param="control_start")
        if self.grow is not None:
            _require_range("grow", self.grow, 0, 4096)
        if self.blur is not None:
            _require_range("blur", self.blur, 0, 4096)
            if self.grow is not None and self.blur > self.grow:
                raise InvalidOption(f"blur must be at most grow ({self.grow}), not {self.blur}", param="blur")
        if self.posterior not in ("mode", "sample"):
            raise InvalidOption(
                f"posterior must be mode or sample, not {self.posterior!r}", param="posterior"
            )
        if self.latent_mask not in ("nearest", "cubic"):
            raise InvalidOption(
                f"latent_mask must be nearest or cubic, not {self.latent_mask!r}", param="latent_mask"
            )


def scheduler_key(name: str) -> str:
    """Return which of `SCHEDULER_NAMES` a name means: in any case, with spaces, underscores or hyphens.

    Raises
    ------
    InvalidOption
        The name is not known; the message lists those that are.
    """
    key = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
    if key not in SCHEDULER_NAMES:
        known = ", ".join(SCHEDULER_NAMES)
        raise InvalidOption(f"unknown scheduler {name!r}; known: {known}", param="scheduler")
    return key


def _require_finite_floats(options: PaintOptions) -> None:
    for f in fields(options):
        value = getattr(options, f.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidOption(f"{f.name} must be a finite number, not {value}", param=f.name)


def _require_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InvalidOption(f"{name} must be {low}..{high}, not {value}", param=name)
