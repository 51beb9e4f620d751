"""The mask tools, by mouse, touch and pen, on small pictures and on a large one."""

import io
import json

import numpy as np
import PIL.Image
import pytest

from tests.server import pixels
from tests.web.conftest import BALL, CUBE, TABLE, TABLE_SIZE, alike, colour, on


@pytest.fixture
def painter(person):
    """Somebody with a picture open and the mask tools in hand."""
    person.open()
    person.press("Mask", exact=True)
    return person


def saved(person) -> np.ndarray:
    """Save the mask to a file; return what it selects."""
    if not person.page.get_by_role("button", name="Save the mask").is_visible():
        person.page.locator("summary[aria-label='More mask operations']").click()
    with person.page.expect_download() as download:
        person.press("Save the mask")
    mask = pixels(download.value.path().read_bytes())[:, :, 0]
    assert set(np.unique(mask)) <= {0, 255}
    return mask > 0


def test_each_tool_covers_what_it_was_drawn_over(painter):
    way = (0.4, 0.4), (0.6, 0.42), (0.6, 0.6), (0.45, 0.6)
    shapes = {}
    for name in ("Rectangle", "Ellipse", "Lasso", "Brush"):
        painter.tool(name)
        before = painter.shown_at(0.5, 0.41)
        painter.drag(*way)
        if name == "Brush":
            assert painter.shown_at(0.5, 0.41) != before, "the mask tints the picture"
        shapes[name] = saved(painter)
        painter.page.get_by_role("button", name="Clear the mask").first.click()
        assert painter.covered() == 0
    rectangle, ellipse, lasso, brush = shapes.values()
    assert rectangle.mean() == pytest.approx(0.05 * 0.2, rel=0.1)
    ys, xs = np.nonzero(rectangle)
    assert rectangle.sum() == np.ptp(ys) * np.ptp(xs) + np.ptp(ys) + np.ptp(xs) + 1
    assert ellipse.mean() == pytest.approx(rectangle.mean() * np.pi / 4, rel=0.05)
    assert not (ellipse & ~rectangle).any()
    assert lasso[192, 256]
    assert brush[int(0.41 * 384), 256]
    assert not brush[192, 230], "a stroke is not filled"


def test_strokes_are_undone_across_tools_and_modes(painter):
    painter.tool("Rectangle")
    painter.drag((0.4, 0.4), (0.6, 0.6))
    one = painter.covered()
    painter.tool("Eraser")
    painter.drag((0.38, 0.5), (0.62, 0.5))
    two = painter.covered()
    assert 0 < two < one
    painter.tool("Lasso")
    painter.page.locator("canvas.canvas").focus()
    painter.page.keyboard.press("p")
    painter.page.keyboard.press("p")
    assert painter.covered() == two, "putting the tools away keeps the mask"
    painter.page.keyboard.press("Control+z")
    assert painter.covered() == one
    painter.press("Undo stroke")
    assert painter.covered() == 0
    painter.press("Redo stroke")
    painter.tool("Brush")
    painter.page.locator("canvas.canvas").focus()
    painter.page.keyboard.press("Control+Shift+Z")
    assert painter.covered() == two


def test_the_painted_mask_is_what_changes(anybody, snap):
    painter = anybody
    painter.begin()
    painter.press("Mask", exact=True)
    painter.tool("Brush")
    painter.drag((0.30, 0.6), (0.42, 0.62), (0.40, 0.75), (0.30, 0.75), (0.30, 0.68), (0.36, 0.68))
    snap(painter, "painting")
    mask = saved(painter)
    painter.options(Reach=6, Feather=3)
    turn = painter.say("make the cube green")
    assert np.array_equal(painter.mask_of(turn), mask)
    changed = painter.changed_by(turn, reach=6)
    assert 0.01 < mask.mean() < 0.2
    assert changed[mask].mean() > 0.9
    assert (turn["options"]["grow"], turn["options"]["blur"]) == (6, 3)
    assert painter.covered() == 0, "the next turn begins without a mask"


