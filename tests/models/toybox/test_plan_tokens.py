import json

import numpy as np
import pytest

from agents.plan_schema import Declined, reply_schema, reply_to_json
from models.json_constraint import JsonConstraint, compile_schema, read_tokenizer
from models.toybox.instructions import sample_dialogue
from models.toybox.plan_tokens import END, Splitter, fixed_pieces, learn_tokenizer


def replies(count, split="train"):
    examples = [sample_dialogue(np.random.default_rng(seed), split) for seed in range(count)]
    return [reply_to_json(e.plan or Declined(e.reply)) for e in examples]


@pytest.fixture(scope="module")
def tokenizer():
    words = " ".join(str(reply) for reply in replies(60)).split('"')
    return learn_tokenizer([*words * 4, "Remove the ball, please"], 400)


def test_replies_come_back_as_they_were_and_are_short(tokenizer):
    for reply in replies(40, "held_out"):
        ids = tokenizer(reply)["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == reply
        assert len(ids) <= 30 * len(json.loads(reply)["reply"].get("steps", [0]))


def test_questions_are_read_in_lower_case(tokenizer):
    assert tokenizer("REMOVE the Ball")["input_ids"] == tokenizer("remove the ball")["input_ids"]


def test_each_fixed_piece_is_one_token(tokenizer):
    assert [len(tokenizer(piece)["input_ids"]) for piece in fixed_pieces()] == [1] * len(fixed_pieces())


def test_the_grammar_lets_every_right_reply_through_token_by_token(tokenizer):
    import torch

    end = tokenizer.convert_tokens_to_ids(END)
    engine = read_tokenizer(tokenizer, [end])
    grammar = compile_schema(reply_schema())
    for reply in replies(25, "held_out"):
        constraint = JsonConstraint(engine, grammar, 1024)
        ids = [0]
        for token in [*tokenizer(reply)["input_ids"], end]:
            scores = constraint(torch.tensor([ids]), torch.zeros(1, len(tokenizer)))
            assert torch.isfinite(scores[0, token]), (reply, tokenizer.convert_ids_to_tokens(token))
            ids.append(token)


def test_split_words_spell_the_same(tokenizer):
    ids = tokenizer("remove the purple cylinder")["input_ids"]
    for seed in range(10):
        split = Splitter(tokenizer).split(np.random.default_rng(seed), ids, 0.8)
        assert tokenizer.decode(split) == tokenizer.decode(ids)
    assert len(split) > len(ids)


def test_marks_and_fixed_pieces_are_never_split(tokenizer):
    ids = [tokenizer.convert_tokens_to_ids(END), tokenizer.convert_tokens_to_ids('"}]}}')]
    assert Splitter(tokenizer).split(np.random.default_rng(0), ids, 1.0) == ids


@pytest.mark.parametrize("said", ['make the "ball" green', "make the “ball” green", "Make «the ball» green"])
def test_quotation_marks_say_nothing(tokenizer, said):
    assert tokenizer(json.dumps(said, ensure_ascii=False)) == tokenizer('"make the ball green"')
    assert tokenizer("let’s") == tokenizer("let's")
