"""What is removed of itself: edits past their time, forgotten idempotency keys, blobs nobody refers to."""

import time
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Rows

from app.settings import Settings
from app.store.records import Store
from app.store.tables import FINISHED, Blob, BlobUse, Edit, Happening, Repeat

_AT_ONCE: Final = 200
_GRACE: Final = 3600.0


def sweep(settings: Settings, store: Store, *, grace: float = _GRACE) -> list[str]:
    """Remove what is past its time; return the ids of the edits among it.

    Parameters
    ----------
    grace : float
        Seconds a blob may lie without a row: its transaction may not be over yet.
    """
    with store.database.write() as rows:
        rows.execute(
            delete(Repeat).where(Repeat.created_at < time.time() - settings.idempotency_hours * 3600)
        )
        old = rows.scalars(
            select(Edit.id)
            .where(
                Edit.status.in_(FINISHED),
                Edit.completed_at < time.time() - settings.retention_days * 86400,
                Edit.session_id.is_(None),
                Edit.batch_id.is_(None),
            )
            .limit(_AT_ONCE)
        ).all()
        remove_edits(store, rows, list(old))
    sweep_blobs(store, grace)
    return list(old)


def sweep_blobs(store: Store, grace: float) -> int:
    """Remove blobs without a use, and files without a blob's row, that a crash left; return how many."""
    removed = 0
    with store.database.write() as rows:
        unused = select(Blob.digest).where(
            ~select(BlobUse.digest).where(BlobUse.digest == Blob.digest).exists()
        )
        found = rows.scalars(unused.where(Blob.created_at < time.time() - grace)).all()
        store.drop_unused(rows, found)
        removed += len(found)
    for digest, age in store.blobs.ages():
        if age < grace:
            continue
        with store.database.write() as rows:
            if rows.get(Blob, digest) is None:
                store.blobs.remove(digest)
                removed += 1
    return removed


def remove_edits(store: Store, rows: Rows, ids: list[str]) -> None:
    """Remove edits with their events, idempotency keys, and every picture nothing else refers to."""
    rows.execute(delete(Happening).where(Happening.edit_id.in_(ids)))
    rows.execute(delete(Repeat).where(Repeat.resource.in_(ids)))
    rows.execute(delete(Edit).where(Edit.id.in_(ids)))
    store.release(rows, ids)
