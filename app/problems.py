"""Errors on the wire: HTTP statuses, and OpenAI's error shape. The only place that knows statuses."""

import logging
import math
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from app import logs
from app.refusals import InternalFault, InvalidRequest, TooMany
from brushedit.errors import EditError

logger = logging.getLogger(__name__)

STATUS: Final[Mapping[str, int]] = {
    "invalid_request": 400,
    "invalid_option": 400,
    "invalid_image": 400,
    "invalid_mask": 400,
    "invalid_instruction": 400,
    "address_not_allowed": 400,
    "invalid_api_key": 401,
    "insufficient_scope": 403,
    "origin_not_allowed": 403,
    "not_found": 404,
    "not_finished": 408,
    "conflict": 409,
    "canceled": 409,
    "image_too_large": 413,
    "request_too_large": 413,
    "unsupported_media_type": 415,
    "idempotency_mismatch": 422,
    "mask_empty": 422,
    "plan_failed": 422,
    "target_not_found": 422,
    "unsupported_edit": 422,
    "rate_limit_exceeded": 429,
    "queue_full": 429,
    "instructor_unavailable": 502,
}
"""Status of each code; a code that is not listed is a fault of the service: 500."""

_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}

_SAID: Final[Mapping[int, tuple[str, str]]] = {
    404: ("not_found", "there is no such address"),
    405: ("method_not_allowed", "this address does not take that method"),
}


def status_of(code: str) -> int:
    """Return the HTTP status of an error code."""
    return STATUS.get(code, 500)


def error_body(code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """Return an error in OpenAI's shape."""
    status = status_of(code)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"type": kind, "code": code, "message": message, "param": param}}


def problem(error: EditError, status: int | None = None) -> JSONResponse:
    """Return the response for an error."""
    headers: dict[str, str] = {}
    status = status or status_of(error.code)
    if isinstance(error, TooMany):
        seconds = max(error.retry_after, 0.001)
        headers = {"Retry-After": str(math.ceil(seconds)), "Retry-After-Ms": str(math.ceil(seconds * 1000))}
    elif status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    elif status in (409, 500, 502):
        # The OpenAI SDKs repeat these of themselves; the same request would end the same way, or paint twice.
        headers = {"X-Should-Retry": "false"}
    return JSONResponse(error_body(error.code, error.message, error.param), status, headers)


def describe_faults(faults: list[Any]) -> EditError:
    """Return the first of pydantic's findings as an error that names the field."""
    first = faults[0]
    where = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")]
    name = ".".join(where) or None
    return InvalidRequest(f"{name}: {first['msg']}" if name else str(first["msg"]), param=name)


def install(app: FastAPI) -> None:
    """Make the application answer every error in this shape."""

    @app.exception_handler(EditError)
    async def _edit_error(_request: Request, error: Exception) -> JSONResponse:  # pyright: ignore[reportUnusedFunction] - registered
        assert isinstance(error, EditError)
        return problem(error)

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(ValidationError)
    async def _invalid(_request: Request, error: Exception) -> JSONResponse:  # pyright: ignore[reportUnusedFunction] - registered
        assert isinstance(error, RequestValidationError | ValidationError)
        return problem(describe_faults(list(error.errors())))

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: Exception) -> JSONResponse:  # pyright: ignore[reportUnusedFunction] - registered
        assert isinstance(error, HTTPException)
        code, message = _SAID.get(error.status_code, ("invalid_request", str(error.detail)))
        return JSONResponse(error_body(code, message) | {}, error.status_code, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def _fault(request: Request, error: Exception) -> JSONResponse:  # pyright: ignore[reportUnusedFunction] - registered
        with logs.about(getattr(request.state, "request_id", "")):
            logger.error("the request failed", exc_info=error)
        return problem(InternalFault("the service failed; its log says more under this request's id"))
