"""Before and after: slider, side by side, held, and the measured difference."""

from tests.web.conftest import CUBE, WALL, alike, colour


def opened(person) -> dict:
    person.begin()
    turn = person.say("make the cube yellow")
    assert alike(person.shown_at(*CUBE), colour(person.picture(turn["images"][0]["url"]), CUBE))
    return turn


def test_the_slider_shows_before_on_the_left_and_after_on_the_right(anybody, snap):
    opened(anybody)
    after = anybody.shown_at(*CUBE)
    anybody.press("Slider")
    assert anybody.page.locator(".sides span").all_inner_texts() == ["Before", "After"]
    slide = anybody.page.get_by_label("Where before meets after")
    slide.fill("100")
    before = anybody.shown_at(*CUBE)
    assert not alike(before, after)
    slide.fill("0")
    assert alike(anybody.shown_at(*CUBE), after)
    slide.fill("38")
    slide.evaluate("slide => slide.blur()")
    anybody.page.mouse.move(1, 1)
    snap(anybody, "before-after")
    assert alike(anybody.shown_at(*CUBE), before)
    anybody.drag((0.38, 0.9), (0.7, 0.9))
    assert 65 < float(slide.input_value()) < 75
    slide.focus()
    anybody.page.keyboard.press("Home")
    assert alike(anybody.shown_at(*CUBE), after)


def test_holding_shows_the_original_until_let_go(person):
    opened(person)
    after = person.shown_at(*CUBE)
    person.page.locator("canvas.canvas").focus()
    person.page.keyboard.down("o")
    before = person.shown_at(*CUBE)
    assert not alike(before, after)
    person.page.keyboard.up("o")
    assert person.shown_at(*CUBE) == after
    person.page.get_by_role("button", name="Hold to see the original").hover()
    person.page.mouse.down()
    assert person.shown_at(*CUBE) == before
    person.page.mouse.up()
    assert person.shown_at(*CUBE) == after


def test_side_by_side_shows_both(person):
    turn = opened(person)
    person.press("Side by side")
    person.drawn()
    canvas = person.page.locator("canvas.canvas").bounding_box()
    half, height = canvas["width"] / 2, canvas["height"] - 56
    scale = (half - 32) / turn["width"]
    x, y = 16 + CUBE[0] * turn["width"] * scale, height / 2 + (CUBE[1] - 0.5) * turn["height"] * scale
    left, right = person.coloured(x, y), person.coloured(half + x, y)
    assert alike(left, colour(person.picture(turn["urls"]["input"]), CUBE))
    assert alike(right, colour(person.picture(turn["images"][0]["url"]), CUBE))
    assert not alike(left, right)


def test_the_difference_glows_where_the_picture_changed_and_says_what_was_measured(person):
    turn = opened(person)
    person.press("Difference")
    person.until("document.querySelector('.badge').textContent.includes('of the pixels differ')")
    red, _, _ = person.shown_at(*CUBE)
    assert red > 120
    assert max(person.shown_at(*WALL)) < 80
    said = person.page.locator(".badge").inner_text()
    assert "0 samples changed outside the region" in said
    assert f"seam {turn['images'][0]['seam_score']:.1f}" in said
    counted = float(said.split(" % of the pixels")[0].split()[-1]) / 100
    before = person.picture(turn["urls"]["input"])
    after = person.picture(turn["images"][0]["url"])
    assert abs(counted - (before != after).any(axis=2).mean()) < 0.0002
