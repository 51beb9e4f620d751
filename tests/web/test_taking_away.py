"""Variants, the same again, and what a person takes away: code, and files with recipes."""

import os
import subprocess
import sys

from app.pictures.recipe import read_recipe
from tests.server import pixels
from tests.web.conftest import TABLE


def test_variants_are_a_grid_and_one_is_gone_on_with(anybody):
    person = anybody
    person.begin()
    person.options(Variants=4, Seed=3)
    turn = person.say("make the cube yellow")
    assert [image["seed"] for image in turn["images"]] == [3, 4, 5, 6]
    person.changed_by(turn)
    assert len({person.picture(image["url"]).tobytes() for image in turn["images"]}) == 4
    places = [thumb.bounding_box() for thumb in person.page.locator(".thumb").all()]
    assert len({(round(box["x"]), round(box["y"])) for box in places}) == 4
    assert len({round(box["x"]) for box in places}) > 1
    person.press("Continue with variant 3")
    person.shows(turn["images"][2]["url"])
    person.options(Variants=1)
    second = person.say("make the ball green")
    chosen = person.picture(turn["images"][2]["url"])
    assert (person.picture(second["urls"]["input"]) == chosen).all()


def test_the_same_again_has_a_new_seed(person):
    person.begin()
    first = person.say("make the cube yellow")
    second = person.makes(lambda: person.press("Again, new seed"))
    assert second["options"]["seed"] != first["options"]["seed"]
    assert second["plan"] == first["plan"]
    assert second["parent_id"] == first["parent_id"]
    assert "located" not in person.stages_of(second)
    one, other = (person.picture(turn["images"][0]["url"]) for turn in (first, second))
    assert (one != other).any()


def runs(person, folder, turn, *, key: str | None = None) -> None:
    """Copy each snippet and run it as it is, beside the picture; each makes the bytes that the page shows."""
    person.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    (folder / "picture.png").write_bytes(TABLE.read_bytes())
    wanted = person.picture(turn["images"][0]["url"])
    environment = {name: value for name, value in os.environ.items() if name != "BRUSHEDIT_API_KEY"}
    environment |= {"NO_PROXY": "127.0.0.1"} | ({} if key is None else {"BRUSHEDIT_API_KEY": key})
    runners = {
        "curl": lambda code: ["bash", "-euc", code],
        "Python": lambda code: [sys.executable, "-c", code],
        "OpenAI SDK": lambda code: [sys.executable, "-c", code],
    }
    person.page.locator(f"[data-turn={turn['id']}]").get_by_role("button", name="Copy as code").click()
    for name, runner in runners.items():
        person.page.get_by_role("tab", name=name).click()
        person.page.evaluate("navigator.clipboard.writeText('')")
        person.press("Copy", exact=True)
        code = person.wait(lambda: person.page.evaluate("navigator.clipboard.readText()"))
        done = subprocess.run(runner(code), cwd=folder, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        if name == "curl":
            (again,) = [
                edit
                for edit in person.client.get("/v1/edits?limit=5").json()["data"]
                if edit["id"].encode() in done.stdout
            ]
            made = person.picture(again["images"][0]["url"])
        else:
            made = pixels((folder / "edited.png").read_bytes())
        assert (made == wanted).all(), name
    person.press("Close", exact=True)


def test_copied_code_does_the_same_again(person, tmp_path):
    person.begin()
    runs(person, tmp_path, person.say('let\'s make the "ball" green'))


def test_copied_code_takes_along_what_a_person_decided(person, tmp_path):
    """A mask by hand; then a place that was chosen, and a caption that would be given more room if it was new."""
    person.begin()
    person.press("Mask", exact=True)
    person.tool("Ellipse")
    person.drag((0.4, 0.4), (0.6, 0.6))
    runs(person, tmp_path, person.say("make the ball green"), key="none")
    person.page.locator(".origin-button").click()
    first = person.say("make the toy purple")
    (region,) = first["regions"]
    other = next(number for number in range(3) if number not in region["chosen"])
    person.press("Found 3")
    chosen = person.makes(lambda: person.press(f"{other + 1} · object"))
    runs(person, tmp_path, chosen)
    person.page.locator(".card.selected .chip", has_text="Caption").click()
    person.page.locator(".chip-form").get_by_label("Caption", exact=True).fill("a purple star")
    forked = person.makes(lambda: person.press("Run with this"))
    assert forked["plan"]["steps"][0]["box"] == chosen["plan"]["steps"][0]["box"] is not None
    runs(person, tmp_path, forked)


def test_a_download_carries_its_recipe_and_dropping_it_restores_that(anybody):
    anybody.begin()
    anybody.options(Guidance=5.5)
    turn = anybody.say("make the cube yellow")
    anybody.press("Copy as code, or download")
    with anybody.page.expect_download() as download:
        anybody.press("Download with recipe")
    data = download.value.path().read_bytes()
    assert (pixels(data) == anybody.picture(turn["images"][0]["url"])).all()
    recipe = read_recipe(data)
    assert recipe
    assert recipe["instruction"] == "make the cube yellow"
    # Back into the same session: the recipe is used on its picture.
    anybody.press("Close", exact=True)
    anybody.page.locator(".origin-button").click()
    anybody.page.evaluate(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "made.png", { type: "image/png" }));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        }""",
        list(data),
    )
    anybody.page.get_by_text(f"seed {turn['options']['seed']};").wait_for()
    anybody.press("Use the recipe here")
    anybody.page.locator(".proposal[aria-busy=false] .chip", has_text="Caption").wait_for()
    again = anybody.makes(lambda: anybody.press("Paint this"))
    assert again["plan"] == turn["plan"]
    assert (again["options"]["seed"], again["options"]["guidance"]) == (turn["options"]["seed"], 5.5)
    assert (anybody.picture(again["images"][0]["url"]) == pixels(data)).all()
    # And as the beginning of another: on what it was made from, which is still known.
    anybody.visit()
    made = {"name": "made.png", "mimeType": "image/png", "buffer": data}
    anybody.choose("Open a picture", made)
    anybody.press("Open the original with the recipe")
    anybody.page.locator(".proposal[aria-busy=false] .chip", has_text="Caption").wait_for()
    assert anybody.page.get_by_label("Seed", exact=True).input_value() == str(turn["options"]["seed"])
    beginning = anybody.client.get(anybody.session()["input_url"]).content
    assert (pixels(beginning) == pixels(TABLE.read_bytes())).all()
    # Of another server's, only the result is here.
    anybody.visit()
    anybody.choose("Open a picture", made | {"buffer": data + b"\0"})
    anybody.page.get_by_text("is not known here").wait_for()
    assert not anybody.page.get_by_role("button", name="Open the original").count()
    anybody.press("Open it with the recipe")
    anybody.page.locator(".proposal[aria-busy=false] .chip", has_text="Caption").wait_for()
    beginning = anybody.client.get(anybody.session()["input_url"]).content
    assert (pixels(beginning) == pixels(data)).all()


def test_an_example_begins_one_session_however_often_it_is_clicked(person):
    def sessions() -> int:
        return len(person.client.get("/v1/sessions?limit=100").json()["data"])

    before = sessions()
    person.visit()
    person.page.get_by_role("button", name="remove the blue cube").dblclick()
    person.until("document.getElementById('composer').value === 'remove the blue cube'")
    person.page.wait_for_load_state("networkidle")
    assert sessions() == before + 1
