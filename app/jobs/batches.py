"""Batches: a file of requests becomes edits, and their ends become lines again."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session as Rows

from app import logs
from app.jobs.desk import Desk, Order
from app.jobs.ledger import Ledger
from app.jobs.queue import BATCH, Queue, now
from app.problems import describe_faults, error_body
from app.refusals import InternalFault, InvalidRequest
from app.store.records import Store
from app.store.tables import Batch, Edit, Happening
from app.traces import span
from brushedit.errors import EditError

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 20
ENDPOINTS: Final = ("/v1/edits", "/v1/images/edits")

Prepare = Callable[[str, str, dict[str, Any]], Order]
"""Makes an order of a tenant's request body for an endpoint."""


CustomId = Annotated[str, Field(max_length=512)]


class Line(BaseModel):
    """A line of a batch's input file, in OpenAI's shape."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    custom_id: CustomId
    method: Literal["POST"] = "POST"
    url: str = ""
    body: dict[str, Any]


class Named(BaseModel):
    """What is read of a line whose other fields may be wrong."""

    custom_id: CustomId


@dataclass(frozen=True)
class Entry:
    """A line that is not blank.

    Attributes
    ----------
    index : int
        Among the lines that are not blank, from 0.
    number, first : int
        Of the line in its file, from 1; and of the first line there with the same `custom_id`.
    """

    text: bytes
    index: int
    number: int
    custom_id: str
    first: int


@final
class Batches:
    """Turns input files into edits. An item that cannot be read is an edit that has failed: others go on."""

    def __init__(
        self, store: Store, queue: Queue, ledger: Ledger, desk: Desk, prepare: Prepare, max_items: int
    ) -> None:
        self._store = store
        self._queue = queue
        self._ledger = ledger
        self._desk = desk
        self._prepare = prepare
        self._max_items = max_items

    def expand(self, batch_id: str) -> str:
        """Make the edits of a batch; begun again after a crash it goes on where it was.

        Raises
        ------
        DBAPIError, OSError
            The database or the store is not there for now: it is to be begun again.
        """
        with self._store.database.read() as rows:
            batch = rows.get_one(Batch, batch_id)
            done = _done(rows, batch_id)
        if batch.status != "validating":
            return batch.status
        came = batch.details.get("origin", {})
        with logs.about(came.get("request_id", "")), span("expand", came, batch=batch_id):
            return self._expand(batch, done)

    def _expand(self, batch: Batch, done: int) -> str:
        batch_id = batch.id
        entries = _entries(self._store, batch)
        try:
            self._require_sound(entries)
        except InvalidRequest as error:
            self._ledger.fail_batch(batch_id, error)
            return "failed"
        while done < len(entries):
            prepared = [self._order(batch, entry) for entry in entries[done : done + _AT_ONCE]]
            with self._store.database.write() as rows:
                status = rows.scalar(select(Batch.status).where(Batch.id == batch_id).with_for_update())
                if status != "validating":
                    return "stopped"
                if (made := _done(rows, batch_id)) != done:
                    # Another worker took this one for dead, and expands the batch as well.
                    done = made
                    continue
                for order, fault in prepared:
                    edit = self._desk.insert(rows, batch.tenant, order)
                    if fault:
                        edit.status, edit.completed_at, edit.last_seq = "failed", now(), 2
                        edit.error = error_body(fault.code, fault.message, fault.param)["error"]
                        rows.add(
                            Happening(
                                edit_id=edit.id, seq=2, at=now(), type="failed", data={"error": edit.error}
                            )
                        )
            done += len(prepared)
        with self._store.database.write() as rows:
            batch = rows.scalars(select(Batch).where(Batch.id == batch_id).with_for_update()).one()
            if batch.status == "validating":
                batch.status = "paused" if batch.details.get("paused") else "in_progress"
                self._queue.release_batch(rows, batch_id)
                self._ledger.close_batch(rows, batch_id)
        return "expanded"

    def _require_sound(self, entries: list[Entry]) -> None:
        if not entries:
            raise InvalidRequest("the input file has no lines", param="input_file_id")
        if len(entries) > self._max_items:
            raise InvalidRequest(f"a batch has at most {self._max_items} items, this one {len(entries)}")

    def _order(self, batch: Batch, entry: Entry) -> tuple[Order, EditError | None]:
        try:
            read = Line.model_validate_json(entry.text)
            if entry.first != entry.number:
                raise InvalidRequest(f"line {entry.first} has the same custom_id", param="custom_id")
            if read.url not in ("", batch.endpoint):
                raise InvalidRequest(
                    f"the line is for {read.url}, its batch for {batch.endpoint}", param="url"
                )
            order = self._prepare(batch.tenant, batch.endpoint, read.body)
        except ValidationError as error:
            return self._blank(batch, entry), describe_faults(list(error.errors()))
        except EditError as error:
            return self._blank(batch, entry), error
        except DBAPIError:
            raise
        except Exception:
            # Whatever an odd line makes a codec or a parser throw ends this item alone.
            logger.exception("line %d of %s cannot be read", entry.number, batch.id)
            fault = InternalFault("the service failed on this line; its log says more under the batch's id")
            return self._blank(batch, entry), fault
        return self._in_batch(order, batch, entry), None

    def _blank(self, batch: Batch, entry: Entry) -> Order:
        return self._in_batch(Order(request={"instruction": ""}, image=""), batch, entry)

    def _in_batch(self, order: Order, batch: Batch, entry: Entry) -> Order:
        # An edit's plan becomes the one it was carried out by; what was asked for is kept for another go.
        planned = {"plan": order.plan} if order.plan else {}
        return replace(
            order,
            request={**order.request, **planned, "custom_id": entry.custom_id},
            lane=BATCH,
            batch_id=batch.id,
            batch_index=entry.index,
        )


def count_unread(store: Store, rows: Rows, batch: Batch) -> int:
    """Return how many lines of a batch's input have not become edits."""
    return len(_lines(store, batch)) - _done(rows, batch.id)


def _lines(store: Store, batch: Batch) -> list[tuple[int, bytes]]:
    """Return the lines that are not blank, each after its number in the file."""
    lines = enumerate(store.blobs.get(batch.details["input"]).splitlines(), start=1)
    return [(number, line) for number, line in lines if line.strip()]


def _entries(store: Store, batch: Batch) -> list[Entry]:
    entries: list[Entry] = []
    firsts: dict[str, int] = {}
    for number, line in _lines(store, batch):
        try:
            custom_id = Named.model_validate_json(line).custom_id
        except ValidationError:
            custom_id = f"line {number}"
        first = firsts.setdefault(custom_id, number)
        entries.append(Entry(line, len(entries), number, custom_id, first))
    return entries


def _done(rows: Rows, batch_id: str) -> int:
    """Return the number of the first line that is no edit yet."""
    after_last = func.coalesce(func.max(Edit.batch_index) + 1, 0)
    return rows.scalars(select(after_last).where(Edit.batch_id == batch_id)).one()
