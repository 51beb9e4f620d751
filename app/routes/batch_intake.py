"""A batch's way in: a file of lines, or a form of pictures; asked for twice under one key, it is one batch."""

import hashlib
import json
from collections.abc import Sequence
from itertools import chain, count
from posixpath import splitext
from typing import Any, Final, Literal

from pydantic import Field
from sqlalchemy.orm import Session as Rows

from app.access import Caller
from app.bodies import Body, Upload
from app.fetching import require_webhook_address
from app.jobs.desk import find_repeated, note_repeat, repeat_key_of
from app.jobs.queue import now
from app.orders import edit_body
from app.refusals import InvalidRequest
from app.routes.files import add_file, find_file
from app.routes.shapes import inlined
from app.schemas import ENDS, FILE_ID, Metadata, Strict, Text, WebhookAddress, WebhookEvents
from app.services import Services
from app.store.records import new_id
from app.store.retention import remove_files
from app.store.tables import Batch, File
from app.traces import origin
from models.catalog import find_profile


class BatchBody(Strict):
    """A batch of the requests in an input file."""

    input_file_id: str = Field(pattern=FILE_ID)
    endpoint: Literal["/v1/edits", "/v1/images/edits"]
    completion_window: Text = Field(default="24h", max_length=16)
    metadata: Metadata | None = None
    webhook: WebhookAddress | None = None
    webhook_events_filter: WebhookEvents = ENDS


class FormTerms(Strict):
    """What a form says of its batch as a whole; its other fields are those of every edit."""

    webhook: WebhookAddress | None = None
    webhook_events_filter: WebhookEvents = ENDS


_FORM: Final = {
    "type": "object",
    "required": ["image", "instruction"],
    "properties": {
        "image": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "mask": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "instruction": {"type": "string", "description": "One for all; or a JSON array, one each."},
        "options": {"type": "string", "description": "JSON, as in /v1/edits."},
        **inlined(FormTerms)["properties"],
    },
}
CREATE: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": inlined(BatchBody)},
            "multipart/form-data": {"schema": _FORM},
        },
    }
}


def take_in(
    services: Services, caller: Caller, body: Body, repeat_key: str | None, *, retried: bool
) -> tuple[Batch, bool]:
    """Begin a batch, or return the one that an equal request began before, and whether that is so.

    Parameters
    ----------
    repeat_key, retried
        As in `Desk.accept`.

    Raises
    ------
    InvalidRequest, NotFound, RepeatMismatch, AddressNotAllowed, ValidationError
    """
    fingerprint = _fingerprint(body)
    key = repeat_key_of(None, repeat_key, fingerprint)
    again = bool(repeat_key or retried)

    def known(rows: Rows) -> Batch | None:
        hours = services.settings.idempotency_hours
        found = find_repeated(rows, caller.tenant, key, fingerprint, hours) if again else None
        return rows.get(Batch, found) if found else None

    with services.store.database.read() as rows:
        if (before := known(rows)) is not None:
            return before, True
    batch = _from_form(services, caller, body) if body.files else _from_file(services, caller, body)
    with services.store.database.write() as rows:
        services.store.database.alone(rows, f"{caller.tenant} {key}")
        if (before := known(rows)) is not None:
            # The same request came twice at the same time.
            remove_files(services.store, rows, batch.details["made"])
            return before, True
        # It may have been deleted meanwhile.
        find_file(rows, caller, batch.input_file or "")
        rows.add(batch)
        services.store.use(rows, batch.id, [batch.details["input"]])
        for which in ("output", "errors"):
            # Their lines are made when they are read: the pictures in them are stored once, with their edits.
            rows.add(
                File(
                    id=new_id("file"),
                    tenant=caller.tenant,
                    name=f"{batch.id}_{which}.jsonl",
                    size=0,
                    purpose="batch_output",
                    digest=batch.id,
                    media_type=which,
                    created_at=now(),
                )
            )
        note_repeat(rows, caller.tenant, key, fingerprint, batch.id)
        rows.flush()
        services.queue.enqueue_chore(rows, "batch", f"expand_{batch.id}", batch.id)
    return batch, False


def _fingerprint(body: Body) -> str:
    files = {
        name: [[upload.name, hashlib.sha256(upload.data).hexdigest()] for upload in uploads]
        for name, uploads in body.files.items()
    }
    return hashlib.sha256(json.dumps([dict(body.fields), files], sort_keys=True).encode()).hexdigest()


