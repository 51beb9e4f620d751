"""The official `openai` package against a live server, with only the address and the key changed."""

import base64
import io
import json
import time
import urllib.request

import numpy as np
import openai
import PIL.Image
import pytest

from app.compatible import prepare_line
from brushedit.errors import EmptyMask
from tests.server import pixels, png


@pytest.fixture
def sdk(service):
    with openai.OpenAI(base_url=f"http://127.0.0.1:{service.port}/v1", api_key="none", timeout=30) as made:
        yield made


def alpha_mask():
    alpha = np.full((24, 32), 255, np.uint8)
    alpha[0:4, 0:4] = 0
    return rgba(0, alpha)


def rgba(grey, alpha):
    out = io.BytesIO()
    PIL.Image.fromarray(np.dstack([np.full((24, 32, 3), grey, np.uint8), alpha])).save(out, "PNG")
    return out.getvalue()


def data_url(data):
    return "data:image/png;base64," + base64.b64encode(data).decode()


def test_images_edit(sdk):
    image = png()
    answer = sdk.images.edit(
        image=("a.png", image), prompt="make it red", model="gpt-image-1", extra_body={"seed": 3}
    )
    after = pixels(base64.b64decode(answer.data[0].b64_json))
    assert np.array_equal(after[10, 16], (255 - pixels(image)[10, 16]) ^ 3)
    assert answer.data[0].revised_prompt == "make it red after 0"
    assert answer.output_format == "png"
    assert answer.edit["reports"][0]["outside_max_delta"] == 0


def test_images_edit_masked_several_and_sized(sdk):
    image = png()
    answer = sdk.images.edit(
        image=("a.png", image),
        mask=("m.png", alpha_mask()),
        prompt="x",
        n=2,
        output_format="webp",
        quality="low",
        user="someone",
    )
    assert len(answer.data) == 2
    for made in answer.data:
        data = base64.b64decode(made.b64_json)
        assert data[8:12] == b"WEBP"
        changed = (pixels(data) != pixels(image)).any(axis=2)
        assert changed[:4, :4].all()
        assert changed.sum() == 16
    sized = sdk.images.edit(image=("a.png", image), prompt="x", size="64x48", input_fidelity="high")
    assert pixels(base64.b64decode(sized.data[0].b64_json)).shape == (48, 64, 3)


def test_images_edit_by_link(sdk):
    answer = sdk.images.edit(image=("a.png", png()), prompt="x", response_format="url")
    url = answer.data[0].url
    with urllib.request.urlopen(url) as response:
        assert pixels(response.read()).shape == (24, 32, 3)
    sized = sdk.images.edit(image=("a.png", png()), prompt="x", response_format="url", size="64x48")
    assert sized.size == "64x48"
    with urllib.request.urlopen(sized.data[0].url) as response:
        assert pixels(response.read()).shape == (48, 64, 3)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url[:-3] + "AAA")
    assert refused.value.code == 404
    refused.value.close()


def test_images_edit_streamed(sdk):
    events = list(
        sdk.images.edit(
            image=("a.png", png()),
            prompt="x",
            stream=True,
            partial_images=2,
            extra_body={"num_inference_steps": 6},
        )
    )
    assert [event.type for event in events] == ["image_edit.partial_image"] * 2 + ["image_edit.completed"]
    assert [event.partial_image_index for event in events[:2]] == [0, 1]
    assert pixels(base64.b64decode(events[-1].b64_json)).shape == (24, 32, 3)


def test_several_pictures_edit_the_first(sdk):
    first = png(seed=1)
    answer = sdk.images.edit(image=[("a.png", first), ("b.png", png(seed=2))], prompt="x")
    assert np.array_equal(pixels(base64.b64decode(answer.data[0].b64_json))[0], pixels(first)[0])


