"""Checkpoints of one file: read without running code from it, made safetensors once, loaded strictly."""

import hashlib
import logging
import os
import pickle
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import init_empty_weights
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from brushedit.diffusion.checkpoint import refuse_differences
from brushedit.errors import InvalidWeights

logger = logging.getLogger(__name__)

Network = TypeVar("Network", bound=nn.Module)
Config = TypeVar("Config")


def build_empty(build: Callable[[], Network]) -> Network:
    """Return a network whose parameters take no memory yet; its constant buffers are real."""
    with init_empty_weights(include_buffers=False):
        return build()


def load_network(build: Callable[[], Network], path: Path, *, superfluous: Collection[str] = ()) -> Network:
    """Return a network with a checkpoint's weights, in evaluation mode, without gradients.

    Parameters
    ----------
    build : callable
        Makes the network; called where parameters take no memory.
    path : Path
        A ``.safetensors`` file, or a pickled one.
    superfluous : collection of str
        Keys that the published file is known to carry for nothing.

    Raises
    ------
    InvalidWeights
        No such file, no checkpoint, or one whose keys or shapes do not fit; the message names them.
    """
    network = build_empty(build)
    state = {key: value for key, value in read_checkpoint(path).items() if key not in superfluous}
    require_fit(network, state, path)
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def require_fit(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Raise `InvalidWeights` unless a checkpoint has exactly a network's keys and shapes."""
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    refuse_differences(
        path,
        missing=sorted(expected.keys() - state.keys()),
        unexpected=sorted(state.keys() - expected.keys()),
        mismatched=sorted(
            f"{key} {tuple(state[key].shape)} instead of {expected[key]}"
            for key in expected.keys() & state.keys()
            if tuple(state[key].shape) != expected[key]
        ),
    )


def write_network(folder: Path, network: nn.Module, config: Any) -> None:
    """Write a network as a folder of ``model.safetensors`` and ``config.json``, a record of its architecture."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(_unaliased(network.state_dict()), folder / "model.safetensors")
    (folder / "config.json").write_bytes(TypeAdapter(type(config)).dump_json(config, indent=2) + b"\n")


def read_config(folder: Path, kind: type[Config]) -> Config:
    """Return the record of a network's architecture that stands beside its weights.

    Raises
    ------
    InvalidWeights
        There is none, or it is of another kind.
    """
    path = folder / "config.json"
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidWeights(f"{path} describes no {kind.__name__}: {error}") from error


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return a checkpoint's tensors; of a pickled one a safetensors copy is kept beside it where that can be written.

    Raises
    ------
    InvalidWeights
        No such file, or nothing but tensors was expected and something else was found in it.
    """
    if not path.is_file():
        raise InvalidWeights(f"there is no checkpoint at {path}")
    converted = path.with_suffix(".safetensors")
    if converted.is_file():
        return read_state(converted)
    state = _unaliased(_read_pickle(path))
    draft = converted.with_suffix(f".{os.getpid()}.part")
    try:
        save_file(state, draft)
        draft.replace(converted)
    except (OSError, SafetensorError) as fault:
        # Somebody else's folder, or a full disk: it is read again next time.
        logger.info("no copy of %s is kept: %s", path, fault)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return state


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InvalidWeights(f"{path} is no safetensors file: {error}") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise InvalidWeights(f"{path} is no checkpoint of tensors alone: {error}") from error
    # GroundingDINO's published file wraps the weights, and names them as its distributed training did.
    state = content.get("model", content)
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise InvalidWeights(f"{path} holds more than named tensors")
    return {str(key).removeprefix("module."): value for key, value in state.items()}


def _unaliased(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give each name its own memory: safetensors stores no sharing, and shared modules share weights."""
    return {key: value.clone().contiguous() for key, value in state.items()}


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
