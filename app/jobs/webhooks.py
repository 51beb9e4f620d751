"""Webhooks: the end of an edit or a batch told to an address, signed (Standard Webhooks), tried again for hours."""

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, final

from app import logs
from app.fetching import call
from app.jobs.queue import Queue, now
from app.links import webhook_secret
from app.settings import Settings
from app.store.records import Store
from app.store.tables import Batch, Edit
from app.views import batch_view
from brushedit.errors import EditError

logger = logging.getLogger(__name__)

TRIES: Final = 8
_FIRST_PAUSE: Final = 5.0
_GROWTH: Final = 4.0
NOT_DELIVERED: Final = "not delivered"


class NotDelivered(Exception):
    """The receiver did not answer with 2xx."""


@final
class Webhooks:
    """Sends webhooks. Each try is a workflow of its own, so that nothing is held while the next one is waited for."""

    def __init__(self, settings: Settings, store: Store, queue: Queue, secret: bytes) -> None:
        self._settings = settings
        self._store = store
        self._queue = queue
        self._secret = secret

    def deliver(self, letter: "Letter") -> str:
        """Send once; return what came of it."""
        try:
            return f"delivered with status {self.send(letter)}"
        except NotDelivered as error:
            logger.info("a webhook was not delivered this time: %s", error)
            return NOT_DELIVERED

    def go_on(self, letter: "Letter", tried: int) -> str:
        """Have a letter that was not delivered sent once more in a while, or give up."""
        if tried >= TRIES:
            # What it tells of is not touched by that.
            with logs.about(letter.request_id, letter.thing if letter.thing.startswith("edit_") else ""):
                logger.warning("a webhook was not delivered")
            return "given up"
        with self._store.database.write() as rows:
            self._queue.enqueue_chore(
                rows,
                "webhook_again",
                f"{letter.id}_{tried + 1}",
                asdict(letter),
                tried + 1,
                delay=_FIRST_PAUSE * _GROWTH ** (tried - 1),
            )
        return "tried again later"

    def send(self, letter: "Letter") -> int:
        """Send once; raise `NotDelivered` where another try is due."""
        body, at = json.dumps(letter.content, ensure_ascii=False).encode(), int(now())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "brushedit",
            "webhook-id": letter.id,
            "webhook-timestamp": str(at),
            "webhook-signature": sign(webhook_secret(self._secret, letter.tenant), letter.id, at, body),
        }
        try:
            reply = call(
                self._settings,
                self._settings.webhook_hosts,
                "POST",
                letter.address,
                body=body,
                headers=headers,
            )
        except EditError as error:
            raise NotDelivered(error.message) from error
        if not 200 <= reply.status < 300:
            raise NotDelivered(f"answered with {reply.status}")
        return reply.status

    def letter(self, thing: str, event: str) -> "Letter | None":
        """Return what tells of the end of an edit or a batch; None where that is removed."""
        with self._store.database.read() as rows:
            if thing.startswith("batch_"):
                batch = rows.get(Batch, thing)
                return None if batch is None else _of_batch(batch, batch_view(rows, batch), event)
            edit = rows.get(Edit, thing)
            return None if edit is None else _of_edit(edit, event)


@dataclass(frozen=True)
class Letter:
    """What is sent, and to whom; the same content and id at every try."""

    id: str
    thing: str
    tenant: str
    address: str
    content: Mapping[str, Any]
    request_id: str


def _of_edit(edit: Edit, event: str) -> Letter:
    """Pictures are not sent: the receiver fetches them with a key."""
    told = {
        "id": edit.id,
        "status": edit.status,
        "error": edit.error,
        "metadata": edit.request.get("metadata", {}),
        "url": f"/v1/edits/{edit.id}",
    }
    content = {"type": f"edit.{event}", "timestamp": edit.completed_at, "data": told}
    came = edit.request.get("origin", {}).get("request_id", "")
    return Letter(f"msg_{edit.id}_{event}", edit.id, edit.tenant, edit.request["webhook"], content, came)


def _of_batch(batch: Batch, view: Mapping[str, Any], event: str) -> Letter:
    told = {name: view[name] for name in ("id", "status", "errors", "request_counts", "metadata")}
    content = {
        "type": f"batch.{event}",
        "timestamp": batch.completed_at,
        "data": {**told, "url": f"/v1/batches/{batch.id}"},
    }
    name = f"msg_{batch.id}_{event}_{round((batch.completed_at or 0) * 1000)}"
    came = batch.details.get("origin", {}).get("request_id", "")
    return Letter(name, batch.id, batch.tenant, batch.details["webhook"], content, came)


def sign(secret: str, message_id: str, at: int, body: bytes) -> str:
    """Return the signature of a message under a ``whsec_`` secret (Standard Webhooks 1.0)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{at}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
