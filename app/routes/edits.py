"""`/v1/edits`: make an edit, follow it, cancel it, resume it with changes, fetch its pictures."""

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy import select

from app.access import Caller, Reader, Writer
from app.bodies import read_body
from app.jobs.desk import Order, Ticket
from app.orders import edit_body, prepare, prepare_fork
from app.refusals import NotFound
from app.routes.shapes import EDIT_REQUEST, PROBLEMS, preferred_wait
from app.schemas import EDIT_ID, ForkBody, TitleBody
from app.services import Services, Shared
from app.store.records import newest_first
from app.store.tables import Edit, Happening
from app.streams import edit_events, stream
from app.views import edit_view

router = APIRouter(prefix="/v1/edits", tags=["edits"], responses=PROBLEMS)

EditId = Annotated[str, Path(pattern=EDIT_ID)]
Number = Annotated[int, Path(ge=0, le=1_000_000)]
RepeatKey = Annotated[str | None, Header(min_length=1, max_length=255)]


async def answer(
    services: Services, request: Request, ticket: Ticket, otherwise: float = 0.0
) -> JSONResponse:
    """Return the edit now, or once it has ended where the client prefers to wait; else after `otherwise` seconds."""
    wait = preferred_wait(request, services.settings.max_wait, otherwise)
    ended = wait > 0 and await services.news.wait_finished(ticket.edit.id, wait)

    def view() -> dict[str, Any]:
        with services.store.database.read() as rows:
            return edit_view(rows, services.queue, rows.get_one(Edit, ticket.edit.id))

    headers = {"Location": f"/v1/edits/{ticket.edit.id}"}
    if ticket.repeated:
        headers["Idempotency-Replayed"] = "true"
    if wait > 0:
        headers["Preference-Applied"] = f"wait={wait:g}"
    return JSONResponse(await to_thread.run_sync(view), 200 if ended else 202, headers)


async def accept(
    services: Services,
    caller: Caller,
    request: Request,
    order: Order,
    repeat_key: str | None,
    edit_id: str | None = None,
) -> Ticket:
    """Hand an order to the desk."""

    def work() -> Ticket:
        return services.desk.accept(
            caller.tenant,
            order,
            repeat_key=repeat_key,
            edit_id=edit_id,
            tenant_limit=caller.queue_limit,
            retried=sent_again(request),
        )

    ticket = await to_thread.run_sync(work)
    request.state.edit_id = ticket.edit.id
    return ticket


def sent_again(request: Request) -> bool:
    """Tell whether a client's library repeats a POST of itself; OpenAI's do after 408, 409, 429 and 5xx, and say so."""
    return request.headers.get("x-stainless-retry-count", "0") != "0"


async def ordered(services: Services, caller: Caller, request: Request) -> Order:
    """Return the order a request's body describes."""
    body = await read_body(request, services.settings.max_json_depth)
    fields = edit_body(body)
    return await to_thread.run_sync(
        prepare, services, caller.tenant, fields, body.files, limiter=services.decoders
    )


@router.post("", status_code=202, openapi_extra=EDIT_REQUEST, responses={200: {"description": "Ended."}})
async def create_edit(
    services: Shared, caller: Writer, request: Request, idempotency_key: RepeatKey = None
) -> JSONResponse:
    """Make an edit: 202 and the job, or with `Prefer: wait=N` its result."""
    order = await ordered(services, caller, request)
    return await answer(services, request, await accept(services, caller, request, order, idempotency_key))


@router.put(
    "/{edit_id}", status_code=202, openapi_extra=EDIT_REQUEST, responses={200: {"description": "Ended."}}
)
async def put_edit(services: Shared, caller: Writer, request: Request, edit_id: EditId) -> JSONResponse:
    """Make an edit under an id of the client's choice; a repetition returns the same edit."""
    order = await ordered(services, caller, request)
    return await answer(services, request, await accept(services, caller, request, order, None, edit_id))


@router.get("")
def list_edits(
    services: Shared,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(pattern=EDIT_ID)] = None,
) -> dict[str, Any]:
    """List edits, newest first."""
    with services.store.database.read() as rows:
        found = select(Edit).where(Edit.tenant == caller.tenant, Edit.batch_id.is_(None))
        last = services.desk.get(rows, caller.tenant, after) if after else None
        edits = rows.scalars(newest_first(found, Edit, last).limit(limit + 1)).all()
        data = [edit_view(rows, services.queue, edit) for edit in edits[:limit]]
    return {"object": "list", "data": data, "has_more": len(edits) > limit}