def _batch(caller: Caller, source: File, body: BatchBody, made: Sequence[str]) -> Batch:
    details = {
        "input": source.digest,
        "metadata": body.metadata,
        "origin": origin(),
        "made": list(made),
        "webhook": body.webhook,
        "webhook_events": list(body.webhook_events_filter) if body.webhook else [],
    }
    return Batch(
        id=new_id("batch"),
        tenant=caller.tenant,
        status="validating",
        endpoint=body.endpoint,
        input_file=source.id,
        completion_window=body.completion_window,
        details=details,
        errors=[],
        created_at=now(),
    )


def _from_file(services: Services, caller: Caller, body: Body) -> Batch:
    fields = BatchBody.model_validate(dict(body.fields))
    if fields.webhook:
        require_webhook_address(services.settings, fields.webhook)
    with services.store.database.read() as rows:
        source = find_file(rows, caller, fields.input_file_id)
    if source.purpose != "batch":
        raise InvalidRequest(
            f"the purpose of {source.id} is {source.purpose!r}, not 'batch'", param="input_file_id"
        )
    return _batch(caller, source, fields, ())


def _from_form(services: Services, caller: Caller, body: Body) -> Batch:
    """Store a form's pictures, and the lines that name them, as files of the batch."""
    fields = dict(body.fields)
    said = fields.pop("instruction", None)
    terms = FormTerms.model_validate(
        {name: fields.pop(name) for name in FormTerms.model_fields if name in fields}
    )
    if terms.webhook:
        require_webhook_address(services.settings, terms.webhook)
    images, masks = body.files.get("image", ()), body.files.get("mask", ())
    if not images:
        raise InvalidRequest("at least one image is expected", param="image")
    instructions = _instructions(said, len(images))
    if masks and len(masks) != len(images):
        raise InvalidRequest(f"{len(images)} images came with {len(masks)} masks", param="mask")
    edits = [edit_body(Body({**fields, "instruction": one}, body.files)) for one in instructions]
    # What holds for all is refused now, and not by every item.
    edits[0].paint_options(find_profile(services.settings.profile).sampling)
    edits[0].edit_plan()
    made: list[str] = []

    def added(upload: Upload, purpose: str) -> File:
        # One by one: many pictures take long to store, and others want to write as well.
        with services.store.database.write() as rows:
            file = add_file(services, rows, caller.tenant, upload, purpose)
        made.append(file.id)
        return file

    lines: list[str] = []
    for number, (image, edit, custom_id) in enumerate(zip(images, edits, _custom_ids(images), strict=True)):
        line = {**edit.model_dump(mode="json", exclude_unset=True), "image": added(image, "vision").id}
        if masks:
            line["mask"] = added(masks[number], "vision").id
        lines.append(json.dumps({"custom_id": custom_id, "url": "/v1/edits", "body": line}))
    source = added(Upload("form.jsonl", "\n".join(lines).encode(), "application/jsonl"), "batch")
    asked = BatchBody(
        input_file_id=source.id,
        endpoint="/v1/edits",
        webhook=terms.webhook,
        webhook_events_filter=terms.webhook_events_filter,
    )
    return _batch(caller, source, asked, made)


def _custom_ids(images: Sequence[Upload]) -> list[str]:
    """Return what the items go by: the names of their files, numbered where one has come before."""
    taken: dict[str, None] = {}
    for number, image in enumerate(images):
        name = image.name or f"image {number}"
        stem, ending = splitext(name)
        numbered = (f"{stem} {again}{ending}" for again in count(2))
        taken[next(one for one in chain([name], numbered) if one not in taken)] = None
    return list(taken)


def _instructions(said: Any, count: int) -> list[str]:
    if not isinstance(said, str) or not said:
        raise InvalidRequest("instruction is missing", param="instruction")
    if not said.startswith("["):
        return [said] * count
    try:
        each = json.loads(said)
    except ValueError as error:
        raise InvalidRequest("instruction is no JSON array", param="instruction") from error
    if len(each) != count or not all(isinstance(one, str) for one in each):
        raise InvalidRequest(f"{count} images need {count} instructions, or one", param="instruction")
    return each
