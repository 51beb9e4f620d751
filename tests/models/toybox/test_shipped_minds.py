"""The shipped instructor and segmenter, through the loaders that run them: nearly as good as their cards say."""

import torch

from agents.planner import Planner, read_prompt
from brushedit.errors import PlanFailed
from models.catalog import find_profile
from models.loading import Places, open_instructor, open_segmenter
from models.placement import Placement
from models.toybox.measuring import measure_masks, measure_plans

PROFILE = find_profile("toybox")
PLACEMENT = Placement(torch.device("cpu"))


def test_the_instructor_plans_what_it_was_never_taught_word_by_word():
    planner = Planner(
        open_instructor(PROFILE, Places(), PLACEMENT, torch.float32), read_prompt(PROFILE.prompt)
    )

    def plan(image, instruction, history):
        try:
            return planner.plan(image, instruction, history)
        except PlanFailed:
            return None

    scores = measure_plans(plan, seed=1, count=60)
    assert planner.calls <= 63  # hardly an answer that has to be asked for twice
    assert scores.kinds >= 0.8
    assert scores.right >= 0.6


def test_the_segmenter_finds_the_outlines_of_boxed_things():
    scores = measure_masks(open_segmenter(PROFILE, Places(), PLACEMENT, torch.float32), seed=1, count=12)
    assert scores.boxes >= 0.85
    assert scores.promised <= 0.08
