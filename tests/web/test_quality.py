"""The page as a whole: what it weighs, whether everybody can use it, and that nothing sticks out."""

from pathlib import Path

import pytest

from tests.web.conftest import WIDTHS

AXE = Path(__file__).parent / "assets" / "axe.min.js"
BUDGET = 300_000


def test_what_is_transferred_before_the_first_picture(person):
    sizes = []
    person.page.on("response", lambda response: sizes.append(response))
    person.visit()
    person.page.wait_for_load_state("networkidle")
    # Thumbnails of earlier sessions come after it, and are addressed as blobs.
    later = ("/v1/", "/examples/", "blob:")
    page = [one for one in sizes if not any(part in one.url for part in later)]
    first_picture = next(one for one in sizes if "/examples/" in one.url)
    assert sum(len(response.body()) for response in [*page, first_picture]) <= BUDGET
    hosts = {response.url.split("/")[2] for response in sizes}
    assert hosts == {f"127.0.0.1:{person.client.base_url.port}"}
    policy = sizes[0].headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 360])
def test_axe_finds_nothing_serious(open_page, scheme, width, screenshots):
    person = open_page(width, color_scheme=scheme)

    def check(screen):
        person.page.screenshot(path=screenshots / f"{screen}-{width}-{scheme}.png")
        person.page.evaluate(AXE.read_text())
        found = person.page.evaluate("axe.run().then(result => result.violations)")
        grave = [
            f"{screen}: {one['id']}: {node['target']} {node['failureSummary']}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]
        assert not grave, "\n".join(grave)

    person.visit()
    person.page.wait_for_selector(".example img")
    check("start")
    person.begin()
    person.say("make it blue")
    check("session")
    person.page.get_by_role("button", name="Difference").click()
    person.page.locator(".badge").wait_for()
    check("compare")
    person.page.get_by_role("button", name="Mask", exact=True).click()
    person.page.get_by_role("button", name="Options").click()
    check("tools")
    person.visit("#batch")
    person.page.wait_for_selector(".batch")
    check("batch")


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out(open_page, width):
    person = open_page(width)
    person.begin()
    person.say("make it blue")
    person.page.get_by_role("button", name="Mask", exact=True).click()
    outside = person.page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea, select, a, summary")]
            .filter(one => one.checkVisibility() && !one.closest(".turns, .history, .skip, details:not([open])"))
            .filter(one => !one.matches(".skip"))
            .filter(one => {
                const box = one.getBoundingClientRect();
                return box.width > 0 && (box.left < 0 || box.right > innerWidth || box.bottom > innerHeight);
            })
            .map(one => one.outerHTML.slice(0, 90))"""
    )
    assert outside == []
    assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
