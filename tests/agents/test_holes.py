import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.holes import hole
from brushedit import masks
from brushedit.types import Box, EditKind, EditStep, Mask, Which
from models.toybox import edits
from models.toybox.references import Reference
from models.toybox.rendering import layers, render
from models.toybox.scenes import sample_scene

HEIGHT, WIDTH = 60, 90
BOX = Box(30, 20, 50, 40)
THING = masks.from_ellipse(BOX, HEIGHT, WIDTH)


def step(kind: EditKind, caption: str, target: str = "blue cube") -> EditStep:
    return EditStep(kind, target, caption)


@pytest.mark.parametrize("kind", [EditKind.ADD, EditKind.BACKGROUND, EditKind.GLOBAL])
def test_other_kinds_repaint_what_is_selected(kind: EditKind) -> None:
    assert np.array_equal(hole(THING, step(kind, "a beach")), THING)


def test_a_removed_thing_takes_the_ground_at_its_foot_with_it() -> None:
    taken = hole(THING, step(EditKind.REMOVE, "grass"))
    assert (taken >= THING).all()
    box = masks.bounding_box(taken)
    assert box is not None
    assert box.y1 - BOX.y1 >= 3 > BOX.y0 - box.y0, "down, where the shadow is, and hardly up"
    assert BOX.x0 - box.x0 == pytest.approx(box.x1 - BOX.x1, abs=1)
    assert taken[BOX.y1, BOX.x0 - 3 : BOX.x0].any()


@pytest.mark.parametrize(
    ("target", "caption", "stays"),
    [
        ("blue cube", "a red cube", True),
        ("blue cube", "a red cone", False),
        ("cat", "A dog sits on the sofa.", False),
        ("the left dog", "Two dogs, brown.", True),
        ("glass", "a green glass.", True),
        ("blue box", "three red boxes on a table", True),
        ("glasses", "a green glass", True),
        ("cherry", "Black cherries, in a bowl.", True),
        ("leaf", "yellow leaves", True),
        ("child", "two children in green coats", True),
        ("knives", "a golden knife", True),
        ("shoe", "red shoes", True),
        ("glove", "red gloves", True),
        ("cookie", "white cookies", True),
        ("bus", "two red buses", True),
        ("box", "a red boat", False),
        ("glass", "a green glove", False),
        ("people", "two red poles", False),
    ],
)
def test_a_box_is_repainted_where_something_else_shall_be(target: str, caption: str, stays: bool) -> None:
    taken = hole(THING, step(EditKind.LOCAL, caption, target))
    if stays:
        assert np.array_equal(taken, masks.grow(THING, 1)), "the rim of the old colour, and no more"
    else:
        assert taken[BOX.y0 : BOX.y1, BOX.x0 : BOX.x1].all()
        assert (taken.sum(0) > 0).sum() > BOX.width
        assert (taken.sum(1) > 0).sum() > BOX.height


@given(st.integers(0, 2**32 - 1))
def test_the_shadows_of_toys_are_taken(seed: int) -> None:
    """What differs visibly once a toy is gone lies in its hole, all but a few pixels."""
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng, count=1)
    change = edits.remove(scene, Reference(scene.things[0].name))
    before, after = (render(each, 96, 96).astype(int) for each in (change.before, change.after))
    visible: Mask = layers(scene, 96, 96)[0].visible
    seen = np.abs(before - after).max(axis=2) > 16
    assert (seen & ~hole(visible, change.step)).sum() <= 0.08 * seen.sum()
    assert change.step.which is Which.ONE


def test_an_empty_mask_stays_empty() -> None:
    empty = np.zeros((5, 5), np.bool_)
    assert not hole(empty, step(EditKind.REMOVE, "grass")).any()
