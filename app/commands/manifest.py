"""What a batch is to do: the pictures of a folder, or the lines of a manifest."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brushedit.errors import InvalidOption

_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_MASK_ENDINGS: Final = (".mask", "_mask", "-mask")


@dataclass(frozen=True)
class Item:
    """One picture of a batch.

    Attributes
    ----------
    image : Path
    instruction : str
    mask : Path or None
    output : PurePosixPath
        Of the result, inside the batch's folder: its suffix names the format. Also what the item is called.
    seed : int or None
        None = made of what is asked, so that asking again gives the same.
    """

    image: Path
    instruction: str
    mask: Path | None
    output: PurePosixPath
    seed: int | None = None


class _Row(BaseModel):
    """A line of a manifest; a misspelt column must not be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = Field(min_length=1)
    instruction: str = ""
    mask: str | None = None
    output: str | None = None
    seed: int | None = None


def read_items(source: Path, instruction: str, suffix: str = "") -> list[Item]:
    """Return what a folder or a manifest asks for, in order.

    In a folder, ``cat.mask.png`` (or ``cat_mask``, ``cat-mask``) is the mask of ``cat.jpg``, and ``cat.txt`` its
    instruction. A manifest is JSON lines, or CSV with a header, of `image` and, where wanted, `instruction`, `mask`,
    `output` and `seed`; its paths start from its own folder.

    Parameters
    ----------
    instruction : str
        For every item that has none of its own.
    suffix : str
        Of all outputs, such as ".png"; "" = as the manifest says, or as the picture has.

    Raises
    ------
    InvalidOption
        Nothing there, a line that cannot be read, an item without an instruction, or an output outside the
        batch's folder.
    """
    if source.is_dir():
        items = _in_folder(source, instruction)
    elif source.suffix.lower() in (".jsonl", ".csv"):
        items = [_item(source, number, row, instruction) for number, row in _rows(source)]
    else:
        raise InvalidOption(f"{source} is no folder, no .jsonl and no .csv file", param="source")
    if not items:
        raise InvalidOption(f"{source} names no pictures", param="source")
    for item in items:
        if not item.instruction.strip():
            raise InvalidOption(
                f"{item.image} has no instruction: give it one, or all of them by --instruction",
                param="instruction",
            )
    return _apart([replace(item, output=_ending(item, suffix)) for item in items])


def _in_folder(folder: Path, instruction: str) -> list[Item]:
    pictures = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file()
    )
    by_stem = {path.stem: path for path in pictures}
    masks = {
        by_stem[path.stem.removesuffix(ending)]: path
        for path in pictures
        for ending in _MASK_ENDINGS
        if path.stem.endswith(ending) and path.stem.removesuffix(ending) in by_stem
    }
    return [
        Item(path, _beside(path) or instruction, masks.get(path), PurePosixPath(path.name))
        for path in pictures
        if path not in masks.values()
    ]


def _beside(picture: Path) -> str:
    path = picture.with_suffix(".txt")
    try:
        return path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidOption(f"{path} cannot be read: {error}", param="instruction") from error


def _rows(source: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield each row, after the number of the line it ends on."""
    try:
        # Spreadsheets put a byte order mark in front.
        text = source.read_text(encoding="utf-8-sig")
        yield from _of_csv(text) if source.suffix.lower() == ".csv" else _of_json(text)
    except (OSError, ValueError) as error:
        raise InvalidOption(
            f"{source} cannot be read, so nothing was done: {error}", param="source"
        ) from error


def _of_csv(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in rows:
            yield rows.line_num, {name: value for name, value in row.items() if value not in (None, "")}
    except csv.Error as error:
        raise ValueError(f"line {rows.reader.line_num}: {error}") from error


def _of_json(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number}, column {error.colno}: {error.msg}") from error
            yield number, row


def _item(source: Path, number: int, fields: Mapping[str, Any], instruction: str) -> Item:
    try:
        row = _Row.model_validate(fields)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise InvalidOption(f"{source}, line {number}: {where}: {fault['msg']}", param="source") from error
    image = source.parent / row.image
    output = PurePosixPath(row.output or image.name)
    if output.is_absolute() or ".." in output.parts or not output.name:
        raise InvalidOption(
            f"{source}, line {number}: {output} does not lie in the output folder", param="output"
        )
    mask = source.parent / row.mask if row.mask else None
    return Item(image, row.instruction or instruction, mask, output, row.seed)


def _ending(item: Item, suffix: str) -> PurePosixPath:
    return item.output.with_suffix(suffix or item.output.suffix or item.image.suffix)


def _apart(items: list[Item]) -> list[Item]:
    """Return the items with outputs that differ: what came second is numbered."""
    taken: set[PurePosixPath] = set()
    apart: list[Item] = []
    for item in items:
        output, number = item.output, 1
        while output in taken:
            number += 1
            output = item.output.with_stem(f"{item.output.stem}-{number}")
        taken.add(output)
        apart.append(replace(item, output=output))
    return apart
