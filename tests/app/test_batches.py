import hashlib
import io
import itertools
import json
import time
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from app.jobs import wire
from app.jobs.archives import edited_name
from app.jobs.batches import Batches
from app.jobs.desk import Order
from app.main import create_app
from app.routes.files import PURPOSES
from app.settings import Settings
from app.store.records import Store
from app.store.retention import sweep
from app.store.tables import Batch, Edit
from tests.server import cluster, pixels, png


def created(client, instructions, **fields):
    images = [("image", (f"{n}.png", png(seed=n), "image/png")) for n in range(len(instructions))]
    response = client.post(
        "/v1/batches", files=images, data={"instruction": json.dumps(instructions), **fields}
    )
    assert response.status_code == 200, response.text
    return response.json()


def until(client, batch, *statuses):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        batch = client.get(f"/v1/batches/{batch['id']}").json()
        if batch["status"] in statuses:
            return batch
        time.sleep(0.05)
    raise TimeoutError(batch)


def lines(client, batch):
    return [json.loads(line) for line in client.get(f"/v1/batches/{batch['id']}/results").text.splitlines()]


def test_a_form_of_pictures_with_one_instruction_each(client):
    batch = until(client, created(client, ["a", "missing", "c"]), "completed")
    assert batch["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    told = lines(client, batch)
    assert [line["custom_id"] for line in told] == ["0.png", "1.png", "2.png"]
    assert [line["response"]["status_code"] for line in told] == [200, 422, 200]
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/v1/batches/{batch['id']}/results.zip").content))
    assert archive.namelist() == ["0-edited.png", "2-edited.png"]
    assert (pixels(archive.read("2-edited.png"))[0] == pixels(png(seed=2))[0]).all()


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("photo.JPG", "photo-edited.png"),
        ("v1.5 of it", "v1.5 of it-edited.png"),
        ("../../etc/passwd", "passwd-edited.png"),
        ("C:\\Users\\me\\Köln.webp", "Köln-edited.png"),
        ("a<b>:c\n\u202egnp.png", "a_b__c__gnp-edited.png"),
        (".. ", "picture-edited.png"),
        ("", "picture-edited.png"),
    ],
)
def test_results_are_called_after_what_was_sent(asked, name):
    assert edited_name(asked, "png", {}) == name


@given(st.lists(st.text(max_size=12) | st.sampled_from(["a.png", "A.jpg", "a-edited-2", "a"])))
def test_names_in_a_zip_are_safe_and_differ(asked):
    taken = {}
    names = [edited_name(one, "png", taken) for one in asked]
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert name.isprintable()
        assert not set(name) & set('<>:"/\\|?*')
        assert name[0] not in " ."
        assert name.endswith(".png")


def test_one_instruction_for_all(client):
    images = [("image", (f"{n}.png", png(seed=n), "image/png")) for n in range(2)]
    batch = client.post("/v1/batches", files=images, data={"instruction": "the same"}).json()
    assert until(client, batch, "completed")["request_counts"]["completed"] == 2


def test_pause_resume_and_partial_results(client):
    batch = created(client, [f"slow paint {n}" for n in range(8)])
    batch = until(client, batch, "in_progress")
    assert client.post(f"/v1/batches/{batch['id']}/pause").json()["status"] == "paused"
    time.sleep(5)
    counts = client.get(f"/v1/batches/{batch['id']}").json()["request_counts"]
    assert counts["completed"] <= 5
    assert len(lines(client, batch)) == counts["completed"]
    assert client.post(f"/v1/batches/{batch['id']}/cancel").json()["status"] in ("cancelling", "cancelled")
    batch = until(client, batch, "cancelled")
    assert batch["request_counts"]["completed"] + batch["request_counts"]["failed"] == 8
    assert client.post(f"/v1/batches/{batch['id']}/pause").status_code == 409


def test_retry_what_failed(client):
    batch = until(client, created(client, ["a", "missing"]), "completed")
    again = client.post(f"/v1/batches/{batch['id']}/retry").json()
    assert again["status"] == "in_progress"
    batch = until(client, batch, "completed")
    assert batch["request_counts"] == {"total": 2, "completed": 1, "failed": 1}