@pytest.mark.parametrize("grey", [0, 255])
def test_an_opaque_alpha_channel_selects_nothing(sdk, services, grey):
    image, mask = png(), rgba(grey, np.full((24, 32), 255, np.uint8))
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        sdk.images.edit(image=("a.png", image), mask=("m.png", mask), prompt="x")
    assert (refused.value.code, refused.value.param) == ("mask_empty", "mask")
    content = [
        {"type": "input_text", "text": "x"},
        {"type": "input_image", "image_url": data_url(image), "detail": "auto"},
    ]
    tool = {"type": "image_generation", "input_image_mask": {"image_url": data_url(mask)}}
    with pytest.raises(openai.UnprocessableEntityError):
        sdk.responses.create(model="brushedit", input=[{"role": "user", "content": content}], tools=[tool])
    line = {"prompt": "x", "image": data_url(image), "mask": data_url(mask)}
    with pytest.raises(EmptyMask):
        prepare_line(services, "one", "/v1/images/edits", line)


@pytest.mark.parametrize(
    ("field", "mode", "polarity"),
    [("mask", "RGB", "auto"), ("mask", "RGBA", "white"), ("mask_image", "RGBA", "auto")],
)
def test_white_selects_where_there_is_no_alpha_channel_or_an_extension_says_so(client, field, mode, polarity):
    image, mask = png(), io.BytesIO()
    PIL.Image.new(mode, (32, 24), "white").save(mask, "PNG")
    files = {"image": ("a.png", image, "image/png"), field: ("m.png", mask.getvalue(), "image/png")}
    asked = {"prompt": "x", "seed": 1, "mask_polarity": polarity}
    answer = client.post("/v1/images/edits", files=files, data=asked)
    made = pixels(base64.b64decode(answer.raise_for_status().json()["data"][0]["b64_json"]))
    assert (made != pixels(image)).any(axis=2).all()


def test_errors_are_openai_errors(sdk):
    with pytest.raises(openai.UnprocessableEntityError) as missing:
        sdk.images.edit(image=("a.png", png()), prompt="missing")
    assert missing.value.code == "target_not_found"
    with pytest.raises(openai.BadRequestError) as broken:
        sdk.images.edit(image=("a.png", b"not a picture"), prompt="x")
    assert broken.value.code == "invalid_image"
    with pytest.raises(openai.NotFoundError):
        sdk.images.edit(image=("a.png", png()), prompt="x", model="gpt-4")


def test_a_failure_is_not_painted_again(sdk, client):
    def made():
        return client.get("/v1/edits", params={"limit": 1}).json()["data"][0]["id"]

    with pytest.raises(openai.InternalServerError):
        sdk.images.edit(image=("a.png", png(seed=33)), prompt="explode")
    last = made()
    assert client.get(f"/v1/edits/{last}").json()["error"]["code"] == "internal_error"
    before = client.get("/v1/edits", params={"limit": 2}).json()["data"][1]
    assert before["instruction"] != "explode"


def test_models(sdk):
    names = [model.id for model in sdk.models.list()]
    assert "brushedit" in names
    assert sdk.models.retrieve("brushedit").owned_by == "brushedit"


def test_files(sdk):
    file = sdk.files.create(file=("../../etc/passwd", b"some bytes"), purpose="user_data")
    assert (file.bytes, file.filename) == (10, "../../etc/passwd")
    assert sdk.files.retrieve(file.id).id == file.id
    assert sdk.files.content(file.id).read() == b"some bytes"
    assert file.id in [one.id for one in sdk.files.list()]
    more = [sdk.files.create(file=("a", b"more"), purpose="evals").id for _ in range(3)]
    assert [one.id for one in sdk.files.list(limit=2, purpose="evals")] == more[::-1]
    assert sdk.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        sdk.files.retrieve(file.id)