@router.get("/{edit_id}")
def get_edit(services: Shared, caller: Reader, edit_id: EditId) -> dict[str, Any]:
    """Return an edit's state."""
    with services.store.database.read() as rows:
        return edit_view(rows, services.queue, services.desk.get(rows, caller.tenant, edit_id))


@router.patch("/{edit_id}")
def rename_edit(services: Shared, caller: Writer, edit_id: EditId, body: TitleBody) -> dict[str, Any]:
    """Give an edit a title; what it was asked with stays what it was."""
    with services.store.database.write() as rows:
        edit = services.desk.get(rows, caller.tenant, edit_id)
        edit.request = {**edit.request, "title": body.title}
        return edit_view(rows, services.queue, edit)


@router.delete("/{edit_id}", status_code=204)
def delete_edit(services: Shared, caller: Writer, edit_id: EditId) -> Response:
    """Remove an edit that has ended, with every picture nothing else refers to."""
    services.desk.remove(caller.tenant, edit_id)
    return Response(status_code=204)


@router.get("/{edit_id}/events", response_class=StreamingResponse)
async def follow_edit(
    services: Shared,
    caller: Reader,
    edit_id: EditId,
    last_event_id: Annotated[int, Header(ge=0, le=2**31)] = 0,
) -> StreamingResponse:
    """Stream what happens (server-sent events); `Last-Event-ID` resumes after an event."""
    await to_thread.run_sync(get_edit, services, caller, edit_id)
    return stream(edit_events(services, caller, edit_id, last_event_id))


@router.post("/{edit_id}/cancel")
def cancel_edit(services: Shared, caller: Writer, edit_id: EditId) -> dict[str, Any]:
    """Cancel an edit; the device is free within one denoising step."""
    edit = services.desk.cancel(caller.tenant, edit_id)
    with services.store.database.read() as rows:
        return edit_view(rows, services.queue, edit)


@router.post("/{edit_id}/fork", status_code=202, responses={200: {"description": "Ended."}})
async def fork_edit(
    services: Shared,
    caller: Writer,
    request: Request,
    edit_id: EditId,
    body: ForkBody,
    idempotency_key: RepeatKey = None,
) -> JSONResponse:
    """Make a new edit that resumes this one from a stage, with a changed plan, mask, caption or options."""
    order = await to_thread.run_sync(
        prepare_fork, services, caller.tenant, edit_id, body, limiter=services.decoders
    )
    return await answer(services, request, await accept(services, caller, request, order, idempotency_key))


@router.get("/{edit_id}/input", response_class=Response)
def get_input(services: Shared, caller: Reader, edit_id: EditId) -> Response:
    """Return the picture the edit was made on."""
    return _picture(services, _owned(services, caller, edit_id).image)


@router.get("/{edit_id}/images/{number}", response_class=Response)
def get_image(services: Shared, caller: Reader, edit_id: EditId, number: Number) -> Response:
    """Return a result."""
    edit = _owned(services, caller, edit_id)
    images: list[dict[str, Any]] = (edit.result or {}).get("images", []) if edit.status == "succeeded" else []
    if number >= len(images):
        raise NotFound(f"this edit has no picture {number}")
    response = _picture(services, images[number]["file"])
    response.headers["X-Seed"] = str(images[number]["seed"])
    return response


@router.get("/{edit_id}/masks/{number}", response_class=Response)
def get_mask(services: Shared, caller: Reader, edit_id: EditId, number: Number) -> Response:
    """Return the mask of a step of the plan: a grey PNG, white = may change."""
    edit = _owned(services, caller, edit_id)
    if number >= len(edit.regions):
        raise NotFound(f"this edit has no mask {number}")
    return _picture(services, edit.regions[number]["mask"])


@router.get("/{edit_id}/previews/{number}", response_class=Response)
def get_preview(services: Shared, caller: Reader, edit_id: EditId, number: Number) -> Response:
    """Return the preview an event came with."""
    _owned(services, caller, edit_id)
    with services.store.database.read() as rows:
        happening = rows.get(Happening, (edit_id, number))
    if happening is None or "preview" not in happening.data:
        raise NotFound(f"there is no preview {number}")
    return _picture(services, happening.data["preview"])


def _owned(services: Services, caller: Caller, edit_id: str) -> Edit:
    with services.store.database.read() as rows:
        return services.desk.get(rows, caller.tenant, edit_id)


def _picture(services: Services, digest: str) -> Response:
    if not digest:
        raise NotFound("there is no picture yet")
    with services.store.database.read() as rows:
        kind = services.store.media_type(rows, digest)
    headers = {"Cache-Control": "private, max-age=3600", "ETag": f'"{digest}"'}
    return Response(services.store.blobs.get(digest), media_type=kind, headers=headers)
