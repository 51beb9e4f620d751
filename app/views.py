"""How rows look on the wire."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Rows

from app.jobs.answers import batch_counts
from app.jobs.queue import Queue
from app.jobs.requests import seeded_options
from app.store.tables import Batch, Edit, File, Happening


def edit_view(rows: Rows, queue: Queue, edit: Edit) -> dict[str, Any]:
    """Return an edit as the native API shows it."""
    base = f"/v1/edits/{edit.id}"
    result = edit.result or {}
    return {
        "id": edit.id,
        "object": "edit",
        "status": edit.status,
        "stage": edit.stage,
        "created_at": edit.created_at,
        "started_at": edit.started_at,
        "completed_at": edit.completed_at,
        "queue_position": queue.position(rows, edit),
        "title": edit.request.get("title", ""),
        "instruction": edit.request["instruction"],
        "options": seeded_options(edit.request),
        "session_id": edit.session_id,
        "parent_id": edit.parent_id,
        "parent_index": edit.request.get("parent_index", 0),
        "batch_id": edit.batch_id,
        "forked_from": edit.request.get("forked_from"),
        "plan": edit.plan,
        "regions": [
            {
                **{key: value for key, value in region.items() if key != "mask"},
                "mask_url": f"{base}/masks/{number}",
            }
            for number, region in enumerate(edit.regions)
        ],
        "images": [
            {
                "url": f"{base}/images/{number}",
                "media_type": image["media_type"],
                "bytes": image["bytes"],
                "seed": image["seed"],
                **image["report"],
            }
            for number, image in enumerate(result.get("images", []))
        ]
        if edit.status == "succeeded"
        else [],
        "width": result.get("width"),
        "height": result.get("height"),
        "timings": result.get("timings"),
        "peak_memory": result.get("peak_memory"),
        "warnings": result.get("warnings", []),
        "metadata": edit.request.get("metadata", {}),
        "error": edit.error,
        "urls": {
            "get": base,
            "events": f"{base}/events",
            "cancel": f"{base}/cancel",
            "input": f"{base}/input",
        },
    }


def event_view(edit_id: str, happening: Happening) -> dict[str, Any]:
    """Return an event's data as subscribers see it."""
    data = {"edit": edit_id, "seq": happening.seq, "at": happening.at, **happening.data}
    if "preview" in data:
        del data["preview"]
        data["preview_url"] = f"/v1/edits/{edit_id}/previews/{happening.seq}"
    return data


def batch_view(rows: Rows, batch: Batch) -> dict[str, Any]:
    """Return a batch as OpenAI shows one."""
    counts = rows.execute(
        select(Edit.status, func.count()).where(Edit.batch_id == batch.id).group_by(Edit.status)
    ).all()
    files = {
        file.media_type: file.id
        for file in rows.scalars(select(File).where(File.digest == batch.id, File.purpose == "batch_output"))
    }
    ended = int(batch.completed_at) if batch.completed_at else None
    counted = batch_counts([(status, count) for status, count in counts])
    faults = {"object": "list", "data": batch.errors} if batch.errors else None
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "status": batch.status,
        "errors": faults,
        "input_file_id": batch.input_file,
        "output_file_id": files.get("output") if ended and counted["completed"] else None,
        "error_file_id": files.get("errors") if ended and counted["failed"] else None,
        "completion_window": batch.completion_window,
        "created_at": int(batch.created_at),
        "completed_at": ended if batch.status == "completed" else None,
        "failed_at": ended if batch.status == "failed" else None,
        "cancelled_at": ended if batch.status == "cancelled" else None,
        "request_counts": counted,
        "metadata": batch.details.get("metadata"),
    }
