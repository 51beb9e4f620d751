"""`keys create`, `keys list` and `keys revoke`."""

from collections.abc import Generator
from contextlib import closing, contextmanager

from app.access import SCOPES, Keys
from app.refusals import InvalidRequest
from app.settings import Settings
from app.store.records import Store
from app.store.tables import Key


def create_key(
    settings: Settings,
    tenant: str,
    name: str = "",
    scopes: tuple[str, ...] = ("read", "edit"),
    rate_per_minute: int | None = None,
    queue_limit: int | None = None,
) -> tuple[str, str]:
    """Make a key; return its id and the key, which is shown this once and not kept.

    Raises
    ------
    InvalidRequest
        A tenant without a name, or an unknown scope.
    """
    if not tenant.strip():
        raise InvalidRequest("a key needs the name of its tenant", param="tenant")
    if unknown := set(scopes) - set(SCOPES):
        raise InvalidRequest(f"unknown scope {', '.join(sorted(unknown))}; there are {', '.join(SCOPES)}")
    with _keys(settings) as keys:
        return keys.create(tenant, name, scopes, rate_per_minute, queue_limit)


def list_keys(settings: Settings) -> list[Key]:
    """Return all keys, revoked ones included."""
    with _keys(settings) as keys:
        return keys.list()


def revoke_key(settings: Settings, key_id: str) -> None:
    """Make a key useless at once, also for streams that are open."""
    with _keys(settings) as keys:
        keys.revoke(key_id)


@contextmanager
def _keys(settings: Settings) -> Generator[Keys]:
    store = Store(settings)
    with closing(store.database):
        store.database.migrate()
        yield Keys(store.database)
