"""Many pictures at once: from files, a CSV, a JSONL; what became of each; again; and all of it as a zip."""

import base64
import io
import json
import zipfile

from tests.server import pixels
from tests.web.conftest import BALL, CUBE, STEPS, TABLE, colour

EXAMPLES = {name: (TABLE.parent / f"{name}.png").read_bytes() for name in ("table", "beach", "night")}
FILES = [{"name": f"{name}.png", "mimeType": "image/png", "buffer": data} for name, data in EXAMPLES.items()]


def states(person) -> dict[str, str]:
    """State of each row by its picture's name."""
    rows = person.page.locator("tbody tr").evaluate_all(
        "all => all.map(one => [one.querySelector('.row-name').textContent, one.dataset.state])"
    )
    return dict(rows)


def ended(person) -> None:
    person.until("/completed/.test(document.querySelector('.batch-counts').textContent)")


def test_pictures_with_one_instruction_each_are_edited_retried_and_fetched(anybody, snap):
    person = anybody
    person.visit("#batch")
    listed = b'image,instruction\nbeach.png,"remove the green star, please"\nnight.png,make the toy red\n'
    person.choose("Add pictures", FILES[0], {"name": "said.csv", "mimeType": "text/csv", "buffer": listed})
    person.page.get_by_text("The list speaks of 2 more: add beach.png, night.png.").wait_for()
    person.choose("Add pictures", *FILES[1:])
    assert (
        person.page.get_by_label("Instruction for beach.png").input_value() == "remove the green star, please"
    )
    person.page.get_by_label("Instruction for night.png").fill("make the toy purple")
    person.page.get_by_label("Instruction for all").fill("make the cube yellow")
    person.press("Start 3")
    ended(person)
    assert states(person) == {"table.png": "succeeded", "beach.png": "failed", "night.png": "succeeded"}
    assert person.page.locator("tbody tr").nth(2).locator("td").first.inner_text() == "make the toy purple"
    assert "Name it differently" in person.page.locator("tbody tr").nth(1).inner_text()
    person.until("[...document.querySelectorAll('.row-picture')].every(one => one.naturalWidth > 0)")
    snap(person, "batch")
    with person.page.expect_download() as download:
        person.press("Download zip")
    archive = zipfile.ZipFile(download.value.path())
    assert archive.namelist() == ["table-edited.png", "night-edited.png"]
    for name in ("table", "night"):
        before, after = pixels(EXAMPLES[name]), pixels(archive.read(f"{name}-edited.png"))
        assert after.shape == before.shape
        assert 0.01 < (after != before).any(axis=2).mean() < 0.3
    person.press("Retry failed")
    person.wait(lambda: states(person)["beach.png"] == "waiting")
    ended(person)
    person.wait(lambda: states(person)["beach.png"] == "failed")
    person.press("New batch")
    assert person.page.locator("tbody tr").count() == 0


def test_a_list_of_whole_requests_is_a_batch(person):
    picture = "data:image/png;base64," + base64.b64encode(EXAMPLES["table"]).decode()
    lines = io.StringIO()
    for name, words in {"first": "make the cube yellow", "second": "make the ball green"}.items():
        body = {"image": picture, "instruction": words, "options": {"steps": STEPS}}
        lines.write(
            json.dumps({"custom_id": name, "method": "POST", "url": "/v1/edits", "body": body}) + "\n"
        )
    file = {"name": "requests.jsonl", "mimeType": "application/jsonl", "buffer": lines.getvalue().encode()}
    person.visit("#batch")
    person.choose("Add pictures", file)
    ended(person)
    person.wait(lambda: states(person) == {"first": "succeeded", "second": "succeeded"})
    with person.page.expect_download() as download:
        person.press("Download first")
    made, before = pixels(download.value.path().read_bytes()), pixels(EXAMPLES["table"])
    changed = (made != before).any(axis=2)
    assert 0.04 < changed.mean() < 0.15
    assert colour(changed, CUBE)
    assert not colour(changed, BALL)
    person.page.reload()
    person.page.locator(".batch-list button").first.click()
    person.wait(lambda: states(person) == {"first": "succeeded", "second": "succeeded"})
    person.choose("Add pictures", {**file, "buffer": b"not a line\n"})
    person.page.get_by_text("The first line of this list is no JSON").wait_for()


def test_dropped_pictures_join_the_batch_and_leave_it(person):
    person.visit("#batch")
    person.page.wait_for_selector(".batch")
    person.page.evaluate(
        """async () => {
            const data = new DataTransfer();
            for (const name of ["table", "beach", "night"]) {
                const blob = await (await fetch(`/web/examples/${name}.png`)).blob();
                data.items.add(new File([blob], name === "night" ? "beach.png" : `${name}.png`, { type: "image/png" }));
            }
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        }"""
    )
    person.page.get_by_role("button", name="Start 3").wait_for()
    person.press("Leave out table.png")
    person.page.get_by_role("button", name="Start 2").wait_for()
    assert states(person) == {"beach.png": "ready"}
    person.page.get_by_label("Instruction for all").fill("make the toy purple")
    person.press("Start 2")
    ended(person)
    with person.page.expect_download() as download:
        person.press("Download zip")
    archive = zipfile.ZipFile(download.value.path())
    assert archive.namelist() == ["beach-edited.png", "beach 2-edited.png"], "both were called beach.png"
    for name, before in zip(archive.namelist(), (EXAMPLES["beach"], EXAMPLES["night"]), strict=True):
        changed = (pixels(archive.read(name)) != pixels(before)).any(axis=2)
        assert 0.01 < changed.mean() < 0.3
