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


def test_copied_code_does_the_same_again(person, tmp_path):
    """Each snippet is run as it was copied, beside the picture; each makes the bytes that the page shows."""
    person.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    (tmp_path / "picture.png").write_bytes(TABLE.read_bytes())
    person.begin()
    person.press("Mask", exact=True)
    person.tool("Ellipse")
    person.drag((0.4, 0.4), (0.6, 0.6))
    turn = person.say('it\'s the "ball": make it green')
    wanted = person.picture(turn["images"][0]["url"])
    person.press("Copy as code, or download")
    environment = os.environ | {"BRUSHEDIT_API_KEY": "none", "NO_PROXY": "127.0.0.1"}
    runners = {
        "curl": lambda code: ["bash", "-ec", code],
        "Python": lambda code: [sys.executable, "-c", code],
        "OpenAI SDK": lambda code: [sys.executable, "-c", code],
    }
    for name, runner in runners.items():
        person.page.get_by_role("tab", name=name).click()
        person.page.evaluate("navigator.clipboard.writeText('')")
        person.press("Copy", exact=True)
        code = person.wait(lambda: person.page.evaluate("navigator.clipboard.readText()"))
        done = subprocess.run(runner(code), cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        if name == "curl":
            (again,) = [
                edit
                for edit in person.client.get("/v1/edits?limit=5").json()["data"]
                if edit["id"].encode() in done.stdout
            ]
            made = person.picture(again["images"][0]["url"])
        else:
            made = pixels((tmp_path / "edited.png").read_bytes())
        assert (made == wanted).all(), name


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
    anybody.press("Use the recipe here")
    anybody.until("document.getElementById('composer').value === 'make the cube yellow'")
    box = anybody.page.get_by_label("Instruction", exact=True)
    again = anybody.makes(lambda: box.press("Enter"))
    assert (again["options"]["seed"], again["options"]["guidance"]) == (turn["options"]["seed"], 5.5)
    assert (anybody.picture(again["images"][0]["url"]) == pixels(data)).all()
    # And as the beginning of another.
    anybody.visit()
    anybody.choose("Open a picture", {"name": "made.png", "mimeType": "image/png", "buffer": data})
    anybody.press("Open it with the recipe")
    anybody.page.wait_for_selector(".stage[data-shown]")
    anybody.until("document.getElementById('composer').value === 'make the cube yellow'")
    assert anybody.page.get_by_label("Seed", exact=True).input_value() == str(turn["options"]["seed"])
