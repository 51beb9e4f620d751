import base64
import json
import time

import numpy as np
import pytest

from tests.server import pixels, png, wait_ended
from tests.stub_agent import STEPS


def post(client, instruction="make it red", image=None, headers=None, **fields):
    return client.post(
        "/v1/edits",
        files={"image": ("a.png", image or png(), "image/png")},
        data={"instruction": instruction, **fields},
        headers=headers or {},
    )


def done(client, *args, **fields):
    response = post(client, *args, headers={"Prefer": "wait=20"}, **fields)
    assert response.status_code == 200, response.text
    return response.json()


def events(client, edit_id, after=0):
    found = []
    headers = {"Last-Event-ID": str(after)} if after else {}
    with client.stream("GET", f"/v1/edits/{edit_id}/events", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        record = {}
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                record[name] = value
            else:
                found.append(record)
                record = {}
    return [record for record in found if "event" in record]


def test_edit_from_form_to_picture(client):
    image = png()
    edit = done(client, image=image, seed="4")
    assert edit["status"] == "succeeded"
    assert edit["plan"]["steps"][0]["caption"] == "make it red after 0"
    shown = client.get(edit["images"][0]["url"])
    before, after = pixels(image), pixels(shown.content)
    assert shown.headers["x-seed"] == "4"
    assert np.array_equal(after[6:18, 8:24], (255 - before[6:18, 8:24]) ^ 4)
    outside = np.ones(before.shape[:2], bool)
    outside[6:18, 8:24] = False
    assert np.array_equal(before[outside], after[outside])
    mask = pixels(client.get(edit["regions"][0]["mask_url"]).content)[:, :, 0]
    assert np.array_equal(mask == 255, ~outside)
    assert client.get(edit["urls"]["input"]).content == image


def test_edit_from_json(client):
    url = "data:image/png;base64," + base64.b64encode(png()).decode()
    mask = np.zeros((24, 32), np.uint8)
    body = {
        "image": url,
        "instruction": "x",
        "options": {"num_inference_steps": 7, "n": 2, "seed": 1},
        "metadata": {"a": "b"},
    }
    response = client.post("/v1/edits", json=body, headers={"Prefer": "wait=20"})
    edit = response.json()
    assert response.status_code == 200, edit
    assert edit["options"]["steps"] == 7
    assert [image["seed"] for image in edit["images"]] == [1, 2]
    assert edit["metadata"] == {"a": "b"}
    assert mask.size


def test_without_waiting_it_is_a_job(client):
    response = post(client)
    assert response.status_code == 202
    assert response.headers["location"] == f"/v1/edits/{response.json()['id']}"
    assert response.json()["status"] in ("starting", "processing")
    assert wait_ended(client, response.json()["id"])["status"] == "succeeded"


def test_events_are_complete_and_resumable(client):
    edit = done(client, preview_every="3")
    told = events(client, edit["id"])
    assert [int(event["id"]) for event in told] == list(range(1, len(told) + 1))
    kinds = [event["event"] for event in told]
    before, after = ["accepted", "started", "planned", "located", "stage"], ["blended", "stage", "succeeded"]
    assert kinds == [*before, *["denoised"] * STEPS, *after]
    steps = [json.loads(event["data"]) for event in told if event["event"] == "denoised"]
    assert [(step["step"], step["steps"]) for step in steps] == [(n, STEPS) for n in range(1, STEPS + 1)]
    previews = [step["preview_url"] for step in steps if "preview_url" in step]
    assert len(previews) == 2
    assert pixels(client.get(previews[0]).content).shape == (24, 32, 3)
    assert events(client, edit["id"], after=5) == told[5:]


def test_steps_reach_a_subscriber_while_they_happen(client):
    edit_id = post(client, "slow paint").json()["id"]
    late = []
    with client.stream("GET", f"/v1/edits/{edit_id}/events") as response:
        for line in response.iter_lines():
            if (
                line.startswith("data: ")
                and '"step": ' in line
                and '"steps": ' in line
                and "plan" not in line
            ):
                late.append(time.time() - json.loads(line[6:])["at"])
    assert len(late) == STEPS
    # Each step lasts 150 ms: told one by one, not all at the end.
    assert min(late) < 0.15 * STEPS


def test_cancel_stops_within_a_step(client):
    edit_id = post(client, "slow paint").json()["id"]
    with client.stream("GET", f"/v1/edits/{edit_id}/events") as response:
        for line in response.iter_lines():
            if line == "event: denoised":
                break
    canceled = client.post(f"/v1/edits/{edit_id}/cancel").json()
    assert canceled["status"] == "canceled"
    assert canceled["error"]["code"] == "canceled"
    # The worker is free again long before the six steps would have been over.
    assert done(client)["status"] == "succeeded"
    told = [event["event"] for event in events(client, edit_id)]
    assert told[-1] == "canceled"
    assert told.count("denoised") < STEPS
    assert client.post(f"/v1/edits/{edit_id}/cancel").json()["status"] == "canceled"


def test_cancel_before_it_begins(client):
    first = post(client, "slow paint").json()["id"]
    second = post(client).json()
    assert client.post(f"/v1/edits/{second['id']}/cancel").json()["status"] == "canceled"
    assert wait_ended(client, first)["status"] == "succeeded"
    assert [event["event"] for event in events(client, second["id"])][-1] == "canceled"


@pytest.mark.parametrize(
    ("instruction", "code"),
    [
        ("missing", "target_not_found"),
        ("unavailable", "instructor_unavailable"),
        ("explode", "internal_error"),
    ],
)
def test_failures_have_their_reason(client, instruction, code):
    edit = done(client, instruction)
    assert edit["status"] == "failed"
    assert edit["error"]["code"] == code
    assert "the network broke" not in edit["error"]["message"]
    assert done(client)["status"] == "succeeded"


def test_masks_by_white_and_by_alpha(client):
    import io

    import PIL.Image

    grey = np.zeros((24, 32), np.uint8)
    grey[2:5, 3:9] = 255
    alpha = np.dstack([np.zeros((24, 32, 3), np.uint8), 255 - grey])
    image = png()
    for array in (grey, alpha):
        out = io.BytesIO()
        PIL.Image.fromarray(array).save(out, "PNG")
        response = client.post(
            "/v1/edits",
            files={"mask": ("m.png", out.getvalue(), "image/png"), "image": ("a.png", image, "image/png")},
            data={"instruction": "x"},
            headers={"Prefer": "wait=20"},
        )
        edit = response.json()
        after = pixels(client.get(edit["images"][0]["url"]).content)
        changed = (after != pixels(image)).any(axis=2)
        assert np.array_equal(changed, grey == 255)


def test_fork_resumes_from_a_stage(client):
    image = png()
    edit = done(client, image=image, seed="1")
    again = client.post(
        f"/v1/edits/{edit['id']}/fork",
        json={"stage": "paint", "caption": "a green one", "options": {"seed": 2}},
        headers={"Prefer": "wait=20"},
    ).json()
    assert again["status"] == "succeeded"
    assert again["forked_from"] == edit["id"]
    assert again["plan"]["steps"][0]["caption"] == "a green one"
    assert again["options"]["seed"] == 2
    assert again["regions"][0]["coverage"] == edit["regions"][0]["coverage"]
    before, after = pixels(image), pixels(client.get(again["images"][0]["url"]).content)
    assert np.array_equal(after[10, 16], (255 - before[10, 16]) ^ 2)
    told = [event["event"] for event in events(client, again["id"])]
    assert "located" not in told


def test_a_fork_with_a_new_instruction_is_planned_anew(client):
    edit = done(client)
    path = f"/v1/edits/{edit['id']}/fork"
    for stage in ({}, {"stage": "locate"}, {"stage": "paint"}):
        refused = client.post(path, json={"instruction": "make it blue", **stage})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "stage")
    asked = {"instruction": "make it blue", "stage": "plan"}
    again = client.post(path, json=asked, headers={"Prefer": "wait=20"}).json()
    assert again["plan"]["steps"][0]["caption"] == "make it blue after 0"
    assert client.post(path, json={"instruction": edit["instruction"]}).status_code == 202


