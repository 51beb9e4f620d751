"""`/v1/sessions`: conversations about one picture, whose history is a tree."""

import json
from typing import Annotated, Any

import numpy as np
from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy import select
from sqlalchemy.orm import Session as Rows

from app.access import Caller, Reader, Writer
from app.bodies import read_body
from app.jobs.archives import picture_type, zipped_session
from app.jobs.queue import now
from app.orders import edit_body, prepare, read_picture_ref
from app.pictures import decode
from app.refusals import Conflict, InvalidRequest, NotFound
from app.routes.edits import RepeatKey, accept, answer
from app.routes.shapes import EDIT_REQUEST, PROBLEMS, inlined, request_of
from app.schemas import EDIT_ID, SESSION_ID, HeadBody, SessionBody, TitleBody
from app.services import Services, Shared
from app.store.records import new_id, newest_first
from app.store.retention import remove_edits
from app.store.tables import FINISHED, Edit, Session
from app.views import edit_view

router = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=PROBLEMS)

SessionId = Annotated[str, Path(pattern=SESSION_ID)]
Node = Annotated[str | None, Query(pattern=EDIT_ID)]


def find_session(rows: Rows, caller: Caller, session_id: str, *, lock: bool = False) -> Session:
    """Return the caller's session, or raise `NotFound`."""
    found = select(Session).where(Session.id == session_id, Session.tenant == caller.tenant)
    session = rows.scalar(found.with_for_update() if lock else found)
    if session is None:
        raise NotFound(f"there is no session {session_id}")
    return session


def session_view(session: Session) -> dict[str, Any]:
    """Return a session as the API shows it, without its turns."""
    return {
        "id": session.id,
        "object": "session",
        "title": session.title,
        "head": session.head,
        "can_undo": session.head is not None,
        "can_redo": bool(session.redo),
        "created_at": session.created_at,
        "updated_at": session.updated_at,
        "input_url": f"/v1/sessions/{session.id}/input",
    }


def open_session(services: Services, tenant: str, image: bytes | str, title: str) -> Session:
    """Begin a session on a picture."""
    data = image if isinstance(image, bytes) else services.store.blobs.get(image)
    kind = decode(data, max_pixels=services.settings.max_pixels).source.format.lower()
    with services.store.database.write() as rows:
        session_id = new_id("session")
        digest = services.store.keep(rows, session_id, data, f"image/{kind}")
        session = Session(
            id=session_id,
            tenant=tenant,
            title=title,
            image=digest,
            redo=[],
            created_at=now(),
            updated_at=now(),
        )
        rows.add(session)
    return session


@router.post("", status_code=201, openapi_extra=request_of(inlined(SessionBody), ("image",)))
async def create_session(services: Shared, caller: Writer, request: Request) -> dict[str, Any]:
    """Begin a conversation about a picture."""
    body = await read_body(request, services.settings.max_json_depth)
    fields = SessionBody.model_validate(dict(body.fields))
    uploads = body.files.get("image", ())
    if len(uploads) + (fields.image is not None) != 1:
        raise InvalidRequest("one image is expected", param="image")

    def work() -> dict[str, Any]:
        image = (
            uploads[0].data
            if uploads
            else read_picture_ref(services, caller.tenant, "image", fields.image or "")
        )
        return session_view(open_session(services, caller.tenant, image, fields.title))

    return await to_thread.run_sync(work, limiter=services.decoders)


@router.get("")
def list_sessions(
    services: Shared,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(pattern=SESSION_ID)] = None,
) -> dict[str, Any]:
    """List sessions, the latest changed first."""
    with services.store.database.read() as rows:
        found = select(Session).where(Session.tenant == caller.tenant)
        last = find_session(rows, caller, after) if after else None
        sessions = rows.scalars(newest_first(found, Session, last, "updated_at").limit(limit + 1)).all()
    data = [session_view(session) for session in sessions[:limit]]
    return {"object": "list", "data": data, "has_more": len(sessions) > limit}


@router.get("/{session_id}")
def get_session(services: Shared, caller: Reader, session_id: SessionId) -> dict[str, Any]:
    """Return a session with all its turns, each naming the one it builds on."""
    with services.store.database.read() as rows:
        session = find_session(rows, caller, session_id)
        turns = [edit_view(rows, services.queue, edit) for edit in _turns(rows, session_id)]
    return {**session_view(session), "turns": turns}


@router.patch("/{session_id}")
def rename_session(
    services: Shared, caller: Writer, session_id: SessionId, body: TitleBody
) -> dict[str, Any]:
    """Give a session another title."""
    with services.store.database.write() as rows:
        session = find_session(rows, caller, session_id, lock=True)
        session.title, session.updated_at = body.title, now()
    return session_view(session)


@router.delete("/{session_id}", status_code=204)
def delete_session(services: Shared, caller: Writer, session_id: SessionId) -> Response:
    """Remove a session, its turns, and every picture nothing else refers to."""
    with services.store.database.write() as rows:
        session = find_session(rows, caller, session_id, lock=True)
        turns = _turns(rows, session_id)
        if any(turn.status not in FINISHED for turn in turns):
            raise Conflict("a turn of this session has not ended; cancel it first")
        ids = [turn.id for turn in turns]
        remove_edits(services.store, rows, ids)
        rows.delete(session)
        rows.flush()
        services.store.release(rows, [session_id])
    services.queue.erase(ids)
    return Response(status_code=204)


