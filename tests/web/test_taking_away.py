import json

from app.pictures.recipe import read_recipe
from tests.server import pixels


def test_variants_are_a_grid_and_one_is_gone_on_with(person):
    person.begin()
    person.page.get_by_role("button", name="Options").click()
    person.page.get_by_label("Variants").fill("4")
    person.page.get_by_label("Seed", exact=True).fill("3")
    person.say("make it blue", turns=4)
    (turn,) = person.turns()
    assert [image["seed"] for image in turn["images"]] == [3, 4, 5, 6]
    person.page.get_by_role("button", name="Continue with variant 3").click()
    person.until("document.querySelector('.stage').dataset.shown.endsWith('/images/2')")
    person.page.get_by_label("Variants").fill("1")
    person.say("and now")
    second = person.turns()[1]
    chosen = person.picture(turn["images"][2]["url"])
    assert (person.picture(second["urls"]["input"]) == chosen).all()


def test_the_same_again_has_a_new_seed(person):
    person.begin()
    person.say("make it blue")
    person.page.get_by_role("button", name="Again, new seed").click()
    person.until("document.querySelectorAll('.tree .node').length === 3")
    person.settled()
    first, second = person.turns()
    assert second["options"]["seed"] != first["options"]["seed"]
    assert second["plan"] == first["plan"]


def test_copied_code_says_what_was_asked(person):
    person.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    person.begin()
    person.say('it\'s "blue"')
    seed = person.turns()[0]["options"]["seed"]
    person.page.get_by_role("button", name="Copy as code, or download").click()
    for name in ("curl", "Python", "OpenAI SDK"):
        person.page.get_by_role("tab", name=name).click()
        person.page.get_by_role("button", name="Copy", exact=True).click()
        person.page.wait_for_timeout(150)
        code = person.page.evaluate("navigator.clipboard.readText()")
        assert str(seed) in code
        if name == "curl":
            assert "it'\\''s \"blue\"" in code
        else:
            compile(code, name, "exec")
            assert json.dumps('it\'s "blue"') in code


def test_a_download_carries_its_recipe_and_dropping_it_restores_that(person):
    person.begin()
    person.page.get_by_role("button", name="Options").click()
    person.page.get_by_label("Guidance").fill("5.5")
    person.say("make it blue")
    (turn,) = person.turns()
    person.page.get_by_role("button", name="Copy as code, or download").click()
    with person.page.expect_download() as download:
        person.page.get_by_role("button", name="Download with recipe").click()
    data = download.value.path().read_bytes()
    assert (pixels(data) == person.picture(turn["images"][0]["url"])).all()
    recipe = read_recipe(data)
    assert recipe
    assert recipe["instruction"] == "make it blue"
    person.visit()
    with person.page.expect_file_chooser() as chooser:
        person.page.get_by_role("button", name="Open a picture").click()
    chooser.value.set_files({"name": "made.png", "mimeType": "image/png", "buffer": data})
    person.page.get_by_role("button", name="Open it with the recipe").click()
    person.page.wait_for_selector(".stage[data-shown]")
    person.until("document.getElementById('composer').value === 'make it blue'")
    person.say("make it blue")
    again = person.turns()[0]["options"]
    assert (again["seed"], again["guidance"]) == (turn["options"]["seed"], 5.5)
