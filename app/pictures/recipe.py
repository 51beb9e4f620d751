"""The recipe of an edit, kept inside the PNG file it made: JSON in an iTXt chunk."""

import json
from collections.abc import Mapping

from app.pictures.png import SIGNATURE, inflate, png_chunks
from brushedit.errors import InvalidImage, InvalidOption

KEYWORD = b"brushedit"
LARGEST = 2**20
"""Bytes of JSON."""


def recipe_text(recipe: Mapping[str, object]) -> str:
    """Return the recipe as JSON, or raise `InvalidOption` where it is longer than `LARGEST`."""
    text = json.dumps(dict(recipe), ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > LARGEST:
        raise InvalidOption(f"the recipe is longer than {LARGEST} bytes", param="recipe")
    return text


def read_recipe(data: bytes) -> dict[str, object] | None:
    """Return the recipe a picture file carries, or None where it carries none that can be read.

    Only PNG files carry one. Foreign chunks, broken files and pictures of other formats never raise.
    """
    if not data.startswith(SIGNATURE):
        return None
    try:
        for name, start, end in png_chunks(data):
            if name == b"iTXt" and data.startswith(KEYWORD + b"\0", start, end):
                return _parsed(data[start + len(KEYWORD) + 1 : end])
    except InvalidImage:
        return None
    return None


def _parsed(content: bytes) -> dict[str, object] | None:
    # Compression flag and method, language, translated keyword, text (PNG specification, section 11.3.3.4).
    parts = content[2:].split(b"\0", 2)
    if len(parts) < 3 or len(parts[2]) > LARGEST:
        return None
    text = inflate(parts[2], LARGEST) if content[0] else parts[2]
    try:
        recipe = json.loads(text or b"")
    except (ValueError, RecursionError):
        return None
    return recipe if isinstance(recipe, dict) else None
