"""Requests that come twice at the same time, on PostgreSQL, whose writers do not wait for each other of themselves."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.access import Caller
from app.bodies import Body, Upload
from app.jobs.desk import Order
from app.routes.batch_intake import take_in
from app.routes.files import add_file
from app.services import build_services
from app.settings import Settings
from app.store.records import new_id
from tests.postgresql import find_programs, postgresql
from tests.server import png

pytestmark = pytest.mark.skipif(find_programs() is None, reason="no PostgreSQL server is installed")


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    with postgresql(tmp_path_factory.mktemp("postgresql")) as url:
        made = build_services(Settings(data=tmp_path_factory.mktemp("data"), database_url=url))
        made.store.database.migrate()
        yield made
        made.queue.close()
        made.store.database.close()


def at_once(work):
    """Call `work` in four threads that begin together; return what came of them."""
    ready = threading.Barrier(4)

    def one(_number):
        ready.wait()
        return work()

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, range(4)))


@pytest.mark.parametrize("stored", [False, True], ids=["new picture", "stored picture"])
@pytest.mark.parametrize("name", ["repeat_key", "edit_id"])
def test_one_key_makes_one_edit(services, name, stored):
    order = Order(request={"instruction": name}, image=png(seed=len(name) + stored))
    if stored:
        services.desk.accept("another", order)
    chosen = {name: new_id("edit")}
    tickets = at_once(lambda: services.desk.accept("somebody", order, **chosen))
    assert len({ticket.edit.id for ticket in tickets}) == 1
    assert sorted(ticket.repeated for ticket in tickets) == [False, True, True, True]


def test_equal_edits_without_a_key_are_each_accepted(services):
    order = Order(request={"instruction": "x"}, image=png(seed=7))
    tickets = at_once(lambda: services.desk.accept("somebody", order))
    assert len({ticket.edit.id for ticket in tickets}) == 4


def test_one_key_makes_one_batch(services):
    line = {"custom_id": "a", "method": "POST", "url": "/v1/edits", "body": {}}
    caller = Caller("somebody", None, frozenset())
    with services.store.database.write() as rows:
        upload = Upload("lines.jsonl", json.dumps(line).encode(), "application/jsonl")
        file = add_file(services, rows, "somebody", upload, "batch")
    body = Body({"input_file_id": file.id, "endpoint": "/v1/edits"}, {})
    taken = at_once(lambda: take_in(services, caller, body, "k", retried=False))
    assert len({batch.id for batch, _ in taken}) == 1
    assert sorted(repeated for _, repeated in taken) == [False, True, True, True]
