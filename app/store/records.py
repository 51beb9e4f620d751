"""The store as the rest of the application sees it: rows and blobs together."""

import secrets
import time
from collections.abc import Iterable
from typing import TypeVar, final

from sqlalchemy import Select, delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from app.settings import Settings
from app.store import tables
from app.store.blobs import BlobStore, digest_of
from app.store.database import Database
from app.store.tables import Batch, Blob, BlobUse, Edit, File

Listed = TypeVar("Listed", Edit, File, Batch, tables.Session)


def new_id(prefix: str) -> str:
    """Return an id nobody can guess, such as edit_… (128 bits)."""
    return f"{prefix}_{secrets.token_hex(16)}"


def newest_first(
    found: Select[Listed], table: type[Listed], after: Listed | None, by: str = "created_at"
) -> Select[Listed]:
    """Order what a list shows by a time of its rows, and leave out `after` and what came before it in the list."""
    time = table.__table__.c[by]
    if after is not None:
        found = found.where(tuple_(time, table.id) < (getattr(after, by), after.id))
    return found.order_by(time.desc(), table.id.desc())


@final
class Store:
    """Rows and blobs.

    Parameters
    ----------
    settings : Settings
    waits_for_disk : bool
        See `Database`.

    Attributes
    ----------
    database : Database
    blobs : BlobStore
    """

    def __init__(self, settings: Settings, *, waits_for_disk: bool = True) -> None:
        self.database = Database(settings.sql_url, waits_for_disk=waits_for_disk)
        self.blobs = BlobStore(settings.blob_root)

    def keep(self, session: Session, owner: str, data: bytes, media_type: str, digest: str = "") -> str:
        """Store bytes on behalf of an owner, as part of the session's transaction; return their digest.

        It is computed where it is not known already. The bytes are written once the row is, so a removal that runs
        at the same time has either seen this use or is over: its row lock is waited for.
        """
        digest = digest or digest_of(data)
        insert = sqlite_insert if self.database.sqlite else postgresql_insert
        session.execute(
            insert(Blob)
            .values(digest=digest, size=len(data), media_type=media_type, created_at=time.time())
            .on_conflict_do_update(index_elements=["digest"], set_={"size": len(data)})
        )
        self.use(session, owner, [digest])
        self.blobs.put(data, digest)
        return digest

    def use(self, session: Session, owner: str, digests: Iterable[str]) -> None:
        """Note that an owner needs blobs that are there already."""
        insert = sqlite_insert if self.database.sqlite else postgresql_insert
        for digest in set(digests):
            session.execute(insert(BlobUse).values(digest=digest, owner=owner).on_conflict_do_nothing())

    def release(self, session: Session, owners: Iterable[str]) -> None:
        """Forget what owners needed, and remove every blob that nobody else needs."""
        owners = list(owners)
        digests = set(session.scalars(select(BlobUse.digest).where(BlobUse.owner.in_(owners))))
        session.execute(delete(BlobUse).where(BlobUse.owner.in_(owners)))
        self.drop_unused(session, digests)

    def drop_unused(self, session: Session, digests: Iterable[str]) -> None:
        """Remove those of the blobs that nobody needs."""
        for digest in digests:
            # Locked first, asked about second: whoever is about to use it waits here or has been seen.
            blob = session.scalar(select(Blob).where(Blob.digest == digest).with_for_update())
            if blob is None or session.scalar(select(BlobUse.owner).where(BlobUse.digest == digest).limit(1)):
                continue
            session.delete(blob)
            session.flush()
            self.blobs.remove(digest)

    def media_type(self, session: Session, digest: str) -> str:
        """Return the media type a blob was stored with."""
        return session.scalars(select(Blob.media_type).where(Blob.digest == digest)).one()
