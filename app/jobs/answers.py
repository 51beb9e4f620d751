"""What ended edits answer in OpenAI's shapes: the images of one, the lines of a batch."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import select

from app.jobs.queue import now
from app.jobs.resizing import resized
from app.problems import status_of
from app.store.records import Store
from app.store.tables import Batch, Edit


def output_lines(store: Store, batch_id: str, which: str) -> Iterator[str]:
    """Yield a batch's lines in OpenAI's shape, those that succeeded (``output``) or those that did not."""
    statuses = ("succeeded",) if which == "output" else ("failed", "canceled")
    with store.database.read() as rows:
        endpoint = rows.get_one(Batch, batch_id).endpoint
        ids = rows.scalars(
            select(Edit.id)
            .where(Edit.batch_id == batch_id, Edit.status.in_(statuses))
            .order_by(Edit.batch_index)
        ).all()
    for edit_id in ids:
        with store.database.read() as rows:
            edit = rows.get_one(Edit, edit_id)
        yield json.dumps(output_line(store, endpoint, edit), ensure_ascii=False) + "\n"


def output_line(store: Store, endpoint: str, edit: Edit) -> dict[str, Any]:
    """Return one item's line: what its own request would have been answered."""
    status = 200
    body: dict[str, Any] = {}
    if edit.error:
        status, body = status_of(edit.error["code"]), {"error": edit.error}
    elif endpoint == "/v1/images/edits":
        body = images_answer(store, edit, None)
    else:
        body = {
            "id": edit.id,
            "object": "edit",
            "status": edit.status,
            "plan": edit.plan,
            **(edit.result or {}),
        }
        body["images"] = [
            {"url": f"/v1/edits/{edit.id}/images/{number}", "seed": image["seed"], **image["report"]}
            for number, image in enumerate((edit.result or {}).get("images", []))
        ]
    return {
        "id": f"batch_req_{edit.id.removeprefix('edit_')}",
        "custom_id": edit.request["custom_id"],
        "response": {"status_code": status, "request_id": edit.id, "body": body},
        "error": None,
    }


def images_answer(store: Store, edit: Edit, link: Callable[[int], str] | None) -> dict[str, Any]:
    """Return an edit as `POST /v1/images/edits` answers: the target caption stands as the revised prompt.

    Parameters
    ----------
    link : callable or None
        Returns the address of a picture by its number; None gives the pictures in base64.
    """
    result = edit.result or {}
    images: list[dict[str, Any]] = result.get("images", [])
    caption = revised_prompt(edit)
    size = edit.request.get("size")
    data: list[dict[str, Any]] = []
    for number, image in enumerate(images):
        if link is not None:
            shown = {"url": link(number)}
        else:
            file = resized(store.blobs.get(image["file"]), size)
            shown = {"b64_json": base64.b64encode(file).decode()}
        data.append({**shown, "revised_prompt": caption})
    return {
        "created": int(edit.completed_at or now()),
        "data": data,
        "output_format": images[0]["media_type"].rpartition("/")[2] if images else None,
        "size": size or f"{result.get('width')}x{result.get('height')}",
        "usage": usage(),
        "edit": {
            "id": edit.id,
            "session_id": edit.session_id,
            "plan": edit.plan,
            "seeds": [image["seed"] for image in images],
            "reports": [image["report"] for image in images],
        },
    }


def revised_prompt(edit: Edit) -> str:
    """Return what the repainted regions show now."""
    return "; ".join(step["caption"] for step in (edit.plan or {}).get("steps", []))


def usage() -> dict[str, Any]:
    """Return the usage block OpenAI's types ask for: nothing is metered here."""
    nothing = {"image_tokens": 0, "text_tokens": 0}
    return {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "input_tokens_details": nothing}


def batch_counts(items: list[tuple[str, int]]) -> dict[str, int]:
    """Return OpenAI's request counts from the number of items in each state."""
    by_status = dict(items)
    return {
        "total": sum(by_status.values()),
        "completed": by_status.get("succeeded", 0),
        "failed": by_status.get("failed", 0) + by_status.get("canceled", 0),
    }
