"""A conversation: pictures in, sentences, progress, errors, undo; by keyboard alone; with a key; from a link."""

import re

import pytest

from app.access import Keys
from app.settings import Settings
from app.store.database import Database
from tests.server import cluster, pixels
from tests.web.conftest import BALL, CUBE, TABLE, WALL, Person, alike, colour, on


def card(person, turn):
    return person.page.locator(f"[data-turn={turn['id']}]")


def in_view(person, part) -> bool:
    """Whether a part of the conversation is in full view, with a margin; of one larger than that, its end."""
    person.drawn()
    box, view = (one.bounding_box() for one in (part, person.page.locator(".turns")))
    ends = box["y"] + box["height"] <= view["y"] + view["height"] + 1
    return ends and (box["y"] >= view["y"] or box["height"] > view["height"] - 24)


def focused(person, what: str) -> str:
    return person.page.evaluate(f"document.activeElement.{what}")


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


def test_what_was_said_last_is_in_full_view_unless_somebody_scrolls_up(anybody):
    person = anybody
    person.begin()
    for words in ("make the cube yellow", "make the ball green"):
        turn = person.say(words)
        person.wait(lambda turn=turn: in_view(person, card(person, turn).locator(".card-actions")))
        assert in_view(person, card(person, turn))
    person.says("remove the green star")
    person.page.get_by_role("alert").wait_for()
    assert in_view(person, person.page.locator(".card:not(.proposal)").last)
    person.page.reload()
    person.page.get_by_role("alert").wait_for()
    person.wait(lambda: in_view(person, person.page.locator(".card:not(.proposal)").last))
    person.options(Steps=200)
    person.says("make the cone blue")
    person.until("/Painting, step/.test(document.querySelector('.progress-text')?.textContent)")
    assert in_view(person, person.page.locator(".progress"))
    person.page.locator(".turns").hover()
    person.page.mouse.wheel(0, -5000)
    person.until("document.querySelector('.turns').scrollTop === 0")
    person.client.post(person.turns()[-1]["urls"]["cancel"]).raise_for_status()
    person.page.get_by_text("Nothing was changed").wait_for(state="attached")
    person.drawn()
    assert person.page.evaluate("document.querySelector('.turns').scrollTop") == 0


def test_another_tab_and_a_page_loaded_anew_go_on_with_what_was_sent(person):
    person.begin()
    other = Person(person.page.context.new_page(), person.origin, person.client)
    other.visit(person.page.url.partition("/")[2].partition("/")[2].partition("/")[2])
    other.page.wait_for_selector(".stage[data-shown]")
    first = person.say("make the cube yellow")
    other.page.evaluate("window.dispatchEvent(new Event('focus'))")
    other.shows(first["images"][0]["url"])
    other.page.locator(f"[data-turn={first['id']}] .facts").wait_for()
    # The server takes what was sent only after the page has been left.
    asked = []
    person.page.route("**/turns", lambda route: asked.append(route.request.post_data_json))
    person.options(Steps=200)
    person.says("make the ball green")
    person.wait(lambda: asked)
    person.page.reload()
    person.page.unroute("**/turns")
    person.page.wait_for_selector(".stage[data-shown]")
    assert person.page.locator(".card:not(.proposal)").count() == 1
    person.client.post(f"/v1/sessions/{person.session()['id']}/turns", json=asked[0]).raise_for_status()
    person.page.get_by_label("Turn: make the ball green").wait_for()
    person.until("/Painting, step/.test(document.querySelector('.progress-text')?.textContent)")
    person.page.reload()
    person.page.get_by_label("Turn: make the ball green").wait_for()
    person.until("/Painting, step/.test(document.querySelector('.progress-text')?.textContent)")
    person.press("Cancel this edit")
    person.page.get_by_text("Nothing was changed").wait_for()


def test_a_lost_connection_is_said_and_taken_up_again(open_page):
    person = open_page(expected=["ERR_FAILED"])
    person.begin()
    person.page.route("**/events", lambda route: route.abort())
    person.says("make the cube yellow")
    person.page.get_by_text("The connection is lost; trying again").wait_for()
    person.page.unroute("**/events")
    person.page.wait_for_selector(".card .facts")


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


def test_what_waited_for_a_cancelled_turn_stays_with_its_reason(person):
    person.begin()
    said = ("make the cube yellow", "make the ball green", "make the cone blue")
    for words, steps in zip(said, (200, 4, 4), strict=True):
        person.options(Steps=steps)
        person.says(words)
        person.page.get_by_label(f"Turn: {words}").wait_for()
    third = person.page.get_by_label(f"Turn: {said[2]}")
    person.until("/Painting, step/.test(document.querySelector('.progress-text')?.textContent)")
    third.get_by_text("In the queue, 1 before this").wait_for()
    person.page.get_by_label(f"Turn: {said[1]}").get_by_text("Next in the queue").wait_for()
    person.page.get_by_role("button", name="Cancel this edit").first.click()
    assert focused(person, "id") == "composer"
    third.get_by_role("alert").wait_for()
    person.wait(lambda: all(turn["status"] in ("canceled", "failed") for turn in person.turns()))
    person.page.get_by_text("Nothing was changed").wait_for()
    shown = person.page.locator(".card:not(.proposal) .said").all_inner_texts()
    assert shown == list(said)
    assert person.page.get_by_role("alert").count() == 2
    turn = person.say("make the cube yellow")
    assert person.page.locator(".card:not(.proposal) .said").all_inner_texts() == [*said, turn["instruction"]]


