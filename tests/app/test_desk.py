"""What the desk accepts, joins and removes; no worker runs, and an edit ends when the test says so."""

import pytest
from sqlalchemy import update

from app.jobs.desk import Order
from app.services import build_services
from app.settings import Settings
from app.store.tables import Edit, Repeat
from tests.server import png


@pytest.fixture
def services(tmp_path):
    made = build_services(Settings(data=tmp_path))
    made.store.database.migrate()
    yield made
    made.queue.close()
    made.store.database.close()


def settle(services, edit_id):
    with services.store.database.read() as rows:
        attempt = rows.get_one(Edit, edit_id).attempt
    assert services.ledger.settle(edit_id, attempt, "succeeded")


def let_pass(services, seconds):
    with services.store.database.write() as rows:
        rows.execute(update(Repeat).values(created_at=Repeat.created_at - seconds))


def test_a_library_joins_an_edit_however_long_it_takes(services):
    order = Order(request={"instruction": "x"}, image=png())
    edit_id = services.desk.accept("one", order).edit.id

    def again():
        return services.desk.accept("one", order, retried=True)

    let_pass(services, 3600)
    assert again().edit.id == edit_id
    let_pass(services, 600)
    settle(services, edit_id)
    # It ended while the library was about to ask once more.
    assert again().edit.id == edit_id
    let_pass(services, 600)
    assert again().edit.id == edit_id
    let_pass(services, 1000)
    assert not again().repeated
