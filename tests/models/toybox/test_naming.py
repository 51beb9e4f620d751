import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.toybox.naming import UNKNOWN, draw_phrases, fits, words_tokenizer
from models.toybox.references import OBJECT, fitting
from models.toybox.scenes import sample_scene


@given(st.integers(0, 10_000))
def test_phrases_fit_what_references_say_they_fit(seed):
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng)
    phrases = draw_phrases(rng, scene, 5)
    assert 1 <= len(phrases) <= 5
    assert len(set(phrases)) == len(phrases)
    table = fits(scene, phrases)
    for column, phrase in enumerate(phrases):
        assert tuple(np.flatnonzero(table[:, column])) == fitting(scene, phrase)


def test_some_phrases_fit_and_some_nearly_do():
    fitted, near = 0, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scene = sample_scene(rng, 2)
        phrases = draw_phrases(rng, scene, 4)
        words = {word for thing in scene.things for word in (thing.color, thing.kind)}
        for phrase, fit in zip(phrases, fits(scene, phrases).any(axis=0), strict=True):
            fitted += int(fit)
            near += int(not fit and bool(words & set(phrase.split())))
    assert fitted > 200
    assert near > 100


def test_every_word_is_a_token_and_others_are_unknown():
    tokenizer = words_tokenizer()
    assert len(tokenizer("blue cube.")["input_ids"]) == 5
    assert tokenizer.convert_tokens_to_ids(UNKNOWN) in tokenizer("blue giraffe.")["input_ids"]
    assert tokenizer.convert_tokens_to_ids(UNKNOWN) not in tokenizer(f"{OBJECT}.")["input_ids"]