def test_interactive_edits_go_before_batch_items(client):
    batch = until(client, created(client, [f"slow paint {n}" for n in range(6)]), "in_progress")
    response = client.post(
        "/v1/edits",
        files={"image": ("a.png", png(), "image/png")},
        data={"instruction": "now"},
        headers={"Prefer": "wait=20"},
    )
    assert response.json()["status"] == "succeeded"
    left = client.get(f"/v1/batches/{batch['id']}").json()["request_counts"]
    assert left["completed"] < 5
    client.post(f"/v1/batches/{batch['id']}/cancel")


def test_inputs_that_make_no_batch(client):
    empty = client.post("/v1/files", files={"file": ("a.jsonl", b"\n\n")}, data={"purpose": "batch"}).json()
    batch = client.post("/v1/batches", json={"input_file_id": empty["id"], "endpoint": "/v1/edits"}).json()
    batch = until(client, batch, "failed")
    assert "no lines" in batch["errors"]["data"][0]["message"]
    missing = client.post("/v1/batches", json={"input_file_id": "file_" + "0" * 32, "endpoint": "/v1/edits"})
    assert missing.status_code == 404
    assert client.post("/v1/batches", json={"input_file_id": "x", "endpoint": "/v1/chat"}).status_code == 400


@pytest.mark.parametrize(
    "said",
    [
        {"bogus": "1"},
        {"options": '{"bogus": 1}'},
        {"options": '{"steps": 0}'},
        {"options": "[]"},
        {"plan": '{"steps": 1}'},
        {"instruction": '["x", ""]'},
    ],
)
def test_a_form_is_refused_for_what_an_edit_is_refused_for(said, alone):
    client, _ = alone
    images = [("image", (f"{n}.png", png(seed=n), "image/png")) for n in range(2)]
    asked = {"instruction": "x", **said}
    answers = [client.post("/v1/batches", files=images, data=asked)]
    if "instruction" not in said:
        answers.append(client.post("/v1/edits", files=images[:1], data=asked))
    assert {answer.status_code for answer in answers} == {400}
    assert len({answer.text for answer in answers}) == 1
    assert client.get("/v1/batches").json()["data"] == client.get("/v1/files").json()["data"] == []


def test_a_form_takes_options_as_fields_like_an_edit(alone):
    client, services = alone
    batch = created(client, ["a", "b"], steps="3", options='{"guidance": 2}', output_quality="80")
    asked = []

    def prepare(_tenant, _endpoint, body):
        asked.append((body["instruction"], body["options"], body["output_quality"]))
        return Order(request={"instruction": "x"}, image=png())

    assert expand(services, batch["id"], prepare) == "expanded"
    options = {"guidance": 2, "steps": "3"}
    assert asked == [("a", options, 80), ("b", options, 80)]


def test_pictures_of_one_name_go_by_different_ones(alone):
    client, services = alone
    names = ["a.png", "a.png", "a 2.png", "a.png"]
    images = [("image", (name, png(seed=n), "image/png")) for n, name in enumerate(names)]
    batch = client.post("/v1/batches", files=images, data={"instruction": "x"}).json()
    assert expand(services, batch["id"]) == "expanded"
    told = items(services, batch["id"])
    assert [edit.request["custom_id"] for edit in told] == ["a.png", "a 2.png", "a 2 2.png", "a 3.png"]
    assert {edit.status for edit in told} == {"starting"}


@pytest.mark.parametrize("purpose", [purpose for purpose in PURPOSES if purpose != "batch"])
def test_a_file_for_something_else_makes_no_batch(purpose, alone):
    client, _ = alone
    file = client.post("/v1/files", files={"file": ("a.jsonl", b"{}")}, data={"purpose": purpose}).json()
    asked = {"input_file_id": file["id"], "endpoint": "/v1/edits"}
    refused = client.post("/v1/batches", json=asked)
    assert refused.status_code == 400
    assert repr(purpose) in refused.json()["error"]["message"]
    assert refused.json()["error"]["param"] == "input_file_id"


