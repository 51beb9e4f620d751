"""What is removed of itself: edits past their time, forgotten idempotency keys, blobs nobody refers to."""

import time
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Rows

from app.settings import Settings
from app.store.records import Store
from app.store.tables import FINISHED, OPEN_BATCH, Batch, Blob, BlobUse, Edit, File, Happening, Repeat

_AT_ONCE: Final = 200
_BATCHES_AT_ONCE: Final = 2
_GRACE: Final = 3600.0


def sweep(settings: Settings, store: Store, *, grace: float = _GRACE) -> list[str]:
    """Remove what is past its time; return the ids of the workflows that DBOS may forget with it.

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
        ended = select(Batch.id).where(
            Batch.status.not_in(OPEN_BATCH),
            Batch.completed_at < time.time() - settings.retention_days * 86400,
        )
        batches = rows.scalars(ended.limit(_BATCHES_AT_ONCE)).all()
    gone = list(old)
    for batch_id in batches:
        gone += remove_batch(store, batch_id)
    sweep_blobs(store, grace)
    return gone


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
        with store.database.read() as rows:
            if age < grace or rows.get(Blob, digest) is not None:
                continue
        with store.database.write() as rows:
            if rows.get(Blob, digest) is None:
                store.blobs.remove(digest)
                removed += 1
    return removed


def remove_batch(store: Store, batch_id: str) -> list[str]:
    """Remove a batch with its edits and the files that were made for it; return what DBOS may forget.

    In many small transactions, so that nobody waits long; one that a crash cut short is to be removed again.
    """
    gone: list[str] = []
    while True:
        with store.database.write() as rows:
            batch = rows.get(Batch, batch_id)
            if batch is None:
                return gone
            # Nothing of it can be begun again from now on.
            batch.status = "deleting"
            ids = list(rows.scalars(select(Edit.id).where(Edit.batch_id == batch_id).limit(_AT_ONCE)))
            if ids:
                remove_edits(store, rows, ids)
                gone += ids
                continue
            # The pictures of a form became files for the batch alone.
            remove_files(store, rows, batch.details.get("made", []))
            rows.execute(delete(File).where(File.digest == batch_id, File.purpose == "batch_output"))
            rows.execute(delete(Repeat).where(Repeat.resource == batch_id))
            rows.delete(batch)
            rows.flush()
            store.release(rows, [batch_id])
            return [*gone, f"expand_{batch_id}"]


def remove_files(store: Store, rows: Rows, ids: list[str]) -> None:
    """Remove files, with the bytes nothing else refers to."""
    rows.execute(delete(File).where(File.id.in_(ids)))
    store.release(rows, ids)


def remove_edits(store: Store, rows: Rows, ids: list[str]) -> None:
    """Remove edits with their events, idempotency keys, and every picture nothing else refers to."""
    rows.execute(delete(Happening).where(Happening.edit_id.in_(ids)))
    rows.execute(delete(Repeat).where(Repeat.resource.in_(ids)))
    rows.execute(delete(Edit).where(Edit.id.in_(ids)))
    store.release(rows, ids)
