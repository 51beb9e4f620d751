"""From a profile's entries to the agent's networks: files found, architecture chosen, weights loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch

from brushedit.errors import InvalidWeights
from models.catalog import Network, Profile, Role
from models.checkpoint import read_config
from models.grounding_dino import GroundingDino, GroundingDinoConfig, load_detector
from models.placement import Placement
from models.qwen_vl import QwenVl, load_instructor
from models.sam import PUBLISHED, SamConfig, SegmentAnything, load_segmenter
from models.weights import find

_DETECTORS: Final[Mapping[str, GroundingDinoConfig]] = {"groundingdino_swint_ogc": GroundingDinoConfig()}


@dataclass(frozen=True)
class Places:
    """Where to look for weights.

    Attributes
    ----------
    roots : sequence of Path
        Folders in the published layout.
    folders : mapping of Role to Path
        Folders (or, where the network is one file, that file's folder) that stand in for a profile's entry.
    """

    roots: Sequence[Path] = ()
    folders: Mapping[Role, Path] = field(default_factory=dict[Role, Path])


def folder_of(profile: Profile, role: Role, places: Places) -> Path:
    """Return the folder of one network's weights, or raise `InvalidWeights` that says what is missing."""
    given = places.folders.get(role)
    if given is not None and not given.is_dir():
        raise InvalidWeights(f"there is no folder {given} for the {role}", param=role.value)
    return given or find(profile.networks[role].weights, places.roots)


def open_instructor(
    profile: Profile, places: Places, placement: Placement, dtype: torch.dtype, *, four_bit: bool = False
) -> QwenVl:
    """Load a profile's own instructor."""
    folder = folder_of(profile, Role.INSTRUCTOR, places)
    return load_instructor(folder, placement, dtype, four_bit=four_bit)


def open_detector(profile: Profile, places: Places, placement: Placement) -> GroundingDino:
    """Load a profile's detector."""
    network = profile.networks[Role.DETECTOR]
    folder = folder_of(profile, Role.DETECTOR, places)
    config = _DETECTORS.get(network.architecture) or read_config(folder, GroundingDinoConfig)
    tokenizer = find(network.tokenizer, places.roots) if network.tokenizer else folder
    return load_detector(_checkpoint(folder, network), tokenizer, config, placement)


def open_segmenter(
    profile: Profile, places: Places, placement: Placement, dtype: torch.dtype
) -> SegmentAnything:
    """Load a profile's segmenter."""
    network = profile.networks[Role.SEGMENTER]
    folder = folder_of(profile, Role.SEGMENTER, places)
    config = PUBLISHED.get(network.architecture) or read_config(folder, SamConfig)
    return load_segmenter(_checkpoint(folder, network), config, placement, dtype)


def _checkpoint(folder: Path, network: Network) -> Path:
    """Return a network's file: the pickled one or, where only that is left, its conversion."""
    path = folder / network.checkpoint
    return path if path.is_file() else path.with_suffix(".safetensors")
