"""Where a profile's weights are on this machine, what is missing, and getting it from the hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)

from brushedit.errors import InvalidOption, InvalidWeights
from models.catalog import Licence, Network, Profile, Role, Source
from models.checkpoint import sha256

_OWN: Final = "toybox"
"""Folder, beside this module, of the weights this repository carries."""


@dataclass(frozen=True)
class Finding:
    """What `check` found out about one network's files.

    Attributes
    ----------
    role : Role
    source : Source
    folder : Path or None
        Where they are; None where some are missing.
    missing : tuple of str
        Files, or patterns of files, that are nowhere.
    damaged : tuple of str
        Files of another SHA-256 than the catalog's.
    unverified : tuple of str
        Files of which the catalog knows no SHA-256.
    """

    role: Role
    source: Source
    folder: Path | None
    missing: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()


def sources(network: Network) -> tuple[Source, ...]:
    """Return where a network's files come from: weights, and a tokenizer of its own where it has one."""
    return (network.weights,) if network.tokenizer is None else (network.weights, network.tokenizer)


def find(source: Source, roots: Sequence[Path] = ()) -> Path:
    """Return the folder that holds a source's files.

    Looked for in this order: the published folder layout under each root, what this repository carries, and
    the hub's cache (``HF_HOME``) at the pinned revision. Nothing is downloaded.

    Raises
    ------
    InvalidWeights
        Some file is nowhere; the message says which, and how to get it.
    """
    missing: tuple[str, ...] = source.files
    for folder in _places(source, roots):
        missing = _missing(source, folder)
        if not missing:
            return folder
    looked = ", ".join(str(place) for place in _places(source, roots)) or "the hub's cache"
    raise InvalidWeights(
        f"{', '.join(missing)} of {source.repo or 'this repository'} missing in {looked}; "
        "`brushedit weights pull PROFILE` gets a profile's weights"
    )


def _places(source: Source, roots: Sequence[Path]) -> list[Path]:
    places = [root / source.folder for root in roots]
    if not source.repo:
        places.append(Path(__file__).parent / _OWN / "weights" / source.folder)
    else:
        try:
            cached = snapshot_download(source.repo, revision=source.revision, local_files_only=True)
        except (LocalEntryNotFoundError, FileNotFoundError):
            pass
        else:
            places.append(Path(cached) / source.prefix)
    return places


def _missing(source: Source, folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        return source.files or (source.folder,)
    present = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    # A converted checkpoint stands in for the pickled one it was made from.
    return tuple(
        pattern
        for pattern in source.files
        if not any(fnmatch(name, pattern) for name in present)
        and Path(pattern).with_suffix(".safetensors").as_posix() not in present
    )


def pull(profile: Profile, *, accepted: bool, roots: Sequence[Path] = ()) -> None:
    """Download what a profile lacks into the hub's cache, with progress, resuming what was begun.

    Parameters
    ----------
    accepted : bool
        Whether the person agreed to the licences that limit use (`limiting_licences`).

    Raises
    ------
    InvalidOption
        Such a licence was not accepted.
    InvalidWeights
        The hub cannot be reached, refuses, or sends another file than the catalog's.
    """
    limits = limiting_licences(profile)
    if limits and not accepted:
        told = "; ".join(f"{licence.name} ({licence.limits}; {licence.address})" for licence in limits)
        raise InvalidOption(f"accept the licences that limit use first: {told}", param="accept_licence")
    for network in profile.networks.values():
        for source in sources(network):
            if source.repo and not _is_found(source, roots):
                _download(source)


def limiting_licences(profile: Profile) -> tuple[Licence, ...]:
    """Return a profile's licences that limit use, each once."""
    licences = [source.licence for network in profile.networks.values() for source in sources(network)]
    return tuple(dict.fromkeys(licence for licence in licences if licence.limits))


def _is_found(source: Source, roots: Sequence[Path]) -> bool:
    try:
        find(source, roots)
    except InvalidWeights:
        return False
    return True


def _download(source: Source) -> None:
    patterns = [f"{source.prefix}/{file}" if source.prefix else file for file in source.files]
    try:
        folder = Path(snapshot_download(source.repo, revision=source.revision, allow_patterns=patterns))
    except GatedRepoError as error:
        raise InvalidWeights(
            f"{source.repo} is gated: accept its terms on the hub and set HF_TOKEN"
        ) from error
    except OfflineModeIsEnabled as error:
        raise InvalidWeights(f"{source.repo} is not in the hub's cache, and HF_HUB_OFFLINE is set") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise InvalidWeights(f"{source.repo} cannot be downloaded: {error}") from error
    damaged = _damaged(source, folder / source.prefix)
    if damaged:
        raise InvalidWeights(f"{source.repo} sent other files than the catalog's: {', '.join(damaged)}")


def lacking(profile: Profile, roots: Sequence[Path] = ()) -> tuple[Role, ...]:
    """Return the networks of a profile of which some file is nowhere; nothing is read, so it is quick."""
    return tuple(
        role
        for role, network in profile.networks.items()
        if not all(_is_found(source, roots) for source in sources(network))
    )


def check(profile: Profile, roots: Sequence[Path] = ()) -> tuple[Finding, ...]:
    """Return, for each source of a profile's networks, what is there, what is missing and what is damaged."""
    return tuple(
        _check(role, source, roots)
        for role, network in profile.networks.items()
        for source in sources(network)
    )


def _check(role: Role, source: Source, roots: Sequence[Path]) -> Finding:
    if not _is_found(source, roots):
        lacking = min(
            (_missing(source, place) for place in _places(source, roots)), key=len, default=source.files
        )
        return Finding(role, source, None, missing=lacking)
    folder = find(source, roots)
    unverified = tuple(file for file in source.files if file not in source.sha256)
    return Finding(role, source, folder, damaged=_damaged(source, folder), unverified=unverified)


def _damaged(source: Source, folder: Path) -> tuple[str, ...]:
    files = {name: folder / name for name in source.sha256}
    return tuple(
        name for name, path in files.items() if path.is_file() and sha256(path) != source.sha256[name]
    )
