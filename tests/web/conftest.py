"""A browser before a live server; everything here is skipped where no Chromium is installed."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server import Cluster, cluster, pixels

playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")

WIDTHS = {1440: 900, 768: 1024, 360: 740}
TABLE_SIZE = (512, 384)
TABLE = Path(__file__).parents[2] / "app" / "web" / "examples" / "table.png"
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
    return shutil.which(os.environ.get("CHROMIUM", ""))


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Iterator[Cluster]:
    """The service with a stub painter, without keys."""
    if find_chromium() is None:
        pytest.skip("CHROMIUM names no browser: `make test-web` runs these")
    folder = tmp_path_factory.mktemp("site")
    agent = "tests.web.seeing_agent:build"
    with cluster(folder, "api", "worker", BRUSHEDIT_AGENT=agent, BRUSHEDIT_RATE_PER_MINUTE="100000") as made:
        yield made


@pytest.fixture(scope="session")
def browser(site):
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        yield launched
        launched.close()


class Person:
    """What somebody does on the page, and what they look at."""

    def __init__(self, page, origin: str, client) -> None:
        self.page, self.origin, self.client = page, origin, client

    def visit(self, where: str = "") -> None:
        self.page.goto(f"{self.origin}/{where}")

    def begin(self, path: Path = TABLE) -> str:
        """Open a picture; return the session's id."""
        self.visit()
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_role("button", name="Open a picture").click()
        chooser.value.set_files(path)
        self.page.wait_for_selector(".stage[data-shown]", timeout=60_000)
        return self.page.url.partition("#")[2]

    def say(self, words: str, turns: int | None = None) -> None:
        """Say something and wait until its picture is there."""
        page, box = self.page, self.page.get_by_label("Instruction", exact=True)
        wanted = turns if turns is not None else page.locator(".card .thumb").count() + 1
        box.fill(words)
        box.press("Enter")
        self.until(f"document.querySelectorAll('.card .thumb').length >= {wanted}")
        self.settled()

    def until(self, condition: str, seconds: float = 10) -> None:
        """Wait for an expression to be true (the page's policy forbids what Playwright would use)."""
        deadline = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"did not come true: {condition}"
            self.page.wait_for_timeout(30)

    def settled(self) -> None:
        """Wait until nothing runs, and the canvas shows what was chosen."""
        self.page.wait_for_selector(".card .progress", state="detached")
        self.page.wait_for_timeout(250)

    def turns(self) -> list[dict]:
        session = self.page.url.partition("#")[2]
        return self.client.get(f"/v1/sessions/{session}").raise_for_status().json()["turns"]

    def session(self) -> dict:
        return self.client.get(f"/v1/sessions/{self.page.url.partition('#')[2]}").raise_for_status().json()

    def picture(self, address: str):
        return pixels(self.client.get(address).raise_for_status().content)

    def shown_at(self, x: float, y: float) -> list[int]:
        """Colour of the canvas at a share of its width and height."""
        return self.page.evaluate(
            """([x, y]) => {
                const canvas = document.querySelector("canvas.canvas");
                const at = [Math.round(x * canvas.width), Math.round(y * canvas.height), 1, 1];
                return [...canvas.getContext("2d").getImageData(...at).data].slice(0, 3);
            }""",
            [x, y],
        )

    def drag(self, *path: tuple[float, float]) -> None:
        """Draw over the canvas, in shares of its width and height."""
        box = self.page.locator("canvas.canvas").bounding_box()
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in path]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*point, steps=4)
        self.page.mouse.up()

    def covered(self) -> float:
        """Percent of the picture the mask covers, as the page says; 0 without a mask."""
        line = self.page.locator(".mask-line")
        if not line.is_visible():
            return 0.0
        return float(line.locator(".mask-share").inner_text().split()[1])


@pytest.fixture
def open_page(browser, site) -> Iterator[Callable[..., Person]]:
    """Return a function that opens a fresh browser profile; afterwards its console must be free of errors."""
    contexts, said = [], []

    def opened(width: int = 1440, height: int | None = None, **settings) -> Person:
        context = browser.new_context(
            viewport={"width": width, "height": height or WIDTHS[width]}, accept_downloads=True, **settings
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        origin = f"http://127.0.0.1:{site.port}"
        return Person(page, origin, context_client)

    with site.client() as context_client:
        yield opened
        for context in contexts:
            context.close()
    assert said == []


@pytest.fixture
def person(open_page) -> Person:
    return open_page()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory) -> Path:
    """Return the folder for screenshots: SCREENSHOTS, or a temporary one."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
