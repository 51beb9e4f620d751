"""The plan: seen before anything is painted, changed by its chips, and its place chosen on the picture."""

import numpy as np
import pytest

from tests.web.conftest import BALL, CONE, CUBE


def changes(person, name, value) -> dict:
    """Change a chip of the turn in view; return the turn that makes."""
    person.page.locator(".card.selected").locator(".chip", has_text=name).click()
    field = person.page.locator(".chip-form").get_by_label(name, exact=True)
    if field.evaluate("field => field.tagName") == "SELECT":
        field.select_option(value)
    else:
        field.fill(value)
    return person.makes(lambda: person.press("Run with this"))


def test_a_changed_chip_resumes_at_its_stage(person):
    person.begin()
    first = person.say("make the cube yellow")
    caption = changes(person, "Caption", "a green thing")
    assert caption["forked_from"] == first["id"]
    assert caption["parent_id"] == first["parent_id"]
    assert caption["plan"]["steps"][0]["caption"] == "a green thing"
    assert "located" not in person.stages_of(caption)
    assert np.array_equal(person.mask_of(first), person.mask_of(caption))
    seed = changes(person, "Seed", str(caption["options"]["seed"] + 1))
    assert seed["options"]["seed"] == caption["options"]["seed"] + 1
    assert "located" not in person.stages_of(seed)
    one, other = (person.picture(turn["images"][0]["url"]) for turn in (caption, seed))
    assert (one != other).any()
    assert changes(person, "Steps", "30")["options"]["steps"] == 30
    target = changes(person, "Target", "ball")
    assert "located" in person.stages_of(target)
    assert target["plan"]["steps"][0]["caption"] == "a green thing"
    assert not (person.mask_of(target) & person.mask_of(first)).any()
    kind = changes(person, "Kind", "remove")
    assert kind["plan"]["steps"][0]["kind"] == "remove"
    assert changes(person, "Instances", "all")["regions"][0]["chosen"] == [0, 1, 2]


def test_candidates_are_chosen_on_the_picture(anybody):
    person = anybody
    person.begin()
    first = person.say("make the cube yellow")
    person.press("Found 3")
    before = person.shown_at(*BALL)
    second = person.makes(lambda: person.click(*BALL))
    assert second["forked_from"] == first["id"]
    assert second["plan"]["steps"][0]["caption"] == first["plan"]["steps"][0]["caption"]
    assert second["regions"][0]["chosen"] == [1]
    person.press("Found 3")
    assert np.abs(np.subtract(person.shown_at(*BALL), before)).max() > 60
    person.press("Found 3")
    third = person.makes(lambda: person.press("3 · cone"))
    assert third["regions"][0]["chosen"] == [2]
    every = person.makes(lambda: person.press("All of them"))
    assert every["regions"][0]["chosen"] == [0, 1, 2]
    assert person.mask_of(every)[person.mask_of(first) | person.mask_of(second)].all()
    person.drag(BALL, CONE)
    assert len(person.turns()) == 4, "moving the picture chooses nothing"


def test_a_found_mask_can_be_changed_by_hand(person):
    person.begin()
    first = person.say("make the cube yellow")
    person.press("Found 3")
    person.press("Edit this mask")
    person.page.locator(".mask-line").wait_for()
    found = person.covered()
    assert found == pytest.approx(100 * person.mask_of(first).mean(), abs=0.06)
    person.tool("Rectangle")
    person.drag((0.7, 0.7), (0.75, 0.75))
    assert person.covered() > found
    second = person.makes(lambda: person.press("Redo this turn with the mask"))
    before, after = person.mask_of(first), person.mask_of(second)
    assert after[before].all()
    assert after.sum() > before.sum()


def test_a_plan_can_be_seen_and_changed_before_painting(person, snap):
    person.begin()
    person.page.get_by_label("Instruction", exact=True).fill("make the cube yellow")
    person.press("Plan", exact=True)
    person.page.get_by_role("button", name="Paint this").wait_for()
    person.until("document.querySelector('.candidates').checkVisibility()")
    person.page.mouse.move(1, 1)
    snap(person, "planned")
    blue = person.shown_at(*CUBE)
    assert person.turns() == []
    person.click(*CONE)
    person.page.locator(".proposal[aria-busy=false] .chip", has_text="Caption").wait_for()
    person.page.get_by_role("button", name="3 · cone", pressed=True).wait_for()
    assert person.shown_at(*CUBE) != blue, "the mask no longer tints the cube"
    person.page.locator(".proposal .chip", has_text="Caption").click()
    field = person.page.get_by_label("Caption", exact=True)
    field.fill("a purple thing")
    field.press("Enter")
    person.page.locator(".proposal[aria-busy=false] .chip", has_text="a purple thing").wait_for()
    turn = person.makes(lambda: person.press("Paint this"))
    assert turn["plan"]["steps"][0]["caption"] == "a purple thing"
    rows, columns = np.nonzero(person.mask_of(turn))
    height, width = person.mask_of(turn).shape
    assert 0.05 < columns.min() / width < columns.max() / width < 0.25
    assert 0.40 < rows.min() / height < rows.max() / height < 0.72
