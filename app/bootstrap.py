"""The composition root: the one place in the application that knows concrete networks."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, final

import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from agents.critic import Critic
from agents.editor import Editor
from agents.locator import Locator
from agents.planner import Planner, read_prompt
from agents.ports import Detector, Segmenter
from brushedit.diffusion.brushnet import BrushNetModel
from brushedit.diffusion.conductor import BrushNetConductor
from brushedit.errors import InvalidWeights
from brushedit.events import Blended, Denoised
from brushedit.options import PaintOptions
from brushedit.types import Candidate, Image, Mask, Painting
from models.catalog import Role, find_profile
from models.loading import Places, folder_of, open_detector, open_instructor, open_segmenter
from models.openai_vlm import Endpoint, OpenAiVlm
from models.placement import Placement, choose_device, choose_dtype
from models.stable_diffusion import Lora, load_base

_PAINTING_ROOM = 4 << 30
"""Bytes free for the activations of one painting at a model's native resolution, VAE included."""


@dataclass(frozen=True)
class PainterChoice:
    """Which weights paint, and where they run.

    Attributes
    ----------
    base, brushnet : Path or None
        Folders in diffusers' layout, given both or neither; neither = the toybox's.
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
            "base": self.base.name if self.base else "toybox",
            "brushnet": self.brushnet.name if self.brushnet else "toybox",
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
    _silence_libraries()
    if (choice.base is None) != (choice.brushnet is None):
        raise InvalidWeights("a base model and a BrushNet are given together, or neither", param="base")
    device = choose_device(choice.device)
    dtype = choose_dtype(device, choice.dtype)
    toybox = find_profile("toybox")
    base = choice.base or folder_of(toybox, Role.BASE_MODEL, Places())
    brushnet = choice.brushnet or folder_of(toybox, Role.BRUSHNET, Places())
    loras = [Lora(path, weight) for path, weight in choice.loras]
    network = BrushNetModel.from_pretrained(brushnet, torch_dtype=dtype).eval().requires_grad_(False)
    torch.nn.Module.to(network, device)
    return BrushNetConductor(load_base(base, device=device, dtype=dtype, loras=loras), network)


def _silence_libraries() -> None:
    # What they would say of weights that do not fit is said by our own errors.
    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
        library.set_verbosity_error()


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
    _silence_libraries()
    profile = find_profile(choice.profile)
    if choice.endpoint is not None:
        return Planner(OpenAiVlm(choice.endpoint), read_prompt("plan"))
    placement = placement or Placement(choose_device(choice.device))
    dtype = choose_dtype(placement.device, choice.dtype)
    instructor = open_instructor(profile, choice.places, placement, dtype, four_bit=choice.four_bit)
    return Planner(instructor, read_prompt(profile.prompt))


def load_detector(choice: AgentChoice, placement: Placement | None = None) -> Detector:
    """Load the detector alone."""
    placement = placement or Placement(choose_device(choice.device))
    return open_detector(find_profile(choice.profile), choice.places, placement)


def load_segmenter(choice: AgentChoice, placement: Placement | None = None) -> Segmenter:
    """Load the segmenter alone."""
    placement = placement or Placement(choose_device(choice.device))
    dtype = choose_dtype(placement.device, choice.dtype)
    return open_segmenter(find_profile(choice.profile), choice.places, placement, dtype)


def load_locator(choice: AgentChoice, placement: Placement | None = None) -> Locator:
    """Load detector and segmenter alone."""
    placement = placement or Placement(choose_device(choice.device))
    floor = find_profile(choice.profile).floor
    return Locator(load_detector(choice, placement), load_segmenter(choice, placement), floor)


def load_sight(choice: AgentChoice) -> Callable[[Image, str], Sequence[Candidate]]:
    """Load the detector alone, as a function that returns what it counts as a sighting of a phrase."""
    profile, detector = find_profile(choice.profile), load_detector(choice)

    def sightings(image: Image, phrase: str) -> Sequence[Candidate]:
        return [found for found in detector.detect(image, phrase) if found.score >= profile.floor]

    return sightings


def load_painter(choice: AgentChoice) -> BrushNetConductor:
    """Load base model and BrushNet of a profile alone."""
    profile = find_profile(choice.profile)
    painter = PainterChoice(
        base=folder_of(profile, Role.BASE_MODEL, choice.places),
        brushnet=folder_of(profile, Role.BRUSHNET, choice.places),
        device=choice.device,
        dtype=choice.dtype,
    )
    return load_conductor(painter)


def load_editor(choice: AgentChoice) -> Editor:
    """Load all five networks of a profile.

    The painter comes first and stays on the device; the others share what memory is left there.

    Raises
    ------
    InvalidWeights
        Some weights are missing or do not fit; the message says which and how to get them.
    """
    profile = find_profile(choice.profile)
    conductor = load_painter(choice)
    placement = Placement(choose_device(choice.device))
    detector = load_detector(choice, placement)
    return Editor(
        load_planner(choice, placement),
        Locator(detector, load_segmenter(choice, placement), profile.floor),
        _RoomyConductor(conductor, placement),
        critic=Critic(detector, profile.floor),
        global_strength=profile.global_strength,
        closeup=profile.closeup,
        read_peak=placement.read_peak if placement.device.type == "cuda" else None,
    )


class Deployment(Protocol):
    """What a service's settings say about the agent."""

    @property
    def profile(self) -> str:
        """A name of `models.catalog.PROFILES`."""
        ...

    @property
    def device(self) -> str:
        """As in `AgentChoice`."""
        ...


def build_editor(settings: Deployment) -> Editor:
    """Load the agent of a service's worker."""
    return load_editor(AgentChoice(profile=settings.profile, device=settings.device))


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