def test_what_a_batch_made_is_no_input_of_another(alone):
    client, _ = alone
    sent(client, [{}])
    for file in client.get("/v1/files?purpose=batch_output").json()["data"]:
        refused = client.post("/v1/batches", json={"input_file_id": file["id"], "endpoint": "/v1/edits"})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input_file_id")


def test_delete_leaves_nothing_that_nothing_else_needs(tmp_path):
    with cluster(tmp_path, "api", "worker") as made, made.client() as client:
        keep = client.post("/v1/files", files={"file": ("k", png(seed=1))}, data={"purpose": "vision"}).json()
        slow = created(client, ["slow paint", "a", "missing"])
        assert client.delete(f"/v1/batches/{slow['id']}").status_code == 409
        batch = until(client, slow, "completed")
        edits = [line["response"]["request_id"] for line in lines(client, batch)]
        assert client.delete(f"/v1/batches/{batch['id']}").status_code == 204
        for path in (
            f"/v1/batches/{batch['id']}",
            f"/v1/edits/{edits[0]}",
            f"/v1/files/{batch['output_file_id']}",
        ):
            assert client.get(path).status_code == 404
        assert client.delete(f"/v1/batches/{batch['id']}").status_code == 404
        # One picture of the form had been uploaded before; all else came and went with the batch.
        assert client.get(f"/v1/files/{keep['id']}/content").content == png(seed=1)
        assert [file["id"] for file in client.get("/v1/files").json()["data"]] == [keep["id"]]
    store = Store(Settings(data=tmp_path / "data"))
    assert [digest for digest, _ in store.blobs.ages()] == [hashlib.sha256(png(seed=1)).hexdigest()]
    with store.database.read() as rows:
        left = rows.scalars(text("SELECT workflow_uuid FROM workflow_status")).all()
    store.database.close()
    assert left == []


def test_old_batches_go_of_themselves(tmp_path):
    settings = Settings(data=tmp_path, retention_days=1)
    app = create_app(settings)
    services = app.state.services
    with TestClient(app, base_url="http://127.0.0.1:8008") as client:
        batch, young = created(client, ["a"]), created(client, ["b"])
        with services.store.database.write() as rows:
            for made, age in ((batch, 2), (young, 0.5)):
                services.ledger.end_batch(rows, rows.get(Batch, made["id"]), "completed")
                rows.get(Batch, made["id"]).completed_at -= age * 86400
        sweep(settings, services.store)
        assert client.get(f"/v1/batches/{batch['id']}").status_code == 404
        assert client.get(f"/v1/batches/{young['id']}").status_code == 200


def test_a_batch_that_is_asked_for_twice_is_one(client):
    picture = [("image", ("a.png", png(seed=40), "image/png"))]
    for headers in ({"Idempotency-Key": "batch-1"}, {"X-Stainless-Retry-Count": "1"}):
        said = {"instruction": f"twice {headers}"}
        if "Idempotency-Key" not in headers:
            client.post("/v1/batches", files=picture, data=said)
        first = client.post("/v1/batches", files=picture, data=said, headers=headers)
        again = client.post("/v1/batches", files=picture, data=said, headers=headers)
        assert first.json()["id"] == again.json()["id"]
        assert again.headers["idempotency-replayed"] == "true"
    other = client.post(
        "/v1/batches", files=picture, data={"instruction": "another"}, headers={"Idempotency-Key": "batch-1"}
    )
    assert other.status_code == 422
    assert other.json()["error"]["code"] == "idempotency_mismatch"
    # Whoever sends the same form twice without saying that it is a repetition wants two batches.
    assert created(client, ["same"])["id"] != created(client, ["same"])["id"]


PLAN = {"steps": [{"kind": "local", "target": "thing", "caption": "a thing"}]}


@pytest.fixture
def alone(tmp_path):
    """An API whose batches are expanded only when a test does it; no worker runs."""
    app = create_app(Settings(data=tmp_path, rate_per_minute=1_000_000))
    with TestClient(app, base_url="http://127.0.0.1:8008") as client:
        yield client, app.state.services


