"""A browser before a live server; everything here is skipped where no Chromium is installed."""

import contextlib
import io
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import PIL.Image
import pytest
from playwright.sync_api import Page, sync_playwright

from brushedit.masks import grow
from brushedit.types import Mask
from tests.server import Cluster, cluster, pixels

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WIDTHS = {1440: 900, 768: 1024, 360: 740}
PATIENCE = 120.0
"""Seconds anything may take on a busy machine."""
LOADING = 600.0
"""Seconds until the networks are loaded on a busy machine."""
STEPS = 20 if "SCREENSHOTS" in os.environ else 4
"""Denoising steps: no test asks for beauty, so the networks take little of the tests' time."""
TABLE = Path(__file__).parents[2] / "app" / "web" / "examples" / "table.png"
TABLE_SIZE = (512, 384)
CUBE, BALL, CONE, WALL = (0.30, 0.75), (0.68, 0.66), (0.15, 0.62), (0.6, 0.2)
"""Where something is in the example picture, in shares of its width and height."""
TOYS = {
    CUBE: (0.240, 0.521, 0.479, 0.857),
    BALL: (0.623, 0.510, 0.803, 0.750),
    CONE: (0.068, 0.417, 0.232, 0.701),
}
"""The box around each toy there: its corners in shares of width and height."""
REACH = 24
"""Pixels around a toy that its mask or its shadow's may take, and pixels past a mask that are blended, at most."""
ENDED = ("succeeded", "failed", "canceled")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    named = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [named] if named else BROWSERS)), None)


@pytest.fixture(scope="session")
def browser():
    found = find_chromium()
    if found is None:
        pytest.skip(f"no Chromium: none of {', '.join(BROWSERS)} is on PATH, and CHROMIUM names none")
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def site(browser, tmp_path_factory) -> Iterator[Cluster]:
    """The service as it is shipped, without keys: the toybox's own networks plan, locate and paint."""
    shipped = {
        "BRUSHEDIT_AGENT": "app.bootstrap:build_editor",
        "BRUSHEDIT_PROFILE": "toybox",
        "BRUSHEDIT_DEVICE": "cpu",
        "BRUSHEDIT_RATE_PER_MINUTE": "100000",
    }
    with cluster(tmp_path_factory.mktemp("site"), "api", **shipped) as made:
        made.start("worker")
        made.wait_up("/readyz", LOADING)
        yield made


