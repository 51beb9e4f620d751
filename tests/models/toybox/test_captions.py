import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.toybox.captions import (
    EMPTY,
    background_caption,
    local_caption,
    place_of,
    scene_caption,
    things_caption,
    vocabulary,
    with_article,
    without_colors,
)
from models.toybox.scenes import Background, Color, Scene, Thing, sample_scene
from models.toybox.shapes import Kind

RED_BALL = Thing(Kind.BALL, Color.RED, 0.2, 0.8, 0.3)
ORANGE_CUBE = Thing(Kind.CUBE, Color.ORANGE, 0.8, 0.8, 0.3)


def test_captions_say_what_is_where_from_left_to_right() -> None:
    scene = Scene(Background.BEACH, (ORANGE_CUBE, RED_BALL))
    assert scene_caption(scene) == "a red ball and an orange cube on a beach"
    assert scene_caption(scene, placed=(1,)) == "a red ball on the left and an orange cube on a beach"
    assert scene_caption(Scene(Background.NIGHT)) == "a night sky"
    assert local_caption((RED_BALL,), Background.NIGHT) == "a red ball under a night sky"
    assert local_caption((), Background.TABLE) == background_caption(Background.TABLE) == "a wooden table"
    assert things_caption((RED_BALL, ORANGE_CUBE)) == "a red ball and an orange cube"
    assert things_caption(()) == EMPTY


def test_articles_and_places() -> None:
    assert with_article("orange ring") == "an orange ring"
    assert with_article("red ring") == "a red ring"
    assert place_of(RED_BALL, 1.0) == "on the left"
    assert place_of(ORANGE_CUBE, 1.6) == "in the middle"


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_every_word_of_every_caption_is_in_the_vocabulary(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    words = set(vocabulary())
    captions = [
        scene_caption(scene),
        scene_caption(scene, placed=range(len(scene.things))),
        local_caption(scene.things[:1], scene.background),
        things_caption(scene.things),
        background_caption(scene.background),
        EMPTY,
    ]
    assert {word for caption in captions for word in caption.split()} <= words


def test_the_vocabulary_is_small() -> None:
    assert len(vocabulary()) <= 60
    assert list(vocabulary()) == sorted(set(vocabulary()))


def test_a_caption_can_leave_every_colour_open() -> None:
    assert without_colors("an orange cone and a white ball on snow") == "a cone and a ball on snow"
    assert without_colors(EMPTY) == EMPTY
    assert set(without_colors("a blue ring by a brick wall").split()) <= set(vocabulary())
