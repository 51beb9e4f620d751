"""A conversation: pictures in, sentences, progress, errors, undo; by keyboard alone; with a key; from a link."""

import re

import pytest

from app.access import Keys
from app.settings import Settings
from app.store.database import Database
from tests.server import cluster, pixels
from tests.web.conftest import BALL, CUBE, TABLE, WALL, alike, colour, on


def test_a_picture_and_a_sentence(anybody, snap):
    person = anybody
    person.visit()
    person.page.wait_for_selector(".example img")
    snap(person, "start")
    person.begin()
    before = pixels(TABLE.read_bytes())
    assert alike(person.shown_at(*CUBE), colour(before, CUBE))
    turn = person.say("make the cube yellow")
    assert on(CUBE, person.mask_of(turn))
    assert (person.picture(turn["urls"]["input"]) == before).all()
    person.changed_by(turn)
    after = person.picture(turn["images"][0]["url"])
    assert alike(person.shown_at(*CUBE), colour(after, CUBE))
    assert not alike(person.shown_at(*CUBE), colour(before, CUBE))
    assert alike(person.shown_at(*WALL), colour(before, WALL))
    card = person.page.get_by_label("Turn: make the cube yellow")
    said = card.inner_text()
    assert "make the cube yellow" in said
    assert f"Seed\n{turn['images'][0]['seed']}" in said
    assert card.locator(".facts .exact").inner_text() == "0 samples changed outside"
    assert re.search(r"\d s$", card.locator(".facts").inner_text())
    assert card.locator(".thumb img[src^=blob]").evaluate("image => image.naturalWidth") > 0
    assert card.get_by_role("group", name="Plan").inner_text().split("\n")[:4] == [
        "Kind",
        "Change",
        "Target",
        "cube",
    ]


def test_an_example_starts_a_session_in_one_click_and_the_next_sentence_goes_on(person):
    person.visit()
    person.press("remove the blue cube")
    person.until("document.getElementById('composer').value === 'remove the blue cube'")
    person.options(Steps=8)
    first = person.makes(lambda: person.press("Send"))
    assert person.session()["title"] == first["instruction"] == "remove the blue cube"
    assert first["status"] == "succeeded", first["error"]
    assert first["plan"]["steps"][0]["kind"] == "remove"
    assert "cube" in first["plan"]["steps"][0]["target"]
    assert on(CUBE, person.mask_of(first))
    person.changed_by(first)
    second = person.say("make the red ball green")
    assert second["parent_id"] == first["id"]
    assert (person.picture(second["urls"]["input"]) == person.picture(first["images"][0]["url"])).all()
    assert on(BALL, person.mask_of(second))
    person.changed_by(second)
    person.page.go_back()
    person.page.get_by_role("button", name="Open a picture").wait_for()


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_comes_by_drop_and_paste(person, way):
    person.visit()
    person.page.wait_for_selector(".example")
    person.page.evaluate(
        """async (way) => {
            const blob = await (await fetch("/web/examples/table.png")).blob();
            const data = new DataTransfer();
            data.items.add(new File([blob], "table.png", { type: "image/png" }));
            const event = way === "drop"
                ? new DragEvent("drop", { dataTransfer: data, bubbles: true })
                : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
            document.body.dispatchEvent(event);
        }""",
        way,
    )
    person.page.wait_for_selector(".stage[data-shown]")
    session = person.session()
    assert session["title"] == "table.png"
    assert (person.picture(session["input_url"]) == pixels(TABLE.read_bytes())).all()