class Person:
    """What somebody does on the page, and what they look at."""

    def __init__(self, page: Page, origin: str, client: httpx.Client) -> None:
        self.page, self.origin, self.client = page, origin, client

    def visit(self, where: str = "") -> None:
        self.page.goto(f"{self.origin}/{where}")

    def press(self, name: str, *, exact: bool = False) -> None:
        self.page.get_by_role("button", name=name, exact=exact).click()

    @property
    def width(self) -> int:
        return self.page.viewport_size["width"]

    def flip_history(self) -> None:
        """Open or close the history, where it lies over the page."""
        if self.width < 1100:
            self.press("History (Y)")

    def choose(self, name: str, *files) -> None:
        """Give files to the chooser that a button opens."""
        with self.page.expect_file_chooser() as chooser:
            self.press(name)
        chooser.value.set_files(list(files))

    def open(self, path: Path = TABLE) -> str:
        """Open a picture; return the session's id."""
        self.visit()
        self.choose("Open a picture", path)
        self.page.wait_for_selector(".stage[data-shown]")
        self.drawn()
        return self.session()["id"]

    def begin(self, path: Path = TABLE) -> str:
        """Open a picture to edit it in few steps; return the session's id."""
        session = self.open(path)
        self.options(Steps=STEPS)
        return session

    def options(self, **values: float) -> None:
        """Set options of the turns to come, each by its label up to a comma."""
        self.press("Options")
        for label, value in values.items():
            self.page.get_by_label(re.compile(rf"^{label}(,|$)")).fill(str(value))
        self.press("Options")

    def say(self, words: str) -> dict:
        """Say something that can be done; return the turn once its picture is shown."""
        turn = self.makes(lambda: self.says(words))
        assert turn["status"] == "succeeded", turn["error"]
        return turn

    def recaptions(self, words: str) -> None:
        """Change the caption of the plan that is proposed."""
        self.page.locator(".proposal .chip", has_text="Caption").click()
        field = self.page.get_by_label("Caption", exact=True)
        field.fill(words)
        field.press("Enter")
        self.page.locator(".proposal[aria-busy=false] .chip", has_text=words).wait_for()

    def says(self, words: str) -> None:
        box = self.page.get_by_label("Instruction", exact=True)
        box.fill(words)
        box.press("Enter")

    def makes(self, action: Callable[[], object]) -> dict:
        """Do something that makes a turn; return the turn once it has ended and its picture is shown."""
        known = {turn["id"] for turn in self.turns()}
        action()
        turn = self.wait(
            lambda: next(
                (one for one in self.turns() if one["id"] not in known and one["status"] in ENDED), None
            )
        )
        if turn["images"]:
            self.shows(turn["images"][0]["url"])
            self.page.wait_for_selector(f"[data-turn={turn['id']}] .facts")
        return turn

    def shows(self, address: str) -> None:
        """Wait until the picture area shows a picture of the API."""
        self.page.wait_for_selector(f".stage[data-shown='{address}']")
        self.drawn()

    def drawn(self) -> None:
        """Wait until what was asked for is on the canvas."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def wait(self, told: Callable):
        """Wait until a function returns something true; return that."""
        deadline = time.monotonic() + PATIENCE
        while not (found := told()):
            assert time.monotonic() < deadline, "it did not come true"
            self.page.wait_for_timeout(30)
        return found

    def until(self, condition: str) -> None:
        """Wait for an expression to be true (the page's policy forbids what Playwright would use)."""
        try:
            self.wait(lambda: self.page.evaluate(condition))
        except AssertionError as error:
            raise AssertionError(f"did not come true: {condition}") from error

    def session(self) -> dict:
        return self.client.get(f"/v1/sessions/{self.page.url.partition('#')[2]}").raise_for_status().json()

    def turns(self) -> list[dict]:
        return self.session()["turns"]

    def picture(self, address: str):
        return pixels(self.client.get(address).raise_for_status().content)

    def mask_of(self, turn: dict, step: int = 0) -> Mask:
        return self.picture(turn["regions"][step]["mask_url"])[:, :, 0] > 0

    def changed_by(self, turn: dict, reach: int = REACH) -> Mask:
        """Where a turn changed its picture: nowhere further than `reach` from a mask, and as it was said to be."""
        before = self.picture(turn["urls"]["input"])
        allowed = np.logical_or.reduce([self.mask_of(turn, step) for step in range(len(turn["regions"]))])
        for image in turn["images"]:
            after = self.picture(image["url"])
            assert after.shape == before.shape
            changed = (before != after).any(axis=2)
            assert not changed[~grow(allowed, reach)].any()
            assert image["outside_changed"] == 0
            assert changed.mean() == pytest.approx(image["changed_fraction"], abs=0.001)
            assert changed[allowed].mean() > 0.8
        return changed

    def stages_of(self, turn: dict) -> list[str]:
        """Return what was told while a turn was carried out."""
        return re.findall(r"^event: (\w+)", self.client.get(turn["urls"]["events"]).text, re.MULTILINE)

    def spot(self, x: float, y: float) -> tuple[float, float]:
        """Where a share of the picture's width and height is on the canvas; it is clear beside the picture."""
        left, top, right, bottom = self.page.evaluate(
            """() => {
                const canvas = document.querySelector("canvas.canvas");
                const context = canvas.getContext("2d");
                const ends = (data) => {
                    const drawn = Array.from({ length: data.length / 4 }, (_, i) => data[4 * i + 3] > 0);
                    return [drawn.indexOf(true), drawn.lastIndexOf(true) + 1];
                };
                const { width, height } = canvas;
                const [left, right] = ends(context.getImageData(0, Math.round(height / 2), width, 1).data);
                const [top, bottom] = ends(context.getImageData(Math.round(width / 2), 0, 1, height).data);
                return [left, top, right, bottom];
            }"""
        )
        return left + x * (right - left), top + y * (bottom - top)

    def shown_at(self, x: float, y: float) -> list[int]:
        """Colour on the canvas at a share of the picture's width and height."""
        self.drawn()
        return self.coloured(*self.spot(x, y))

    def coloured(self, x: float, y: float) -> list[int]:
        """Colour of a pixel of the canvas."""
        return self.page.evaluate(
            """([x, y]) => {
                const context = document.querySelector("canvas.canvas").getContext("2d");
                return [...context.getImageData(Math.round(x), Math.round(y), 1, 1).data].slice(0, 3);
            }""",
            [x, y],
        )

    def screen(self, x: float, y: float) -> tuple[float, float]:
        """Where a share of the picture's width and height is in the window."""
        box = self.page.locator("canvas.canvas").bounding_box()
        across, down = self.spot(x, y)
        return box["x"] + across, box["y"] + down

    def click(self, x: float, y: float, **options) -> None:
        self.page.mouse.click(*self.screen(x, y), **options)

    def drag(self, *path: tuple[float, float]) -> None:
        """Draw over the picture, in shares of its width and height."""
        points = [self.screen(*one) for one in path]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*point, steps=4)
        self.page.mouse.up()

    def tool(self, name: str) -> None:
        self.page.get_by_role("toolbar").get_by_role("button", name=name).click()

    def covered(self) -> float:
        """Percent of the picture the mask covers, as the page says; 0 without a mask."""
        line = self.page.locator(".mask-line")
        if not line.is_visible():
            return 0.0
        return float(line.locator(".mask-share").inner_text().split()[1])


