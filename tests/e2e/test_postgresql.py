"""The same promises on PostgreSQL, with two workers."""

import itertools
import random
import time

import pytest

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