def test_operations_on_the_mask(painter):
    def does(name):
        before = painter.covered()
        painter.press(name, exact=True)
        painter.wait(lambda: painter.covered() != before)
        return saved(painter)

    painter.tool("Rectangle")
    painter.drag((0.4, 0.4), (0.6, 0.6))
    square = saved(painter)
    painter.page.get_by_label("By how many pixels").fill("5")
    grown = does("Grow")
    assert grown[square].all()
    ys, _ = np.nonzero(square)
    assert grown[ys.min() - 4 : ys.min(), 256].all()
    assert not grown[: ys.min() - 6].any()
    shrunk = does("Shrink")
    assert (shrunk != square).mean() < 0.001
    painter.page.locator("canvas.canvas").focus()
    painter.page.keyboard.press("x")
    painter.drag((0.47, 0.47), (0.53, 0.53))
    assert not saved(painter)[192, 256], "taken away"
    filled = does("Fill holes")
    assert np.array_equal(filled, shrunk)
    painter.tool("Move the mask")
    painter.drag((0.5, 0.5), (0.7, 0.4))
    moved = saved(painter)
    down, right = np.argwhere(moved).min(axis=0) - np.argwhere(filled).min(axis=0)
    assert (right, down) == (pytest.approx(0.2 * 512, abs=2), pytest.approx(-0.1 * 384, abs=2))
    assert np.array_equal(np.roll(filled, (down, right), (0, 1)), moved)
    assert np.array_equal(does("Invert"), ~moved)
    assert does("Select everything").all()


def test_masks_come_from_files(painter):
    painter.page.locator("summary[aria-label='More mask operations']").click()
    alpha = PIL.Image.new("RGBA", TABLE_SIZE, (0, 0, 0, 255))
    alpha.paste((0, 0, 0, 0), (0, 0, 256, 384))
    white = PIL.Image.new("L", TABLE_SIZE, 0)
    white.paste(255, (0, 0, 128, 384))
    for picture, share in ((alpha, "50 %"), (white, "25 %")):
        file = io.BytesIO()
        picture.save(file, "PNG")
        painter.choose(
            "Open a mask file", {"name": "mask.png", "mimeType": "image/png", "buffer": file.getvalue()}
        )
        painter.until(f"document.querySelector('.mask-share').textContent.includes('{share}')")
    assert saved(painter)[:, :128].all()
    assert not saved(painter)[:, 128:].any()


def test_a_click_selects_what_is_under_it_and_another_says_what_is_not(painter):
    sent = []
    painter.page.on("request", lambda request: request.method == "POST" and sent.append(request))

    def selected(*points: tuple[float, float, bool]) -> np.ndarray:
        """Return the mask of the latest request, having looked at that and at the page's mask."""
        asked = json.loads(sent[-1].post_data)
        width, height = TABLE_SIZE
        for point, (x, y, positive) in zip(asked["points"], points, strict=True):
            assert (point["x"], point["y"]) == (
                pytest.approx(x * width, abs=2),
                pytest.approx(y * height, abs=2),
            )
            assert point["positive"] == positive
        made = painter.client.get("/v1/edits?limit=1").json()["data"][0]
        mask = painter.mask_of(made)
        painter.wait(lambda: painter.covered() == pytest.approx(100 * mask.mean(), abs=0.06))
        assert np.array_equal(saved(painter), mask)
        return mask

    painter.tool("Select by clicking")
    with painter.page.expect_response("**/masks/0"):
        painter.click(*CUBE)
    painter.page.locator(".mask-line").wait_for()
    assert on(CUBE, selected((*CUBE, True)))
    beside = CUBE[0] + 0.05, CUBE[1]
    painter.page.keyboard.down("Alt")
    with painter.page.expect_response("**/masks/0"):
        painter.click(*beside)
    painter.page.keyboard.up("Alt")
    selected((*CUBE, True), (*beside, False))
    # The picture is there already: a click sends no more than where it was.
    assert [request.url for request in sent] == [f"{painter.origin}/v1/plan"] * 2
    assert max(len(request.post_data_buffer) for request in sent) < 500


def test_a_click_adds_to_what_was_painted_or_takes_it_away(painter):
    """With Alt it is taken away, though what a rectangle had covered was no click's."""

    def clicked(at):
        """Click; return what the server finds there."""
        with painter.page.expect_response("**/masks/0"):
            painter.click(*at)
        return painter.mask_of(painter.client.get("/v1/edits?limit=1").json()["data"][0])

    def shown(expected):
        painter.wait(lambda: painter.covered() == pytest.approx(100 * expected.mean(), abs=0.06))
        assert np.array_equal(saved(painter), expected)

    painter.tool("Rectangle")
    painter.drag((CUBE[0] - 0.1, CUBE[1] - 0.15), (CUBE[0] + 0.1, CUBE[1] + 0.15))
    painted = saved(painter)
    painter.tool("Select by clicking")
    shown(painted | clicked(BALL))
    painter.page.keyboard.press("Control+z")
    painter.page.keyboard.down("Alt")
    cube = clicked(CUBE)
    painter.page.keyboard.up("Alt")
    assert (painted & cube).any()
    shown(painted & ~cube)