def sent(client, bodies):
    return sent_as(
        client, "\n".join(json.dumps({"custom_id": f"{n}", "body": body}) for n, body in enumerate(bodies))
    )


def sent_as(client, content):
    file = client.post("/v1/files", files={"file": ("a.jsonl", content)}, data={"purpose": "batch"}).json()
    asked = {"input_file_id": file["id"], "endpoint": "/v1/edits"}
    return client.post("/v1/batches", json=asked).json()["id"]


def expand(services, batch_id, prepare=lambda *_: Order(request={"instruction": "x"}, image=png())):
    batches = Batches(services.store, services.queue, services.ledger, services.desk, prepare, 50_000)
    return batches.expand(batch_id)


def items(services, batch_id):
    with services.store.database.read() as rows:
        return rows.scalars(select(Edit).where(Edit.batch_id == batch_id).order_by(Edit.batch_index)).all()


def test_a_line_the_service_fails_on_is_an_item_that_failed(alone):
    client, services = alone

    def prepare(_tenant, _endpoint, body):
        if "odd" in body:
            raise ValueError("string argument should contain only ASCII characters")
        return Order(request={"instruction": "x"}, image=png())

    batch_id = sent(client, [{}, {"odd": 1}, {}])
    assert expand(services, batch_id, prepare) == "expanded"
    assert [edit.status for edit in items(services, batch_id)] == ["starting", "failed", "starting"]
    assert items(services, batch_id)[1].error["code"] == "internal_error"


@pytest.mark.parametrize(
    ("line", "custom_id", "said"),
    [
        ("not json", "line 5", "JSON"),
        ('{"body": {}}', "line 5", "custom_id"),
        ('{"custom_id": "c"}', "c", "required"),
        ('{"custom_id": "c", "body": {}, "method": "GET"}', "c", "method: Input should be 'POST'"),
        ('{"custom_id": "c", "body": {}, "url": "/v1/files"}', "c", "/v1/files"),
        ('{"custom_id": "b", "body": {}}', "b", "line 3 has the same custom_id"),
    ],
)
def test_a_wrong_line_fails_by_its_name_or_its_number_in_the_file(line, custom_id, said, alone):
    client, services = alone
    good = ['{"custom_id": "a", "body": {}}', "", '{"custom_id": "b", "body": {}, "method": "POST"}', " "]
    batch_id = sent_as(client, "\n".join([*good, line]))
    assert expand(services, batch_id) == "expanded"
    told = items(services, batch_id)
    assert [edit.request["custom_id"] for edit in told] == ["a", "b", custom_id]
    assert [edit.status for edit in told] == ["starting", "starting", "failed"]
    assert said in told[2].error["message"]


def test_a_name_that_came_before_a_crash_is_known_after_it(alone):
    client, services = alone
    names = [*range(21), 0]
    batch_id = sent_as(client, "\n".join(json.dumps({"custom_id": f"{name}", "body": {}}) for name in names))

    def cut_short(*_):
        if items(services, batch_id):
            raise OperationalError("SELECT 1", {}, Exception("the database system is shutting down"))
        return Order(request={"instruction": "x"}, image=png())

    with pytest.raises(OperationalError):
        expand(services, batch_id, cut_short)
    assert len(items(services, batch_id)) == 20
    assert expand(services, batch_id) == "expanded"
    assert [edit.status for edit in items(services, batch_id)] == ["starting"] * 21 + ["failed"]


def test_two_that_expand_a_batch_make_each_item_once(alone):
    client, services = alone
    batch_id = sent(client, [{}] * 30)
    calls = []

    def cut_short(*_):
        calls.append(1)
        if len(calls) > 22:
            raise OperationalError("SELECT 1", {}, Exception("the database system is shutting down"))
        return Order(request={"instruction": "x"}, image=png())

    def prepare(*_):
        if not calls:
            # Meanwhile another worker, which took this one for dead, does some of it.
            with pytest.raises(OperationalError):
                expand(services, batch_id, cut_short)
            assert len(items(services, batch_id)) == 20
        return Order(request={"instruction": "x"}, image=png())

    assert expand(services, batch_id, prepare) == "expanded"
    assert [edit.batch_index for edit in items(services, batch_id)] == list(range(30))


