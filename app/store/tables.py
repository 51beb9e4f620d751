"""The rows: what each table holds, and which states an edit and a batch can be in."""

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

UNFINISHED = ("starting", "processing")
FINISHED = ("succeeded", "failed", "canceled")
"""States of an edit, in Replicate's words; "starting" covers waiting in the queue."""

OPEN_BATCH = ("validating", "in_progress", "paused", "finalizing", "cancelling")
"""States of a batch that has not ended; in OpenAI's words, "paused" added."""


class Row(DeclarativeBase):
    """All tables. Times are seconds since 1970; ids are opaque text."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {dict[str, Any]: JSON, list[Any]: JSON, str: String}


class Key(Row):
    """An API key: its SHA-256 digest, never the key itself."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[Any]]
    rate_per_minute: Mapped[int | None]
    queue_limit: Mapped[int | None]
    created_at: Mapped[float]
    revoked_at: Mapped[float | None]


class Session(Row):
    """A conversation: a tree of edits over one picture; `head` is the node the next turn starts from.

    A turn that ends well takes the head along, unless somebody moved the head (`moved_at`) after it was accepted.
    """

    __tablename__ = "sessions"
    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(index=True)
    title: Mapped[str]
    image: Mapped[str]
    head: Mapped[str | None]
    redo: Mapped[list[Any]]
    created_at: Mapped[float]
    updated_at: Mapped[float]
    moved_at: Mapped[float | None]


class Batch(Row):
    """Many edits under one id."""

    __tablename__ = "batches"
    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(index=True)
    status: Mapped[str]
    endpoint: Mapped[str]
    input_file: Mapped[str | None]
    completion_window: Mapped[str]
    details: Mapped[dict[str, Any]]
    errors: Mapped[list[Any]]
    created_at: Mapped[float]
    completed_at: Mapped[float | None]


class Edit(Row):
    """One edit: what was asked, how far it is, what came of it."""

    __tablename__ = "edits"
    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    session_id: Mapped[str | None] = mapped_column(index=True)
    parent_id: Mapped[str | None]
    batch_id: Mapped[str | None]
    batch_index: Mapped[int | None]
    lane: Mapped[str]
    priority: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[str]
    request: Mapped[dict[str, Any]]
    image: Mapped[str]
    status: Mapped[str]
    stage: Mapped[str]
    queued: Mapped[bool]
    attempt: Mapped[int]
    last_seq: Mapped[int]
    plan: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    regions: Mapped[list[Any]]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    completed_at: Mapped[float | None]
    __table_args__ = (
        Index("edits_by_tenant", "tenant", "status", "lane"),
        Index("edits_by_batch", "batch_id", "batch_index"),
        Index("edits_by_status", "status", "completed_at"),
    )


class Happening(Row):
    """One event of an edit, numbered from 1 without gaps."""

    __tablename__ = "events"
    edit_id: Mapped[str] = mapped_column(ForeignKey("edits.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[float]
    type: Mapped[str]
    data: Mapped[dict[str, Any]]


class Blob(Row):
    """A stored picture or file, named by the SHA-256 of its bytes."""

    __tablename__ = "blobs"
    digest: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str]
    created_at: Mapped[float]


class BlobUse(Row):
    """Who needs a blob; one nobody needs is removed."""

    __tablename__ = "blob_uses"
    digest: Mapped[str] = mapped_column(ForeignKey("blobs.digest"), primary_key=True)
    owner: Mapped[str] = mapped_column(primary_key=True, index=True)


class File(Row):
    """An uploaded or produced file."""

    __tablename__ = "files"
    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    purpose: Mapped[str]
    digest: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str]
    created_at: Mapped[float]


class Repeat(Row):
    """The edit or batch an idempotency key stands for, and the fingerprint of the request that came with it."""

    __tablename__ = "repeats"
    tenant: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    resource: Mapped[str]
    created_at: Mapped[float]


class Worker(Row):
    """A worker's sign of life."""

    __tablename__ = "workers"
    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    state: Mapped[str]
    facts: Mapped[dict[str, Any]]
    started_at: Mapped[float]
    seen_at: Mapped[float]
    __table_args__ = (UniqueConstraint("host", "pid", "started_at"),)
