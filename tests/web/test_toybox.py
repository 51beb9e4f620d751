"""The page before the real service: the toybox's own networks plan, locate and paint."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.server import Cluster, cluster
from tests.web.conftest import CUBE, WALL
from tests.web.seeing_agent import TOYS

WEIGHTS = Path(__file__).parents[2] / "models" / "toybox" / "weights"
SECONDS = 600.0
"""Until the networks are loaded, or an edit is done, on a busy machine without a GPU."""


@pytest.fixture(scope="module")
def toybox(tmp_path_factory) -> Iterator[Cluster]:
    if not (WEIGHTS / "grounding_dino").is_dir():
        pytest.skip("the toybox has no detector: models/toybox/weights holds no folder grounding_dino")
    agent = {
        "BRUSHEDIT_AGENT": "app.bootstrap:build_editor",
        "BRUSHEDIT_PROFILE": "toybox",
        "BRUSHEDIT_DEVICE": "cpu",
    }
    with cluster(tmp_path_factory.mktemp("toybox"), "api", **agent) as made:
        made.start("worker")
        made.wait_up("/readyz", SECONDS)
        yield made


def test_a_toy_is_removed_and_another_follows(open_page, toybox):
    person = open_page(server=toybox)
    person.patience = SECONDS
    person.page.set_default_timeout(SECONDS * 1000)
    person.visit()
    person.press("remove the blue cube")
    person.until("document.getElementById('composer').value === 'remove the blue cube'")
    person.press("Options")
    person.page.get_by_label("Steps", exact=True).fill("8")
    blue = person.shown_at(*CUBE)
    wall = person.shown_at(*WALL)
    first = person.makes(lambda: person.press("Send"))
    assert first["status"] == "succeeded", first["error"]
    assert first["plan"]["steps"][0]["kind"] == "remove"
    assert "cube" in first["plan"]["steps"][0]["target"]
    assert inside(person.mask_of(first), "cube") > 0.8
    exact(person, first)
    assert np.abs(np.subtract(person.shown_at(*CUBE), blue)).max() > 60
    assert person.shown_at(*WALL) == wall
    second = person.say("make the red ball green")
    assert second["status"] == "succeeded", second["error"]
    assert second["parent_id"] == first["id"]
    assert inside(person.mask_of(second), "ball") > 0.8
    assert (person.picture(second["urls"]["input"]) == person.picture(first["images"][0]["url"])).all()
    exact(person, second)


def inside(mask: np.ndarray, toy: str) -> float:
    """Share of a mask that lies on a toy of the example picture, or within five pixels of it."""
    height, width = mask.shape
    x0, y0, x1, y1 = TOYS[toy]
    rows = slice(int(y0 * height) - 5, int(y1 * height) + 5)
    return mask[rows, int(x0 * width) - 5 : int(x1 * width) + 5].sum() / mask.sum()


def exact(person, turn: dict) -> None:
    """What was said of the result is so: nothing changed but where it was said."""
    (image,) = turn["images"]
    before, after = person.picture(turn["urls"]["input"]), person.picture(image["url"])
    changed = (before != after).any(axis=2)
    assert image["outside_changed"] == 0
    assert changed.mean() == pytest.approx(image["changed_fraction"], abs=0.01)
    assert 0 < changed.mean() < 0.3
