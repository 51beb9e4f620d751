"""The order in which edits are handed out, asked of the tables themselves; no worker runs."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.jobs.desk import Order
from app.jobs.stages import Stages
from app.refusals import QueueFull
from app.settings import Settings
from app.store.tables import Edit
from tests.server import png
from tests.stub_agent import StubAgent


@pytest.fixture
def settings(tmp_path):
    return Settings(data=tmp_path, queue_limit=60, tenant_queue_limit=50)


def accept(services, tenant, **fields):
    return services.desk.accept(tenant, Order(request={"instruction": "x", **fields}, image=png())).edit.id


def order(services):
    with services.store.database.read() as rows:
        return list(
            rows.execute(
                select(Edit.id, Edit.tenant)
                .where(Edit.status == "starting", Edit.queued)
                .order_by(Edit.priority, Edit.created_at)
            )
        )


def settle(services, edit_id):
    with services.store.database.read() as rows:
        attempt = rows.get_one(Edit, edit_id).attempt
    assert services.ledger.settle(edit_id, attempt, "succeeded")


def test_a_tenant_with_many_does_not_hold_up_another(services):
    for number in range(40):
        accept(services, "many", number=number)
    for edit_id, _ in order(services)[:10]:
        settle(services, edit_id)
    accept(services, "few")
    assert [tenant for _, tenant in order(services)][:2].count("few") == 1
    accept(services, "few", number=2)
    assert [tenant for _, tenant in order(services)][:4].count("few") == 2


def test_one_tenants_edits_keep_their_order(services):
    made = [accept(services, "one", number=number) for number in range(5)]
    assert [edit_id for edit_id, _ in order(services)] == made


def test_an_idle_tenant_saves_up_nothing(services):
    for number in range(20):
        settle(services, accept(services, "busy", number=number))
    for number in range(3):
        accept(services, "busy", number=100 + number)
        accept(services, "idle", number=number)
    assert [tenant for _, tenant in order(services)] == ["busy", "idle"] * 3


def test_position_counts_those_before(services):
    made = [accept(services, "one", number=number) for number in range(3)]
    with services.store.database.read() as rows:
        assert [services.queue.position(rows, rows.get_one(Edit, edit_id)) for edit_id in made] == [0, 1, 2]
    settle(services, made[0])
    with services.store.database.read() as rows:
        assert services.queue.position(rows, rows.get_one(Edit, made[2])) == 1
        assert services.queue.position(rows, rows.get_one(Edit, made[0])) is None


def test_the_queue_is_bounded_for_a_tenant_and_for_all(services):
    for number in range(50):
        accept(services, "one", number=number)
    with pytest.raises(QueueFull) as full:
        accept(services, "one", number=99)
    assert full.value.retry_after >= 1
    for number in range(10):
        accept(services, "two", number=number)
    with pytest.raises(QueueFull):
        accept(services, "three")


def test_only_one_settles(services):
    edit_id = accept(services, "one")
    settle(services, edit_id)
    assert not services.ledger.settle(edit_id, 0, "failed")
    assert [event.type for event in services.desk.events(edit_id, 0)] == ["accepted", "succeeded"]


def test_a_refused_order_leaves_nothing(services):
    for number in range(50):
        accept(services, "one", number=number)
    before = sum(1 for _ in services.store.blobs.ages())
    with pytest.raises(QueueFull):
        services.desk.accept("one", Order(request={"instruction": "y"}, image=png(seed=1234)))
    assert sum(1 for _ in services.store.blobs.ages()) == before


def test_a_database_that_is_away_is_asked_again_and_other_faults_end_the_edit(services):
    stages = Stages(services.settings, services.store, services.ledger, StubAgent(0))
    attempt = stages.begin(accept(services, "one"))

    def away(_):
        raise OperationalError("SELECT 1", {}, Exception("the database system is shutting down"))

    def broken(_):
        raise RuntimeError("a bug")

    with pytest.raises(OperationalError):
        stages.guarded(away, attempt)
    assert stages.guarded(stages.plan, attempt)
    assert not stages.guarded(broken, attempt)
    with services.store.database.read() as rows:
        assert rows.get_one(Edit, attempt.edit_id).error["code"] == "internal_error"
    assert stages.begin(attempt.edit_id) is None


def test_a_worker_that_was_taken_for_dead_is_turned_away(services):
    stages = Stages(services.settings, services.store, services.ledger, StubAgent(0))
    edit_id = accept(services, "one")
    first = stages.begin(edit_id)
    assert stages.guarded(stages.plan, first)
    second = stages.begin(edit_id)
    assert not stages.guarded(stages.locate, first)
    assert not services.ledger.settle(edit_id, first.number, "succeeded")
    assert all(
        stages.guarded(stage, second) for stage in (stages.plan, stages.locate, stages.paint, stages.finish)
    )
    kinds = [event.type for event in services.desk.events(edit_id, 0)]
    assert kinds.count("succeeded") == 1
    assert [
        event.data["attempt"] for event in services.desk.events(edit_id, 0) if event.type == "started"
    ] == [1, 2]