def test_a_mask_of_another_shape_is_refused(painter, tmp_path):
    file = tmp_path / "mask.png"
    PIL.Image.new("L", (100, 80), 255).save(file)
    painter.page.locator("summary[aria-label='More mask operations']").click()
    with painter.page.expect_file_chooser() as chooser:
        painter.press("Open a mask file")
    chooser.value.set_files(file)
    painter.page.locator(".toast", has_text="100 × 80").wait_for()
    assert painter.covered() == 0


def test_feathering_is_for_the_next_turn(painter):
    painter.page.locator("summary[aria-label='More mask operations']").click()
    painter.page.locator("input.distance").fill("12")
    painter.press("Feather", exact=True)
    painter.press("Options")
    values = [painter.page.get_by_label(name).input_value() for name in ("Reach, px", "Feather, px")]
    assert values == ["12", "12"]


def test_zoom_and_pan_keep_the_picture_under_the_pointer(person):
    person.open()
    canvas = person.page.locator("canvas.canvas")
    box = canvas.bounding_box()
    at = person.screen(*CUBE)
    there = at[0] - box["x"], at[1] - box["y"]
    before = person.coloured(*there)
    person.page.mouse.move(*at)
    person.page.mouse.wheel(0, -600)
    person.until("parseInt(document.querySelector('.scale').textContent) > 300")
    person.drawn()
    assert np.abs(np.subtract(person.coloured(*there), before)).max() < 20
    person.page.mouse.down()
    person.page.mouse.move(at[0] + 60, at[1] - 40, steps=3)
    person.page.mouse.up()
    person.drawn()
    assert np.abs(np.subtract(person.coloured(there[0] + 60, there[1] - 40), before)).max() < 20
    person.press("fit the picture into the window")
    person.drawn()
    assert person.coloured(*there) == before


def test_fingers_paint_and_pinch(open_page):
    person = open_page(360, has_touch=True, is_mobile=True)
    person.open()
    person.press("Mask", exact=True)
    person.drawn()
    device = person.page.context.new_cdp_session(person.page)
    middle = person.screen(0.5, 0.5)

    def touch(kind, *shifts):
        points = [{"x": middle[0] + dx, "y": middle[1] + dy, "id": n} for n, (dx, dy) in enumerate(shifts)]
        device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (-30, 0))
    touch("touchMove", (0, 0))
    touch("touchMove", (30, 0))
    touch("touchEnd")
    painted = person.wait(person.covered)
    zoom = int(person.page.locator(".scale").inner_text().split()[0])
    touch("touchStart", (-20, 0), (20, 0))
    touch("touchMove", (-50, 0), (50, 0))
    touch("touchEnd")
    person.until(f"parseInt(document.querySelector('.scale').textContent) > {1.5 * zoom}")
    assert person.covered() == painted, "a pinch paints nothing"


def test_a_pen_paints(painter):
    device = painter.page.context.new_cdp_session(painter.page)
    events = painter.page.evaluate_handle(
        """() => {
            const seen = [];
            const canvas = document.querySelector("canvas.canvas");
            canvas.addEventListener("pointerdown", (event) => seen.push(event.pointerType));
            return seen;
        }"""
    )

    def pen(kind, x, y):
        left, top = painter.screen(x, y)
        where = {"x": left, "y": top, "button": "left", "buttons": 1, "clickCount": 1}
        device.send("Input.dispatchMouseEvent", {"type": kind, "pointerType": "pen", "force": 0.6, **where})

    pen("mousePressed", 0.4, 0.5)
    pen("mouseMoved", 0.5, 0.5)
    pen("mouseMoved", 0.6, 0.5)
    pen("mouseReleased", 0.6, 0.5)
    assert events.json_value() == ["pen"]
    mask = saved(painter)
    assert mask[192, 215:300].all()
    assert not mask[100].any()
    # The other end of a pen, which the browser's driver cannot hold.
    painter.page.evaluate(
        """([from, to]) => {
            const canvas = document.querySelector("canvas.canvas");
            canvas.setPointerCapture = () => {};
            const all = { pointerId: 9, pointerType: "pen", bubbles: true, button: 5, buttons: 32 };
            const at = ([clientX, clientY]) => ({ ...all, clientX, clientY });
            canvas.dispatchEvent(new PointerEvent("pointerdown", at(from)));
            canvas.dispatchEvent(new PointerEvent("pointermove", { ...at(to), button: -1 }));
            canvas.dispatchEvent(new PointerEvent("pointerup", { ...at(to), buttons: 0 }));
        }""",
        [painter.screen(0.5, 0.4), painter.screen(0.5, 0.6)],
    )
    assert not saved(painter)[192, 250:262].any()


