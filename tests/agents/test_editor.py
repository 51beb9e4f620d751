from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agents.critic import Critic
from agents.editor import Editor
from agents.locator import Locator
from agents.planner import Planner, read_prompt
from brushedit import masks
from brushedit.errors import EditError, PlanFailed, UnsupportedEdit
from brushedit.events import Blended, Denoised, Event, Finished, Located, Planned
from brushedit.options import PaintOptions
from brushedit.types import (
    Box,
    Candidate,
    EditKind,
    EditPlan,
    EditRequest,
    EditResult,
    EditStep,
    Image,
    Region,
)
from tests.agents.fakes import FilledBoxes, FlatPainter, NamedBoxes, ScriptedModel, plan_reply, step_json

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)
OPTIONS = PaintOptions(steps=2, seed=5)
CUBE, BALL = (5, 5, 15, 15), (40, 20, 50, 30)
REQUEST = EditRequest(IMAGE, "remove the blue cube", options=OPTIONS)
TWO_STEPS = plan_reply(
    step_json(), step_json(kind="local", target="ball", caption="a green ball", negative="red")
)


def editor_of(*answers: str, **options: Any) -> tuple[Editor, ScriptedModel, NamedBoxes, FlatPainter]:
    model, detector, painter = (
        ScriptedModel(*answers),
        NamedBoxes(blue_cube=[(CUBE, 0.9)], ball=[(BALL, 0.8)]),
        FlatPainter(),
    )
    editor = Editor(Planner(model, read_prompt("plan")), Locator(detector, FilledBoxes()), painter, **options)
    return editor, model, detector, painter


def result_of(events: list[Event]) -> EditResult:
    assert isinstance(events[-1], Finished)
    return events[-1].result


def test_events_come_in_order_and_the_result_last() -> None:
    editor, model, _, painter = editor_of(plan_reply())
    events = list(editor.edit(REQUEST))
    assert [type(event) for event in events] == [Planned, Located, Denoised, Denoised, Blended, Finished]
    result = result_of(events)
    assert len(model.prompts) == 1
    assert painter.asked[0][2] == "an empty beach"
    assert result.seeds == (5,)
    assert set(result.timings) == {"plan", "locate", "paint"}
    assert result.peak_memory is None


def test_nothing_outside_the_regions_changes_over_several_steps() -> None:
    editor, _, _, painter = editor_of(TWO_STEPS)
    result = result_of(list(editor.edit(REQUEST)))
    assert np.array_equal(painter.asked[1][0], painter_output(painter, 0)), (
        "the second step gets the first one's picture"
    )
    assert [step.kind for step in result.plan.steps] == [EditKind.REMOVE, EditKind.LOCAL]
    assert len(result.regions) == 2
    changed = (result.images[0] != IMAGE).any(axis=2)
    assert changed[5:15, 5:15].all()
    assert changed[20:30, 40:50].any()
    report = result.reports[0]
    assert report.outside_max_delta == report.outside_changed == 0
    # Both steps' regions, each grown by the painter's two pixels, and measured against the first input.
    reached = np.logical_or.reduce([masks.grow(region.mask, 2) for region in result.regions])
    assert report.region_fraction == pytest.approx(reached.mean())
    assert report.changed_fraction > 0.07


def painter_output(painter: FlatPainter, index: int) -> np.ndarray[Any, Any]:
    image, mask, caption, options = painter.asked[index]
    painting = FlatPainter().paint(image, mask, caption, options)
    while True:
        try:
            next(painting)
        except StopIteration as stop:
            return stop.value.images[0]


def test_samples_go_their_own_ways_through_the_steps() -> None:
    editor, _, _, painter = editor_of(TWO_STEPS)
    request = replace(REQUEST, options=replace(OPTIONS, samples=2))
    events = list(editor.edit(request))
    result = result_of(events)
    assert result.seeds == (5, 6)
    assert len(result.images) == len(result.reports) == 2
    assert [options.seed for _, _, _, options in painter.asked] == [5, 6, 5, 6]
    for seed, image in zip(result.seeds, result.images, strict=True):
        alone = editor_of(TWO_STEPS)[0]
        assert np.array_equal(
            result_of(list(alone.edit(replace(REQUEST, options=replace(OPTIONS, seed=seed))))).images[0],
            image,
        )
    second = events[[type(event) for event in events].index(Located, 2) + 1 : -1]
    assert [event.step for event in second if isinstance(event, Denoised)] == [1, 2, 3, 4]
    assert {event.steps for event in second if isinstance(event, Denoised)} == {4}
    assert [event.sample for event in second if isinstance(event, Blended)] == [0, 1]


class Boxes:
    """Sees what a painter of another seed painted elsewhere: the box depends on the picture."""

    def detect(self, image: Image, phrase: str) -> list[Candidate]:
        x = 5 + int(image[..., 0].sum()) % 20
        return (
            [Candidate(Box(x, 20, x + 10, 30), 0.9, phrase)]
            if phrase == "ball"
            else [Candidate(Box(*CUBE), 0.9, phrase)]
        )