def colour(picture: np.ndarray, at: tuple[float, float]) -> np.ndarray:
    """Colour of a picture at a share of its width and height."""
    height, width = picture.shape[:2]
    return picture[int(at[1] * height), int(at[0] * width)].astype(int)


def alike(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two colours are the same, but for what scaling makes of them."""
    return bool(np.abs(np.subtract(one, other)).max() < 30)


def on(toy: tuple[float, float], mask: Mask) -> bool:
    """Whether a mask of the example picture covers a toy, and little else."""
    height, width = mask.shape
    x0, y0, x1, y1 = np.multiply(TOYS[toy], (width, height, width, height)).astype(int)
    about = slice(max(0, y0 - REACH), y1 + REACH), slice(max(0, x0 - REACH), x1 + REACH)
    return bool(
        colour(mask, toy) and mask[about].sum() > 0.9 * mask.sum() and mask[y0:y1, x0:x1].mean() > 0.4
    )


@pytest.fixture
def open_page(browser, site) -> Iterator[Callable[..., Person]]:
    """Return a function that opens a fresh browser profile; afterwards its console must be free of errors.

    `expected` are parts of what the browser says of answers that a test provokes.
    """
    said = []

    def note(words: str, expected: Sequence[str]) -> None:
        if not any(part in words for part in expected):
            said.append(words)

    with contextlib.ExitStack() as opened:

        def open_one(
            width: int = 1440, *, server: Cluster = site, expected: Sequence[str] = (), **settings
        ) -> Person:
            viewport = {"width": width, "height": WIDTHS[width]}
            context = browser.new_context(viewport=viewport, accept_downloads=True, **settings)
            opened.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            page.on(
                "console", lambda message: note(message.text, expected) if message.type == "error" else None
            )
            page.on("pageerror", lambda error: note(f"error: {error}", expected))
            return Person(page, f"http://127.0.0.1:{server.port}", opened.enter_context(server.client()))

        yield open_one
    assert said == [], "the browser's console"


@pytest.fixture
def person(open_page) -> Person:
    return open_page()


@pytest.fixture(params=WIDTHS)
def anybody(request, open_page) -> Person:
    """Somebody with a large, a middling and a small screen."""
    return open_page(request.param)


@pytest.fixture(scope="session")
def snap() -> Callable[[Person, str], None]:
    """Return a function that keeps a picture of a large page, where SCREENSHOTS names a folder for them."""
    folder = os.environ.get("SCREENSHOTS")

    def snapped(person: Person, name: str) -> None:
        if folder and person.width == max(WIDTHS):
            person.drawn()
            shot = PIL.Image.open(io.BytesIO(person.page.screenshot(animations="disabled"))).convert("RGB")
            # 256 colours: half the bytes, and nobody sees it.
            palette = shot.quantize(256, kmeans=5)
            small = shot.quantize(palette=palette, dither=PIL.Image.Dither.FLOYDSTEINBERG)
            small.save(Path(folder) / f"{name}.png", optimize=True)

    return snapped