def test_a_large_photo_stays_usable(person, tmp_path):
    path = tmp_path / "large.jpg"
    photo = np.zeros((6000, 8000, 3), np.uint8)
    photo[:, :4000], photo[:, 4000:] = (40, 160, 60), (170, 60, 40)
    PIL.Image.fromarray(photo).save(path, quality=30)
    person.open(path)
    left, right = person.shown_at(0.4, 0.5), person.shown_at(0.6, 0.5)
    assert np.allclose(left, (40, 160, 60), atol=8)
    assert np.allclose(right, (170, 60, 40), atol=8)
    person.press("Mask", exact=True)
    person.tool("Brush")
    person.drag((0.3, 0.3), (0.4, 0.4))
    stroke = person.covered()
    assert 0 < stroke < 1
    person.tool("Rectangle")
    person.drag((0.45, 0.45), (0.55, 0.55))
    assert person.covered() == pytest.approx(stroke + 1, abs=0.1)
    assert person.shown_at(0.48, 0.5) != left
    person.page.locator("canvas.canvas").focus()
    for _ in range(12):
        person.page.keyboard.press("+")
    person.until("parseInt(document.querySelector('.scale').textContent) > 100")
    person.page.keyboard.press("Control+z")
    assert person.covered() == pytest.approx(stroke, abs=0.1)
    person.drawn()
    box = person.page.locator("canvas.canvas").bounding_box()
    across = [person.coloured(x, box["height"] / 2) for x in (box["width"] / 2 - 60, box["width"] / 2 + 60)]
    assert across[0][1] > 120 > across[1][1], "at full size the edge in the middle is sharp and in its place"
    assert person.page.evaluate("performance.memory.usedJSHeapSize") < 300e6


def test_a_large_photo_is_edited(person, tmp_path):
    """48 million pixels: painted over by hand, the plan seen and changed, painted, and compared with what was sent."""
    path = tmp_path / "large.png"
    photo = PIL.Image.open(TABLE).convert("RGB").resize((8000, 6000), PIL.Image.Resampling.NEAREST)
    photo.save(path, compress_level=1)
    before = np.asarray(photo)
    person.begin(path)
    person.press("Mask", exact=True)
    person.tool("Ellipse")
    person.drag((0.25, 0.55), (0.45, 0.80))
    assert person.covered() == pytest.approx(100 * np.pi / 4 * 0.2 * 0.25, rel=0.03)
    person.page.get_by_label("Instruction", exact=True).fill("make the cube green")
    person.press("Plan", exact=True)
    person.page.get_by_role("button", name="Paint this").wait_for()
    person.recaptions("a yellow cube")
    turn = person.makes(lambda: person.press("Paint this"))
    assert turn["status"] == "succeeded", turn["error"]
    assert turn["plan"]["steps"][0]["caption"] == "a yellow cube"
    assert (turn["width"], turn["height"]) == (8000, 6000)
    mask = person.mask_of(turn)
    ys, xs = np.nonzero(mask)
    ends = np.divide((xs.min(), xs.max(), ys.min(), ys.max()), (8000, 8000, 6000, 6000))
    assert ends == pytest.approx((0.25, 0.45, 0.55, 0.80), abs=0.01)
    after = person.picture(turn["images"][0]["url"])
    assert after.shape == before.shape
    changed = (before != after).any(axis=2)
    assert changed[mask].mean() > 0.9
    # The blend may reach past the mask, by little; all else is what was sent.
    around = np.zeros_like(changed)
    around[ys.min() - 400 : ys.max() + 401, xs.min() - 400 : xs.max() + 401] = True
    assert not changed[~around].any()
    assert turn["images"][0]["outside_changed"] == 0
    assert changed.mean() == pytest.approx(turn["images"][0]["changed_fraction"], abs=0.001)
    assert alike(person.shown_at(*CUBE), colour(after, CUBE))
    assert not alike(person.shown_at(*CUBE), colour(before, CUBE))
