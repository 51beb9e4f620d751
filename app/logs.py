"""Log lines, as text or JSON: each says which request and edit it is about, none what people said or showed."""

import logging
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from traceback import format_tb
from typing import Final

from opentelemetry import trace
from pythonjsonlogger.json import JsonFormatter

from app.settings import Settings

_REQUEST: Final[ContextVar[str]] = ContextVar("request_id", default="")
_EDIT: Final[ContextVar[str]] = ContextVar("edit_id", default="")

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s [%(request_id)s %(edit_id)s] %(message)s"
_FIELDS: Final = ("message", "levelname", "name", "request_id", "edit_id", "trace_id")
_QUIET: Final = ("httpx", "httpcore", "alembic", "sqlalchemy", "dbos", "mcp", "uvicorn", "fsspec", "s3fs")
"""Libraries whose everyday lines hold addresses, or say what ours say better."""


def configure(settings: Settings) -> None:
    """Write this process's log to stderr, as the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_complete)
    if settings.log == "json":
        renamed = {"levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter(_FIELDS, rename_fields=renamed, timestamp="time"))
    else:
        handler.setFormatter(logging.Formatter(_TEXT))
    if settings.log_level != "debug":
        handler.addFilter(_without_messages)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # A logger without a handler of its own gets one from DBOS.
    logging.getLogger("dbos").addHandler(logging.NullHandler())
    logging.getLogger("dbos").addFilter(_no_routine)


@contextmanager
def about(request_id: str = "", edit_id: str = "") -> Generator[None]:
    """Mark what is logged meanwhile as being about a request, an edit or both."""
    marks = [
        (variable, variable.set(value))
        for variable, value in ((_REQUEST, request_id), (_EDIT, edit_id))
        if value
    ]
    try:
        yield
    finally:
        for variable, mark in marks:
            variable.reset(mark)


def request_id() -> str:
    """Return the id of the request that is being answered, or that an edit came with."""
    return _REQUEST.get()


def _complete(record: logging.LogRecord) -> bool:
    record.request_id, record.edit_id = _REQUEST.get() or "-", _EDIT.get() or "-"
    span = trace.get_current_span().get_span_context()
    record.trace_id = f"{span.trace_id:032x}" if span.is_valid else "-"
    return True


def _no_routine(record: logging.LogRecord) -> bool:
    """Drop what DBOS says, with a traceback even, of an edit that was canceled as it ran: nothing went wrong."""
    error = record.exc_info[1] if record.exc_info else None
    canceled = type(error).__name__ == "DBOSAwaitedWorkflowCancelledError"
    return not canceled and "no longer owned by this execution" not in record.getMessage()


def _without_messages(record: logging.LogRecord) -> bool:
    """Leave of an exception its kind and its place: its message can quote an instruction, or a row."""
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = "".join(_places(record.exc_info[1])).rstrip()
        record.exc_info = None
    return True


def _places(error: BaseException) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _places(before)
        yield "which led to:\n"
    yield from format_tb(error.__traceback__)
    yield f"{type(error).__module__}.{type(error).__qualname__}\n"
