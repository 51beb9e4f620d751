"""Whoever waits for an edit or follows it, in one process and without a worker."""

import asyncio

import pytest
from sqlalchemy.exc import OperationalError

from app.access import LOCAL_TENANT, SCOPES, Caller
from app.jobs.desk import Order
from app.streams import happenings
from tests.server import png

CALLER = Caller(LOCAL_TENANT, None, frozenset(SCOPES))


@pytest.fixture
def edit_id(services):
    return services.desk.accept(LOCAL_TENANT, Order(request={"instruction": "x"}, image=png())).edit.id


def test_a_look_that_failed_is_taken_again(services, edit_id, monkeypatch):
    # Nothing changes after the failure: only a look that is taken again can tell of the end.
    assert services.ledger.settle(edit_id, 0, "succeeded")
    working = services.news._look
    fails = [OperationalError("SELECT 1", {}, Exception("the database is locked"))]

    def look(ids):
        if fails:
            raise fails.pop()
        return working(ids)

    monkeypatch.setattr(services.news, "_look", look)

    async def wait():
        news = asyncio.create_task(services.news.run())
        ended = await services.news.wait_finished(edit_id, 20)
        news.cancel()
        return ended

    assert asyncio.run(wait())


@pytest.mark.parametrize("beyond", [0, 7])
def test_a_stream_resumed_after_the_last_event_ends(services, edit_id, beyond):
    assert services.ledger.settle(edit_id, 0, "succeeded")
    last = services.desk.events(edit_id, 0)[-1].seq

    async def follow(after):
        async with asyncio.timeout(20):
            return [one.type async for one in happenings(services, CALLER, edit_id, after)]

    assert asyncio.run(follow(last + beyond)) == []
    assert asyncio.run(follow(last - 1)) == ["succeeded"]
