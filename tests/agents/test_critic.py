import numpy as np
import pytest

from agents.critic import Critic
from brushedit import masks
from brushedit.types import Box, EditKind, EditStep, Region
from tests.agents.fakes import NamedBoxes

IMAGE = np.zeros((60, 120, 3), dtype=np.uint8)
HOLE = Box(10, 10, 40, 40)
PAINTED = masks.from_box(HOLE, 60, 120)
INSIDE, BESIDE, TWO = (12, 12, 38, 38), (60, 10, 90, 40), (70, 10, 80, 20)


def margin(kind: EditKind, *boxes: tuple[tuple[int, int, int, int], float], painted=PAINTED, chosen=1):
    step = EditStep(kind, "blue cube", "a red ball")
    region = Region(painted, chosen=tuple(range(chosen)))
    critic = Critic(NamedBoxes(red_ball=boxes, blue_cube=boxes), floor=0.4)
    return critic.margin(IMAGE, painted, step, region)


@pytest.mark.parametrize("kind", [EditKind.ADD, EditKind.LOCAL])
def test_a_thing_must_be_seen_where_it_was_painted(kind):
    assert margin(kind, (INSIDE, 0.9)) == pytest.approx(0.5)
    assert margin(kind, (INSIDE, 0.1)) == pytest.approx(-0.3)
    assert margin(kind, (BESIDE, 0.9)) == pytest.approx(-0.4)
    assert margin(kind) == pytest.approx(-0.4)


def test_a_removed_thing_must_not_be_seen_there():
    assert margin(EditKind.REMOVE, (INSIDE, 0.9)) == pytest.approx(-0.5)
    assert margin(EditKind.REMOVE, (BESIDE, 0.9)) == pytest.approx(0.4)


@pytest.mark.parametrize("left_over", ["blue cube", "cube", "object"])
def test_nothing_may_be_seen_where_something_was_removed(left_over):
    step = EditStep(EditKind.REMOVE, "blue cube", "empty background")
    critic = Critic(NamedBoxes(**{left_over: [(INSIDE, 0.7)]}), floor=0.4)
    assert critic.margin(IMAGE, PAINTED, step, Region(PAINTED)) == pytest.approx(-0.3)


@pytest.mark.parametrize("caption", ["a red ball on a sandy beach, soft light", "a red ball, photo"])
def test_of_a_long_caption_the_thing_is_looked_for(caption):
    critic = Critic(NamedBoxes(red_ball=[(INSIDE, 0.9)]), floor=0.4)
    assert critic.margin(
        IMAGE, PAINTED, EditStep(EditKind.ADD, "x", caption), Region(PAINTED)
    ) == pytest.approx(0.5)


def test_each_of_several_things_must_be_seen():
    both = PAINTED | masks.from_box(Box(65, 5, 85, 25), 60, 120)
    assert margin(EditKind.LOCAL, (INSIDE, 0.9), painted=both, chosen=2) == pytest.approx(-0.4)
    seen = margin(EditKind.LOCAL, (INSIDE, 0.9), (TWO, 0.6), painted=both, chosen=2)
    assert seen == pytest.approx(0.2)


def test_what_spans_two_places_is_a_sight_of_neither():
    both = PAINTED | masks.from_box(Box(65, 5, 85, 25), 60, 120)
    assert margin(EditKind.LOCAL, ((10, 5, 85, 40), 0.9), painted=both) == pytest.approx(-0.4)


@pytest.mark.parametrize("kind", [EditKind.BACKGROUND, EditKind.GLOBAL])
def test_of_a_background_a_detector_cannot_tell(kind):
    assert margin(kind, (INSIDE, 0.9)) is None