def test_batches(sdk):
    image = "data:image/png;base64," + base64.b64encode(png()).decode()
    lines = [
        {
            "custom_id": f"item {n}",
            "method": "POST",
            "url": "/v1/images/edits",
            "body": {"prompt": prompt, "images": [{"image_url": image}], "model": "brushedit"},
        }
        for n, prompt in enumerate(["one", "missing", "two"])
    ]
    text = "\n".join(map(json.dumps, lines)) + "\nnot json\n"
    file = sdk.files.create(file=("in.jsonl", text.encode()), purpose="batch")
    batch = sdk.batches.create(
        input_file_id=file.id, endpoint="/v1/images/edits", completion_window="24h", metadata={"a": "b"}
    )
    deadline = time.monotonic() + 30
    while batch.status not in ("completed", "failed") and time.monotonic() < deadline:
        time.sleep(0.1)
        batch = sdk.batches.retrieve(batch.id)
    assert batch.status == "completed"
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (
        4,
        2,
        2,
    )
    made = [json.loads(line) for line in sdk.files.content(batch.output_file_id).text.splitlines()]
    assert [line["custom_id"] for line in made] == ["item 0", "item 2"]
    body = made[0]["response"]["body"]
    assert pixels(base64.b64decode(body["data"][0]["b64_json"])).shape == (24, 32, 3)
    failed = [json.loads(line) for line in sdk.files.content(batch.error_file_id).text.splitlines()]
    assert [line["response"]["body"]["error"]["code"] for line in failed] == [
        "target_not_found",
        "invalid_request",
    ]
    assert batch.id in [one.id for one in sdk.batches.list()]


def test_responses_walk_the_session_tree(sdk, client):
    image = "data:image/png;base64," + base64.b64encode(png()).decode()
    content = [
        {"type": "input_text", "text": "make it red"},
        {"type": "input_image", "image_url": image, "detail": "auto"},
    ]
    first = sdk.responses.create(
        model="brushedit", input=[{"role": "user", "content": content}], tools=[{"type": "image_generation"}]
    )
    call = first.output[0]
    assert (first.status, call.type, call.status) == ("completed", "image_generation_call", "completed")
    assert first.output_text == "make it red after 0"
    second = sdk.responses.create(
        model="brushedit", input="bigger", previous_response_id=first.id, tools=[{"type": "image_generation"}]
    )
    assert second.output_text == "bigger after 1"
    other = sdk.responses.create(
        model="brushedit",
        input="smaller",
        previous_response_id=first.id,
        tools=[{"type": "image_generation"}],
    )
    session = client.get(f"/v1/sessions/{second.edit['session_id']}").json()
    parents = {turn["id"]: turn["parent_id"] for turn in session["turns"]}
    assert parents[second.edit["id"]] == parents[other.edit["id"]] == first.edit["id"]
    assert sdk.responses.retrieve(second.id).output_text == "bigger after 1"
    call_item, said = {"type": "image_generation_call", "id": call.id}, {"role": "user", "content": "again"}
    earlier = {"role": "user", "content": content}
    for said_so_far in ([call_item, said], [said, call_item], [earlier, call_item, said]):
        again = sdk.responses.create(
            model="brushedit", input=said_so_far, tools=[{"type": "image_generation"}]
        )
        assert again.output_text == "again after 1"


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_responses_streamed(sdk, wanted):
    image = "data:image/png;base64," + base64.b64encode(png()).decode()
    content = [
        {"type": "input_text", "text": "x"},
        {"type": "input_image", "image_url": image, "detail": "auto"},
    ]
    stream = sdk.responses.create(
        model="brushedit",
        input=[{"role": "user", "content": content}],
        tools=[{"type": "image_generation", "partial_images": wanted, "quality": "low"}],
        stream=True,
    )
    kinds = [event.type for event in stream]
    assert kinds[0] == "response.created"
    assert kinds.count("response.image_generation_call.partial_image") == wanted
    assert kinds[-1] == "response.completed"


def test_responses_without_a_picture_are_refused(sdk):
    with pytest.raises(openai.BadRequestError):
        sdk.responses.create(model="brushedit", input="hello", tools=[{"type": "image_generation"}])
    with pytest.raises(openai.NotFoundError):
        sdk.responses.create(
            model="brushedit",
            input="x",
            previous_response_id="resp_" + "0" * 32,
            tools=[{"type": "image_generation"}],
        )
