import numpy as np


def opened(person) -> dict:
    person.begin()
    person.say("make it blue")
    return person.turns()[0]


def test_the_slider_shows_before_on_the_left_and_after_on_the_right(person, screenshots):
    opened(person)
    edited = (0.45, 0.45)
    after = person.shown_at(*edited)
    person.page.keyboard.press("Escape")
    person.page.get_by_role("button", name="Slider").click()
    slide = person.page.get_by_label("Where before meets after")
    slide.fill("100")
    person.page.wait_for_timeout(200)
    before = person.shown_at(*edited)
    assert before != after
    slide.fill("0")
    person.page.wait_for_timeout(200)
    assert person.shown_at(*edited) == after
    slide.fill("45")
    person.page.wait_for_timeout(200)
    person.page.screenshot(path=screenshots / "before-after.png")
    person.drag((0.4, 0.5), (0.7, 0.5))
    assert float(slide.input_value()) > 60


def test_holding_shows_the_original_until_let_go(person):
    opened(person)
    edited = (0.45, 0.45)
    after = person.shown_at(*edited)
    person.page.locator("canvas.canvas").focus()
    person.page.keyboard.down("o")
    person.page.wait_for_timeout(200)
    assert person.shown_at(*edited) != after
    person.page.keyboard.up("o")
    person.page.wait_for_timeout(200)
    assert person.shown_at(*edited) == after


def test_side_by_side_shows_both(person):
    opened(person)
    person.page.get_by_role("button", name="Side by side").click()
    person.page.wait_for_timeout(300)
    left, right = person.shown_at(0.225, 0.45), person.shown_at(0.725, 0.45)
    assert np.abs(np.subtract(left, right)).max() > 20


def test_the_difference_glows_where_the_picture_changed_and_says_what_was_measured(person, screenshots):
    turn = opened(person)
    person.page.get_by_role("button", name="Difference").click()
    person.page.locator(".badge").wait_for()
    person.page.wait_for_timeout(300)
    person.page.screenshot(path=screenshots / "difference.png")
    red, _, _ = person.shown_at(0.45, 0.45)
    assert red > 120
    assert max(person.shown_at(0.7, 0.5)) < 80
    said = person.page.locator(".badge").inner_text()
    assert "0 samples changed outside the region" in said
    assert "seam" in said
    counted = float(said.split(" % of the pixels")[0].split()[-1]) / 100
    before = person.picture(turn["urls"]["input"])
    after = person.picture(turn["images"][0]["url"])
    assert abs(counted - (before != after).any(axis=2).mean()) < 0.0002
