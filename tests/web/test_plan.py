import numpy as np

from tests.web.test_mask import mask_of


def chip(person, name):
    return person.page.locator(".chip", has_text=name)


def test_a_changed_caption_resumes_at_painting(person):
    person.begin()
    person.say("make it blue")
    chip(person, "Caption").click()
    field = person.page.get_by_label("Caption", exact=True)
    field.fill("a green thing")
    field.press("Enter")
    person.until("document.querySelectorAll('.tree .node').length === 3")
    person.settled()
    first, second = person.turns()
    assert second["forked_from"] == first["id"]
    assert second["parent_id"] == first["parent_id"]
    assert second["plan"]["steps"][0]["caption"] == "a green thing"
    assert np.array_equal(mask_of(person, first), mask_of(person, second))


def test_another_candidate_is_chosen_on_the_picture(person):
    person.begin()
    person.say("make it blue")
    person.page.get_by_role("button", name="Found 3").click()
    person.page.get_by_role("button", name="2 · thing").click()
    person.until("document.querySelectorAll('.tree .node').length === 3")
    person.settled()
    first, second = person.turns()
    assert second["regions"][0]["chosen"] == [1]
    assert not (mask_of(person, first) & mask_of(person, second)).any()


def test_all_instances(person):
    person.begin()
    person.say("make it blue")
    chip(person, "Instances").click()
    person.page.get_by_label("Instances", exact=True).select_option("all")
    person.page.get_by_role("button", name="Run with this").click()
    person.until("document.querySelectorAll('.tree .node').length === 3")
    person.settled()
    assert person.turns()[1]["regions"][0]["chosen"] == [0, 1, 2]


def test_a_found_mask_can_be_changed_by_hand(person):
    person.begin()
    person.say("make it blue")
    person.page.get_by_role("button", name="Found 3").click()
    person.page.get_by_role("button", name="Edit this mask").click()
    person.page.locator(".mask-line").wait_for()
    found = person.covered()
    person.page.get_by_role("toolbar").get_by_role("button", name="Rectangle").click()
    person.drag((0.7, 0.7), (0.75, 0.75))
    assert person.covered() > found
    person.page.get_by_role("button", name="Redo this turn with the mask").click()
    person.until("document.querySelectorAll('.tree .node').length === 3")
    person.settled()
    first, second = person.turns()
    before, after = mask_of(person, first), mask_of(person, second)
    assert after[before].all()
    assert after.sum() > before.sum()


def test_a_plan_can_be_seen_and_changed_before_painting(person, screenshots):
    person.begin()
    person.page.get_by_label("Instruction", exact=True).fill("make it blue")
    person.page.get_by_role("button", name="Plan", exact=True).click()
    person.page.get_by_role("button", name="Paint this").wait_for()
    person.page.wait_for_timeout(400)
    person.page.screenshot(path=screenshots / "planned.png")
    assert person.turns() == []
    person.page.get_by_role("button", name="3 · thing").click()
    person.page.locator(".proposal[aria-busy=false]").wait_for()
    chip(person, "Caption").click()
    field = person.page.get_by_label("Caption", exact=True)
    field.fill("a purple thing")
    field.press("Enter")
    person.page.locator(".chip", has_text="a purple thing").wait_for()
    person.page.get_by_role("button", name="Paint this").click()
    person.page.locator(".card .thumb").wait_for()
    (turn,) = person.turns()
    assert turn["plan"]["steps"][0]["caption"] == "a purple thing"
    mask = mask_of(person, turn)
    rows, columns = np.nonzero(mask)
    assert columns.max() < mask.shape[1] * 0.35
    assert rows.min() > mask.shape[0] * 0.7