def test_each_sample_is_located_in_its_own_picture() -> None:
    def edit(options: PaintOptions) -> EditResult:
        planner = Planner(ScriptedModel(TWO_STEPS), read_prompt("plan"))
        editor = Editor(planner, Locator(Boxes(), FilledBoxes()), FlatPainter())
        return result_of(list(editor.edit(replace(REQUEST, options=options))))

    together = edit(replace(OPTIONS, samples=3))
    alone = [edit(replace(OPTIONS, seed=seed)) for seed in together.seeds]
    assert len({one.regions[1].mask.tobytes() for one in alone}) > 1
    for image, one in zip(together.images, alone, strict=True):
        assert np.array_equal(image, one.images[0])


def test_a_persons_plan_and_regions_resume_at_painting() -> None:
    editor, model, detector, painter = editor_of()
    mask = np.zeros(IMAGE.shape[:2], dtype=np.bool_)
    mask[30:35, 30:35] = True
    plan = EditPlan((EditStep(EditKind.LOCAL, "anything", "a caption of my own"),))
    events = list(editor.edit(replace(REQUEST, instruction="", plan=plan), {0: Region(mask)}))
    assert result_of(events).plan == plan
    assert model.prompts == detector.asked == []
    assert np.array_equal(painter.asked[0][1], mask)
    assert painter.asked[0][2] == "a caption of my own"


def test_a_persons_plan_alone_resumes_at_locating() -> None:
    editor, model, detector, _ = editor_of()
    plan = EditPlan((EditStep(EditKind.REMOVE, "ball", "a beach"),))
    result_of(list(editor.edit(replace(REQUEST, plan=plan))))
    assert model.prompts == []
    assert detector.asked == ["ball", "object"]


def test_a_persons_invalid_plan_is_refused_by_name() -> None:
    editor, *_ = editor_of()
    with pytest.raises(PlanFailed) as caught:
        next(editor.edit(replace(REQUEST, plan=EditPlan(()))))
    assert caught.value.param == "plan"


def test_closing_the_events_stops_the_painter() -> None:
    editor, _, _, painter = editor_of(plan_reply())
    events = editor.edit(REQUEST)
    for event in events:
        if isinstance(event, Denoised):
            break
    events.close()
    assert painter.closed == 1


def test_a_whole_picture_change_starts_from_the_noised_original() -> None:
    change = plan_reply(step_json(kind="global", target="picture", caption="a watercolour"))
    editor, _, _, painter = editor_of(change, change, global_strength=0.6)
    list(editor.edit(REQUEST))
    list(editor.edit(replace(REQUEST, options=replace(OPTIONS, strength=0.3))))
    assert [options.strength for _, _, _, options in painter.asked] == [0.6, 0.3]
    assert painter.asked[0][1].all()


def test_a_whole_picture_change_is_refused_where_it_cannot_be_painted() -> None:
    editor, _, _, painter = editor_of(
        plan_reply(step_json(kind="global", target="picture", caption="a watercolour")), global_strength=None
    )
    with pytest.raises(UnsupportedEdit, match="whole picture"):
        list(editor.edit(REQUEST))
    assert painter.asked == []


def test_several_things_that_change_are_painted_one_by_one() -> None:
    """Two balls that touch: each call paints one into what the ones before made of the picture."""
    left, right = (20, 20, 30, 30), (30, 20, 40, 30)
    painter = FlatPainter()
    plan = plan_reply(step_json(kind="local", target="ball", caption="a green ball", which="all"))
    editor = Editor(
        Planner(ScriptedModel(plan), read_prompt("plan")),
        Locator(NamedBoxes(ball=[(left, 0.9), (right, 0.8)]), FilledBoxes()),
        painter,
    )
    events = list(editor.edit(REQUEST))
    result = result_of(events)
    (first, one, *_), (second, other, *_) = painter.asked
    assert np.array_equal(first, IMAGE)
    assert not np.array_equal(second, IMAGE)
    assert not (one & other).any()
    assert np.array_equal(one | other, result.regions[0].mask)
    assert one[20:30, 20:30].all()
    assert other[20:30, 30:40].all()
    counts = [(event.step, event.steps) for event in events if isinstance(event, Denoised)]
    assert counts == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert result.reports[0].outside_changed == 0


def test_what_is_to_appear_is_framed_closely_unless_the_request_says_how() -> None:
    """The recoloured ball is no new thing, the cube that becomes a ball and the ring are."""
    plan = plan_reply(
        step_json(kind="local", target="ball", caption="a green ball"),
        step_json(kind="local", target="blue cube", caption="a blue ball"),
        step_json(kind="add", target="ring", caption="a ring", where="left"),
    )
    editor, _, _, painter = editor_of(plan, plan, closeup=0.25)
    list(editor.edit(REQUEST))
    list(editor.edit(replace(REQUEST, options=replace(OPTIONS, context=0.4))))
    assert [options.context for *_, options in painter.asked] == [None, 0.25, 0.25, 0.4, 0.4, 0.4]


