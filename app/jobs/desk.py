"""The desk where edits are accepted, looked up, canceled and forked, for one tenant at a time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, final

from sqlalchemy import select
from sqlalchemy.orm import Session as Rows

from app.jobs.ledger import Ledger
from app.jobs.queue import INTERACTIVE, Queue, now
from app.refusals import Conflict, NotFound, RepeatMismatch
from app.settings import Settings
from app.store.blobs import digest_of
from app.store.records import Store, new_id
from app.store.retention import remove_edits
from app.store.tables import FINISHED, UNFINISHED, Edit, Happening, Repeat, Session
from app.traces import origin
from brushedit.errors import Canceled

_RETRIED_HOURS: Final = 0.25
_AUTOMATIC: Final = "auto:"
_NOT_ASKED: Final = frozenset({"derived_seed", "origin"})


@dataclass(frozen=True)
class Order:
    """An edit as it was asked for, checked.

    Attributes
    ----------
    request : mapping
        As `Edit.request` holds it, without the mask.
    image : bytes or str or None
        The picture, the digest of a stored one, or None for what the parent turn made.
    media_type : str
        Of `image` where it is bytes.
    mask : bytes or None
        Normalised: a grey PNG, white = may change.
    plan : mapping or None
    regions : tuple
        Of the first steps, where they are known.
    session_title : str or None
        Begins a session of that title on the picture, with this edit as its first turn.
    """

    request: Mapping[str, Any]
    image: bytes | str | None
    media_type: str = "image/png"
    mask: bytes | None = None
    plan: Mapping[str, Any] | None = None
    regions: tuple[Mapping[str, Any], ...] = ()
    session_id: str | None = None
    session_title: str | None = None
    parent_id: str | None = None
    until: str = "finish"
    lane: str = INTERACTIVE
    batch_id: str | None = None
    batch_index: int | None = None

    @cached_property
    def image_digest(self) -> str:
        """What the picture is stored under, "" for what the parent turn made."""
        return digest_of(self.image) if isinstance(self.image, bytes) else self.image or ""

    def fingerprint(self) -> str:
        """Return a digest of everything asked for, however it was written."""
        image = self.image_digest or None
        mask = digest_of(self.mask) if self.mask else None
        asked = {key: value for key, value in self.request.items() if key not in _NOT_ASKED}
        parts = [asked, image, mask, self.plan, self.regions, self.session_id, self.parent_id, self.until]
        return digest_of(json.dumps(parts, sort_keys=True, default=dict).encode())


@dataclass(frozen=True)
class Ticket:
    """What came of an order: the edit, and whether an earlier, equal request made it."""

    edit: Edit
    repeated: bool = field(default=False)


@final
class Desk:
    """Accepts edits: once this returns, the edit survives the death of every process."""

    def __init__(self, settings: Settings, store: Store, queue: Queue, ledger: Ledger) -> None:
        self._settings = settings
        self._store = store
        self._queue = queue
        self._ledger = ledger

    def accept(
        self,
        tenant: str,
        order: Order,
        *,
        edit_id: str | None = None,
        repeat_key: str | None = None,
        tenant_limit: int | None = None,
        retried: bool = False,
    ) -> Ticket:
        """Accept an edit, or return the one an equal request made before.

        Parameters
        ----------
        edit_id : str or None
            The client's own choice; a second order under it must be equal.
        repeat_key : str or None
            Idempotency key; see `edit_id`.
        retried : bool
            The client's library says that it sends this request again of itself: an equal request that came
            lately, without a key, is joined.

        Raises
        ------
        QueueFull, RepeatMismatch, NotFound
        """
        fingerprint = order.fingerprint()
        with self._store.database.write() as rows:
            key = repeat_key_of(edit_id, repeat_key, fingerprint)
            self._store.database.alone(rows, f"{tenant} {key}")
            if edit_id or repeat_key or retried:
                hours = self._settings.idempotency_hours
                known = find_repeated(rows, tenant, key, fingerprint, hours)
                edit = rows.get(Edit, known) if known else None
                if edit is not None:
                    # A library repeats itself after each wait: from the latest time on, not from the first.
                    note_repeat(rows, tenant, key, fingerprint, edit.id)
                    return Ticket(edit, repeated=True)
            if edit_id and rows.get(Edit, edit_id):
                raise NotFound(f"there is no edit {edit_id} of yours, and the id is taken")
            if order.lane == INTERACTIVE:
                self._queue.require_room(rows, tenant, tenant_limit)
            edit = self._insert(rows, tenant, order, edit_id or new_id("edit"))
            note_repeat(rows, tenant, key, fingerprint, edit.id)
            self._queue.place(rows, edit)
        return Ticket(edit)

    def insert(self, rows: Rows, tenant: str, order: Order) -> Edit:
        """Add an edit without a place in the queue, as part of a transaction."""
        return self._insert(rows, tenant, order, new_id("edit"))

    def get(self, rows: Rows, tenant: str, edit_id: str) -> Edit:
        """Return the tenant's edit, or raise `NotFound`."""
        edit = rows.get(Edit, edit_id)
        if edit is None or edit.tenant != tenant:
            raise NotFound(f"there is no edit {edit_id}")
        return edit

    def cancel(self, tenant: str, edit_id: str) -> Edit:
        """Cancel an edit; one that has ended stays as it is.

        The worker that carries it out is turned away at its next step, and stops.
        """
        with self._store.database.write() as rows:
            edit = self.get(rows, tenant, edit_id)
            rows.refresh(edit, with_for_update=True)
            if edit.status in FINISHED:
                return edit
            self._ledger.settle_in(
                rows, edit.id, edit.attempt, "canceled", error=Canceled("canceled on request")
            )
        self._queue.forget([edit_id])
        with self._store.database.read() as rows:
            return self.get(rows, tenant, edit_id)

    def fork(self, tenant: str, edit_id: str, stage: str, change: "Order") -> Order:
        """Return the order that resumes an edit from a stage, with what is changed about it.

        The new edit starts with what the stages before `stage` made of the old one. (DBOS can fork a workflow as
        well, but not within a transaction, and not at a place in the queue that is fair to others.)
        """
        with self._store.database.read() as rows:
            edit = self.get(rows, tenant, edit_id)
        plan, regions = change.plan, change.regions
        if stage != "plan" and plan is None:
            plan = edit.plan
            if plan is None:
                raise Conflict("this edit has no plan to resume with", param="stage")
        if stage == "paint" and not regions and change.mask is None:
            regions = tuple(edit.regions)
            if not regions:
                raise Conflict("this edit has no region to resume with", param="stage")
        kept = {key: value for key, value in edit.request.items() if key != "title"}
        return replace(
            change,
            request={**kept, **change.request, "forked_from": edit_id},
            image=edit.image,
            plan=plan,
            regions=regions,
        )

    def remove(self, tenant: str, edit_id: str) -> None:
        """Remove an edit, its events and every picture nothing else refers to; its session goes back to its parent."""
        with self._store.database.write() as rows:
            edit = self.get(rows, tenant, edit_id)
            if edit.status not in FINISHED:
                raise Conflict("this edit has not ended; cancel it first")
            # Locked before it is asked what builds on the edit: a turn begins with this lock as well.
            session = rows.scalar(select(Session).where(Session.id == edit.session_id).with_for_update())
            if rows.scalar(select(Edit.id).where(Edit.parent_id == edit_id).limit(1)):
                raise Conflict("other turns build on this one; delete the session")
            if session is not None:
                session.head = edit.parent_id if session.head == edit_id else session.head
                session.redo = [turn for turn in session.redo if turn != edit_id]
            remove_edits(self._store, rows, [edit_id])
        self._queue.erase([edit_id])

    def events(self, edit_id: str, after: int) -> list[Happening]:
        """Return the events of an edit after one of them."""
        with self._store.database.read() as rows:
            found = select(Happening).where(Happening.edit_id == edit_id, Happening.seq > after)
            return list(rows.scalars(found.order_by(Happening.seq)))

    def _insert(self, rows: Rows, tenant: str, order: Order, edit_id: str) -> Edit:
        order = self._on_its_branch(rows, tenant, order) if order.session_id else order
        request: dict[str, Any] = {**order.request, "origin": origin()}
        session_id = order.session_id
        image = order.image_digest
        if isinstance(order.image, bytes):
            self._store.keep(rows, edit_id, order.image, order.media_type, image)
        elif image:
            self._store.use(rows, edit_id, [image])
        if order.session_title is not None:
            session_id = new_id("session")
            rows.add(
                Session(
                    id=session_id,
                    tenant=tenant,
                    title=order.session_title,
                    image=image,
                    redo=[],
                    created_at=now(),
                    updated_at=now(),
                )
            )
            self._store.use(rows, session_id, [image])
        if order.mask:
            request["mask"] = self._store.keep(rows, edit_id, order.mask, "image/png")
        elif "mask" in request:
            self._store.use(rows, edit_id, [request["mask"]])
        self._store.use(rows, edit_id, [region["mask"] for region in order.regions])
        edit = Edit(
            id=edit_id,
            tenant=tenant,
            session_id=session_id,
            parent_id=order.parent_id,
            batch_id=order.batch_id,
            batch_index=order.batch_index,
            lane=order.lane,
            priority=0,
            until=order.until,
            request=request,
            image=image,
            status="starting",
            stage="queued",
            queued=False,
            attempt=0,
            last_seq=1,
            plan=dict(order.plan) if order.plan else None,
            regions=[dict(region) for region in order.regions],
            created_at=now(),
        )
        rows.add(edit)
        rows.flush()
        rows.add(Happening(edit_id=edit_id, seq=1, at=now(), type="accepted", data={}))
        rows.flush()
        return edit

    def _on_its_branch(self, rows: Rows, tenant: str, order: Order) -> Order:
        """Return a turn with what it works on: by default the session's last turn, also one that has not ended.

        Turns that were accepted before the head was moved do not count: what is said next is said of the head.
        """
        found = select(Session).where(Session.id == order.session_id, Session.tenant == tenant)
        session = rows.scalar(found.with_for_update())
        if session is None:
            raise NotFound(f"there is no session {order.session_id}", param="session_id")
        if order.parent_id is not None and rows.get(Edit, order.parent_id) is None:
            raise NotFound(f"there is no turn {order.parent_id} in this session", param="parent_id")
        if order.image is not None or order.parent_id is not None:
            return order
        unfinished = select(Edit.id).where(
            Edit.session_id == session.id,
            Edit.status.in_(UNFINISHED),
            Edit.created_at >= (session.moved_at or 0),
        )
        last = rows.scalar(unfinished.order_by(Edit.created_at.desc()).limit(1)) or session.head
        return replace(order, parent_id=last) if last else replace(order, image=session.image)