def test_tries_are_counted_and_the_bar_never_goes_back(person):
    person.begin()
    # Little is painted over the old colour, so that the new one is not seen in it.
    person.options(Steps=8, Strength=0.25, Tries=3)
    person.page.evaluate(
        """() => {
            window.told = [];
            const note = () => {
                const text = document.querySelector(".progress-text")?.textContent;
                const bar = document.querySelector(".progress progress");
                if (text?.startsWith("Painting, ")) window.told.push([text, bar.value]);
            };
            new MutationObserver(note).observe(document.body, { subtree: true, childList: true, attributes: true });
        }"""
    )
    person.makes(lambda: person.says("make the cube yellow"))
    told = person.page.evaluate("window.told")
    texts = [text for text, _ in told]
    steps = int(texts[0].split()[-1])
    assert f"Painting, step 1 of {steps}" in texts, texts
    assert f"Painting, try 2, step {steps} of {steps}" in texts, texts
    assert all(int(text.split()[-1]) == steps for text in texts)
    shares = [share for _, share in told]
    assert shares == sorted(shares)


def test_the_variant_that_was_gone_on_with_stays_marked(person):
    person.begin()
    person.options(Variants=3, Seed=3)
    turn = person.say("make the cube yellow")
    person.press("Continue with variant 2")
    person.shows(turn["images"][1]["url"])
    person.options(Variants=1)
    second = person.say("make the ball green")
    assert second["parent_index"] == 1
    for again in (False, True):
        if again:
            person.page.reload()
        chosen = card(person, turn).locator(".thumb[aria-pressed=true]")
        chosen.wait_for()
        assert chosen.get_attribute("aria-label") == "Continue with variant 2"
        assert "seed 4" in card(person, turn).locator(".facts").inner_text()
    person.press("Undo (Ctrl+Z)", exact=True)
    person.shows(turn["images"][1]["url"])


def test_a_turn_is_deleted_after_a_question_and_the_focus_is_not_lost(person):
    person.begin()
    first, second = person.say("make the cube yellow"), person.say("make the ball green")
    person.press("Delete this turn")
    question = person.page.get_by_role("alertdialog")
    assert focused(person, "textContent") == "Keep"
    person.page.keyboard.press("Escape")
    question.wait_for(state="detached")
    assert focused(person, "ariaLabel") == "Delete this turn"
    person.press("Delete this turn")
    person.page.get_by_label("Instruction", exact=True).click()
    question.wait_for(state="detached")
    assert len(person.turns()) == 2
    person.press("Delete this turn")
    person.press("Delete", exact=True)
    card(person, second).wait_for(state="detached")
    person.shows(first["images"][0]["url"])
    assert [turn["id"] for turn in person.turns()] == [first["id"]]
    assert focused(person, "id") == "composer"
    card(person, first).get_by_role("button", name="Delete this turn").wait_for()


def test_a_double_click_does_it_once(person):
    person.begin()
    person.say("make the cube yellow")
    person.makes(lambda: person.page.get_by_role("button", name="Again, new seed").dblclick())
    person.page.wait_for_timeout(500)
    assert len(person.turns()) == 2


def test_options_close_with_escape_and_those_set_are_counted(person):
    person.open()
    person.options(Steps=4, Seed=1)
    toggle = person.page.get_by_role("button", name="Options, 2 set")
    toggle.click()
    person.page.get_by_label("Steps", exact=True).focus()
    person.page.keyboard.press("Escape")
    assert not person.page.get_by_label("Steps", exact=True).is_visible()
    assert focused(person, "ariaLabel") == "Options, 2 set"


def test_too_few_and_too_many_words(anybody):
    person = anybody
    person.begin()
    person.says("")
    person.page.get_by_text("Say in words what should change.").wait_for()
    person.says("x" * 20_000)
    person.page.get_by_text("That is 16,000 characters too long").wait_for()
    assert len(person.page.get_by_label("Instruction", exact=True).input_value()) == 20_000
    assert person.turns() == []
    person.says("remove the " + "green" * 60 + " star" + " and words" * 40)
    person.page.locator(".card .problem").wait_for()
    person.until(
        "document.querySelector('.turns').scrollWidth === document.querySelector('.turns').clientWidth"
    )
    person.press("More")
    assert person.page.locator(".said").inner_text().endswith("and words")


def test_an_error_says_what_can_be_done_and_that_helps(person):
    person.begin()
    person.says("remove the green star")
    said = person.page.get_by_role("alert").inner_text()
    assert said.startswith('I cannot find "green star" in the picture.')
    assert "paint over what you mean and say the same again" in said
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
