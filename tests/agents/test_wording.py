import pytest

from agents.wording import bare_noun


@pytest.mark.parametrize(
    ("phrase", "noun"),
    [
        ("the left cube", "cube"),
        ("cone on the right", "cone"),
        ("the second cube from the left", "cube"),
        ("dog in the middle of the picture", "dog"),
        ("the two of the cubes", "cubes"),
        ("woman in the red dress", "woman in the red dress"),
        ("a glass of water on the far left", "glass of water"),
        ("house at the end of the street", "house at the end of the street"),
        ("the far left", ""),
    ],
)
def test_a_noun_is_left_of_a_phrase_and_what_makes_it_another_thing(phrase: str, noun: str) -> None:
    assert bare_noun(phrase) == noun