def repeat_key_of(chosen_id: str | None, repeat_key: str | None, fingerprint: str) -> str:
    """Return what a request is known by when it comes again."""
    if chosen_id:
        return f"id:{chosen_id}"
    return f"key:{repeat_key}" if repeat_key else f"{_AUTOMATIC}{fingerprint}"


def find_repeated(rows: Rows, tenant: str, key: str, fingerprint: str, hours: float) -> str | None:
    """Return the id of what an equal request made before, or raise `RepeatMismatch` where another did."""
    known = rows.get(Repeat, (tenant, key))
    if known is None:
        return None
    # Without a key of the client's, only its library's own repetitions count, which come soon.
    lasting = _RETRIED_HOURS if key.startswith(_AUTOMATIC) else hours
    unfinished = select(Edit.id).where(Edit.id == known.resource, Edit.status.in_(UNFINISHED))
    if now() - known.created_at > lasting * 3600 and rows.scalar(unfinished) is None:
        return None
    if known.fingerprint != fingerprint:
        raise RepeatMismatch("this idempotency key came with another request before", param="Idempotency-Key")
    return known.resource


def note_repeat(rows: Rows, tenant: str, key: str, fingerprint: str, resource: str) -> None:
    """Remember what a request made."""
    rows.merge(Repeat(tenant=tenant, key=key, fingerprint=fingerprint, resource=resource, created_at=now()))