def test_a_title_is_of_one_edit_alone(client):
    edit = done(client)
    assert edit["title"] == ""
    renamed = client.patch(f"/v1/edits/{edit['id']}", json={"title": "the first try"}).json()
    assert renamed == {**edit, "title": "the first try"}
    assert client.get(f"/v1/edits/{edit['id']}").json()["title"] == "the first try"
    again = client.post(f"/v1/edits/{edit['id']}/fork", json={}, headers={"Prefer": "wait=20"}).json()
    assert again["title"] == ""


def test_fork_with_another_mask(client):
    edit = done(client)
    mask = np.zeros((24, 32, 3), np.uint8)
    mask[0, 0] = 255
    import io

    import PIL.Image

    out = io.BytesIO()
    PIL.Image.fromarray(mask).save(out, "PNG")
    url = "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
    again = client.post(
        f"/v1/edits/{edit['id']}/fork", json={"stage": "locate", "mask": url}, headers={"Prefer": "wait=20"}
    ).json()
    assert again["status"] == "succeeded"
    assert again["regions"][0]["coverage"] == pytest.approx(1 / (24 * 32))


def test_repeats_are_one_job(client):
    image = png(seed=9)
    headers = {"Idempotency-Key": "k-1"}
    first, second = post(client, image=image, headers=headers), post(client, image=image, headers=headers)
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["idempotency-replayed"] == "true"
    other = post(client, "something else", image=image, headers=headers)
    assert other.status_code == 422
    assert other.json()["error"]["code"] == "idempotency_mismatch"
    assert post(client, image=image).json()["id"] != first.json()["id"]


