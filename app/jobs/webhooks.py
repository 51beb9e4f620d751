"""Webhooks: the end of an edit told to an address, signed as Standard Webhooks says, tried again for hours."""

import base64
import hashlib
import hmac
import json
import logging
from typing import Any, Final, final

from dbos import DBOS, StepOptions

from app import logs
from app.fetching import call
from app.jobs.queue import now
from app.links import webhook_secret
from app.settings import Settings
from app.store.records import Store
from app.store.tables import Edit
from brushedit.errors import EditError

logger = logging.getLogger(__name__)

TRIES: Final = 8
_FIRST_PAUSE: Final = 5.0
_GROWTH: Final = 4.0


class NotDelivered(Exception):
    """The receiver did not answer with 2xx."""


@final
class Webhooks:
    """Sends webhooks; each is a workflow of its own, so a restart goes on where it was."""

    def __init__(self, settings: Settings, store: Store, secret: bytes) -> None:
        self._settings = settings
        self._store = store
        self._secret = secret

    def deliver(self, edit_id: str) -> str:
        """Tell an edit's address that it has ended; runs as a workflow."""
        with self._store.database.read() as rows:
            edit = rows.get(Edit, edit_id)
        if edit is None:
            return "removed"
        options: StepOptions = {
            "name": "send",
            "retries_allowed": True,
            "max_attempts": TRIES,
            "interval_seconds": _FIRST_PAUSE,
            "backoff_rate": _GROWTH,
        }
        try:
            return f"delivered with status {DBOS.run_step(options, self.send, edit)}"
        except Exception:
            # Given up after all tries: the edit itself is not touched by that.
            with logs.about(edit.request.get("origin", {}).get("request_id", ""), edit_id):
                logger.warning("a webhook was not delivered")
            return "given up"

    def send(self, edit: Edit) -> int:
        """Send once; raise `NotDelivered` where another try is due."""
        body = json.dumps(webhook_body(edit), ensure_ascii=False).encode()
        message_id, at = f"msg_{edit.id}_completed", int(now())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "brushedit",
            "webhook-id": message_id,
            "webhook-timestamp": str(at),
            "webhook-signature": sign(webhook_secret(self._secret, edit.tenant), message_id, at, body),
        }
        try:
            reply = call(
                self._settings,
                self._settings.webhook_hosts,
                "POST",
                edit.request["webhook"],
                body=body,
                headers=headers,
            )
        except EditError as error:
            raise NotDelivered(error.message) from error
        if not 200 <= reply.status < 300:
            raise NotDelivered(f"answered with {reply.status}")
        return reply.status


def webhook_body(edit: Edit) -> dict[str, Any]:
    """Return what a receiver is told; pictures are fetched with a key."""
    return {
        "type": "edit.completed",
        "timestamp": edit.completed_at,
        "data": {
            "id": edit.id,
            "status": edit.status,
            "error": edit.error,
            "metadata": edit.request.get("metadata", {}),
            "url": f"/v1/edits/{edit.id}",
        },
    }


def sign(secret: str, message_id: str, at: int, body: bytes) -> str:
    """Return the signature of a message under a ``whsec_`` secret (Standard Webhooks 1.0)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{at}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
