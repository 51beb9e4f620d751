"""The plan: seen before anything is painted, changed by its chips, and its place chosen on the picture."""

import numpy as np
import pytest

from tests.web.conftest import BALL, CONE, CUBE, TABLE_SIZE, TOYS, alike, colour, on


def changes(person, name, value) -> dict:
    """Change a chip of the turn in view; return the turn that makes."""
    person.page.locator(".card.selected").locator(".chip", has_text=name).click()
    field = person.page.locator(".chip-form").get_by_label(name, exact=True)
    if field.evaluate("field => field.tagName") == "SELECT":
        field.select_option(value)
    else:
        field.fill(value)
    return person.makes(lambda: person.press("Run with this"))


def other_than(turn) -> list[tuple[tuple[float, float], int]]:
    """Toys that were found and not chosen, each with its number among the candidates."""
    (region,) = turn["regions"]
    width, height = TABLE_SIZE
    numbers = {}
    for toy in TOYS:
        x, y = toy[0] * width, toy[1] * height
        (numbers[toy],) = (
            number
            for number, one in enumerate(region["candidates"])
            if one["box"][0] <= x < one["box"][2] and one["box"][1] <= y < one["box"][3]
        )
    return [(toy, number) for toy, number in numbers.items() if number not in region["chosen"]]


def test_a_changed_chip_resumes_at_its_stage(person):
    person.begin()
    first = person.say("make the toy purple")
    every = changes(person, "Instances", "all")
    assert "located" in person.stages_of(every)
    assert sorted(every["regions"][0]["chosen"]) == [0, 1, 2]
    assert all(colour(person.mask_of(every), toy) for toy in TOYS)
    target = changes(person, "Target", "cube")
    assert target["forked_from"] == every["id"]
    assert target["parent_id"] == first["parent_id"]
    assert on(CUBE, person.mask_of(target))
    caption = changes(person, "Caption", "a green cube")
    assert caption["plan"]["steps"][0]["caption"] == "a green cube"
    assert "located" not in person.stages_of(caption)
    assert np.array_equal(person.mask_of(target), person.mask_of(caption))
    seed = changes(person, "Seed", str(caption["options"]["seed"] + 1))
    assert seed["options"]["seed"] == caption["options"]["seed"] + 1
    assert "located" not in person.stages_of(seed)
    one, other = (person.picture(turn["images"][0]["url"]) for turn in (caption, seed))
    assert (one != other).any()
    assert changes(person, "Steps", "6")["options"]["steps"] == 6
    kind = changes(person, "Kind", "remove")
    assert kind["plan"]["steps"][0]["kind"] == "remove"
    person.changed_by(kind)


def test_candidates_are_chosen_on_the_picture(anybody):
    person = anybody
    person.begin()
    first = person.say("make the toy purple")
    person.press("Found 3")
    (toy, number), (last, last_number) = other_than(first)
    before = person.shown_at(*toy)
    second = person.makes(lambda: person.click(*toy))
    assert second["forked_from"] == first["id"]
    assert second["plan"]["steps"][0]["caption"] == first["plan"]["steps"][0]["caption"]
    assert second["regions"][0]["chosen"] == [number]
    assert on(toy, person.mask_of(second))
    person.changed_by(second)
    assert not alike(person.shown_at(*toy), before), "the tint does not stay over the result"
    person.press("Found 3")
    third = person.makes(lambda: person.press(f"{last_number + 1} · object"))
    assert third["regions"][0]["chosen"] == [last_number]
    assert on(last, person.mask_of(third))
    person.press("Found 3")
    every = person.makes(lambda: person.press("All of them"))
    assert sorted(every["regions"][0]["chosen"]) == [0, 1, 2]
    assert all(colour(person.mask_of(every), one) for one in TOYS)
    person.drag(BALL, CONE)
    assert len(person.turns()) == 4, "moving the picture chooses nothing"


def test_every_step_of_a_plan_has_places_of_its_own(person):
    person.begin()
    plain = {toy: person.shown_at(*toy) for toy in TOYS}
    first = person.say("make the cube yellow, then remove the toy")
    assert [step["target"] for step in first["plan"]["steps"]] == ["cube", "object"]
    assert on(CUBE, person.mask_of(first))
    second_mask = person.mask_of(first, 1)
    chosen = next(toy for toy in TOYS if on(toy, second_mask))
    painted = {toy: person.shown_at(*toy) for toy in TOYS}
    person.press("Found 4")
    person.page.get_by_role("group", name="Places of step 2").wait_for()
    for toy in (CUBE, chosen):
        person.wait(lambda toy=toy: person.shown_at(*toy) != painted[toy])
    other = next(toy for toy in (BALL, CONE) if toy != chosen)
    assert person.shown_at(*other) == painted[other] == plain[other]
    assert (
        person.page.get_by_role("group", name="Places of step 1")
        .get_by_role("button", name="1.1 · cube")
        .count()
    )
    moved = person.makes(lambda: person.click(*other))
    assert moved["forked_from"] == first["id"]
    assert moved["plan"]["steps"][0] == first["plan"]["steps"][0]
    assert np.array_equal(person.mask_of(moved), person.mask_of(first))
    assert on(other, person.mask_of(moved, 1))
    person.changed_by(moved)


def test_a_found_mask_can_be_changed_by_hand(person):
    person.begin()
    first = person.say("make the cube yellow")
    person.press("Found 1")
    person.press("Edit this mask")
    person.page.locator(".mask-line").wait_for()
    found = person.covered()
    assert found == pytest.approx(100 * person.mask_of(first).mean(), abs=0.06)
    person.tool("Rectangle")
    person.drag((0.7, 0.7), (0.75, 0.75))
    assert on(CUBE, person.mask_of(first))
    assert person.covered() > found
    second = person.makes(lambda: person.press("Redo this turn with the mask"))
    before, after = person.mask_of(first), person.mask_of(second)
    assert after[before].all()
    assert after.sum() > before.sum()
    assert colour(person.changed_by(second), (0.72, 0.72))


def test_a_plan_can_be_seen_and_changed_before_painting(person, snap):
    person.begin()
    person.page.get_by_label("Instruction", exact=True).fill("make the toy purple")
    with person.page.expect_response("**/v1/plan") as answer:
        person.press("Plan", exact=True)
    planned = answer.value.json()
    assert len(answer.value.request.post_data_buffer) < 500, "the picture is there already"
    (toy, number), _ = other_than(planned)
    person.page.get_by_role("button", name="Paint this").wait_for()
    person.until("document.querySelector('.candidates').checkVisibility()")
    person.page.mouse.move(1, 1)
    snap(person, "planned")
    before = person.shown_at(*toy)
    assert person.turns() == []
    person.click(*toy)
    person.page.locator(".proposal[aria-busy=false] .chip", has_text="Caption").wait_for()
    person.page.get_by_role("button", name=f"{number + 1} · object", pressed=True).wait_for()
    person.wait(lambda: person.shown_at(*toy) != before)
    person.recaptions("a purple ball")
    seed = person.page.locator(".proposal .chip", has_text="Seed").inner_text().split()[-1]
    assert seed == str(planned["options"]["seed"])
    turn = person.makes(lambda: person.press("Paint this"))
    assert turn["options"]["seed"] == planned["options"]["seed"]
    assert turn["regions"][0]["chosen"] == [number]
    person.page.get_by_role("button", name="Found 3").wait_for()
    assert turn["plan"]["steps"][0]["caption"] == "a purple ball"
    assert on(toy, person.mask_of(turn))
    person.changed_by(turn)
