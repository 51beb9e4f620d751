"""The same promises on PostgreSQL, with two workers."""

import itertools
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from app.access import LOCAL_TENANT, SCOPES, Caller
from app.jobs.desk import Order
from app.routes.batches import cancel_batch
from app.services import build_services
from app.settings import Settings
from app.store.records import new_id
from app.store.tables import Batch, Edit
from tests.e2e.crash_draw import draw, orphans
from tests.postgresql import find_programs, postgresql
from tests.server import cluster, png, wait_ended

pytestmark = pytest.mark.skipif(find_programs() is None, reason="no PostgreSQL server is installed")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with postgresql(tmp_path_factory.mktemp("postgresql")) as url:
        yield url


def test_edits_sessions_and_crashes(tmp_path, database):
    with cluster(tmp_path, "api", "worker", "worker", DATABASE_URL=database) as made:
        rng = random.Random(3)
        assert draw(made, "worker", "paint", rng, 1) == "succeeded"
        with made.client() as client:
            session = client.post("/v1/sessions", files={"image": ("a.png", png(), "image/png")}).json()
            turns = [
                client.post(
                    f"/v1/sessions/{session['id']}/turns", json={"instruction": f"slow plan {n}"}
                ).json()
                for n in range(3)
            ]
            ended = [wait_ended(client, turn["id"]) for turn in turns]
            assert [edit["status"] for edit in ended] == ["succeeded"] * 3
            for before, after in itertools.pairwise(ended):
                assert after["parent_id"] == before["id"]
                assert after["started_at"] >= before["completed_at"]
            deadline = time.monotonic() + 60
            while client.get("/readyz").json()["workers"] < 2:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            apart = [
                client.post(
                    "/v1/edits",
                    files={"image": ("a.png", png(), "image/png")},
                    data={"instruction": f"slow paint {n}"},
                ).json()["id"]
                for n in range(4)
            ]
            spans = sorted(
                (edit["started_at"], edit["completed_at"]) for edit in (wait_ended(client, i) for i in apart)
            )
            # Two workers, two at a time.
            assert any(second[0] < first[1] for first, second in itertools.pairwise(spans))
            assert client.delete(f"/v1/sessions/{session['id']}").status_code == 204
    assert orphans(tmp_path / "data", database_url=database) == 0


def test_canceling_a_batch_and_the_end_of_an_item_do_not_wait_for_each_other(tmp_path, database):
    services = build_services(Settings(data=tmp_path, database_url=database))
    services.store.database.migrate()
    caller = Caller(LOCAL_TENANT, None, frozenset(SCOPES))
    with services.store.database.write() as rows:
        batch = Batch(id=new_id("batch"), tenant=caller.tenant, status="in_progress", endpoint="/v1/edits")
        batch.completion_window, batch.details, batch.errors, batch.created_at = "24h", {}, [], 0.0
        rows.add(batch)
        order = Order({"instruction": "x"}, image=png(), batch_id=batch.id, batch_index=0)
        first, other = (services.desk.insert(rows, caller.tenant, order) for _ in range(2))
    with ThreadPoolExecutor(1) as threads:
        with services.store.database.write() as rows:
            # A worker has changed its edit, and asks for the batch next.
            services.ledger.note_in(rows, first.id, 0, "stage", {})
            canceling = threads.submit(cancel_batch, services, caller, batch.id)
            # Until the other waits for this edit, with whatever it holds by then.
            waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            while not rows.scalar(waiting):
                time.sleep(0.05)
            services.ledger.settle_in(rows, first.id, 0, "succeeded")
        assert canceling.result()["status"] == "cancelled"
    with services.store.database.read() as rows:
        ends = [rows.get_one(Edit, edit.id).status for edit in (first, other)]
    assert ends == ["succeeded", "canceled"]
    services.queue.close()
    services.store.database.close()
