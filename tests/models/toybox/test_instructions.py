from collections import Counter

import numpy as np
import pytest

from brushedit.types import EditKind, EditStep, Which
from models.toybox.captions import EMPTY, vocabulary
from models.toybox.edits import is_beside, place_box
from models.toybox.follow_ups import AFTER
from models.toybox.grammar import EVERY, Split, key_words, part, phrases, refusals
from models.toybox.instructions import Example, sample_dialogue
from models.toybox.references import OBJECT, Reference, resolve
from models.toybox.requests import ALONE
from models.toybox.scenes import Color
from models.toybox.shapes import Kind
from models.toybox.typos import distance, with_typos

MANY = 1500
FORMS = [*ALONE, *AFTER]


@pytest.fixture(scope="module", params=["train", "held_out"])
def examples(request: pytest.FixtureRequest) -> list[Example]:
    split: Split = request.param
    rng = np.random.default_rng(5)
    return [sample_dialogue(rng, split) for _ in range(MANY)]


def test_dialogues_repeat_with_their_seed() -> None:
    one, other = (
        [sample_dialogue(rng) for _ in range(20)]
        for rng in (np.random.default_rng(3), np.random.default_rng(3))
    )
    assert one == other


def test_every_form_topic_and_kind_is_reached(examples: list[Example]) -> None:
    forms = Counter(form for example in examples for form in example.form.split("+"))
    assert set(forms) == {*FORMS, *refusals(), "absent"} - {"words"}
    kinds = {step.kind for example in examples if example.plan for step in example.plan.steps}
    assert kinds == {EditKind.ADD, EditKind.REMOVE, EditKind.LOCAL, EditKind.BACKGROUND}
    outcomes = Counter(example.outcome for example in examples)
    assert outcomes["edited"] > 0.7 * MANY
    assert 0.1 * MANY < outcomes["declined"] < 0.2 * MANY
    assert outcomes["target_not_found"] > 0.02 * MANY
    places = {step.where for example in examples if example.plan for step in example.plan.steps}
    assert {"left", "right", "middle", "front", "largest", "second from the left"} <= places


def test_plans_are_valid_and_mean_their_edits(examples: list[Example]) -> None:
    words = set(vocabulary())
    for example in examples:
        if example.plan is None:
            assert example.reply
            assert example.edit is None
            continue
        assert not example.reply
        for number, step in enumerate(example.plan.steps):
            _check_step(step, words)
            if example.edit is None:
                assert not resolve(example.scene, Reference(step.target, which=Which.ALL))
                continue
            change = example.edit.changes[number]
            assert change.step == step
            if step.kind in (EditKind.REMOVE, EditKind.LOCAL):
                assert change.targets == resolve(
                    change.before, Reference(step.target, step.where, step.which)
                )
        if example.edit is not None:
            assert example.edit.plan == example.plan
            assert len(example.edit.after.things) <= 4


def _check_step(step: EditStep, words: set[str]) -> None:
    assert set(step.caption.split()) <= words
    *colors, noun = step.target.split()
    assert noun in (*Kind, OBJECT)
    assert all(color in tuple(Color) for color in colors)
    assert (step.caption == EMPTY) == (step.kind is EditKind.REMOVE)
    if step.kind is EditKind.ADD:
        assert (step.box is None) == is_beside(step.where)
        if step.box is not None:
            assert step.box in {place_box(step.where, size) for size in ("", "small", "big")}
    else:
        assert step.box is None
    if step.which is Which.ALL:
        assert step.where == ""


def test_a_plan_follows_from_the_words_alone(examples: list[Example]) -> None:
    answers: dict[object, set[object]] = {}
    for example in examples:
        told = (tuple((turn.instruction, turn.plan) for turn in example.history), example.instruction)
        answers.setdefault(told, set()).add((example.plan, example.reply))
    assert all(len(answer) == 1 for answer in answers.values())
    plain = [example for example in examples if not example.history]
    assert len({example.instruction for example in plain}) > 0.8 * len(plain)


def test_the_two_splits_share_no_template() -> None:
    lists = [
        options
        for table in (*phrases().values(), *refusals().values())
        if isinstance(table, dict)
        for name, options in table.items()
        if name in ("commands", "sentences")
    ]
    for options in lists:
        train, held_out = set(part(options, "train")), set(part(options, "held_out"))
        assert len(set(options)) == len(options), [o for o, n in Counter(options).items() if n > 1]
        assert not train & held_out
        assert train | held_out == set(options)
        assert len(held_out) == len(options) // EVERY
        assert held_out or not options


def test_held_out_templates_use_words_that_training_knows() -> None:
    known: set[str] = set()
    asked: set[str] = set()
    for form in (*FORMS, "polite", "joined", "sparing"):
        for options in phrases()[form].values():
            known |= {word.strip(",.?:;") for text in part(options, "train") for word in text.split()}
            asked |= {word.strip(",.?:;") for text in part(options, "held_out") for word in text.split()}
    assert asked <= known


def test_there_are_several_dozen_ways_to_ask_for_each_edit() -> None:
    for form in ALONE:
        assert sum(len(options) for options in phrases()[form].values()) >= 60
    for form in AFTER:
        assert sum(len(options) for options in phrases()[form].values()) >= 15


def test_held_out_instructions_are_not_among_training_templates() -> None:
    commands = phrases()["remove"]["commands"]
    rng = np.random.default_rng(0)
    held_out = [e for e in (sample_dialogue(rng, "held_out") for _ in range(300)) if e.form == "remove"]
    assert held_out
    starts = {template.split("{t}")[0] for template in part(commands, "train") if template.endswith("{t}")}
    exact = [e for e in held_out if any(e.instruction.lower() == f"{start}the red ball" for start in starts)]
    assert not exact


@pytest.mark.parametrize("seed", range(60))
def test_typos_are_few_small_and_keep_words_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    right = "please replace the purple cylinder next to the yellow cone with an orange star"
    wrong = with_typos(rng, right, key_words(), count=2)
    pairs = list(zip(right.split(" "), wrong.split(" "), strict=True))
    slips = [(a, b) for a, b in pairs if a != b]
    assert len(slips) <= 2
    for a, b in slips:
        assert len(a) >= 4
        assert a[0] == b[0]
        assert distance(a, b) == 1
        assert all(distance(b, key) > 1 for key in key_words() - {a})


def test_distances_count_slips() -> None:
    assert distance("cube", "cube") == 0
    assert distance("cube", "cbue") == 1
    assert distance("cube", "cub") == 1
    assert distance("cube", "cuube") == 1
    assert distance("cone", "cube") == 2
