"""What happens to an edit, written down: events in order, and how it ended, exactly once."""

import time
from collections.abc import Mapping
from typing import Any, Final, final

from sqlalchemy import Update, insert, select, update
from sqlalchemy.orm import Session as Rows

from app.jobs.queue import Queue, now
from app.problems import error_body
from app.refusals import Superseded
from app.store.records import Store
from app.store.tables import UNFINISHED, Batch, Edit, Happening, Session
from brushedit.errors import Canceled, EditError

# Tables, not their classes: a step of the painting waits for this, and classes would double what it costs.
_EDITS: Final = Edit.metadata.tables[Edit.__tablename__]
_EVENTS: Final = Edit.metadata.tables[Happening.__tablename__]

_AT_ONCE: Final = 100
_PAUSE_SECONDS: Final = 0.1
"""Between two lots: whoever waits for SQLite's one writer looks at most this seldom whether it is their turn."""

ENDS: Final = {"succeeded": "completed", "failed": "failed", "canceled": "cancelled"}
"""What webhooks call an edit's end: OpenAI's words, as for a batch's."""


@final
class Ledger:
    """Changes edits.

    Every change carries the number of the attempt it belongs to: a worker that was taken for dead and goes on is
    turned away at its next word.
    """

    def __init__(self, store: Store, queue: Queue) -> None:
        self._store = store
        self._queue = queue

    def note(self, edit_id: str, attempt: int, kind: str, data: dict[str, Any], **changes: Any) -> None:
        """Add an event, and change columns of the edit with it.

        Raises
        ------
        Superseded
            Another attempt has begun, or the edit is settled: canceled, for one.
        """
        with self._store.database.write() as rows:
            self.note_in(rows, edit_id, attempt, kind, data, **changes)

    def note_in(
        self, rows: Rows, edit_id: str, attempt: int, kind: str, data: dict[str, Any], **changes: Any
    ) -> None:
        """`note`, as part of a transaction."""
        changed = _change(edit_id, attempt, changes).returning(_EDITS.c.last_seq)
        seq = rows.scalar(changed)
        if seq is None:
            raise Superseded(f"{edit_id} is settled or in other hands")
        _happen(rows, edit_id, seq, kind, data)

    def settle(
        self,
        edit_id: str,
        attempt: int,
        status: str,
        *,
        result: dict[str, Any] | None = None,
        error: EditError | None = None,
    ) -> bool:
        """End an edit; return False where another did so before or has taken over."""
        with self._store.database.write() as rows:
            return self.settle_in(rows, edit_id, attempt, status, result=result, error=error)

    def settle_in(
        self,
        rows: Rows,
        edit_id: str,
        attempt: int,
        status: str,
        *,
        result: dict[str, Any] | None = None,
        error: EditError | None = None,
    ) -> bool:
        """`settle`, as part of a transaction: the edit's end, its last event, and whoever waited for it."""
        fault = error_body(error.code, error.message, error.param)["error"] if error else None
        changes: dict[str, Any] = {"status": status, "error": fault, "completed_at": now()}
        if result is not None:
            changes["result"] = result
        columns = (
            _EDITS.c.last_seq,
            _EDITS.c.session_id,
            _EDITS.c.batch_id,
            _EDITS.c.request,
            _EDITS.c.created_at,
        )
        ended = rows.execute(_change(edit_id, attempt, changes).returning(*columns)).one_or_none()
        if ended is None:
            return False
        _happen(rows, edit_id, ended.last_seq, status, {"error": fault} if fault else {})
        if ended.session_id and status == "succeeded":
            session = update(Session).where(Session.id == ended.session_id)
            rows.execute(session.values(updated_at=now()))
            unmoved = Session.moved_at.is_(None) | (Session.moved_at <= ended.created_at)
            rows.execute(session.where(unmoved).values(head=edit_id, redo=[]))
        self._queue.release(rows, ended.session_id, ended.batch_id)
        if ended.batch_id:
            self.close_batch(rows, ended.batch_id)
        self._announce(rows, ended.request, edit_id, ENDS[status], "")
        return True

    def fail_batch(self, batch_id: str, error: EditError) -> None:
        """End a batch that cannot be expanded, with the reason, and whatever was made of it so far."""
        with self._store.database.write() as rows:
            batch = rows.scalars(select(Batch).where(Batch.id == batch_id).with_for_update()).one()
            if batch.status != "validating":
                return
            batch.errors = [
                {"code": error.code, "message": error.message, "param": error.param, "line": None}
            ]
            batch.status = "cancelling"
        self.settle_batch(batch_id)

    def settle_batch(self, batch_id: str) -> None:
        """End what is unfinished of a batch that is "cancelling", and so the batch; begun again, it goes on.

        Some items at a time, so that others write in between. Edits are locked before their batch, as by a
        worker that settles one.
        """
        unfinished = select(Edit.id, Edit.attempt).where(
            Edit.batch_id == batch_id, Edit.status.in_(UNFINISHED)
        )
        # The last ones first: whether any is left is then told by the first that is looked at.
        some = unfinished.order_by(Edit.batch_index.desc()).limit(_AT_ONCE).with_for_update()
        while True:
            with self._store.database.write() as rows:
                found = rows.execute(some).all()
                for edit_id, attempt in found:
                    self.settle_in(
                        rows, edit_id, attempt, "canceled", error=Canceled("its batch was canceled")
                    )
                if not found:
                    self.close_batch(rows, batch_id)
            if not found:
                return
            self._queue.forget([edit_id for edit_id, _ in found])
            if len(found) == _AT_ONCE:
                time.sleep(_PAUSE_SECONDS)

    def close_batch(self, rows: Rows, batch_id: str) -> None:
        """End a batch whose items all have ended."""
        batch = rows.scalars(select(Batch).where(Batch.id == batch_id).with_for_update()).one()
        if batch.status not in ("in_progress", "paused", "cancelling"):
            return
        unfinished = select(Edit.id).where(Edit.batch_id == batch_id, Edit.status.in_(UNFINISHED))
        if rows.scalar(unfinished.limit(1)):
            return
        stopped = "failed" if batch.errors else "cancelled"
        self.end_batch(rows, batch, stopped if batch.status == "cancelling" else "completed")

    def end_batch(self, rows: Rows, batch: Batch, status: str) -> None:
        """End a batch, and tell whoever asked to be told."""
        ended = now()
        batch.status, batch.completed_at = status, ended
        # A batch whose failed items are tried again ends once more.
        self._announce(rows, batch.details, batch.id, status, f"_{round(ended * 1000)}")

    def _announce(self, rows: Rows, asked: Mapping[str, Any], thing: str, event: str, which: str) -> None:
        if event in asked.get("webhook_events", []):
            self._queue.enqueue_chore(rows, "webhook", f"hook_{thing}_{event}{which}", f"{thing} {event}")


def _change(edit_id: str, attempt: int, changes: Mapping[str, Any]) -> Update:
    """Return the change of an edit that is unfinished and in this attempt's hands, and of no other."""
    mine = _EDITS.c.id == edit_id, _EDITS.c.attempt == attempt, _EDITS.c.status.in_(UNFINISHED)
    return update(_EDITS).where(*mine).values(last_seq=_EDITS.c.last_seq + 1, **changes)


def _happen(rows: Rows, edit_id: str, seq: int, kind: str, data: Mapping[str, Any]) -> None:
    rows.execute(insert(_EVENTS).values(edit_id=edit_id, seq=seq, at=now(), type=kind, data=dict(data)))
