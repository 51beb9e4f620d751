"""The composition root: the one place in the application that knows concrete networks."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from app import __version__
from brushedit.diffusion.brushnet import BrushNetModel
from brushedit.diffusion.conductor import BrushNetConductor
from brushedit.errors import InvalidOption, InvalidWeights
from models import untrained
from models.stable_diffusion import Lora, load_base

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
    network = (
        BrushNetModel.from_pretrained(brushnet, torch_dtype=dtype).to(device).eval().requires_grad_(False)
    )
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
