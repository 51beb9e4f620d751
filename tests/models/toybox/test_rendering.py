from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brushedit.types import require_image
from models.toybox.captions import PHRASES
from models.toybox.rendering import PALETTE, bounds, changed_region, layers, render, uncovered
from models.toybox.scenes import (
    FLOOR,
    Background,
    Color,
    Scene,
    Thing,
    View,
    close_up,
    sample_scene,
    view_of,
)
from models.toybox.shapes import LIGHTS, POSES, Kind, sprite

seeds = st.integers(0, 2**32 - 1)
aspects = st.sampled_from((1.0, 1.5, 0.75))


def drawn(seed: int, aspect: float = 1.0, count: int | None = None) -> tuple[np.random.Generator, Scene]:
    rng = np.random.default_rng(seed)
    return rng, sample_scene(rng, count, aspect=aspect)


def alone(kind: Kind, color: Color, background: Background = Background.STUDIO, pose: int = 2) -> Scene:
    return Scene(background, (Thing(kind, color, 0.5, 0.85, 0.6, pose),))


@given(seeds, aspects)
@settings(max_examples=40, deadline=None)
def test_equal_scenes_are_equal_pictures(seed: int, aspect: float) -> None:
    _, scene = drawn(seed, aspect)
    _, same = drawn(seed, aspect)
    height, width = 48, round(48 * aspect)
    picture = render(scene, height, width)
    assert require_image(picture) == (height, width)
    assert scene == same
    assert np.array_equal(picture, render(same, height, width))


@given(seeds, aspects, st.sampled_from(("remove", "recolor", "reshape", "background", "add")), st.booleans())
@settings(max_examples=120, deadline=None)
def test_pictures_differ_within_the_changed_region_alone(
    seed: int, aspect: float, edit: str, near: bool
) -> None:
    rng, scene = drawn(seed, aspect, count=3)
    index = int(rng.integers(len(scene.things)))
    thing = scene.things[index]
    after = {
        "remove": scene.without([index]),
        "recolor": scene.changed(index, replace(thing, color=_other(Color, thing.color))),
        "reshape": scene.changed(index, replace(thing, kind=_other(Kind, thing.kind))),
        "background": scene.on(_other(Background, scene.background), seed=7),
        "add": scene.with_thing(Thing(Kind.STAR, Color.PINK, 0.4, 0.9, 0.3)),
    }[edit]
    view = close_up(rng, scene, thing.window) if near else None
    height, width = (40, 40) if near else (56, round(56 * aspect))
    changed = (render(scene, height, width, view) != render(after, height, width, view)).any(axis=2)
    region = changed_region(scene, after, height, width, view)
    assert changed.any() or (near and edit == "add")
    assert not (changed & ~region).any()
    assert not region.all()


def _other(members, one):
    return next(member for member in members if member is not one)


def test_a_changed_background_leaves_the_inside_of_things_as_it_was() -> None:
    scene = alone(Kind.CUBE, Color.YELLOW, Background.BEACH)
    kept = ~uncovered(scene, 64, 64)
    assert kept.sum() > 300
    for background in Background:
        assert np.array_equal(render(scene, 64, 64)[kept], render(scene.on(background, 3), 64, 64)[kept])


@given(seeds, aspects)
@settings(max_examples=40, deadline=None)
def test_masks_boxes_and_windows_agree(seed: int, aspect: float) -> None:
    _, scene = drawn(seed, aspect, count=4)
    height, width = 256, round(256 * aspect)
    found = layers(scene, height, width)
    assert len(found) == len(scene.things)
    for layer, thing in zip(found, scene.things, strict=True):
        assert not (layer.visible & ~layer.full).any()
        assert not (layer.visible & ~layer.touched).any()
        assert layer.box == bounds(layer.visible)
        window = thing.window.pixels(height, width, aspect)
        assert bounds(layer.full).iou(window) > 0.8
        assert layer.visible.sum() > 0.3 * layer.full.sum()
    total = sum(layer.visible.astype(int) for layer in found)
    assert np.max(total) <= 1


def test_what_stands_nearer_hides_what_stands_behind() -> None:
    far = Thing(Kind.CUBE, Color.RED, 0.5, 0.7, 0.4)
    near = Thing(Kind.BALL, Color.BLUE, 0.55, 0.85, 0.4)
    for things in ((far, near), (near, far)):
        scene = Scene(Background.GRASS, things)
        hidden, front = layers(scene, 64, 64)[things.index(far)], layers(scene, 64, 64)[things.index(near)]
        assert hidden.visible.sum() < hidden.full.sum()
        assert np.array_equal(front.visible, front.full)
    # The order in which things are listed says nothing.
    assert np.array_equal(
        render(Scene(Background.GRASS, (far, near)), 64, 64),
        render(Scene(Background.GRASS, (near, far)), 64, 64),
    )


