"""Request bodies: JSON and multipart, read into plain values within the limits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.refusals import InvalidRequest, WrongMediaType

_JSON_FIELDS: Final = frozenset({"box", "points", "plan", "options", "metadata", "webhook_events_filter"})
_MAX_FILES: Final = 1000
_MAX_FIELDS: Final = 200
_MAX_FIELD: Final = 100_000_000


@dataclass(frozen=True)
class Upload:
    """A file of a multipart body. Its name is for people; nothing on disk is ever called by it."""

    name: str
    data: bytes
    media_type: str


@dataclass(frozen=True)
class Body:
    """A body's fields, and the files it came with, by field name."""

    fields: Mapping[str, Any]
    files: Mapping[str, tuple[Upload, ...]]


@final
class _Parser(MultiPartParser):
    """Holds pictures of common size in memory: on a disk each piece of one costs a thread's wait."""

    spool_max_size = 8_000_000


async def read_body(request: Request, max_depth: int) -> Body:
    """Read a JSON or multipart body.

    Raises
    ------
    InvalidRequest, WrongMediaType
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _read_form(request, max_depth)
    if kind == "application/json":
        fields = parse_json(await request.body(), max_depth)
        if not isinstance(fields, dict):
            raise InvalidRequest("the body must be a JSON object")
        return Body(fields, {})
    raise WrongMediaType("send application/json or multipart/form-data", param="Content-Type")


def parse_json(data: bytes | str, max_depth: int) -> Any:
    """Parse JSON, or raise `InvalidRequest` where it is malformed or nested too deeply."""
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the JSON cannot be read: {error}") from error
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > max_depth:
            raise InvalidRequest(f"the JSON is nested more than {max_depth} levels deep")
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


async def _read_form(request: Request, max_depth: int) -> Body:
    fields: dict[str, Any] = {}
    files: dict[str, list[Upload]] = {}
    parser = _Parser(
        request.headers,
        request.stream(),
        max_files=_MAX_FILES,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(f"the form cannot be read: {error.message}") from error
    try:
        for name, value in form.multi_items():
            name = name.removesuffix("[]")
            if isinstance(value, UploadFile):
                upload = Upload(
                    (value.filename or "").replace("\0", ""),
                    await value.read(),
                    value.content_type or "application/octet-stream",
                )
                files.setdefault(name, []).append(upload)
            elif name in fields:
                raise InvalidRequest(f"the field {name} came twice", param=name)
            else:
                fields[name] = parse_json(value, max_depth) if name in _JSON_FIELDS else value
    finally:
        await form.close()
    return Body(fields, {name: tuple(uploads) for name, uploads in files.items()})
