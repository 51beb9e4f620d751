"""What every request passes before its route: a size limit, a request id, security headers, one log line."""

import logging
import re
import secrets
import time
from collections.abc import Callable
from typing import Any, Final, final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import logs
from app.problems import problem
from app.refusals import BodyTooLarge
from app.schemas import EDIT_ID

logger = logging.getLogger("app.requests")

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


@final
class Gate:
    """ASGI middleware around the whole application.

    Parameters
    ----------
    limit : int
        Bytes a body may have; `file_limit` on the routes that take files.
    observe : callable
        Told method, route, status and seconds of every request.
    """

    def __init__(
        self, app: ASGIApp, limit: int, file_limit: int, observe: Callable[[str, str, int, float], None]
    ) -> None:
        self._app = app
        self._limit = limit
        self._file_limit = file_limit
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, headers = time.perf_counter(), Headers(scope=scope)
        asked = headers.get("x-request-id", "")
        request_id = asked if _ID.fullmatch(asked) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        status, began = 500, False

        async def sending(message: Message) -> None:
            nonlocal status, began
            if message["type"] == "http.response.start":
                status, began = message["status"], True
                out = MutableHeaders(scope=message)
                out["X-Request-Id"] = request_id
                for name, value in _HEADERS.items():
                    out.setdefault(name, value)
                if rate := scope["state"].get("rate"):
                    out["X-RateLimit-Limit-Requests"], out["X-RateLimit-Remaining-Requests"] = map(str, rate)
            await send(message)

        limit = self._file_limit if scope["path"] in ("/v1/files", "/v1/batches") else self._limit
        try:
            if int(headers.get("content-length") or 0) > limit:
                raise _too_large(limit)
            with logs.about(request_id):
                await self._app(scope, _limited(receive, limit), sending)
        except (BodyTooLarge, ValueError) as error:
            if began or not isinstance(error, BodyTooLarge):
                raise
            await problem(error)(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "-")
            seconds = time.perf_counter() - started
            self._observe(scope["method"], route, status, seconds)
            # No query, no body, no key: those can hold what people said and showed.
            told = {"method": scope["method"], "route": route, "status": status, "ms": round(seconds * 1000)}
            with logs.about(request_id, _edit_of(scope)):
                logger.info("%(method)s %(route)s %(status)d in %(ms)d ms", told, extra=told)


def _edit_of(scope: Scope) -> str:
    """Return the edit a request made or names, "" where there is none; a name that is no id stays out of the log."""
    named = scope["state"].get("edit_id") or scope.get("path_params", {}).get("edit_id", "")
    return named if re.fullmatch(EDIT_ID, named) else ""


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the request is larger than {limit / 2**20:.3g} MB")


def _limited(receive: Receive, limit: int) -> Callable[[], Any]:
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(limit)
        return message

    return receiving
