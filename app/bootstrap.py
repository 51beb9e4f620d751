"""The composition root: the one place in the application that knows concrete networks."""

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from agents.editor import Editor
from agents.locator import Locator
from agents.planner import Planner, read_prompt
from app import __version__
from brushedit.diffusion.brushnet import BrushNetModel
from brushedit.diffusion.conductor import BrushNetConductor
from brushedit.errors import InvalidOption, InvalidWeights
from brushedit.events import Blended, Denoised
from brushedit.types import Image, Mask, Painting, PaintOptions
from models import untrained
from models.catalog import Role, find_profile
from models.loading import Places, folder_of, open_detector, open_instructor, open_segmenter
from models.openai_vlm import Endpoint, OpenAiVlm
from models.placement import Placement, choose_device, choose_dtype
from models.stable_diffusion import Lora, load_base

_PAINTING_ROOM = 4 << 30
"""Bytes free for the activations of one painting at a model's native resolution, VAE included."""

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class PainterChoice:
    """Which weights paint, and where they run.

    Attributes
    ----------
    base, brushnet : Path or None
        Folders in diffusers' layout, given both or neither; neither = the untrained network.
    loras : sequence of (Path, float)
        Safetensors files and their factors.
    device, dtype : str
        "auto", or a torch device ("cpu", "cuda", "cuda:1", "mps") and one of float32, float16, bfloat16.
    """

    base: Path | None = None
    brushnet: Path | None = None
    loras: Sequence[tuple[Path, float]] = field(default_factory=tuple)
    device: str = "auto"
    dtype: str = "auto"

    def names(self) -> dict[str, object]:
        """Return what a recipe says about the weights."""
        return {
            "base": self.base.name if self.base else untrained.NAME,
            "brushnet": self.brushnet.name if self.brushnet else untrained.NAME,
            "loras": [[path.name, weight] for path, weight in self.loras],
        }


def load_conductor(choice: PainterChoice) -> BrushNetConductor:
    """Load base model and BrushNet.

    Raises
    ------
    InvalidWeights
        A folder is missing or does not fit; never a silent step back to other weights.
    InvalidOption
        An unknown device or dtype, or one that is not there.
    """
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    if (choice.base is None) != (choice.brushnet is None):
        raise InvalidWeights("a base model and a BrushNet are given together, or neither", param="base")
    device = _device(choice.device)
    dtype = _dtype(choice.dtype, device)
    base, brushnet = choice.base, choice.brushnet
    if base is None or brushnet is None:
        folder = untrained.ensure(_cache() / f"untrained-{__version__}")
        base, brushnet = folder / "base_model", folder / "brushnetX"
    loras = [Lora(path, weight) for path, weight in choice.loras]
    network = BrushNetModel.from_pretrained(brushnet, torch_dtype=dtype).eval().requires_grad_(False)
    torch.nn.Module.to(network, device)
    return BrushNetConductor(load_base(base, device=device, dtype=dtype, loras=loras), network)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "brushedit"


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidOption(f"device {name!r} cannot be used: {reason}", param="device") from error
    return device


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if name not in _DTYPES:
        raise InvalidOption(f"unknown dtype {name!r}; known: {', '.join(_DTYPES)}", param="dtype")
    return _DTYPES[name]


@dataclass(frozen=True)
class AgentChoice:
    """Which networks plan, locate and paint, and where they run.

    Attributes
    ----------
    profile : str
        A name of `models.catalog.PROFILES`.
    places : Places
        Where its weights are looked for, and folders that stand in for some of them.
    endpoint : Endpoint or None
        A server that plans instead of the profile's instructor.
    four_bit : bool
        Whether the profile's instructor is quantised to 4 bits.
    device, dtype : str
        As in `PainterChoice`.
    """

    profile: str = "toybox"
    places: Places = field(default_factory=Places)
    endpoint: Endpoint | None = None
    four_bit: bool = False
    device: str = "auto"
    dtype: str = "auto"


def load_planner(choice: AgentChoice, placement: Placement | None = None) -> Planner:
    """Load the instructor alone, the profile's or a server's."""
    profile = find_profile(choice.profile)
    if choice.endpoint is not None:
        return Planner(OpenAiVlm(choice.endpoint), read_prompt("plan"))
    placement = placement or Placement(choose_device(choice.device))
    dtype = choose_dtype(placement.device, choice.dtype)
    instructor = open_instructor(profile, choice.places, placement, dtype, four_bit=choice.four_bit)
    return Planner(instructor, read_prompt(profile.prompt))


def load_locator(choice: AgentChoice, placement: Placement | None = None) -> Locator:
    """Load detector and segmenter alone."""
    profile = find_profile(choice.profile)
    placement = placement or Placement(choose_device(choice.device))
    dtype = choose_dtype(placement.device, choice.dtype)
    return Locator(
        open_detector(profile, choice.places, placement),
        open_segmenter(profile, choice.places, placement, dtype),
        profile.floor,
    )


def load_editor(choice: AgentChoice) -> Editor:
    """Load all five networks of a profile.

    The painter comes first and stays on the device; the others share what memory is left there.

    Raises
    ------
    InvalidWeights
        Some weights are missing or do not fit; the message says which and how to get them.
    """
    profile = find_profile(choice.profile)
    painter = PainterChoice(
        base=folder_of(profile, Role.BASE_MODEL, choice.places),
        brushnet=folder_of(profile, Role.BRUSHNET, choice.places),
        device=choice.device,
        dtype=choice.dtype,
    )
    conductor = load_conductor(painter)
    placement = Placement(choose_device(choice.device))
    return Editor(
        load_planner(choice, placement),
        load_locator(choice, placement),
        _RoomyConductor(conductor, placement),
        global_strength=profile.global_strength,
        read_peak=placement.read_peak if placement.device.type == "cuda" else None,
    )


@final
class _RoomyConductor:
    """Paints once the agent's networks have left the device as much room as painting needs."""

    def __init__(self, conductor: BrushNetConductor, placement: Placement) -> None:
        self._conductor = conductor
        self._placement = placement

    def paint(
        self, image: Image, mask: Mask, caption: str, options: PaintOptions
    ) -> Generator[Denoised | Blended, None, Painting]:
        self._placement.make_room(_PAINTING_ROOM)
        return self._conductor.paint(image, mask, caption, options)
