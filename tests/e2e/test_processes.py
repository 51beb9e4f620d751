"""The processes as they run: killed, stopped, started again, refused."""

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import time

import httpx
import pytest

from tests.e2e.crash_draw import BEFORE, STAGES, draw, follow, orphans
from tests.server import ROOT, cluster, png, wait_ended


def post(client, instruction, **headers):
    return client.post(
        "/v1/edits",
        files={"image": ("a.png", png(), "image/png")},
        data={"instruction": instruction},
        headers=headers,
    )


def test_no_crash_loses_or_doubles_an_edit(tmp_path):
    """A small draw; `python -m tests.e2e.crash_draw` makes the large one."""
    with cluster(tmp_path, "api", "worker") as made:
        rng = random.Random(7)
        for number, (role, stage) in enumerate([("worker", stage) for stage in STAGES] + [("api", "paint")]):
            assert draw(made, role, stage, rng, number) == "succeeded", (role, stage)
    assert orphans(tmp_path / "data") == 0


def test_another_worker_takes_over_from_one_that_never_comes_back(tmp_path):
    with cluster(tmp_path, "api", "worker") as made, made.client() as client:
        edit_id = post(client, "slow paint").json()["id"]
        follow(client, edit_id, BEFORE["paint"])
        # As if it ran on another machine: nobody here can see that its process has ended.
        with contextlib.closing(
            sqlite3.connect(tmp_path / "data" / "brushedit.sqlite", timeout=30)
        ) as database:
            database.execute("UPDATE workers SET host = 'elsewhere'")
            database.commit()
        made.processes[1].send_signal(signal.SIGKILL)
        began = time.monotonic()
        made.start("worker")
        assert wait_ended(client, edit_id)["status"] == "succeeded"
        assert time.monotonic() - began < 30
        told = client.get(f"/v1/edits/{edit_id}/events").text
        assert told.count("event: started") == 1
        assert told.count("event: located") == 1


def test_an_edit_that_kills_its_workers_fails_with_that_reason(tmp_path):
    with cluster(tmp_path, "serve", BRUSHEDIT_ATTEMPTS="1") as made, made.client() as client:
        edit = wait_ended(client, post(client, "poison paint").json()["id"], 60)
        assert (edit["status"], edit["error"]["code"]) == ("failed", "worker_lost")
        # `serve` has started the worker again, so the next edit is carried out.
        assert wait_ended(client, post(client, "harmless").json()["id"], 60)["status"] == "succeeded"


def test_sigterm_drains(tmp_path):
    with cluster(tmp_path, "api", "worker") as made:
        api, worker = made.processes
        with made.client() as client:
            edit_id = post(client, "slow paint").json()["id"]
            follow(client, edit_id, BEFORE["paint"])
            worker.send_signal(signal.SIGTERM)
            assert wait_ended(client, edit_id)["status"] == "succeeded"
            assert worker.wait(15) == 0
            # Without a worker the API still accepts, and says that it is not ready.
            assert client.get("/readyz").status_code == 503
            waiting = post(client, "later").json()["id"]
        api.send_signal(signal.SIGTERM)
        assert api.wait(15) == 0
        with pytest.raises(httpx.TransportError), made.client() as client:
            client.get("/healthz")
        made.start("api")
        made.start("worker")
        made.wait_up("/readyz")
        with made.client() as client:
            assert wait_ended(client, waiting)["status"] == "succeeded"


def test_what_outlives_a_graceful_stop_is_taken_over(tmp_path):
    with cluster(tmp_path, "api", "worker", BRUSHEDIT_DRAIN_SECONDS="1", STUB_SECONDS="1.5") as made:
        worker = made.processes[1]
        with made.client() as client:
            edit_id = post(client, "longer than the stop may take").json()["id"]
            follow(client, edit_id, BEFORE["paint"])
            worker.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 20
            while client.get("/readyz").json()["status"] != "no worker":
                assert time.monotonic() < deadline, made.logs()
                time.sleep(0.05)
            # It has struck itself off the list; whoever supervises it waits no longer.
            worker.kill()
            assert client.get(f"/v1/edits/{edit_id}").json()["status"] == "processing"
            made.start("worker", STUB_SECONDS="0")
            assert wait_ended(client, edit_id)["status"] == "succeeded"


def test_serve_stops_with_all_its_children(tmp_path):
    with cluster(tmp_path, "serve") as made:
        with made.client() as client:
            assert wait_ended(client, post(client, "x").json()["id"])["status"] == "succeeded"
        made.processes[0].send_signal(signal.SIGTERM)
        assert made.processes[0].wait(30) == 0
        children = subprocess.run(
            ["ps", "-eo", "ppid,args"], capture_output=True, text=True, check=True
        ).stdout
        assert str(made.folder) not in children


def test_serve_says_where_it_can_be_reached(tmp_path):
    with cluster(tmp_path, "serve") as made:
        address = f"http://127.0.0.1:{made.port}"
        assert f"{address} is the page, {address}/docs the API" in made.logs()


def test_canceling_leaves_no_fault_in_the_log(tmp_path):
    with cluster(tmp_path, "serve", STUB_SECONDS="0.3") as made, made.client() as client:
        for _ in range(2):
            edit_id = post(client, "slow paint").json()["id"]
            follow(client, edit_id, BEFORE["paint"])
            client.post(f"/v1/edits/{edit_id}/cancel")
            assert wait_ended(client, edit_id)["status"] == "canceled"
        assert wait_ended(client, post(client, "x").json()["id"])["status"] == "succeeded"
        assert "ERROR" not in made.logs()
        assert "WARNING" not in made.logs()


def test_a_full_queue_answers_429(tmp_path):
    with cluster(tmp_path, "api", BRUSHEDIT_TENANT_QUEUE_LIMIT="3") as made, made.client() as client:
        answers = [
            client.post(
                "/v1/edits",
                files={"image": ("a.png", png(seed=n), "image/png")},
                data={"instruction": "x"},
            )
            for n in range(5)
        ]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429, 429]
        assert answers[3].json()["error"]["code"] == "queue_full"
        assert 1 <= int(answers[3].headers["retry-after"]) <= 60
        client.post(f"/v1/edits/{answers[0].json()['id']}/cancel")
        assert post(client, "again").status_code == 202


def test_without_a_key_only_loopback_is_bound(tmp_path):
    code = "from app.commands.serve import api; from app.settings import Settings; api(Settings())"
    env = {
        "BRUSHEDIT_DATA": str(tmp_path),
        "BRUSHEDIT_HOST": "0.0.0.0",
        "BRUSHEDIT_PORT": "0",
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "brushedit keys create" in done.stderr


def test_an_edit_whose_workflow_ended_without_a_word_fails(tmp_path):
    with cluster(tmp_path, "api") as made, made.client() as client:
        edit_id = post(client, "x").json()["id"]
        with contextlib.closing(
            sqlite3.connect(tmp_path / "data" / "brushedit.sqlite", timeout=30)
        ) as database:
            database.execute(
                "UPDATE workflow_status SET status = 'ERROR' WHERE workflow_uuid = ?", (edit_id,)
            )
            database.commit()
        made.start("worker")
        edit = wait_ended(client, edit_id, 60)
        assert (edit["status"], edit["error"]["code"]) == ("failed", "worker_lost")
