"""Strict loading: a network takes every tensor of its checkpoint and nothing is left over, or it is an error."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from brushedit.errors import InvalidWeights

Network = TypeVar("Network")
_SHOWN = 8


def load_strictly(folder: Path, load: Callable[[Path], tuple[Network, Mapping[str, Any]]]) -> Network:
    """Load a network by `load`, which also returns the library's loading report (`output_loading_info=True`).

    Raises
    ------
    InvalidWeights
        The folder holds no such network, or keys or shapes differ; the message names them.
    """
    if not folder.is_dir():
        raise InvalidWeights(f"{folder} is no folder with weights")
    try:
        network, report = load(folder)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise InvalidWeights(f"the weights in {folder} do not load: {error}") from error
    refuse_differences(
        folder,
        missing=report.get("missing_keys", ()),
        unexpected=report.get("unexpected_keys", ()),
        mismatched=report.get("mismatched_keys", ()),
    )
    return network


def refuse_differences(
    source: Path, *, missing: Any = (), unexpected: Any = (), mismatched: Any = ()
) -> None:
    """Raise `InvalidWeights` that names the keys by which a checkpoint and its network differ, if any do."""
    differences = [
        f"{title} {_listed(keys)}"
        for title, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", mismatched),
        )
        if keys
    ]
    if differences:
        raise InvalidWeights(f"the weights in {source} do not fit: {'; '.join(differences)}")


def _listed(keys: Any) -> str:
    names = sorted(str(key[0] if isinstance(key, tuple) else key) for key in keys)
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
