"""Many pictures at once: from files, a CSV, a JSONL; what became of each; again; and all of it as a zip."""

import base64
import io
import json
import zipfile

import numpy as np

from tests.server import pixels
from tests.web.conftest import BALL, CUBE, STEPS, TABLE, colour

EXAMPLES = {name: (TABLE.parent / f"{name}.png").read_bytes() for name in ("table", "beach", "night")}
FILES = [{"name": f"{name}.png", "mimeType": "image/png", "buffer": data} for name, data in EXAMPLES.items()]


def states(person) -> dict[str, str]:
    """State of each row by its picture's name."""
    rows = person.page.locator("tbody tr").evaluate_all(
        "all => all.map(one => [one.querySelector('.row-name span').textContent, one.dataset.state])"
    )
    return dict(rows)


def ended(person) -> None:
    person.until("/finished/.test(document.querySelector('.batch-counts').textContent)")


def batches(person) -> list[str]:
    return [one["id"] for one in person.client.get("/v1/batches?limit=100").json()["data"]]


def taken(person, name: str) -> np.ndarray:
    """Download a row's result."""
    with person.page.expect_download() as download:
        person.press(f"Download {name}", exact=True)
    return pixels(download.value.path().read_bytes())


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
    assert "paint over what you mean" in person.page.locator("tbody tr").nth(1).inner_text()
    # Nothing is squeezed until its words break.
    for cell in ("td", ".row-name span"):
        box = person.page.locator("tbody tr").nth(2).locator(cell).first.bounding_box()
        assert box["width"] > (200 if cell == "td" else 60)
        assert box["height"] < 70
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
    known = batches(person)
    person.choose("Add pictures", file)
    assert states(person) == {"first": "ready", "second": "ready"}
    assert batches(person) == known, "nothing is sent before somebody says so"
    person.press("Start 2")
    ended(person)
    person.wait(lambda: states(person) == {"first": "succeeded", "second": "succeeded"})
    changed = (taken(person, "first") != pixels(EXAMPLES["table"])).any(axis=2)
    assert 0.04 < changed.mean() < 0.15
    assert colour(changed, CUBE)
    assert not colour(changed, BALL)
    person.page.reload()
    person.page.locator(".batch-list button").first.get_by_text("2 of 2 done · finished").click()
    person.wait(lambda: states(person) == {"first": "succeeded", "second": "succeeded"})


def test_lines_of_a_list_are_matched_with_pictures_and_what_is_wrong_with_others_is_said(person):
    lines = [
        '{"image": "table.png", "instruction": "make the cube yellow"}',
        "not a line",
        '{"instruction": "make the ball green"}',
        "",
        '{"image": "night.png", "instruction": 5}',
        '{"custom_id": "whole", "url": "/v1/elsewhere", "body": {}}',
        '{"image": "beach.png", "instruction": "make the toy purple"}',
    ]
    listed = {"name": "l.jsonl", "mimeType": "application/jsonl", "buffer": "\n".join(lines).encode()}
    person.visit("#batch")
    known = batches(person)
    person.choose("Add pictures", listed, FILES[0])
    person.page.get_by_text("The list speaks of 1 more: add beach.png.").wait_for()
    faults = {
        2: "it is no JSON",
        3: "it names no picture",
        5: "its instruction is no text",
        6: "its url has to be",
    }
    for number, fault in faults.items():
        person.page.get_by_text(f"l.jsonl, line {number}: {fault}").wait_for()
    assert states(person) == {"table.png": "ready"}
    assert batches(person) == known
    person.choose("Add pictures", FILES[1])
    # A whole request goes with them as it is.
    body = {"image": "data:image/png;base64," + base64.b64encode(EXAMPLES["table"]).decode()}
    body |= {"instruction": "make the ball green", "options": {"steps": STEPS}}
    whole = json.dumps({"custom_id": "whole", "method": "POST", "url": "/v1/edits", "body": body}).encode()
    person.choose(
        "Add pictures", {"name": "requests.jsonl", "mimeType": "application/jsonl", "buffer": whole}
    )
    person.press("Start 3")
    ended(person)
    assert states(person) == dict.fromkeys(("table.png", "beach.png", "whole"), "succeeded")
    changed = {
        name: (taken(person, name) != pixels(EXAMPLES["table"])).any(axis=2)
        for name in ("table.png", "whole")
    }
    assert colour(changed["table.png"], CUBE)
    assert not colour(changed["table.png"], BALL)
    assert colour(changed["whole"], BALL)


def test_every_line_about_a_picture_is_a_row(person):
    listed = b"table.png,make the cube yellow\ntable.png,make the ball green\n,remove the cube\n"
    person.visit("#batch")
    person.choose("Add pictures", {"name": "said.csv", "mimeType": "text/csv", "buffer": listed})
    person.page.get_by_text("said.csv, line 3: it names no picture").wait_for()
    person.choose("Add pictures", FILES[0])
    assert person.page.get_by_label("Instruction for table.png").input_value() == "make the cube yellow"
    assert person.page.get_by_label("Instruction for table 2.png").input_value() == "make the ball green"
    person.press("Start 2")
    ended(person)
    before = pixels(EXAMPLES["table"])
    first, second = ((taken(person, f"table{end}.png") != before).any(axis=2) for end in ("", " 2"))
    assert colour(first, CUBE)
    assert not colour(first, BALL)
    assert colour(second, BALL)
    assert not colour(second, CUBE)


def test_a_broken_picture_is_told_once_in_its_row(person):
    person.visit("#batch")
    broken = {"name": "broken.png", "mimeType": "image/png", "buffer": EXAMPLES["table"][:2000]}
    person.choose("Add pictures", broken, FILES[0])
    person.page.get_by_text("This file cannot be read as a picture.").wait_for()
    person.page.get_by_label("Instruction for all").fill("make the cube yellow")
    person.press("Start 2")
    ended(person)
    assert states(person) == {"broken.png": "failed", "table.png": "succeeded"}
    assert person.page.locator(".toast").count() == 0
    assert "cut off" in person.page.locator("tbody tr").first.inner_text()


def test_nothing_starts_without_words_and_what_failed_is_said_otherwise(anybody):
    person = anybody
    person.visit("#batch")
    known = batches(person)
    person.choose("Add pictures", *FILES[:2])
    person.page.get_by_label("Instruction for table.png").fill("make the cube yellow")
    person.press("Start 2")
    person.page.get_by_role("alert").get_by_text("beach.png has no instruction").wait_for()
    assert person.page.evaluate("document.activeElement.id") == "batch-instruction"
    assert batches(person) == known
    person.page.keyboard.type("remove the green star")
    assert not person.page.get_by_role("alert").count()
    person.page.keyboard.press("Enter")
    ended(person)
    assert states(person) == {"table.png": "succeeded", "beach.png": "failed"}
    person.page.get_by_label("Instruction for beach.png").fill("make the toy purple")
    person.press("Retry failed")
    person.page.locator(".batch-counts").get_by_text("0 of 1 done").wait_for()
    ended(person)
    assert states(person) == {"beach.png": "succeeded"}
    person.page.locator(".batch-list button").nth(1).click()
    person.wait(lambda: states(person) == {"table.png": "succeeded", "beach.png": "failed"})


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
