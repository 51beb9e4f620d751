"""`/v1/batches`: many edits under one id, in OpenAI's shape, and what that leaves out: pause, retry, zip."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from sqlalchemy.orm import Session as Rows

from app.access import Caller, Reader, Writer
from app.bodies import read_body
from app.jobs.answers import output_line
from app.jobs.archives import zipped
from app.jobs.batches import count_unread
from app.jobs.desk import Order
from app.jobs.queue import BATCH
from app.refusals import Conflict, NotFound
from app.routes.batch_intake import CREATE, take_in
from app.routes.edits import RepeatKey, sent_again
from app.routes.shapes import PROBLEMS
from app.schemas import BATCH_ID
from app.services import Shared
from app.store.records import newest_first
from app.store.retention import remove_batch, remove_edits
from app.store.tables import FINISHED, OPEN_BATCH, Batch, Edit
from app.views import batch_view

router = APIRouter(prefix="/v1/batches", tags=["batches"], responses=PROBLEMS)

BatchId = Annotated[str, Path(pattern=BATCH_ID)]


@router.post("", openapi_extra=CREATE)
async def create_batch(
    services: Shared, caller: Writer, request: Request, response: Response, idempotency_key: RepeatKey = None
) -> dict[str, Any]:
    """Begin a batch: from an input file, or from a form of many pictures with one instruction or one each."""
    body = await read_body(request, services.settings.max_json_depth)

    def work() -> tuple[dict[str, Any], bool]:
        batch, repeated = take_in(services, caller, body, idempotency_key, retried=sent_again(request))
        with services.store.database.read() as rows:
            return batch_view(rows, batch), repeated

    view, repeated = await to_thread.run_sync(work)
    if repeated:
        response.headers["Idempotency-Replayed"] = "true"
    return view


@router.get("")
def list_batches(
    services: Shared,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(pattern=BATCH_ID)] = None,
) -> dict[str, Any]:
    """List batches, newest first."""
    with services.store.database.read() as rows:
        found = select(Batch).where(Batch.tenant == caller.tenant)
        last = _find(rows, caller, after) if after else None
        batches = rows.scalars(newest_first(found, Batch, last).limit(limit + 1)).all()
        data = [batch_view(rows, batch) for batch in batches[:limit]]
    return {"object": "list", "data": data, "has_more": len(batches) > limit}


@router.get("/{batch_id}")
def get_batch(services: Shared, caller: Reader, batch_id: BatchId) -> dict[str, Any]:
    """Return a batch's state and counts."""
    with services.store.database.read() as rows:
        return batch_view(rows, _find(rows, caller, batch_id))


@router.delete("/{batch_id}", status_code=204)
def delete_batch(services: Shared, caller: Writer, batch_id: BatchId) -> Response:
    """Remove a batch that has ended: its edits, the files made for it, and every picture nothing else refers to."""
    with services.store.database.write() as rows:
        batch = _find(rows, caller, batch_id, lock=True)
        if batch.status in OPEN_BATCH:
            raise Conflict(f"this batch is {batch.status}; cancel it first")
    services.queue.erase(remove_batch(services.store, batch_id))
    return Response(status_code=204)


@router.post("/{batch_id}/cancel")
def cancel_batch(services: Shared, caller: Writer, batch_id: BatchId) -> dict[str, Any]:
    """Cancel what has not ended; what has, stays."""
    with services.store.database.write() as rows:
        batch = _find(rows, caller, batch_id, lock=True)
        if batch.status not in OPEN_BATCH:
            raise Conflict(f"this batch is {batch.status}")
        batch.status = "cancelling"
    # A worker goes on with it where this process dies.
    services.ledger.settle_batch(batch_id)
    with services.store.database.read() as rows:
        return batch_view(rows, _find(rows, caller, batch_id))


@router.post("/{batch_id}/pause")
def pause_batch(services: Shared, caller: Writer, batch_id: BatchId) -> dict[str, Any]:
    """Begin no further items; those in hand are finished."""
    with services.store.database.write() as rows:
        batch = _find(rows, caller, batch_id, lock=True)
        if batch.status == "validating":
            batch.details = {**batch.details, "paused": True}
        elif batch.status == "in_progress":
            batch.status = "paused"
        elif batch.status != "paused":
            raise Conflict(f"this batch is {batch.status}")
        rows.flush()
        return batch_view(rows, batch)


