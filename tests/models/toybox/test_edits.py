from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brushedit.types import EditKind, Which
from models.toybox import edits
from models.toybox.captions import EMPTY
from models.toybox.instructions import sample_dialogue
from models.toybox.references import Reference, resolve, sample_plural, sample_reference
from models.toybox.rendering import layers, render
from models.toybox.scenes import Background, Color, Scene, Thing, sample_scene
from models.toybox.shapes import Kind

RED_BALL = Thing(Kind.BALL, Color.RED, 0.2, 0.8, 0.3)
BLUE_BALL = Thing(Kind.BALL, Color.BLUE, 0.5, 0.8, 0.25)
RED_CUBE = Thing(Kind.CUBE, Color.RED, 0.8, 0.85, 0.35)
SCENE = Scene(Background.GRASS, (RED_BALL, RED_CUBE, BLUE_BALL))


@given(st.sampled_from(Kind), st.integers(0, 5), st.sampled_from([1.0, 4 / 3, 3 / 4]))
def test_a_thing_given_its_room_is_fitted_where_it_was(kind: Kind, pose: int, aspect: float) -> None:
    thing = Thing(kind, Color.RED, 0.5, 0.7, 0.3, pose=pose)
    room = edits.given_room(thing, aspect)
    assert room.width / room.height == pytest.approx(aspect)
    fitted = edits.fitted(kind, Color.RED, room, pose)
    assert (fitted.x, fitted.y, fitted.size) == pytest.approx((thing.x, thing.y, thing.size))


@pytest.mark.parametrize(
    ("target", "where", "meant"),
    [
        ("red ball", "", (0,)),
        ("ball", "", ()),
        ("ball", "left", (0,)),
        ("ball", "right", (2,)),
        ("object", "middle", (2,)),
        ("object", "second from the left", (2,)),
        ("object", "third from the left", (1,)),
        ("object", "largest", (1,)),
        ("object", "front", (1,)),
        ("ball", "next to the cube", (2,)),
        ("object", "left of the blue ball", (0,)),
        ("object", "right of the blue ball", (1,)),
        ("cone", "left", ()),
        ("ball", "third from the left", ()),
    ],
)
def test_references_mean_what_they_say(target: str, where: str, meant: tuple[int, ...]) -> None:
    assert resolve(SCENE, Reference(target, where)) == meant


def test_plurals_mean_all() -> None:
    assert resolve(SCENE, Reference("ball", which=Which.ALL)) == (0, 2)
    assert resolve(SCENE, Reference("red object", which=Which.ALL)) == (0, 1)
    assert resolve(SCENE, Reference("object", which=Which.ALL)) == (0, 1, 2)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None)
def test_drawn_references_mean_something(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng, repeat=0.7)
    one, several = sample_reference(rng, scene), sample_plural(rng, scene)
    assert one is None or len(resolve(scene, one)) == 1
    assert several is None or len(resolve(scene, several)) > 1


def test_the_plan_of_each_kind_of_edit() -> None:
    rng = np.random.default_rng(0)
    ball = Reference("red ball")
    removal = edits.remove(SCENE, ball)
    assert (removal.step.kind, removal.step.caption) == (EditKind.REMOVE, EMPTY)
    assert removal.after.things == (RED_CUBE, BLUE_BALL)
    painted = edits.recolor(SCENE, Reference("ball", which=Which.ALL), Color.ORANGE)
    assert (painted.step.target, painted.step.caption) == ("ball", "an orange ball")
    assert [thing.color for thing in painted.after.things] == ["orange", "red", "orange"]
    shaped = edits.reshape(SCENE, Reference("cube"), Kind.CONE)
    assert (shaped.step.caption, shaped.color_open) == ("a cone", True)
    assert shaped.after.things[1].name == "red cone"
    assert edits.reshape(SCENE, ball, Kind.CONE).step.caption == "a red cone"
    swapped = edits.substitute(SCENE, ball, Kind.RING, Color.PINK)
    assert (swapped.step.kind, swapped.step.caption) == (EditKind.LOCAL, "a pink ring")
    moved = edits.change_background(SCENE, Background.SNOW, 3)
    assert (moved.step.target, moved.step.which, moved.step.caption) == ("object", Which.ALL, "snow")
    placed = edits.add_at(Scene(Background.SNOW), Kind.STAR, None, "left", rng=rng)
    assert (placed.step.target, placed.step.where, placed.step.box) == ("star", "left", (30, 540, 390, 900))
    assert placed.color_open
    beside = edits.add_beside(SCENE, Kind.STAR, Color.BLUE, "next to the cube", rng=rng)
    assert (beside.step.where, beside.step.box) == ("next to the cube", None)
    assert edits.is_beside(beside.step.where)


@pytest.mark.parametrize("place", list(edits.COLUMNS))
@pytest.mark.parametrize("size", list(edits.SCALES))
@pytest.mark.parametrize("aspect", [1.0, 1.6, 0.7])
def test_added_things_lie_in_the_box_of_the_plan(place: str, size: str, aspect: float) -> None:
    for kind in Kind:
        rng = np.random.default_rng(1)
        change = edits.add_at(Scene(Background.STUDIO, aspect=aspect), kind, Color.RED, place, size, rng=rng)
        height, width = 100, round(100 * aspect)
        hole, (layer,) = change.hole(height, width), layers(change.after, height, width)
        assert not (layer.full & ~hole).any()
        # It fills the box up to the room for its shadow.
        box = change.step.box
        assert box is not None
        wide = layer.box.width / ((box[2] - box[0]) * width / 1000)
        high = layer.box.height / ((box[3] - box[1]) * height / 1000)
        assert max(wide, high) > 0.65


def test_a_new_shape_lies_in_what_is_repainted() -> None:
    for kind in Kind:
        for other in Kind:
            if kind is not other:
                scene = Scene(Background.STUDIO, (Thing(kind, Color.RED, 0.5, 0.8, 0.4, 3),))
                change = edits.reshape(scene, Reference(f"red {kind}"), other)
                hole = change.hole(80, 80)
                assert not (layers(change.after, 80, 80)[0].full & ~hole).any()
                assert not (change.mask(80, 80) & ~hole).any()


@pytest.mark.parametrize("seed", range(120))
def test_nothing_changes_outside_the_region_of_any_step(seed: int) -> None:
    rng = np.random.default_rng(seed)
    example = sample_dialogue(rng, aspect=float(rng.choice((1.0, 1.4))))
    if example.edit is None:
        assert example.outcome in ("declined", "target_not_found")
        return
    width = round(48 * example.scene.aspect)
    scene = example.edit.before
    assert scene == example.scene
    for change in example.edit.changes:
        assert change.before == scene
        scene = change.after
        region, mask = change.region(48, width), change.mask(48, width)
        changed = render(change.before, 48, width) != render(change.after, 48, width)
        assert changed.any()
        assert not (changed.any(axis=2) & ~region).any()
        assert mask.any()
        assert change.hole(48, width).any()
        assert (mask & region).any()
    assert scene == example.edit.after


def test_a_background_behind_nothing_but_things_keeps_them() -> None:
    change = edits.change_background(SCENE, Background.NIGHT, 3)
    mask = change.mask(64, 64)
    for layer in layers(SCENE, 64, 64):
        assert not (mask & layer.visible).any()
    assert replace(change.after, background=SCENE.background, seed=SCENE.seed) == SCENE
