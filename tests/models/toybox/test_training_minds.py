"""The three recipes of the agent's networks: killed and resumed, briefly trained, written and loaded."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from agents.plan_schema import Declined, reply_to_json
from agents.planner import read_prompt, write_prompt
from brushedit.training.loop import Budget, Trainer, latest
from brushedit.types import Box
from models.checkpoint import read_config
from models.grounding_dino import GroundingDinoConfig, SwinSize, load_detector
from models.placement import Placement
from models.qwen_vl import load_instructor
from models.sam import SamConfig, load_segmenter
from models.sam import build as build_sam
from models.toybox.instructions import sample_dialogue
from models.toybox.naming import words_tokenizer
from models.toybox.plan_tokens import asked, learn_tokenizer, wrap
from models.toybox.train_detector import (
    BoxObjective,
    DetectorRecipe,
    make_detector,
    owners_by_overlap,
    owners_by_place,
    train_detector,
)
from models.toybox.train_instructor import (
    InstructorRecipe,
    PlanObjective,
    make_instructor,
    positions,
    train_instructor,
    with_invented_words,
)
from models.toybox.train_segmenter import (
    MaskObjective,
    SegmenterRecipe,
    dice_loss,
    focal_loss,
    iou,
    train_segmenter,
)

CPU = torch.device("cpu")
PLACEMENT = Placement(CPU)

INSTRUCTOR = InstructorRecipe(width=32, layers=1, inner=48, pieces=320, corpus=40, batch=6, parts=2)
SEGMENTER = SegmenterRecipe(
    network=SamConfig(
        embed_dim=16,
        depth=1,
        num_heads=2,
        global_attention=(0,),
        window=4,
        image_size=64,
        patch=8,
        width=16,
        mlp_width=16,
        mask_channels=4,
        decoder_heads=2,
    ),
    batch=2,
)
DETECTOR = DetectorRecipe(
    network=replace(
        DetectorRecipe().network,
        swin=SwinSize(embed_dim=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1), window_size=4),
        dim_feedforward=32,
        num_queries=8,
        shorter_side=64,
        longest_side=64,
    ),
    batch=2,
)


def ask(instruction, history):
    return write_prompt(read_prompt("plan_short"), instruction, history)


def answer(reply):
    return reply_to_json(Declined(reply) if isinstance(reply, str) else reply)


@pytest.fixture(scope="module")
def tokenizer():
    return learn_tokenizer([ask("remove the blue cube and add a ball", ())] * 9, 280)


def instructor_objective(tokenizer):
    torch.manual_seed(0)
    return PlanObjective(make_instructor(tokenizer, INSTRUCTOR), tokenizer, ask, answer, INSTRUCTOR)


def segmenter_objective(_):
    torch.manual_seed(0)
    return MaskObjective(build_sam(SEGMENTER.network), SEGMENTER)


def detector_objective(_):
    torch.manual_seed(0)
    return BoxObjective(make_detector(DETECTOR), DETECTOR)


OBJECTIVES = [instructor_objective, segmenter_objective, detector_objective]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("make", OBJECTIVES)
def test_training_goes_on_bit_for_bit_after_being_killed(make, tokenizer, tmp_path):
    recipe, budget = INSTRUCTOR.steps, Budget(steps=4)
    for _ in Trainer(make(tokenizer), recipe, budget, tmp_path / "whole").run():
        pass
    for progress in Trainer(make(tokenizer), recipe, budget, tmp_path / "parts").run(save_every=0.0):
        if progress.step == 2:
            break
    for _ in Trainer(make(tokenizer), recipe, budget, tmp_path / "parts").run():
        pass
    for name in ("weights.safetensors", "average.safetensors"):
        whole, parts = ((latest(tmp_path / run) / name).read_bytes() for run in ("whole", "parts"))
        assert whole == parts


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("make", OBJECTIVES)
def test_a_few_steps_lower_the_loss(make, tokenizer):
    objective = make(tokenizer)

    @torch.no_grad()
    def measured():
        return np.mean(
            [float(objective.loss(np.random.default_rng((9, i)), torch.Generator(), 0.0)) for i in range(3)]
        )

    before = measured()
    for _ in Trainer(
        objective, replace(SEGMENTER.steps, warmup=4, learning_rate=3e-3), Budget(steps=12)
    ).run():
        pass
    assert measured() < 0.95 * before


def test_what_is_written_the_instructors_loader_reads(tmp_path):
    steps = list(
        train_instructor(
            tmp_path,
            Budget(steps=2),
            write_prompt=ask,
            write_reply=answer,
            device=CPU,
            sheet_every=0.0,
            recipe=INSTRUCTOR,
        )
    )
    assert (cv2.imread(str(tmp_path / "sheets" / "instructor.png")) < 255).any()
    assert [progress.step for progress in steps] == [1, 2]
    model = load_instructor(tmp_path / "vlms" / "instructor", PLACEMENT, torch.float32)
    from agents.plan_schema import parse_reply, reply_schema

    parse_reply(model.generate(np.zeros((96, 128, 3), np.uint8), ask("remove the ball", ()), reply_schema()))


def test_what_is_written_the_segmenters_loader_reads(tmp_path):
    list(train_segmenter(tmp_path, Budget(steps=1), device=CPU, sheet_every=0.0, recipe=SEGMENTER))
    assert cv2.imread(str(tmp_path / "sheets" / "segmenter.png")).std() > 10
    config = read_config(tmp_path / "sam", SamConfig)
    assert config == SEGMENTER.network
    model = load_segmenter(tmp_path / "sam" / "model.safetensors", config, PLACEMENT)
    mask, _ = model.segment(np.zeros((90, 120, 3), np.uint8), Box(10, 10, 50, 60), ())
    assert mask.shape == (90, 120)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_what_is_written_the_detectors_loader_reads(tmp_path):
    list(train_detector(tmp_path, Budget(steps=1), device=CPU, sheet_every=0.0, recipe=DETECTOR))
    assert cv2.imread(str(tmp_path / "sheets" / "detector.png")).std() > 10
    folder = tmp_path / "grounding_dino"
    config = read_config(folder, GroundingDinoConfig)
    model = load_detector(folder / "model.safetensors", folder, config, PLACEMENT)
    assert all(0 <= c.score <= 1 for c in model.detect(np.zeros((90, 120, 3), np.uint8), "blue cube"))


def test_the_instructor_is_trained_in_the_very_template_it_is_asked_in(tokenizer, tmp_path):
    list(
        train_instructor(
            tmp_path, Budget(steps=1), write_prompt=ask, write_reply=answer, device=CPU, recipe=INSTRUCTOR
        )
    )
    model = load_instructor(tmp_path / "vlms" / "instructor", PLACEMENT, torch.float32)
    learned = wrap(Tokenizer.from_file(str(tmp_path / "checkpoints" / "instructor" / "tokenizer.json")))
    # The adapter's own view of a question, and the full network's states with the picture in it.
    inputs = model._inputs(np.full((100, 150, 3), 77, np.uint8), ask("remove the ball", ()))
    rows, columns = (inputs["image_grid_thw"][0, 1:] // 2).tolist()
    assert (
        inputs["input_ids"][0].tolist()
        == learned(asked(ask("remove the ball", ()), rows * columns))["input_ids"]
    )
    with torch.no_grad():
        network = model._network
        whole = network(**inputs).logits
        image = learned.convert_tokens_to_ids("<|image_pad|>")
        ids = inputs["input_ids"]
        words = network.model.get_input_embeddings()(ids) * (ids != image)[..., None]
        places = positions(ids[0].tolist().index(image), rows, columns, ids.shape[1])[:, None]
        states = network.model.language_model(inputs_embeds=words, position_ids=places, use_cache=False)
        torch.testing.assert_close(network.lm_head(states.last_hidden_state), whole)


def test_invented_words_change_only_what_is_refused():
    changed = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        example = sample_dialogue(rng)
        other = with_invented_words(rng, example, 1.0)
        assert replace(other, instruction=example.instruction) == example
        if other != example:
            assert example.form.startswith("unknown")
            changed += 1
    assert changed > 10


def test_mask_losses_fall_to_nothing_on_the_right_mask():
    right = torch.zeros(1, 1, 8, 8)
    right[..., 2:6, 2:6] = 1
    sure = (right * 2 - 1) * 30
    assert float(focal_loss(sure, right)) < 1e-6
    assert float(dice_loss(sure, right)) < 1e-6
    assert float(dice_loss(-sure, right)) > 0.9
    assert float(iou(sure > 0, right > 0)) == 1.0


def test_proposals_belong_to_the_smallest_thing_whose_heart_they_are_in():
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.4, 0.4, 0.6, 0.6]])
    middles = torch.tensor([[0.5, 0.5], [0.3, 0.3], [0.05, 0.05]])
    assert owners_by_place(middles, boxes, 0.6).tolist() == [1, 0, -1]
    assert owners_by_place(middles, boxes[:0], 0.6).tolist() == [-1, -1, -1]


def test_queries_belong_to_the_thing_they_overlap_most():
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]])
    found = torch.tensor([[0.25, 0.25, 0.5, 0.5], [0.75, 0.75, 0.4, 0.5], [0.5, 0.5, 0.1, 0.1]])
    assert owners_by_overlap(found, boxes).tolist() == [0, 1, -1]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_a_captions_words_are_right_for_the_things_its_phrases_fit():
    from models.toybox.pictures import Picture
    from models.toybox.rendering import layers, render
    from models.toybox.scenes import Background, Color, Scene, Thing
    from models.toybox.shapes import Kind

    scene = Scene(
        Background.GRASS,
        (Thing(Kind.BALL, Color.RED, 0.3, 0.8, 0.3), Thing(Kind.CUBE, Color.BLUE, 0.7, 0.8, 0.3)),
    )
    picture = Picture(scene, render(scene, 64, 64), layers(scene, 64, 64))
    truth = detector_objective(None)._truth(picture, ("red ball", "cube"), "red ball. cube.", CPU)
    names = words_tokenizer().convert_ids_to_tokens(words_tokenizer()("red ball. cube.")["input_ids"])
    assert [n for n, word in zip(names, truth.words.tolist(), strict=True) if word] == ["red", "ball", "cube"]
    said = [[n for n, t in zip(names, row, strict=True) if t] for row in truth.tokens.tolist()]
    assert said == [["red", "ball"], ["cube"]]