@router.post("/{batch_id}/resume")
def resume_batch(services: Shared, caller: Writer, batch_id: BatchId) -> dict[str, Any]:
    """Go on with a paused batch."""
    with services.store.database.write() as rows:
        batch = _find(rows, caller, batch_id, lock=True)
        if batch.status == "paused":
            batch.status = "in_progress"
            rows.flush()
            services.queue.release_batch(rows, batch_id)
            services.ledger.close_batch(rows, batch_id)
        elif batch.status == "validating":
            batch.details = {**batch.details, "paused": False}
        elif batch.status != "in_progress":
            raise Conflict(f"this batch is {batch.status}")
        rows.flush()
        return batch_view(rows, batch)


@router.post("/{batch_id}/retry")
def retry_batch(services: Shared, caller: Writer, batch_id: BatchId) -> dict[str, Any]:
    """Carry out the items that failed or were canceled once more; those whose request cannot be read stay."""
    with services.store.database.read() as rows:
        batch = _find(rows, caller, batch_id)
        if batch.status == "cancelled" and count_unread(services.store, rows, batch):
            raise Conflict("this batch was canceled before all of its lines were read; send it again")
    with services.store.database.write() as rows:
        batch = _find(rows, caller, batch_id, lock=True)
        if batch.status not in ("completed", "cancelled", "in_progress", "paused"):
            raise Conflict(f"this batch is {batch.status}")
        ended = select(Edit).where(Edit.batch_id == batch_id, Edit.status.in_(("failed", "canceled")))
        again = [edit for edit in rows.scalars(ended) if edit.image]
        for edit in again:
            order = Order(
                request=edit.request,
                image=edit.image,
                lane=BATCH,
                batch_id=batch_id,
                batch_index=edit.batch_index,
                plan=edit.request.get("plan"),
            )
            services.desk.insert(rows, caller.tenant, order)
        if again:
            remove_edits(services.store, rows, [edit.id for edit in again])
            if batch.status not in OPEN_BATCH:
                batch.status, batch.completed_at = "in_progress", None
            rows.flush()
            services.queue.release_batch(rows, batch_id)
        rows.flush()
        view = batch_view(rows, batch)
    services.queue.erase([edit.id for edit in again])
    return view


@router.get("/{batch_id}/results", response_class=StreamingResponse)
def get_results(services: Shared, caller: Reader, batch_id: BatchId) -> StreamingResponse:
    """Return the lines of all items that have ended, also while others run."""
    with services.store.database.read() as rows:
        batch = _find(rows, caller, batch_id)
        ids = _ended(rows, batch_id)

    def lines() -> Iterator[str]:
        for edit_id in ids:
            with services.store.database.read() as rows:
                edit = rows.get(Edit, edit_id)
            if edit:
                yield json.dumps(output_line(services.store, batch.endpoint, edit), ensure_ascii=False) + "\n"

    return StreamingResponse(lines(), media_type="application/jsonl")


@router.get("/{batch_id}/results.zip", response_class=StreamingResponse)
def get_zip(services: Shared, caller: Reader, batch_id: BatchId) -> StreamingResponse:
    """Return a zip of the pictures of all items that have ended well, also while others run."""
    with services.store.database.read() as rows:
        _find(rows, caller, batch_id)
        ids = _ended(rows, batch_id)
    headers = {"Content-Disposition": f'attachment; filename="{batch_id}.zip"'}
    return StreamingResponse(zipped(services.store, ids), media_type="application/zip", headers=headers)


def _find(rows: Rows, caller: Caller, batch_id: str, *, lock: bool = False) -> Batch:
    found = select(Batch).where(Batch.id == batch_id, Batch.tenant == caller.tenant)
    batch = rows.scalar(found.with_for_update() if lock else found)
    if batch is None:
        raise NotFound(f"there is no batch {batch_id}")
    return batch


def _ended(rows: Rows, batch_id: str) -> list[str]:
    found = select(Edit.id).where(Edit.batch_id == batch_id, Edit.status.in_(FINISHED))
    return list(rows.scalars(found.order_by(Edit.batch_index)))