def test_retry_keeps_the_plan_an_item_came_with_and_no_other(alone):
    client, services = alone
    picture = client.post("/v1/files", files={"file": ("a", png())}, data={"purpose": "vision"}).json()["id"]

    def prepare(_tenant, _endpoint, body):
        return Order(request={"instruction": "x"}, image=png(), plan=body.get("plan"))

    batch_id = sent(client, [{"image": picture, "plan": PLAN}, {"image": picture}])
    expand(services, batch_id, prepare)
    for edit in items(services, batch_id):
        planned = {"steps": [{**PLAN["steps"][0], "caption": "the instructor's"}]}
        services.ledger.note(edit.id, 0, "planned", {}, plan=planned)
        services.ledger.settle(edit.id, 0, "failed")
    for _ in range(2):
        assert client.post(f"/v1/batches/{batch_id}/retry").json()["status"] == "in_progress"
        first, second = items(services, batch_id)
        assert (first.plan, second.plan) == (PLAN, None)
        assert wire.plan_from_json(first.plan).steps[0].caption == "a thing"
        for edit in (first, second):
            services.ledger.settle(edit.id, 0, "failed")


def test_retry_refuses_a_batch_that_was_canceled_before_it_was_read(alone):
    client, services = alone

    def prepare(*_):
        if len(items(services, batch_id)) == 20:
            assert client.post(f"/v1/batches/{batch_id}/cancel").json()["status"] == "cancelled"
        return Order(request={"instruction": "x"}, image=png())

    batch_id = sent(client, [{}] * 21)
    assert expand(services, batch_id, prepare) == "stopped"
    assert [edit.status for edit in items(services, batch_id)] == ["canceled"] * 20
    assert client.post(f"/v1/batches/{batch_id}/retry").status_code == 409
    assert client.get(f"/v1/batches/{batch_id}").json()["status"] == "cancelled"
    whole = sent(client, [{}] * 2)
    expand(services, whole)
    client.post(f"/v1/batches/{whole}/cancel")
    assert client.post(f"/v1/batches/{whole}/retry").json()["status"] == "in_progress"


def test_cancel_lets_others_write_in_between(alone):
    client, services = alone
    batch_id = sent(client, [{}] * 230)
    expand(services, batch_id)
    left = []

    def count(_connection):
        left.append([edit.status for edit in items(services, batch_id)].count("starting"))

    event.listen(services.store.database.engine, "commit", count)
    assert client.post(f"/v1/batches/{batch_id}/cancel").json()["status"] == "cancelled"
    event.remove(services.store.database.engine, "commit", count)
    steps = sorted(set(left), reverse=True)
    assert all(before - after <= 100 for before, after in itertools.pairwise(steps)), steps
    assert {edit.status for edit in items(services, batch_id)} == {"canceled"}
    assert client.get(f"/v1/batches/{batch_id}").json()["request_counts"]["failed"] == 230


def test_a_worker_ends_the_batches_nobody_would_end(tmp_path):
    with cluster(tmp_path, "api") as made, made.client() as client:
        lost, stopping = created(client, ["a"]), created(client, ["b"])
        store = Store(Settings(data=tmp_path / "data"))
        with store.database.write() as rows:
            expansion = {"id": f"expand_{lost['id']}"}
            rows.execute(
                text("UPDATE workflow_status SET status = 'ERROR' WHERE workflow_uuid = :id"), expansion
            )
            # As if the API had died between the two halves of canceling it.
            rows.get(Batch, stopping["id"]).status = "cancelling"
        store.database.close()
        made.start("worker")
        assert until(client, stopping, "cancelled")
        failed = until(client, lost, "failed")
        assert failed["errors"]["data"][0]["code"] == "internal_error"