def test_a_library_that_repeats_itself_paints_once(client):
    image = png(seed=10)
    first = post(client, image=image)
    repeated = post(client, image=image, headers={"x-stainless-retry-count": "1"})
    assert repeated.json()["id"] == first.json()["id"]
    assert (
        post(client, image=image, headers={"x-stainless-retry-count": "0"}).json()["id"] != first.json()["id"]
    )


def test_put_creates_once(client):
    edit_id = "edit_" + "ab" * 16
    files = {"image": ("a.png", png(), "image/png")}
    made = [client.put(f"/v1/edits/{edit_id}", files=files, data={"instruction": "x"}) for _ in range(2)]
    assert [response.status_code for response in made] == [202, 202]
    assert {response.json()["id"] for response in made} == {edit_id}
    assert client.put(f"/v1/edits/{edit_id}", files=files, data={"instruction": "y"}).status_code == 422
    assert client.put("/v1/edits/mine", files=files, data={"instruction": "x"}).status_code == 400


def test_delete_removes_what_nobody_else_needs(client, service):
    image = png(seed=77)
    first, second = done(client, image=image, seed="1"), done(client, image=image, seed="2")
    blobs = service.folder / "data" / "blobs"

    def stored():
        return {path.name for path in blobs.rglob("*") if path.is_file()}

    before = stored()
    assert client.delete(f"/v1/edits/{first['id']}").status_code == 204
    assert client.get(f"/v1/edits/{first['id']}").status_code == 404
    assert client.get(second["urls"]["input"]).content == image
    after_first = stored()
    assert len(before - after_first) == 1
    assert client.delete(f"/v1/edits/{second['id']}").status_code == 204
    assert len(after_first - stored()) >= 2


def test_jpeg_in_jpeg_out(client):
    import io

    import PIL.Image

    out = io.BytesIO()
    PIL.Image.fromarray(pixels(png())).save(out, "JPEG", quality=95)
    edit = done(client, image=out.getvalue())
    assert edit["images"][0]["media_type"] == "image/jpeg"
    assert client.get(edit["images"][0]["url"]).content[:2] == b"\xff\xd8"


def test_plan_stops_before_painting(client):
    response = client.post(
        "/v1/plan", files={"image": ("a.png", png(), "image/png")}, data={"instruction": "what would you do"}
    )
    plan = response.json()
    assert response.status_code == 200
    assert plan["status"] == "succeeded"
    assert plan["plan"]["steps"]
    assert plan["images"] == []
    assert client.get(plan["regions"][0]["mask_url"]).status_code == 200
    painted = client.post(
        f"/v1/edits/{plan['id']}/fork", json={"stage": "paint"}, headers={"Prefer": "wait=20"}
    )
    assert len(painted.json()["images"]) == 1


def test_mask_tools(client):
    body = {
        "width": 20,
        "height": 10,
        "operations": [
            {"op": "union", "box": [2, 2, 6, 6]},
            {"op": "grow", "px": 1},
            {"op": "move", "dx": 3, "dy": 0},
            {"op": "subtract", "ellipse": [0, 0, 1, 1]},
        ],
    }
    made = client.post("/v1/masks", json=body).json()
    assert made["box"] == [4, 1, 10, 7]
    inverted = client.post("/v1/masks", json={"mask": made["mask"], "operations": [{"op": "invert"}]}).json()
    assert inverted["coverage"] == pytest.approx(1 - made["coverage"])
    soft = client.post("/v1/masks", json={"mask": made["mask"], "feather": 3}).json()
    values = pixels(base64.b64decode(soft["mask"].partition(",")[2]))[:, :, 0]
    assert len(np.unique(values)) > 2


def test_a_mask_of_another_size_than_asked_for_is_refused(client):
    mask = client.post("/v1/masks", json={"width": 20, "height": 10}).json()["mask"]
    for name, size in (("width", 21), ("height", 9)):
        refused = client.post("/v1/masks", json={"mask": mask, name: size})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, name)
    assert client.post("/v1/masks", json={"mask": mask, "width": 20, "height": 10}).status_code == 200


def test_a_scheduler_that_is_not_known_is_refused_at_the_door(client):
    refused = post(client, scheduler="magic")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "scheduler")
    assert done(client, scheduler="DPM++_2M-Karras")["status"] == "succeeded"


@pytest.mark.parametrize(
    ("prefer", "status"),
    [
        ('wait="20"', 200),
        ("respond-async, Wait = 20", 200),
        ("handling=lenient; strict, wait=20", 200),
        ("wait=soon", 202),
        ("await=20", 202),
        ("return=minimal", 202),
    ],
)
def test_preferences_that_are_not_understood_are_ignored(client, prefer, status):
    assert post(client, headers={"Prefer": prefer}).status_code == status


def test_metrics_and_health(client):
    done(client)
    assert client.get("/readyz").json()["workers"] == 1
    text = client.get("/metrics").text
    assert 'brushedit_edits_last_hour{status="succeeded"}' in text
    assert 'route="/v1/edits"' in text
