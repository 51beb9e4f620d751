from tests.web.conftest import WIDTHS


def node(person, name):
    return person.page.locator(f".node[title='{name}']")


def grown(person):
    """A tree: a, b on a, and c beside b."""
    person.begin()
    person.say("a")
    person.say("b")
    node(person, "a").click()
    person.page.wait_for_timeout(200)
    person.say("c", turns=2)
    return {turn["instruction"]: turn for turn in person.turns()}


def test_the_tree_branches_where_one_went_back_and_survives_a_reload(person, screenshots):
    turns = grown(person)
    assert turns["b"]["parent_id"] == turns["c"]["parent_id"] == turns["a"]["id"]
    person.page.screenshot(path=screenshots / "tree.png")
    person.page.reload()
    node(person, "c").wait_for()
    names = person.page.locator(".tree .node").evaluate_all("all => all.map(one => one.title)")
    assert names == ["Original", "a", "b", "c"]
    assert person.page.locator(".branching").count() == 1
    person.until("document.querySelectorAll('.tree img[src^=blob]').length === 4")
    assert person.page.locator("[aria-selected=true] > .node-line .node").get_attribute("title") == "c"


def test_continue_compare_and_delete(person):
    turns = grown(person)
    node(person, "b").hover()
    person.page.get_by_role("button", name="Compare with: b").click()
    assert person.page.get_by_role("button", name="Slider").get_attribute("aria-pressed") == "true"
    person.page.get_by_role("button", name="Difference").click()
    person.page.locator(".badge").wait_for()
    person.until("document.querySelector('.badge').textContent.includes('of the pixels differ')")
    person.page.get_by_role("button", name="Result", exact=True).click()
    node(person, "b").click()
    person.page.get_by_role("button", name="Continue from: b").click()
    person.until("document.querySelector('[aria-selected=true] .node-head') !== null")
    assert person.session()["head"] == turns["b"]["id"]
    node(person, "c").click()
    person.page.get_by_role("button", name="Delete: c").click()
    node(person, "c").wait_for(state="detached")
    assert {turn["instruction"] for turn in person.turns()} == {"a", "b"}


def test_rename_and_delete_a_session(person):
    session = person.begin()
    title = person.page.get_by_label("Title of this session")
    title.fill("a table with toys")
    title.press("Enter")
    person.until("document.title.startsWith('a table with toys')")
    assert person.session()["title"] == "a table with toys"
    person.visit()
    person.page.get_by_role("link", name="a table with toys").first.click()
    person.page.wait_for_selector(".tree .node")
    person.page.get_by_role("button", name="Delete this session").click()
    person.page.get_by_role("button", name="Delete", exact=True).click()
    person.page.wait_for_selector(".start")
    assert person.client.get(f"/v1/sessions/{session}").status_code == 404


def test_history_at_every_width(open_page):
    for width in WIDTHS:
        person = open_page(width)
        person.begin()
        if width < 1100:
            person.page.get_by_role("button", name="History (Y)").click()
        node(person, "Original").wait_for(state="visible")