@router.post(
    "/{session_id}/turns",
    status_code=202,
    openapi_extra=EDIT_REQUEST,
    responses={200: {"description": "Ended."}},
)
async def create_turn(
    services: Shared,
    caller: Writer,
    request: Request,
    session_id: SessionId,
    idempotency_key: RepeatKey = None,
) -> JSONResponse:
    """Say the next thing: an edit of what the last turn made, or the one `parent_id` names."""
    body = await read_body(request, services.settings.max_json_depth)
    fields = edit_body(body)
    if fields.session_id not in (None, session_id):
        raise InvalidRequest("session_id is another one than in the address", param="session_id")
    fields = fields.model_copy(update={"session_id": session_id})
    order = await to_thread.run_sync(
        prepare, services, caller.tenant, fields, body.files, limiter=services.decoders
    )
    return await answer(services, request, await accept(services, caller, request, order, idempotency_key))


@router.put("/{session_id}/head")
def move_head(services: Shared, caller: Writer, session_id: SessionId, body: HeadBody) -> dict[str, Any]:
    """Go to any turn, or to the picture the session began with; the next turn starts a branch there."""
    with services.store.database.write() as rows:
        session = find_session(rows, caller, session_id, lock=True)
        if body.head is not None:
            _succeeded(rows, session_id, body.head)
        _go(session, body.head, [])
    return session_view(session)


@router.post("/{session_id}/undo")
def undo(services: Shared, caller: Writer, session_id: SessionId) -> dict[str, Any]:
    """Go back one turn."""
    with services.store.database.write() as rows:
        session = find_session(rows, caller, session_id, lock=True)
        if session.head is None:
            raise Conflict("there is nothing to undo")
        _go(session, rows.get_one(Edit, session.head).parent_id, [*session.redo, session.head])
    return session_view(session)


@router.post("/{session_id}/redo")
def redo(services: Shared, caller: Writer, session_id: SessionId) -> dict[str, Any]:
    """Take back the last undo."""
    with services.store.database.write() as rows:
        session = find_session(rows, caller, session_id, lock=True)
        if not session.redo:
            raise Conflict("there is nothing to redo")
        _go(session, session.redo[-1], session.redo[:-1])
    return session_view(session)


@router.get("/{session_id}/compare")
async def compare(
    services: Shared, caller: Reader, session_id: SessionId, a: Node = None, b: Node = None
) -> dict[str, Any]:
    """Measure how two turns' pictures differ; a turn left out is the picture the session began with."""

    def work() -> dict[str, Any]:
        with services.store.database.read() as rows:
            session = find_session(rows, caller, session_id)
            first, second = (_made(rows, session, node) for node in (a, b))
        return _compared(services, first, second)

    return {
        "object": "comparison",
        "a": a,
        "b": b,
        **await to_thread.run_sync(work, limiter=services.decoders),
    }


@router.get("/{session_id}/input", response_class=Response)
def get_session_input(services: Shared, caller: Reader, session_id: SessionId) -> Response:
    """Return the picture the session began with."""
    with services.store.database.read() as rows:
        session = find_session(rows, caller, session_id)
    data = services.store.blobs.get(session.image)
    return Response(data, media_type=picture_type(data))


@router.get("/{session_id}/export", response_class=StreamingResponse)
def export(services: Shared, caller: Reader, session_id: SessionId) -> StreamingResponse:
    """Return a zip of every picture and the whole tree as JSON."""
    with services.store.database.read() as rows:
        session = find_session(rows, caller, session_id)
        turns = _turns(rows, session_id)
        told = {**session_view(session), "turns": [edit_view(rows, services.queue, turn) for turn in turns]}
    text = json.dumps(told, ensure_ascii=False, indent=2)
    parts = zipped_session(services.store, text, session.image, turns)
    headers = {"Content-Disposition": f'attachment; filename="{session_id}.zip"'}
    return StreamingResponse(parts, media_type="application/zip", headers=headers)


def _go(session: Session, head: str | None, redo: list[str]) -> None:
    """Move the head on request: turns accepted before this leave it where it is when they end."""
    session.head, session.redo = head, redo
    session.moved_at = session.updated_at = now()


def _compared(services: Services, *digests: str) -> dict[str, Any]:
    limit = services.settings.max_pixels
    first, second = (decode(services.store.blobs.get(digest), max_pixels=limit).pixels for digest in digests)
    delta = np.abs(first.astype(np.int16) - second).max(axis=2)
    rows_changed, columns_changed = np.nonzero(delta.any(axis=1))[0], np.nonzero(delta.any(axis=0))[0]
    box = None
    if rows_changed.size:
        box = [
            int(columns_changed[0]),
            int(rows_changed[0]),
            int(columns_changed[-1]) + 1,
            int(rows_changed[-1]) + 1,
        ]
    return {"changed_fraction": float((delta > 0).mean()), "max_delta": int(delta.max()), "box": box}


def _turns(rows: Rows, session_id: str) -> list[Edit]:
    return list(
        rows.scalars(select(Edit).where(Edit.session_id == session_id).order_by(Edit.created_at, Edit.id))
    )


def _succeeded(rows: Rows, session_id: str, edit_id: str) -> Edit:
    edit = rows.get(Edit, edit_id)
    if edit is None or edit.session_id != session_id:
        raise NotFound(f"there is no turn {edit_id} in this session")
    if edit.status != "succeeded":
        raise Conflict("this turn made no picture")
    return edit


def _made(rows: Rows, session: Session, node: str | None) -> str:
    if node is None:
        return session.image
    images: list[dict[str, Any]] = (_succeeded(rows, session.id, node).result or {}).get("images", [])
    if not images:
        raise Conflict("this turn made no picture")
    return images[0]["lossless"]
