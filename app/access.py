"""Who is calling: API keys, tenants, scopes and rates; and which hosts and origins may call at all."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, final
from urllib.parse import urlsplit

from fastapi import Depends, Request
from sqlalchemy import select

from app.jobs.queue import now
from app.refusals import ForeignOrigin, NotFound, ScopeMissing, TooMany, Unauthorized
from app.settings import Settings
from app.store.database import Database
from app.store.records import new_id
from app.store.tables import Key

SCOPES: Final = ("read", "edit", "metrics")
LOCAL_TENANT: Final = "local"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PREFIX: Final = "be-"


@dataclass(frozen=True)
class Caller:
    """Who makes a request.

    Attributes
    ----------
    key_id : str or None
        None where no key exists yet and only this machine can reach the server.
    """

    tenant: str
    key_id: str | None
    scopes: frozenset[str]
    rate_per_minute: int | None = None
    queue_limit: int | None = None


def key_digest(key: str) -> str:
    """Return what is stored of a key. Keys have 256 random bits, so a plain hash cannot be guessed back."""
    return hashlib.sha256(key.encode()).hexdigest()


@final
class Keys:
    """API keys in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        tenant: str,
        name: str = "",
        scopes: tuple[str, ...] = ("read", "edit"),
        rate_per_minute: int | None = None,
        queue_limit: int | None = None,
    ) -> tuple[str, str]:
        """Make a key; return its id and the key itself, which is not kept."""
        key, key_id = _PREFIX + secrets.token_urlsafe(32), new_id("key")
        with self._database.write() as rows:
            rows.add(
                Key(
                    id=key_id,
                    tenant=tenant,
                    name=name,
                    digest=key_digest(key),
                    scopes=list(scopes),
                    rate_per_minute=rate_per_minute,
                    queue_limit=queue_limit,
                    created_at=now(),
                )
            )
        return key_id, key

    def list(self) -> list[Key]:
        """Return all keys, revoked ones included."""
        with self._database.read() as rows:
            return list(rows.scalars(select(Key).order_by(Key.created_at)))

    def revoke(self, key_id: str) -> None:
        """Make a key useless at once."""
        with self._database.write() as rows:
            key = rows.get(Key, key_id)
            if key is None:
                raise NotFound(f"there is no key {key_id}")
            key.revoked_at = key.revoked_at or now()

    def any(self) -> bool:
        """Tell whether a key was ever made."""
        with self._database.read() as rows:
            return rows.scalar(select(Key.id).limit(1)) is not None

    def find(self, key: str) -> Caller | None:
        """Return who a key belongs to, or None where it is unknown or revoked."""
        with self._database.read() as rows:
            row = rows.scalar(select(Key).where(Key.digest == key_digest(key), Key.revoked_at.is_(None)))
        if row is None:
            return None
        return Caller(row.tenant, row.id, frozenset(row.scopes), row.rate_per_minute, row.queue_limit)

    def still_valid(self, caller: Caller) -> bool:
        """Tell whether a caller's key has not been revoked since."""
        if caller.key_id is None:
            return not self.any()
        with self._database.read() as rows:
            return (
                rows.scalar(select(Key.id).where(Key.id == caller.key_id, Key.revoked_at.is_(None)))
                is not None
            )


@final
class Rates:
    """Requests per minute and key, as token buckets in this process's memory."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, caller: Caller) -> tuple[int, int]:
        """Count a request; return the limit and what is left of it.

        Raises
        ------
        TooMany
            Nothing is left.
        """
        limit = caller.rate_per_minute or self._per_minute
        name, at = caller.key_id or caller.tenant, self._clock()
        left, since = self._buckets.get(name, (float(limit), at))
        left = min(float(limit), left + (at - since) * limit / 60)
        if left < 1:
            self._buckets[name] = (left, at)
            raise TooMany("too many requests a minute with this key", retry_after=(1 - left) * 60 / limit)
        self._buckets[name] = (left - 1, at)
        return limit, int(left - 1)


def require_origin(request: Request, settings: Settings) -> None:
    """Raise `ForeignOrigin` for a name that is not the server's, or a change asked for by another web page.

    A page a person visits can send requests to servers on their own machine; it cannot choose the Host and
    Origin headers those carry.
    """
    host = _host_name(request.headers.get("host", ""))
    known = {settings.host, *settings.allowed_hosts}
    if settings.loopback:
        known |= {"localhost", "127.0.0.1", "::1"}
    if (settings.loopback or settings.allowed_hosts) and host not in known:
        raise ForeignOrigin(f"this server does not go by the name {host!r}")
    origin = request.headers.get("origin")
    if request.method in _SAFE or origin is None or origin in settings.cors_origins:
        return
    if urlsplit(origin).netloc != request.headers.get("host", ""):
        raise ForeignOrigin("a page of another origin may not change anything here")


def _host_name(host: str) -> str:
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def identify(request: Request) -> Caller:
    """Return who is calling, from the Authorization header, or raise `Unauthorized`."""
    services = request.app.state.services
    require_origin(request, services.settings)
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if key and scheme.lower() == "bearer" and (caller := services.keys.find(key.strip())):
        pass
    elif services.settings.loopback and not services.keys.any():
        caller = Caller(LOCAL_TENANT, None, frozenset(SCOPES))
    else:
        raise Unauthorized("a valid API key is needed: Authorization: Bearer …")
    request.state.rate = services.rates.take(caller)
    request.state.caller = caller
    return caller


def require_scope(caller: Caller, scope: str) -> None:
    """Raise `ScopeMissing` where a caller's key may not do something."""
    if scope not in caller.scopes:
        raise ScopeMissing(f"this key may not do that: it lacks the scope {scope!r}")


def needs(scope: str) -> Callable[..., Caller]:
    """Return a dependency that lets callers with a scope through."""

    def check(caller: Annotated[Caller, Depends(identify)]) -> Caller:
        require_scope(caller, scope)
        return caller

    return check


Reader = Annotated[Caller, Depends(needs("read"))]
Writer = Annotated[Caller, Depends(needs("edit"))]