def test_stages_steps_preview_queue_and_cancel(anybody, open_page):
    first, second = anybody, open_page()
    second.begin()
    first.open()
    first.options(Steps=200)
    blue = first.shown_at(*CUBE)
    first.page.evaluate(
        """() => {
            window.told = new Set();
            const note = () => window.told.add(document.querySelector(".progress-text")?.textContent);
            new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    first.says("make the cube yellow")
    first.until("/Painting, step/.test(document.querySelector('.progress-text')?.textContent)")
    second.says("make the ball green")
    second.until("document.querySelector('.progress-text')?.textContent === 'Next in the queue'")
    first.page.get_by_text("Live preview").wait_for()
    first.page.wait_for_selector(".stage[data-shown*=previews]")
    first.press("Cancel this edit")
    first.page.get_by_text("Nothing was changed").wait_for()
    told = first.page.evaluate("[...window.told]")
    assert any(text and text.startswith("Finding the place") for text in told), told
    assert any(text and re.fullmatch(r"Painting, step \d+ of 200", text) for text in told), told
    assert first.turns()[0]["status"] == "canceled"
    first.shows(first.session()["input_url"])
    assert first.shown_at(*CUBE) == blue
    second.page.wait_for_selector(".card .thumb")
    assert second.turns()[0]["status"] == "succeeded"


def test_turns_said_in_advance_build_on_each_other(person):
    person.begin()
    for words, steps in (("make the cube yellow", 40), ("make the ball green", 4)):
        person.options(Steps=steps)
        person.says(words)
        person.page.get_by_label(f"Turn: {words}").wait_for()
    person.until("document.querySelectorAll('.card .thumb').length === 2")
    first, second = person.turns()
    assert second["parent_id"] == first["id"]
    made = person.picture(first["images"][0]["url"])
    assert (person.picture(second["urls"]["input"]) == made).all()


def test_an_error_says_what_can_be_done_and_that_helps(person):
    person.begin()
    person.says("remove the green star")
    said = person.page.get_by_role("alert").inner_text()
    assert said.startswith('I cannot find "green star" in the picture.')
    assert "paint over it and say the same again" in said
    again = person.makes(lambda: person.press("Try again"))
    assert (again["status"], again["error"]["code"]) == ("failed", "target_not_found")
    person.press("Mask", exact=True)
    person.tool("Rectangle")
    person.drag((0.5, 0.2), (0.7, 0.4))
    turn = person.say("remove the green star")
    changed = person.changed_by(turn)
    assert colour(changed, (0.6, 0.3))


def test_undo_and_redo(person):
    person.begin()
    before = person.shown_at(*CUBE)
    turn = person.say("make the cube yellow")
    after = person.shown_at(*CUBE)
    assert not alike(before, after)
    person.press("Undo (Ctrl+Z)", exact=True)
    person.shows(person.session()["input_url"])
    assert person.session()["head"] is None
    assert person.shown_at(*CUBE) == before
    person.press("Redo (Ctrl+Shift+Z)", exact=True)
    person.shows(turn["images"][0]["url"])
    assert person.session()["head"] == turn["id"]
    assert person.shown_at(*CUBE) == after


def test_everything_by_keyboard(person):
    keyboard = person.page.keyboard
    person.visit()
    keyboard.press("Tab")
    assert person.page.evaluate("document.activeElement.className") == "skip"
    person.page.get_by_role("button", name="remove the blue cube").focus()
    keyboard.press("Enter")
    person.until("document.activeElement.value === 'remove the blue cube'")
    turn = person.makes(lambda: keyboard.press("Enter"))
    keyboard.press("Control+z")
    assert person.session()["head"] == turn["id"], "while writing, Ctrl+Z belongs to the text"
    person.page.locator("canvas.canvas").focus()
    keyboard.press("Control+z")
    person.page.wait_for_selector(".origin-button[aria-pressed=true]")
    left, top = person.spot(0, 0)
    keyboard.press("ArrowRight")
    keyboard.press("ArrowDown")
    person.drawn()
    assert person.spot(0, 0)[1] < top
    keyboard.press("0")
    person.drawn()
    assert person.spot(0, 0) == (left, top)
    size = person.page.get_by_label("Brush size")
    keyboard.press("b")
    small = float(size.input_value())
    keyboard.press("]")
    assert float(size.input_value()) > small
    keyboard.press("[")
    assert float(size.input_value()) == small
    for key in ("Enter", "ArrowRight", "ArrowRight", "ArrowDown", "Enter"):
        keyboard.press(key)
    assert person.covered() > 0
    keyboard.press("Control+z")
    assert person.covered() == 0
    keyboard.press("?")
    person.page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
    keyboard.press("Escape")
    person.page.locator("dialog").wait_for(state="detached")
    keyboard.press("/")
    assert person.page.evaluate("document.activeElement.id") == "composer"


def test_a_shared_link_opens_the_session_for_the_same_key_alone(open_page, tmp_path):
    with cluster(tmp_path, "api") as keyed:
        database = Database(Settings(data=tmp_path / "data").sql_url)
        (_, mine), (_, other) = (Keys(database).create(name) for name in ("me", "other"))
        database.close()
        with keyed.client(mine) as client:
            made = client.post("/v1/sessions", files={"image": TABLE.read_bytes()}).raise_for_status().json()
        link = f"#{made['id']}"
        person = open_page(server=keyed, expected=["401"])
        person.visit(link)
        person.page.get_by_placeholder("be-").fill(mine)
        person.press("Continue")
        person.shows(made["input_url"])
        assert person.page.locator("dialog").count() == 0
        stranger = open_page(server=keyed, expected=["401", "404"])
        stranger.visit(link)
        stranger.page.get_by_placeholder("be-").fill(other)
        stranger.press("Continue")
        stranger.page.get_by_text("it belongs to another key").wait_for()
        stranger.page.get_by_role("button", name="Open a picture").wait_for()
