import io

import numpy as np
import PIL.Image
import pytest

from tests.server import pixels
from tests.web.conftest import TABLE, TABLE_SIZE


@pytest.fixture
def painter(person):
    """Somebody with a picture open and the mask tools in hand."""
    person.begin()
    person.page.get_by_role("button", name="Mask", exact=True).click()
    return person


def tool(person, name):
    person.page.get_by_role("toolbar").get_by_role("button", name=name).click()


def mask_of(person, turn) -> np.ndarray:
    return person.picture(f"/v1/edits/{turn['id']}/masks/0")[:, :, 0] > 0


def test_each_tool_covers_what_it_was_drawn_over(painter):
    seen = []
    for name in ("Rectangle", "Ellipse", "Lasso", "Brush"):
        tool(painter, name)
        painter.drag((0.4, 0.4), (0.6, 0.42), (0.6, 0.6), (0.45, 0.6))
        seen.append(painter.covered())
        painter.page.get_by_role("button", name="Clear the mask").first.click()
        assert painter.covered() == 0
    rectangle, ellipse, _lasso, brush = seen
    assert all(share > 0.5 for share in seen)
    assert ellipse == pytest.approx(rectangle * np.pi / 4, rel=0.1)
    assert brush > 0


def test_strokes_are_undone_across_tools(painter):
    tool(painter, "Rectangle")
    painter.drag((0.4, 0.4), (0.6, 0.6))
    one = painter.covered()
    tool(painter, "Eraser")
    painter.drag((0.4, 0.5), (0.6, 0.5))
    two = painter.covered()
    assert 0 < two < one
    tool(painter, "Lasso")
    painter.page.locator("canvas.canvas").focus()
    painter.page.keyboard.press("Control+z")
    assert painter.covered() == one
    painter.page.keyboard.press("Control+z")
    assert painter.covered() == 0
    painter.page.keyboard.press("Control+Shift+Z")
    painter.page.keyboard.press("Control+Shift+Z")
    assert painter.covered() == two


def test_the_painted_mask_is_what_changes(painter, screenshots):
    tool(painter, "Rectangle")
    painter.drag((0.45, 0.45), (0.55, 0.55))
    painter.page.screenshot(path=screenshots / "painting.png")
    painter.say("make it blue")
    (turn,) = painter.turns()
    mask = mask_of(painter, turn)
    before = pixels(TABLE.read_bytes())
    after = painter.picture(turn["images"][0]["url"])
    changed = (before != after).any(axis=2)
    assert 0.005 < mask.mean() < 0.1
    assert not changed[~mask].any()
    assert changed[mask].mean() > 0.9
    assert painter.covered() == 0, "the next turn begins without a mask"


def test_grow_invert_and_files(painter):
    tool(painter, "Rectangle")
    painter.drag((0.45, 0.45), (0.55, 0.55))
    small = painter.covered()
    more = painter.page.locator("summary[aria-label='More mask operations']")
    more.click()
    painter.page.get_by_role("button", name="Grow").click()
    painter.until(f"parseFloat(document.querySelector('.mask-share').textContent.split(' ')[1]) > {small}")
    grown = painter.covered()
    with painter.page.expect_download() as download:
        painter.page.get_by_role("button", name="Save the mask").click()
    mask = pixels(download.value.path().read_bytes())[:, :, 0]
    assert set(np.unique(mask)) == {0, 255}
    assert mask.shape == TABLE_SIZE[::-1]
    painter.page.get_by_role("button", name="Invert").click()
    assert painter.covered() == pytest.approx(100 - grown, abs=0.6)
    alpha = PIL.Image.new("RGBA", TABLE_SIZE, (0, 0, 0, 255))
    alpha.paste((0, 0, 0, 0), (0, 0, 256, 384))
    file = io.BytesIO()
    alpha.save(file, "PNG")
    with painter.page.expect_file_chooser() as chooser:
        painter.page.get_by_role("button", name="Open a mask file").click()
    chooser.value.set_files({"name": "mask.png", "mimeType": "image/png", "buffer": file.getvalue()})
    painter.until("document.querySelector('.mask-share').textContent.includes('50 %')")


def test_a_click_selects_what_is_under_it(painter):
    tool(painter, "Select by clicking")
    painter.drag((0.5, 0.5), (0.5, 0.5))
    painter.page.locator(".mask-line").wait_for()
    width, height = TABLE_SIZE
    assert painter.covered() == pytest.approx(100 * 40 * 40 / (width * height), abs=0.06)


def test_zoom_and_pan_keep_the_picture_under_the_pointer(person):
    person.begin()
    box = person.page.locator("canvas.canvas").bounding_box()
    at = (box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    before = person.shown_at(0.5, 0.5)
    person.page.mouse.move(*at)
    person.page.mouse.wheel(0, -600)
    person.page.wait_for_timeout(300)
    assert np.abs(np.subtract(person.shown_at(0.5, 0.5), before)).max() < 30
    assert int(person.page.locator(".scale").inner_text().split()[0]) > 200
    person.drag((0.5, 0.5), (0.9, 0.9))
    person.page.get_by_label("fit the picture into the window").click()
    person.page.wait_for_timeout(300)
    assert np.abs(np.subtract(person.shown_at(0.5, 0.5), before)).max() < 4


def test_fingers_paint_and_pinch(open_page):
    person = open_page(360, has_touch=True, is_mobile=True)
    person.begin()
    person.page.get_by_role("button", name="Mask", exact=True).click()
    device = person.page.context.new_cdp_session(person.page)
    box = person.page.locator("canvas.canvas").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def touch(kind, *shifts):
        points = [{"x": middle[0] + dx, "y": middle[1] + dy, "id": n} for n, (dx, dy) in enumerate(shifts)]
        device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (-30, 0))
    touch("touchMove", (0, 0))
    touch("touchMove", (30, 0))
    touch("touchEnd")
    painted = person.covered()
    assert painted > 0
    zoom = person.page.locator(".scale").inner_text()
    touch("touchStart", (-20, 0), (20, 0))
    touch("touchMove", (-50, 0), (50, 0))
    touch("touchEnd")
    person.page.wait_for_timeout(200)
    assert int(person.page.locator(".scale").inner_text().split()[0]) > 1.5 * int(zoom.split()[0])
    assert person.covered() == painted, "a pinch paints nothing"


def test_a_large_photo_can_be_painted_on(person, tmp_path):
    path = tmp_path / "large.jpg"
    PIL.Image.new("RGB", (8000, 6000), (90, 120, 60)).save(path, quality=30)
    person.begin(path)
    person.page.get_by_role("button", name="Mask", exact=True).click()
    tool(person, "Rectangle")
    person.drag((0.45, 0.45), (0.55, 0.55))
    assert 0 < person.covered() < 5
    tool(person, "Brush")
    person.drag((0.3, 0.3), (0.4, 0.4))
    assert person.page.evaluate("performance.memory.usedJSHeapSize") < 300e6
