"""The history as a tree: branches, comparisons of any two nodes, names, and what is left after a reload."""

from tests.web.conftest import BALL, CONE, CUBE, alike, colour, on
from tests.web.test_chat import card


def node(person, name):
    return person.page.locator(f".node[title='{name}']")


def grown(person):
    """A tree: the cube and then the ball, and beside the ball the cone."""
    person.begin()
    cube = person.say("make the cube yellow")
    ball = person.say("make the ball green")
    person.flip_history()
    node(person, "make the cube yellow").click()
    person.shows(cube["images"][0]["url"])
    person.flip_history()
    cone = person.say("make the cone blue")
    for turn, toy in ((cube, CUBE), (ball, BALL), (cone, CONE)):
        assert on(toy, person.mask_of(turn))
    return cube, ball, cone


def test_the_tree_branches_where_one_went_back_and_survives_a_reload(anybody, snap):
    person = anybody
    cube, ball, cone = grown(person)
    assert ball["parent_id"] == cone["parent_id"] == cube["id"]
    seen = [person.shown_at(*one) for one in (CUBE, BALL, CONE)]
    person.page.mouse.move(1, 1)
    snap(person, "tree")
    person.page.reload()
    person.page.wait_for_selector(".stage[data-shown]")
    person.flip_history()
    node(person, "make the cone blue").wait_for()
    names = person.page.locator(".tree .node").evaluate_all("all => all.map(one => one.title)")
    assert names == ["Original", "make the cube yellow", "make the ball green", "make the cone blue"]
    assert person.page.locator(".branching").count() == 1
    person.until("document.querySelectorAll('.tree img[src^=blob]').length === 4")
    person.shows(cone["images"][0]["url"])
    assert [person.shown_at(*one) for one in (CUBE, BALL, CONE)] == seen
    chosen = person.page.locator("[aria-selected=true] > .node-line .node")
    assert chosen.get_attribute("title") == "make the cone blue"


def test_any_two_nodes_are_compared(person):
    _, ball, cone = grown(person)
    green, red = (colour(person.picture(turn["images"][0]["url"]), BALL) for turn in (ball, cone))
    assert not alike(green, red)
    assert alike(person.shown_at(*BALL), red)
    node(person, "make the ball green").hover()
    person.press("Compare with: make the ball green")
    slide = person.page.get_by_label("Where before meets after")
    slide.fill("100")
    person.wait(lambda: alike(person.shown_at(*BALL), green))
    slide.fill("0")
    assert alike(person.shown_at(*BALL), red)
    person.press("Difference")
    person.until("document.querySelector('.badge').textContent.includes('of the pixels differ')")
    said = float(person.page.locator(".badge").inner_text().split(" %")[0])
    session = person.session()["id"]
    told = person.client.get(
        f"/v1/sessions/{session}/compare", params={"a": ball["id"], "b": cone["id"]}
    ).json()
    one, other = (person.picture(turn["images"][0]["url"]) for turn in (ball, cone))
    assert said == round(100 * (one != other).any(axis=2).mean(), 2)
    assert 0 < told["changed_fraction"] <= said / 100 + 1e-4


def test_a_comparison_begins_with_a_slider_also_from_the_original(person):
    _, _, cone = grown(person)
    blue = colour(person.picture(cone["images"][0]["url"]), CONE)
    node(person, "Original").click()
    person.shows(person.session()["input_url"])
    place = person.spot(*CONE)
    plain = person.coloured(*place)
    assert not alike(plain, blue)
    assert person.page.get_by_role("button", name="Slider").is_disabled()
    node(person, "make the cone blue").hover()
    person.press("Compare with: make the cone blue")
    person.wait(lambda: alike(person.coloured(*place), blue))
    assert person.page.locator(".sides span").all_inner_texts() == ["make the cone blue", "Original"]
    for name in ("Slider", "Side by side", "Difference", "Hold to see the original"):
        assert person.page.get_by_role("button", name=name).is_enabled()
    person.page.get_by_label("Where before meets after").fill("0")
    person.drawn()
    assert person.coloured(*place) == plain


def test_a_branch_has_a_rail_and_a_name_of_its_own(anybody):
    person = anybody
    person.begin()
    first = person.say("make the cube yellow")
    person.say("make the ball green")
    again = person.makes(lambda: card(person, first).get_by_role("button", name="Again, new seed").click())
    person.flip_history()
    fork = node(person, f"make the cube yellow · seed {again['options']['seed']}")
    fork.wait_for()
    lefts = {
        name: node(person, name).bounding_box()["x"]
        for name in ("Original", "make the cube yellow", "make the ball green")
    }
    assert lefts["Original"] < lefts["make the cube yellow"] == fork.bounding_box()["x"]
    node(person, "make the cube yellow").click()
    # Playwright would wait for it to be enabled.
    person.page.get_by_role("button", name="Delete: make the cube yellow").click(force=True)
    person.page.get_by_text("Other turns build on this one: delete those first").wait_for()
    assert len(person.turns()) == 3


def test_nodes_are_continued_renamed_and_deleted(person):
    _, ball, cone = grown(person)
    node(person, "make the ball green").click()
    person.press("Continue from: make the ball green")
    person.wait(lambda: person.session()["head"] == ball["id"])
    person.page.wait_for_selector("[aria-selected=true] .node-head")
    person.press("Rename: make the ball green")
    field = person.page.get_by_label("Name of this node")
    field.fill("the first try")
    field.press("Enter")
    node(person, "the first try").wait_for()
    assert {turn["id"]: turn["title"] for turn in person.turns()}[ball["id"]] == "the first try"
    person.page.reload()
    node(person, "the first try").focus()
    person.page.keyboard.press("F2")
    person.page.keyboard.type("nothing of this stays")
    person.page.keyboard.press("Escape")
    assert person.page.evaluate("document.activeElement.title") == "the first try"
    node(person, "make the cone blue").click()
    person.press("Delete: make the cone blue")
    person.press("Delete", exact=True)
    node(person, "make the cone blue").wait_for(state="detached")
    assert cone["id"] not in {turn["id"] for turn in person.turns()}
    assert person.client.get(cone["images"][0]["url"]).status_code == 404


def test_a_session_is_renamed_found_again_and_deleted(person):
    session = person.open()
    title = person.page.get_by_label("Title of this session")
    title.fill("a table with toys")
    title.press("Enter")
    person.until("document.title.startsWith('a table with toys')")
    assert person.session()["title"] == "a table with toys"
    person.visit()
    person.page.locator(f"a[href='#{session}']").click()
    person.page.wait_for_selector(".tree .node")
    person.press("Delete this session")
    person.page.keyboard.press("Escape")
    person.page.get_by_role("alertdialog").wait_for(state="detached")
    assert person.page.evaluate("document.activeElement.ariaLabel") == "Delete this session"
    person.press("Delete this session")
    person.press("Delete", exact=True)
    person.page.wait_for_selector(".start")
    assert person.client.get(f"/v1/sessions/{session}").status_code == 404


def test_a_history_that_covers_the_page_goes_by_escape_and_by_a_tap_beside_it(anybody):
    person = anybody
    person.open()
    history = person.page.locator(".history")
    covers = person.width < 1100
    person.flip_history()
    assert history.is_visible()
    person.page.keyboard.press("Escape")
    assert history.is_visible() != covers
    person.flip_history()
    person.click(0.1, 0.5)
    assert history.is_visible() != covers
