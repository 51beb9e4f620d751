"""Server-sent events: an edit's happenings from any point on, until it ends."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from anyio import to_thread
from fastapi.responses import StreamingResponse

from app.access import Caller
from app.jobs.news import Subscription
from app.services import Services
from app.store.tables import FINISHED, Edit, Happening
from app.views import event_view

_CHECK_SECONDS = 1.0
MEDIA_TYPE = "text/event-stream"


def sse(event: str, data: Any, event_id: int | None = None) -> str:
    """Return one event as it goes over the wire."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def stream(chunks: AsyncIterator[str]) -> StreamingResponse:
    """Return a response that sends events as they come, past any proxy that would collect them."""
    return StreamingResponse(
        chunks, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


async def happenings(
    services: Services, caller: Caller, edit_id: str, after: int
) -> AsyncIterator[Happening | int | None]:
    """Yield an edit's events after one of them; in between its place in the queue, and None on a quiet stream.

    Ends with the edit, with the process, and when the caller's key is revoked.
    """
    checked, said, place = time.monotonic(), time.monotonic(), None
    async with services.news.follow(edit_id) as subscription:
        while True:
            subscription.changed.clear()
            for happening in await to_thread.run_sync(services.desk.events, edit_id, after):
                after, said = happening.seq, time.monotonic()
                yield happening
                if happening.type in FINISHED:
                    return
            if time.monotonic() - checked >= _CHECK_SECONDS or place is None:
                checked = time.monotonic()
                if not await to_thread.run_sync(services.keys.still_valid, caller):
                    return
                more, position = await to_thread.run_sync(_place, services, edit_id, after)
                if not more:
                    return
                if position is not None and position != place:
                    place, said = position, time.monotonic()
                    yield position
                elif position is None:
                    place = -1
            if time.monotonic() - said >= services.settings.keep_alive:
                said = time.monotonic()
                yield None
            if services.news.closing.is_set():
                return
            await _changed(subscription)


async def edit_events(services: Services, caller: Caller, edit_id: str, after: int) -> AsyncIterator[str]:
    """Yield an edit's events as the native API sends them."""
    async for happening in happenings(services, caller, edit_id, after):
        if happening is None:
            yield ": still here\n\n"
        elif isinstance(happening, int):
            yield sse("queued", {"edit": edit_id, "position": happening})
        else:
            yield sse(happening.type, event_view(edit_id, happening), happening.seq)


async def _changed(subscription: Subscription) -> None:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await subscription.changed.wait()
    except TimeoutError:
        return


def _place(services: Services, edit_id: str, after: int) -> tuple[bool, int | None]:
    """Return whether an edit has or will have events after one of them, and its place in the queue."""
    with services.store.database.read() as rows:
        edit = rows.get(Edit, edit_id)
        if edit is None or (edit.status in FINISHED and edit.last_seq <= after):
            return False, None
        return True, services.queue.position(rows, edit)
