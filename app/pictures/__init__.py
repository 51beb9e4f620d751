"""Picture files: the only place where they are read and written, from paths and from bytes."""

from app.pictures.masks import decode_mask, encode_mask, read_mask
from app.pictures.reading import MAX_PIXELS, decode, read, read_bytes
from app.pictures.recipe import read_recipe
from app.pictures.records import Format, Mode, Palette, Picture, Source
from app.pictures.writing import check_writable, encode, replace_file, write

__all__ = [
    "MAX_PIXELS",
    "Format",
    "Mode",
    "Palette",
    "Picture",
    "Source",
    "check_writable",
    "decode",
    "decode_mask",
    "encode",
    "encode_mask",
    "read",
    "read_bytes",
    "read_mask",
    "read_recipe",
    "replace_file",
    "write",
]
