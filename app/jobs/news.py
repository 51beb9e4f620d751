"""News of edits for whoever follows them: one look at the database for all followers of a process."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import final

from anyio import CapacityLimiter, to_thread
from sqlalchemy import select

from app.settings import Settings
from app.store.database import Database
from app.store.tables import FINISHED, Edit

logger = logging.getLogger(__name__)

_CHUNK = 500
_PAUSE_SECONDS = 1.0


@final
class Subscription:
    """What one follower waits on."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.seq = 0
        self.finished = False


@final
class News:
    """Looks for news of followed edits every `progress_poll` seconds, and only while there are any.

    DBOS's own events and streams are polled by each reader, about once a second on SQLite; here one query serves
    all followers, on SQLite only when something has changed.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._poll = settings.progress_poll
        self._database = database
        self._followers: dict[str, set[Subscription]] = {}
        self._some = asyncio.Event()
        self._joined = False
        self.closing = asyncio.Event()
        # A thread of its own: news must not wait behind requests for one of the shared ones.
        self._limiter = CapacityLimiter(1)

    @asynccontextmanager
    async def follow(self, edit_id: str) -> AsyncGenerator[Subscription]:
        """Give a subscription to an edit's news."""
        subscription = Subscription()
        self._followers.setdefault(edit_id, set()).add(subscription)
        self._joined = True
        self._some.set()
        try:
            yield subscription
        finally:
            followers = self._followers[edit_id]
            followers.discard(subscription)
            if not followers:
                del self._followers[edit_id]

    async def wait_finished(self, edit_id: str, seconds: float) -> bool:
        """Wait until an edit has ended; return whether it has."""
        async with self.follow(edit_id) as subscription:
            try:
                async with asyncio.timeout(seconds):
                    while not subscription.finished and not self.closing.is_set():
                        subscription.changed.clear()
                        await subscription.changed.wait()
            except TimeoutError:
                pass
            return subscription.finished

    async def run(self) -> None:
        """Carry news until canceled."""
        seen = -1
        while True:
            if not self._followers:
                self._some.clear()
                await self._some.wait()
            joined, self._joined = self._joined, False
            try:
                version = await to_thread.run_sync(self._database.version, limiter=self._limiter)
                if joined or version != seen:
                    await self._look_after(list(self._followers))
                    seen = version
            except Exception:
                # Whatever the database says: without this task nobody would hear of anything again.
                logger.exception("no news could be read; they are looked for again")
                self._joined = True
                await asyncio.sleep(_PAUSE_SECONDS)
            await asyncio.sleep(self._poll)

    def close(self) -> None:
        """Wake every follower for the last time: the process is told to stop."""
        self.closing.set()
        for followers in self._followers.values():
            for subscription in followers:
                subscription.changed.set()

    async def _look_after(self, ids: list[str]) -> None:
        for start in range(0, len(ids), _CHUNK):
            some = ids[start : start + _CHUNK]
            for edit_id, seq, status in await to_thread.run_sync(self._look, some, limiter=self._limiter):
                self._tell(edit_id, seq, finished=status in FINISHED)

    def _look(self, ids: list[str]) -> list[tuple[str, int, str]]:
        with self._database.read() as rows:
            found = rows.execute(select(Edit.id, Edit.last_seq, Edit.status).where(Edit.id.in_(ids)))
            return [(edit_id, seq, status) for edit_id, seq, status in found]

    def _tell(self, edit_id: str, seq: int, *, finished: bool) -> None:
        for subscription in self._followers.get(edit_id, ()):
            if seq > subscription.seq or finished > subscription.finished:
                subscription.seq, subscription.finished = seq, finished
                subscription.changed.set()
