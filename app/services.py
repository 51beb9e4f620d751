"""What the routes of one API process share."""

from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request

from app.access import Keys, Rates
from app.jobs.desk import Desk
from app.jobs.ledger import Ledger
from app.jobs.news import News
from app.jobs.queue import Queue
from app.links import read_secret
from app.metrics import Metrics
from app.settings import Settings
from app.store.records import Store


@dataclass(frozen=True)
class Services:
    """One of each.

    Attributes
    ----------
    decoders : CapacityLimiter
        Bounds how many pictures are decoded at once, and so the memory of the process.
    secret : bytes
        Signs links and webhooks.
    """

    settings: Settings
    store: Store
    queue: Queue
    ledger: Ledger
    desk: Desk
    news: News
    keys: Keys
    rates: Rates
    decoders: CapacityLimiter
    secret: bytes
    metrics: Metrics


def build_services(settings: Settings, *, waits_for_disk: bool = True) -> Services:
    """Connect everything; nothing is asked of the database yet. See `Database` for `waits_for_disk`."""
    store = Store(settings, waits_for_disk=waits_for_disk)
    queue = Queue(settings, store.database)
    ledger = Ledger(store, queue)
    return Services(
        settings=settings,
        store=store,
        queue=queue,
        ledger=ledger,
        desk=Desk(settings, store, queue, ledger),
        news=News(settings, store.database),
        keys=Keys(store.database),
        rates=Rates(settings.rate_per_minute),
        decoders=CapacityLimiter(2),
        secret=read_secret(settings),
        metrics=Metrics(store.database),
    )


def services_of(request: Request) -> Services:
    """Return the services of the application a request came to."""
    return request.app.state.services


Shared = Annotated[Services, Depends(services_of)]
