import io
import json
import time
import zipfile

from tests.server import pixels, png


def created(client, instructions, **fields):
    images = [("image", (f"{n}.png", png(seed=n), "image/png")) for n in range(len(instructions))]
    response = client.post(
        "/v1/batches", files=images, data={"instruction": json.dumps(instructions), **fields}
    )
    assert response.status_code == 200, response.text
    return response.json()


def until(client, batch, *statuses):
    deadline = time.monotonic() + 40
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
    assert archive.namelist() == ["000000-0.png", "000002-0.png"]
    assert (pixels(archive.read("000002-0.png"))[0] == pixels(png(seed=2))[0]).all()


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
