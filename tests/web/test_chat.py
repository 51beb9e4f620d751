import pytest

from app.access import Keys
from app.settings import Settings
from app.store.database import Database
from tests.server import cluster, pixels
from tests.web.conftest import TABLE, WIDTHS


@pytest.mark.parametrize("width", WIDTHS)
def test_a_picture_and_a_sentence(open_page, width, screenshots):
    person = open_page(width)
    person.visit()
    person.page.wait_for_selector(".example img")
    person.page.screenshot(path=screenshots / f"start-{width}.png")
    person.begin()
    person.say("make it blue")
    (turn,) = person.turns()
    assert turn["instruction"] == "make it blue"
    assert turn["status"] == "succeeded"
    before, after = pixels(TABLE.read_bytes()), person.picture(turn["images"][0]["url"])
    assert before.shape == after.shape
    assert (before != after).any()
    assert person.page.locator(".facts .exact").inner_text() == "0 samples changed outside"
    person.page.screenshot(path=screenshots / f"result-{width}.png")


def test_an_example_starts_a_session_in_one_click(person):
    person.visit()
    person.page.get_by_role("button", name="remove the blue cube").click()
    person.page.wait_for_selector(".stage[data-shown]")
    box = person.page.get_by_label("Instruction", exact=True)
    person.until("document.getElementById('composer').value !== ''")
    assert box.input_value() == "remove the blue cube"
    box.press("Enter")
    person.page.wait_for_selector(".card .thumb")
    assert person.turns()[0]["status"] == "succeeded"


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
    assert person.session()["title"] == "table.png"


def test_progress_preview_and_cancel(person):
    person.begin()
    person.page.get_by_label("Instruction", exact=True).fill("slow paint and slow locate")
    person.page.keyboard.press("Enter")
    person.until("/step [1-6] of 6/.test(document.querySelector('.progress-text')?.textContent)")
    person.page.get_by_text("Live preview").wait_for()
    assert "previews" in person.page.locator(".stage").get_attribute("data-shown")
    person.page.get_by_role("button", name="Cancel this edit").click()
    person.page.get_by_text("Nothing was changed").wait_for()
    assert person.turns()[0]["status"] == "canceled"


def test_turns_wait_in_the_queue_and_say_so(person):
    person.begin()
    box = person.page.get_by_label("Instruction", exact=True)
    for words in ("slow paint one", "slow paint two"):
        box.fill(words)
        box.press("Enter")
        person.page.get_by_label(f"Turn: {words}").wait_for()
    person.until("document.querySelectorAll('.card .thumb').length === 2")
    first, second = person.turns()
    assert second["parent_id"] == first["id"]


def test_an_error_says_what_can_be_done(person):
    person.begin()
    person.page.get_by_label("Instruction", exact=True).fill("missing")
    person.page.keyboard.press("Enter")
    said = person.page.get_by_role("alert").inner_text()
    assert said.startswith("There is no thing in this picture.")
    assert "paint over it" in said


def test_undo_and_redo(person):
    person.begin()
    middle = (0.5, 0.5)
    before = person.shown_at(*middle)
    person.say("make it blue")
    person.page.get_by_role("button", name="Undo (Ctrl+Z)", exact=True).click()
    person.page.wait_for_selector(".origin-button[aria-pressed=true]")
    assert person.session()["head"] is None
    person.settled()
    assert person.shown_at(*middle) == before
    person.page.get_by_role("button", name="Redo (Ctrl+Shift+Z)", exact=True).click()
    person.page.wait_for_selector(".card.selected")
    assert person.session()["head"] == person.turns()[0]["id"]


def test_everything_by_keyboard(person):
    person.visit()
    person.page.keyboard.press("Tab")
    assert person.page.evaluate("document.activeElement.className") == "skip"
    person.page.get_by_role("button", name="remove the blue cube").focus()
    person.page.keyboard.press("Enter")
    person.until("document.getElementById('composer').value !== ''")
    person.page.keyboard.press("Enter")
    person.page.wait_for_selector(".card .thumb")
    person.settled()
    person.page.keyboard.press("Control+z")
    assert person.session()["head"] is not None, "while writing, Ctrl+Z belongs to the text"
    person.page.locator("canvas.canvas").focus()
    person.page.keyboard.press("Control+z")
    person.page.wait_for_selector(".origin-button[aria-pressed=true]")
    person.page.keyboard.press("b")
    for key in ("Enter", "ArrowRight", "ArrowRight", "ArrowDown", "Enter"):
        person.page.keyboard.press(key)
    assert person.covered() > 0
    person.page.keyboard.press("?")
    person.page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
    person.page.keyboard.press("Escape")
    assert person.page.locator("dialog").count() == 0


def test_a_key_is_asked_for_where_one_is_needed(browser, tmp_path):
    with cluster(tmp_path, "api") as keyed:
        database = Database(Settings(data=tmp_path / "data").sql_url)
        _, key = Keys(database).create("me")
        database.close()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{keyed.port}/")
        page.get_by_placeholder("be-").fill(key)
        page.get_by_role("button", name="Continue").click()
        page.wait_for_load_state("networkidle")
        assert page.locator("dialog").count() == 0
        assert page.evaluate("localStorage.getItem('brushedit.key')") == key
        page.close()
