"""What a worker tells of itself, and what it does beside the edits; no workflow runs."""

import threading
import time

from sqlalchemy import delete, select

from app.store.tables import Worker
from app.worker import WorkerProcess


def test_a_worker_that_was_struck_off_the_list_is_on_it_again(services):
    def listed():
        with services.store.database.read() as rows:
            return [(worker.id, worker.state) for worker in rows.scalars(select(Worker))]

    worker = WorkerProcess(services.settings)
    worker._announce(services.store, "ready")
    before = listed()
    heart = threading.Thread(target=worker._beat, args=(services.store,), daemon=True)
    heart.start()
    with services.store.database.write() as rows:
        rows.execute(delete(Worker))
    deadline = time.monotonic() + 20
    while not listed():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    worker._gone.set()
    heart.join()
    assert listed() == before