def test_both_negatives_reach_the_painter() -> None:
    editor, _, _, painter = editor_of(TWO_STEPS)
    list(editor.edit(replace(REQUEST, options=replace(OPTIONS, negative="blur"))))
    assert [options.negative for _, _, _, options in painter.asked] == ["blur", "red, blur"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"image": IMAGE[..., 0]}, "invalid_image"),
        ({"box": Box(100, 100, 120, 120)}, "invalid_mask"),
        ({"mask": np.ones((3, 3), dtype=np.bool_)}, "invalid_mask"),
        ({"instruction": " "}, "invalid_instruction"),
        ({"instruction": "x" * 20_000}, "invalid_instruction"),
    ],
)
def test_a_bad_request_costs_no_call(changes: dict[str, Any], code: str) -> None:
    editor, model, detector, painter = editor_of(plan_reply())
    with pytest.raises(EditError) as caught:
        list(editor.edit(replace(REQUEST, **changes)))
    assert caught.value.code == code
    assert model.prompts == detector.asked == painter.asked == []


class Moods:
    """Detects, in one picture after the other, what was painted there with these scores."""

    def __init__(self, *scores: float) -> None:
        self.scores = list(scores)

    def detect(self, image: Image, phrase: str) -> list[Candidate]:
        return [Candidate(Box(*CUBE), self.scores.pop(0), phrase)]


def tried(*scores: float, tries: int, samples: int = 1) -> tuple[EditResult, FlatPainter, list[Event]]:
    editor, _, _, painter = editor_of(
        plan_reply(step_json(kind="local", caption="a red cube")), critic=Critic(Moods(*scores), 0.5)
    )
    options = replace(OPTIONS, tries=tries, samples=samples)
    events = list(editor.edit(replace(REQUEST, options=options)))
    return result_of(events), painter, events


def test_a_step_is_painted_again_until_the_critic_sees_what_was_asked_for() -> None:
    result, painter, events = tried(0.1, 0.3, 0.6, tries=4)
    first, second, third = (options.seed for _, _, _, options in painter.asked)
    assert first == 5
    assert len({first, second, third}) == 3
    assert result.images[0][10, 10, 0] == third * 37 % 256
    assert result.seeds == (5,)
    steps = [(event.step, event.steps) for event in events if isinstance(event, Denoised)]
    assert steps == [(1, 2), (2, 2), (3, 4), (4, 4), (5, 6), (6, 6)]
    assert sum(isinstance(event, Blended) for event in events) == 1


def test_the_best_of_all_tries_is_kept_where_none_is_good() -> None:
    result, painter, _ = tried(0.1, 0.3, 0.2, tries=3)
    assert len(painter.asked) == 3
    assert result.images[0][10, 10, 0] == painter.asked[1][3].seed * 37 % 256


def test_each_sample_has_its_own_tries() -> None:
    result, painter, events = tried(0.1, 0.9, 0.9, tries=2, samples=2)
    assert [options.seed for _, _, _, options in painter.asked][::2] == [5, 6]
    assert result.seeds == (5, 6)
    assert [event.sample for event in events if isinstance(event, Blended)] == [0, 1]
    steps = [(event.step, event.steps) for event in events if isinstance(event, Denoised)]
    assert steps == [(1, 4), (2, 4), (3, 6), (4, 6), (5, 6), (6, 6)]


def test_with_one_try_the_critic_is_not_asked() -> None:
    result, painter, _ = tried(tries=1)
    assert len(painter.asked) == 1
    assert result.seeds == (5,)


def test_the_peak_is_that_of_this_edit() -> None:
    peaks = iter([999, 123])
    editor, *_ = editor_of(plan_reply(), read_peak=lambda: next(peaks))
    assert result_of(list(editor.edit(REQUEST))).peak_memory == 123


SPARED = masks.from_box(Box(5, 8, 15, 12), *IMAGE.shape[:2])


@pytest.mark.parametrize("guidance", [{"mask": SPARED}, {"box": Box(5, 8, 15, 12)}])
def test_what_is_subtracted_stays_untouched_where_the_blend_would_reach(guidance: dict[str, Any]) -> None:
    """The painter changes two pixels past its mask, which would run back into what was taken out."""
    editor, _, _, _ = editor_of(TWO_STEPS)
    result = result_of(list(editor.edit(replace(REQUEST, mask_mode="subtract", **guidance))))
    changed = (result.images[0] != IMAGE).any(axis=2)
    assert not changed[SPARED].any()
    assert changed[5:8, 5:15].all()
    assert result.reports[0].outside_changed == 0
