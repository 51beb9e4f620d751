"""Readers of BrushBench, EditBench and PIE-Bench as their authors publish them. The data itself is never shipped."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np

from brushedit.errors import InvalidBenchmark
from brushedit.evaluation.run_length import decode_brushbench, decode_pie_bench
from brushedit.types import Image, Mask

SIDE: Final = 512
"""Width and height of every picture of BrushBench and PIE-Bench."""

PIE_TYPES: Final = (
    "random",
    "change object",
    "add object",
    "delete object",
    "change content",
    "change pose",
    "change colour",
    "change material",
    "change background",
    "change style",
)
"""PIE-Bench's `editing_type_id`, 0..9."""

MaskKey = Literal["inside", "outside"]
_MASK_KEYS: Final = {"inside": "inpainting_mask", "outside": "outpainting_mask"}


@dataclass(frozen=True)
class Item:
    """One picture of a benchmark.

    Attributes
    ----------
    key : str
        Unique within the benchmark; names its files.
    image : Path
    mask : Mask
        True = hole, or to be edited.
    prompt : str
        What the whole picture shows afterwards.
    source_prompt : str
        What it shows before, where the benchmark says so; "" otherwise.
    instruction : str
        PIE-Bench's editing instruction; "" otherwise.
    group : str
        What means are grouped by: "natural", "generated", an entry of `PIE_TYPES`, a folder of BrushBench.
    """

    key: str
    image: Path
    mask: Mask
    prompt: str
    source_prompt: str = ""
    instruction: str = ""
    group: str = ""


def read_brushbench(folder: Path, hole: MaskKey) -> tuple[Item, ...]:
    """Read BrushBench.

    Parameters
    ----------
    folder : Path
        With ``mapping_file.json`` and the pictures it names.
    hole : {"inside", "outside"}
        The object is repainted, or all but the object.

    Raises
    ------
    InvalidBenchmark
    """
    items: list[Item] = []
    for key, entry in _mapping(folder).items():
        where = f"{folder / 'mapping_file.json'}: {key}"
        image = _image(folder, _text(entry, "image", where), where)
        mask = decode_brushbench(_runs(entry, _MASK_KEYS[hole], where), SIDE, SIDE)
        group = image.relative_to(folder).parts[0] if image.parent != folder else ""
        items.append(Item(key, image, mask, _text(entry, "caption", where), group=group))
    return tuple(items)


def read_pie_bench(folder: Path) -> tuple[Item, ...]:
    """Read PIE-Bench, its masks as its evaluator reads them (see `decode_pie_bench`).

    Parameters
    ----------
    folder : Path
        With ``mapping_file.json`` and ``annotation_images``.

    Raises
    ------
    InvalidBenchmark
    """
    items: list[Item] = []
    for key, entry in _mapping(folder).items():
        where = f"{folder / 'mapping_file.json'}: {key}"
        kind = _text(entry, "editing_type_id", where)
        if kind not in map(str, range(len(PIE_TYPES))):
            raise InvalidBenchmark(f"{where}: editing_type_id is 0..{len(PIE_TYPES) - 1}, not {kind!r}")
        items.append(
            Item(
                key,
                _image(folder / "annotation_images", _text(entry, "image_path", where), where),
                decode_pie_bench(_runs(entry, "mask", where), SIDE, SIDE),
                # Square brackets mark what differs between the two prompts.
                prompt=_unmarked(_text(entry, "editing_prompt", where)),
                source_prompt=_unmarked(_text(entry, "original_prompt", where)),
                instruction=_text(entry, "editing_instruction", where),
                group=PIE_TYPES[int(kind)],
            )
        )
    return tuple(items)


def read_editbench(folder: Path) -> tuple[Item, ...]:
    """Read EditBench.

    Parameters
    ----------
    folder : Path
        With ``annotations_natural.csv`` and ``annotations_generated.csv`` (columns ``aos``, the picture's name, and
        ``prompt_full``), ``references_*`` and ``masks_*``. The black part of a mask is the hole, as BrushNet's
        authors used it.

    Raises
    ------
    InvalidBenchmark
    """
    items: list[Item] = []
    for group in ("natural", "generated"):
        table = folder / f"annotations_{group}.csv"
        for number, row in enumerate(_rows(table), start=2):
            where = f"{table}: line {number}"
            name = f"{_text(row, 'aos', where)}.png"
            image = _image(folder / f"references_{group}", name, where)
            grey = cv2.imread(str(_image(folder / f"masks_{group}", name, where)), cv2.IMREAD_GRAYSCALE)
            if grey is None:
                raise InvalidBenchmark(f"{where}: the mask {name} is no picture")
            prompt = _text(row, "prompt_full", where)
            hole = np.asarray(grey < 128, np.bool_)
            items.append(Item(f"{group}-{image.stem}", image, hole, prompt, group=group))
    return tuple(items)


def read_image(item: Item) -> Image:
    """Return the picture of an item, in its own size.

    Raises
    ------
    InvalidBenchmark
        It cannot be decoded, or its mask is of another size.
    """
    pixels = cv2.imread(str(item.image), cv2.IMREAD_COLOR)
    if pixels is None:
        raise InvalidBenchmark(f"{item.image} is no picture that can be read")
    if pixels.shape[:2] != item.mask.shape:
        height, width = item.mask.shape
        raise InvalidBenchmark(
            f"{item.image} is {pixels.shape[1]}x{pixels.shape[0]}, its mask {width}x{height}"
        )
    return np.ascontiguousarray(pixels[..., ::-1], np.uint8)


def _mapping(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    path = folder / "mapping_file.json"
    try:
        mapping: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidBenchmark(f"{path} is not there: is {folder} the benchmark's folder?") from error
    except (OSError, ValueError) as error:
        raise InvalidBenchmark(f"{path} cannot be read: {error}") from error
    if not isinstance(mapping, dict) or not all(isinstance(entry, dict) for entry in mapping.values()):
        raise InvalidBenchmark(f"{path} does not map keys to records")
    if not mapping:
        raise InvalidBenchmark(f"{path} is empty")
    return mapping


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise InvalidBenchmark(f"{path} is not there: is {path.parent} the benchmark's folder?") from error
    except (OSError, ValueError) as error:
        raise InvalidBenchmark(f"{path} cannot be read: {error}") from error
    if not rows:
        raise InvalidBenchmark(f"{path} is empty")
    return rows


def _text(entry: Mapping[str, Any], name: str, where: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidBenchmark(f"{where}: {name!r} is missing or no text")
    return value


def _runs(entry: Mapping[str, Any], name: str, where: str) -> list[int]:
    value = entry.get(name)
    if not isinstance(value, list) or not all(type(number) is int for number in value):
        raise InvalidBenchmark(f"{where}: {name!r} is missing or no list of whole numbers")
    return value


def _image(folder: Path, name: str, where: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InvalidBenchmark(f"{where}: {name!r} lies outside {folder}")
    if not path.is_file():
        raise InvalidBenchmark(f"{where}: {path} is not there")
    return path


def _unmarked(prompt: str) -> str:
    return " ".join(prompt.replace("[", "").replace("]", "").split())
