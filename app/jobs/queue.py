"""The queue: which edit is carried out next, how many may wait, and what waits for what.

DBOS hands the edit of the lowest priority number to the next free worker. The numbers are start tags of
start-time fair queueing (Goyal, Vin and Cheng, 1996): a tenant's next edit comes after its last one, and not
before those being carried out, so a thousand edits of one tenant do not hold up the first of another. Batches
have numbers of their own, above all others. DBOS's partitioned queues would keep a session's turns in order as
well, but they pick among partitions at random; so a session's next turn is put into the queue when the one
before it is settled, and a batch's items a few at a time.
"""

import math
import time
from typing import TYPE_CHECKING, Any, Final, final

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Rows

from app.refusals import QueueFull
from app.settings import Settings
from app.store.database import Database
from app.store.tables import UNFINISHED, Batch, Edit, Session, Worker

if TYPE_CHECKING:
    from dbos import EnqueueOptions

QUEUE: Final = "edits"
BATCHES: Final = "batches"
CHORES: Final = "chores"
VERSION: Final = "1"
"""Version of the workflows: one that is raised leaves unfinished edits to workers of the old version."""

INTERACTIVE: Final = "interactive"
BATCH: Final = "batch"
_FIRST: Final = {INTERACTIVE: 1, BATCH: 1_000_000_000}
_CHORES: Final = {"batch": BATCHES, "webhook": CHORES, "webhook_again": CHORES}
_RECENT: Final = 20
_AT_ONCE: Final = 500
"""Ids one statement names; databases bound that."""


@final
class Queue:
    """Puts edits into DBOS's queue, in the transaction that changes their rows."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        # Imported when it is needed: it takes longer than all the rest of the API process.
        from dbos import DBOSClient
        from dbos._serialization import DBOSPortableJSON

        self._client = DBOSClient(
            system_database_engine=database.engine, serializer=DBOSPortableJSON, lazy=True
        )

    def require_room(self, rows: Rows, tenant: str, tenant_limit: int | None) -> None:
        """Raise `QueueFull` where no further interactive edit may wait."""
        waiting = select(func.count()).where(Edit.status.in_(UNFINISHED), Edit.lane == INTERACTIVE)
        limit = min(tenant_limit or self._settings.tenant_queue_limit, self._settings.queue_limit)
        own = rows.scalars(waiting.where(Edit.tenant == tenant)).one()
        if own >= limit or rows.scalars(waiting).one() >= self._settings.queue_limit:
            whose = f"{own} edits of yours wait already" if own >= limit else "the queue is full"
            raise QueueFull(f"{whose}; try again later", retry_after=self._seconds_per_edit(rows))

    def place(self, rows: Rows, edit: Edit) -> None:
        """Put a new edit into the queue, or leave it to wait for its turn in its session or batch."""
        if edit.session_id:
            rows.execute(select(Session.id).where(Session.id == edit.session_id).with_for_update())
            busy = select(Edit.id).where(Edit.session_id == edit.session_id, Edit.status.in_(UNFINISHED))
            if rows.scalar(busy.where(Edit.id != edit.id).limit(1)):
                return
        if edit.batch_id:
            return
        self.enqueue(rows, edit)

    def enqueue(self, rows: Rows, edit: Edit) -> None:
        """Put an edit into DBOS's queue."""
        tags = select(func.max(Edit.priority)).where(
            Edit.lane == edit.lane, Edit.status.in_(UNFINISHED), Edit.queued
        )
        first = _FIRST[edit.lane]
        own = rows.scalar(tags.where(Edit.tenant == edit.tenant))
        served = rows.scalar(
            select(func.min(Edit.priority)).where(
                Edit.lane == edit.lane, Edit.status.in_(UNFINISHED), Edit.queued
            )
        )
        edit.priority = max(served or first, first if own is None else own + 1)
        edit.queued = True
        rows.flush()
        self._client.enqueue_in_transaction(
            rows,
            {
                "workflow_name": "edit",
                "queue_name": QUEUE,
                "workflow_id": edit.id,
                "app_version": VERSION,
                "priority": edit.priority,
            },
            edit.id,
        )

    def enqueue_chore(
        self, rows: Rows, name: str, chore_id: str, *arguments: Any, delay: float | None = None
    ) -> None:
        """Put work that needs no device into its own queue, `delay` seconds from now: a workflow, once per id."""
        options: EnqueueOptions = {
            "workflow_name": name,
            "queue_name": _CHORES[name],
            "workflow_id": chore_id,
            "app_version": VERSION,
        }
        if delay is not None:
            options["delay_seconds"] = delay
        self._client.enqueue_in_transaction(rows, options, *arguments)

    def release(self, rows: Rows, session_id: str | None, batch_id: str | None) -> None:
        """Put what may run now into the queue, after an edit of a session or batch was settled."""
        if session_id:
            rows.execute(select(Session.id).where(Session.id == session_id).with_for_update())
            chain = select(Edit).where(Edit.session_id == session_id, Edit.status.in_(UNFINISHED))
            head = rows.scalar(chain.order_by(Edit.created_at, Edit.id).limit(1))
            if head and not head.queued:
                self.enqueue(rows, head)
        if batch_id:
            self.release_batch(rows, batch_id)

    def release_batch(self, rows: Rows, batch_id: str) -> None:
        """Keep as many of a batch's items in the queue as may be there at once."""
        batch = rows.scalars(select(Batch).where(Batch.id == batch_id).with_for_update()).one()
        if batch.status != "in_progress":
            return
        items = select(Edit).where(Edit.batch_id == batch_id, Edit.status.in_(UNFINISHED))
        running = rows.scalars(
            select(func.count()).where(Edit.batch_id == batch_id, Edit.status.in_(UNFINISHED), Edit.queued)
        ).one()
        room = max(0, self._settings.batch_width - running)
        for edit in rows.scalars(items.where(~Edit.queued).order_by(Edit.batch_index).limit(room)).all():
            self.enqueue(rows, edit)

    def forget(self, edit_ids: list[str]) -> None:
        """Take edits out of DBOS's queue, and stop their workflows at their next step."""
        for start in range(0, len(edit_ids), _AT_ONCE):
            self._client.cancel_workflows(edit_ids[start : start + _AT_ONCE])

    def erase(self, workflow_ids: list[str]) -> None:
        """Remove what DBOS kept of edits and chores."""
        for start in range(0, len(workflow_ids), _AT_ONCE):
            self._client.delete_workflows(workflow_ids[start : start + _AT_ONCE])

    def position(self, rows: Rows, edit: Edit) -> int | None:
        """Return how many edits are carried out before this one, or None where it does not wait."""
        if edit.status != "starting":
            return None
        waiting = select(func.count()).where(Edit.status == "starting", Edit.queued)
        if not edit.queued:
            return rows.scalars(waiting).one()
        before = (Edit.priority < edit.priority) | (
            (Edit.priority == edit.priority) & (Edit.created_at < edit.created_at)
        )
        return rows.scalars(waiting.where(before)).one()

    def _seconds_per_edit(self, rows: Rows) -> float:
        recent = rows.execute(
            select(Edit.started_at, Edit.completed_at)
            .where(Edit.status == "succeeded", Edit.started_at.is_not(None))
            .order_by(Edit.completed_at.desc())
            .limit(_RECENT)
        ).all()
        workers = max(1, rows.scalars(select(func.count()).select_from(Worker)).one())
        seconds = [end - start for start, end in recent if start is not None and end is not None]
        return min(60.0, max(1.0, math.fsum(seconds) / max(1, len(seconds)) / workers))

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()


def now() -> float:
    """Return the time as the rows state it."""
    return time.time()