def test_a_window_shows_what_the_whole_picture_shows_there() -> None:
    _, scene = drawn(3, 1.0, count=3)
    whole = render(scene, 256, 256)
    view = View(0.25, 0.375, 0.75, 0.875)
    part = render(scene, 128, 128, view)
    difference = np.abs(part.astype(int) - whole[96:224, 64:192].astype(int))
    assert difference.mean() < 1.0
    box = view.pixels(256, 256)
    assert (box.x0, box.y0, box.x1, box.y1) == (64, 96, 192, 224)
    assert view_of(box, 256, 256) == view


def test_resolution_does_not_change_what_is_where() -> None:
    _, scene = drawn(11, 1.5, count=3)
    coarse, fine = layers(scene, 64, 96), layers(scene, 192, 288)
    for small, large in zip(coarse, fine, strict=True):
        shrunk = large.visible.reshape(64, 3, 96, 3).mean(axis=(1, 3)) >= 0.5
        both, either = (small.visible & shrunk).sum(), (small.visible | shrunk).sum()
        assert both / either > 0.93


@pytest.mark.parametrize("color", list(Color))
def test_things_have_the_colour_their_name_says(color: Color) -> None:
    for kind in Kind:
        scene = alone(kind, color)
        inside = ~uncovered(scene, 64, 64)
        mean = render(scene, 64, 64)[inside].mean(axis=0)
        # Compared as directions: shading changes the length of a colour, not what colour it is.
        scores = {
            name: float(mean @ np.array(rgb) / np.linalg.norm(mean) / np.linalg.norm(rgb))
            for name, rgb in PALETTE.items()
        }
        assert max(scores, key=lambda name: scores[name]) is color


def test_silhouettes_of_kinds_are_distinct() -> None:
    masks = {
        (kind, pose): layers(alone(kind, Color.RED, pose=pose), 64, 64)[0].full
        for kind in Kind
        for pose in range(POSES)
    }
    for (kind, _), one in masks.items():
        for (other, _), two in masks.items():
            if kind is not other:
                assert (one & two).sum() / (one | two).sum() < 0.9, (kind, other)


def test_a_ring_can_be_looked_through() -> None:
    scene = alone(Kind.RING, Color.RED)
    full = layers(scene, 64, 64)[0].full
    box = bounds(full)
    assert not full[(box.y0 + box.y1) // 2, (box.x0 + box.x1) // 2]


def test_light_comes_from_the_side_it_is_said_to_come_from() -> None:
    left, right = (sprite(Kind.BALL, 0, light, 64)[..., 1] for light in (0, LIGHTS - 1))
    middle = left.shape[1] // 2
    assert left[:, :middle].sum() > left[:, middle:].sum()
    assert right[:, :middle].sum() < right[:, middle:].sum()


def test_backgrounds_are_told_apart_by_their_colours_and_vary_with_the_seed() -> None:
    means = {}
    for background in Background:
        pictures = [render(Scene(background, seed=seed), 32, 32).astype(float) for seed in range(4)]
        assert any(not np.array_equal(pictures[0], other) for other in pictures[1:])
        means[background] = [picture.reshape(2, 16, 32, 3).mean(axis=(1, 2)) for picture in pictures]
    for one, layouts in means.items():
        for layout in layouts:
            nearest = min(
                (
                    (np.abs(layout - other).sum(), b)
                    for b, o in means.items()
                    for other in o
                    if other is not layout
                ),
                key=lambda pair: pair[0],
            )
            assert nearest[1] is one
    assert set(PHRASES) == set(Background)


@given(seeds, aspects)
@settings(max_examples=60, deadline=None)
def test_sampled_things_stand_on_the_ground_inside_the_scene(seed: int, aspect: float) -> None:
    _, scene = drawn(seed, aspect)
    assert len(scene.things) <= 4
    for thing in scene.things:
        window = thing.window
        assert thing.y > FLOOR
        assert window.x0 >= -0.01
        assert window.x1 <= aspect + 0.01
        assert window.y1 <= 1.05


@given(seeds, aspects)
@settings(max_examples=60, deadline=None)
def test_close_ups_hold_their_subject_as_large_as_asked(seed: int, aspect: float) -> None:
    rng, scene = drawn(seed, aspect, count=1)
    subject = scene.things[0].window
    view = close_up(rng, scene, subject, (0.4, 0.65))
    assert view.width == pytest.approx(view.height)
    assert 0 <= view.x0 < view.x1 <= aspect + 1e-9
    assert 0 <= view.y0 < view.y1 <= 1 + 1e-9
    share = max(subject.width, subject.height) / view.width
    assert share > 0.39
    assert view.overlap(subject) > 0.9 * subject.area
