import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
import pytest

from brushedit import blending, masks
from brushedit.errors import PlanFailed, TargetNotFound
from brushedit.events import Event, Finished, Located, Planned
from brushedit.types import (
    Box,
    Candidate,
    EditKind,
    EditPlan,
    EditRequest,
    EditResult,
    Image,
    Mask,
    Region,
)
from models.toybox.edits import Change, aired
from models.toybox.instructions import Example, sample_dialogue
from models.toybox.judging import task_of
from models.toybox.readings import read_background, read_new_thing, read_thing
from models.toybox.rendering import layers, render
from models.toybox.scenes import Background, Color, sample_scene
from models.toybox.scorecard import by_group, by_stage, contact_sheet, figures, to_json, to_text
from models.toybox.scores import ExampleScore, Given
from models.toybox.scoring import REACH, score
from models.toybox.shapes import Kind

SIDE = 48


GROUPS = (
    "add",
    "remove",
    "recolour",
    "reshape",
    "replace",
    "background",
    "two steps",
    "absent",
    "declined",
)


@cache
def examples() -> tuple[Example, ...]:
    """Return two examples of every kind of request."""
    rng = np.random.default_rng(12)
    found: dict[str, list[Example]] = {group: [] for group in GROUPS}
    while any(len(some) < 2 for some in found.values()):
        example = sample_dialogue(rng)
        group = "declined" if example.plan is None else "absent"
        if example.edit is not None:
            changes = example.edit.changes
            group = task_of(changes[0]) if len(changes) == 1 else "two steps"
        if len(found[group]) < 2:
            found[group].append(example)
    return tuple(example for some in found.values() for example in some)


@dataclass(frozen=True)
class Agent:
    """An agent that knows the truth about one example, and can be made worse stage by stage."""

    example: Example

    def __call__(self, request: EditRequest, regions: Mapping[int, Region]) -> Iterator[Event]:
        plan = request.plan or self.plan()
        yield Planned(plan)
        located: list[Mask] = []
        for i, step in enumerate(plan.steps):
            if self.example.edit is None:
                raise TargetNotFound("none of these here")
            true = self.example.plan is not None and step == self.example.plan.steps[i]
            mask = regions[i].mask if i in regions else self.locate(self.example.edit.changes[i])
            located.append(mask if true else np.roll(mask, SIDE // 2, axis=1))
            yield Located(i, Region(located[-1]))
        image = request.image
        assert self.example.edit is not None
        true = self.paint(render(self.example.edit.after, SIDE, SIDE), image)
        region = masks.grow(np.logical_or.reduce(located), 1)
        result = self.blend(np.where(region[..., None], true, image), image)
        report = blending.report(image, result, region)
        yield Finished(EditResult((result,), (0,), plan, (), (report,), {}))

    def plan(self) -> EditPlan:
        if self.example.plan is None:
            raise PlanFailed(self.example.reply)
        return self.example.plan

    def locate(self, change: Change) -> Mask:
        return change.hole(SIDE, SIDE)

    def paint(self, truth: Image, image: Image) -> Image:
        return truth

    def blend(self, result: Image, image: Image) -> Image:
        return result


class Misreading(Agent):
    """Takes every edit for an addition of something else."""

    def plan(self) -> EditPlan:
        plan = super().plan()
        return EditPlan(tuple(replace(s, kind=EditKind.GLOBAL, target="picture") for s in plan.steps))


class Overlooking(Agent):
    """Selects another place."""

    def locate(self, change: Change) -> Mask:
        return np.roll(super().locate(change), SIDE // 2, axis=1)


class Idle(Agent):
    """Paints what was there."""

    def paint(self, truth: Image, image: Image) -> Image:
        return image


class Colorblind(Agent):
    """Takes red for blue, green for red, blue for green."""

    def paint(self, truth: Image, image: Image) -> Image:
        return np.roll(truth, 1, axis=2)


class Careless(Agent):
    """Changes one sample far from the mask."""

    def blend(self, result: Image, image: Image) -> Image:
        result[0, 0, 0] ^= 1
        return result


class Vandal(Agent):
    """Selects everything and wipes out every other thing as well."""

    def locate(self, change: Change) -> Mask:
        return super().locate(change) | True

    def paint(self, truth: Image, image: Image) -> Image:
        edit = self.example.edit
        assert edit is not None
        kept = [i for i, thing in enumerate(edit.after.things) if thing in edit.before.things]
        return render(edit.after.without(kept), SIDE, SIDE)


class Eager(Agent):
    """Never declines and always finds something."""

    def __call__(self, request: EditRequest, regions: Mapping[int, Region]) -> Iterator[Event]:
        if self.example.edit is not None:
            yield from super().__call__(request, regions)
            return
        report = blending.report(request.image, request.image, np.zeros((SIDE, SIDE), np.bool_))
        yield Finished(EditResult((request.image,), (0,), EditPlan(()), (), (report,), {}))


@cache
def scores(agent: type[Agent], given: Given = Given.NOTHING) -> list[ExampleScore]:
    return [
        score(example, agent(example), side=SIDE, given=given).score
        for example in examples()
        if given is Given.NOTHING or example.plan is not None
    ]


def value(told: Sequence[ExampleScore], name: str) -> float | None:
    return next(figure.value for figure in figures(told) if figure.name == name)


def test_the_examples_ask_for_everything() -> None:
    assert set(by_group(scores(Agent))) == set(GROUPS)


def test_a_perfect_agent_is_right_in_everything() -> None:
    told = scores(Agent)
    assert all(one.success and one.lost_at == "" for one in told)
    assert all(figure.reached is not False for figure in figures(told) if figure.name != "mask IoU")
    assert value(told, "whole agent right") == value(told, "plan exactly right") == 1.0
    assert value(told, "samples changed outside") == 0
    assert value(told, "new object of the right shape") == value(told, "recolour right") == 1.0
    assert all(change.hole_iou == 1.0 for one in told for change in one.changes)


def test_a_misreading_agent_loses_at_the_plan_and_nowhere_else() -> None:
    told = scores(Misreading)
    assert value(told, "kind of edit right") == value(told, "target phrase right") == 0.0
    assert {one.lost_at for one in told if one.expected == "edited"} <= {"plan", ""}
    assert all(one.success for one in told if one.expected == "declined")
    assert all(one.success for one in scores(Misreading, Given.PLAN))


def test_an_overlooking_agent_loses_at_the_locator() -> None:
    told = scores(Overlooking)
    assert value(told, "plan exactly right") == 1.0
    assert (value(told, "target found") or 0) < 0.3
    assert {one.lost_at for one in told if not one.success} == {"locate"}
    # A changed background is everywhere, so half of it is still most of it.
    edits = [one for one in told if one.expected == "edited" and "background" not in one.form]
    assert not any(one.success for one in edits)
    runs = {given: scores(Overlooking, given) for given in Given}
    stages = by_stage(runs)
    assert stages[Given.PLAN]["success"] == stages[Given.NOTHING]["success"]
    assert stages[Given.REGIONS]["success"] == 1.0


@pytest.mark.parametrize("agent", [Idle, Colorblind])
def test_a_bad_painter_loses_at_the_paint_with_everything_given_too(agent: type[Agent]) -> None:
    told = scores(agent)
    assert {one.lost_at for one in told if not one.success} == {"paint"}
    assert value(told, "target found") == value(told, "plan exactly right") == 1.0
    planned = [example.plan for example in examples() if example.plan is not None]
    assert not any(
        one.success
        for one, plan in zip(scores(agent, Given.REGIONS), planned, strict=True)
        # Whoever is colourblind sees white as it is.
        if one.group in ("recolour", "replace") and (agent is Idle or "white" not in plan.steps[0].caption)
    )


def test_painting_nothing_removes_adds_and_changes_nothing() -> None:
    told = scores(Idle)
    assert value(told, "removed") == value(told, "background right") == value(told, "recolour right") == 0.0
    assert value(told, "new object of the right shape") == 0.0
    assert value(told, "samples changed outside") == 0


def test_wrong_paint_keeps_shapes_and_loses_colours() -> None:
    told = scores(Colorblind)  # whom white stays white
    assert (value(told, "new object of the right colour") or 0) < 0.5
    assert (value(told, "new object of the right shape") or 0) >= 0.5


def test_one_sample_changed_outside_is_counted_and_fails_the_edit() -> None:
    for one in scores(Careless):
        if one.expected == "edited" and "background" not in one.form:
            assert one.outside_changed == 1
            assert not one.success
            assert all(change.right for change in one.changes)


def test_things_that_were_to_stay_count() -> None:
    told = scores(Vandal)
    alone = [one for one in told if one.spared is False]
    assert len(alone) >= 4
    assert not any(one.success for one in alone)
    assert any(all(change.right for change in one.changes) for one in alone)


def test_an_eager_agent_fails_where_it_should_have_declined() -> None:
    told = scores(Eager)
    assert value(told, "out-of-world request declined") == 0.0
    assert all(one.success == (one.expected == "edited") for one in told)


def test_the_detector_judges_by_what_it_is_asked() -> None:
    example = next(e for e in examples() if e.edit and task_of(e.edit.changes[0]) == "recolour")
    assert example.edit is not None
    (change,) = example.edit.changes
    after = change.after
    boxes = [layer.box for layer in layers(after, SIDE, SIDE)]
    asked: list[str] = []

    def seeing(image: Image, phrase: str) -> list[Candidate]:
        asked.append(phrase)
        return [
            Candidate(b, 0.9, phrase) for b, t in zip(boxes, after.things, strict=True) if t.name == phrase
        ]

    def blind(image: Image, phrase: str) -> list[Candidate]:
        return [Candidate(Box(0, 0, 2, 2), 0.9, phrase)]

    sharp, poor = (
        score(example, Agent(example), side=SIDE, detecting=one).score.changes[0].sighted
        for one in (seeing, blind)
    )
    assert (sharp, poor) == (True, False)
    assert set(asked) == {after.things[i].name for i in change.targets}


def test_the_nearest_render_tells_every_kind_and_colour_even_noisily() -> None:
    rng = np.random.default_rng(2)
    for _ in range(6):
        scene = sample_scene(rng, 2)
        thing = scene.things[0]
        picture = render(scene, 96, 96)
        noisy = np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
        best = read_new_thing(noisy, scene.without((0,)), thing)[0]
        assert best is not None
        assert (best.kind, best.color) == (thing.kind, thing.color)
        other = replace(thing, color=next(c for c in Color if c is not thing.color))
        assert read_new_thing(render(scene.without((0,)), 96, 96), scene.without((0,)), other)[0] is None


def test_what_shape_a_thing_has_is_told_whatever_its_size_and_place_in_the_frame() -> None:
    rng = np.random.default_rng(3)
    for kind in Kind:
        thing = replace(sample_scene(rng, 1).things[0], kind=kind, size=0.4, x=0.5, y=0.6)
        scene = replace(sample_scene(rng, 0), things=(thing,))
        empty, frame = scene.without((0,)), aired(thing.window, scene.window)
        for share in (0.9, 0.75, 0.6):
            shift = rng.uniform(-0.1, 0.1, 2) * (1 - share)
            other = replace(thing, size=share * thing.size, x=thing.x + shift[0], y=thing.y + shift[1])
            picture = cv2.GaussianBlur(render(scene.changed(0, other), 96, 96), (0, 0), 1.0)
            best = read_new_thing(np.asarray(picture, np.uint8), empty, thing, frame)[0]
            assert best is not None
            assert (best.kind, best.color) == (kind, thing.color)
        ground = cv2.GaussianBlur(render(empty, 96, 96), (0, 0), 1.0)
        assert read_thing(np.asarray(ground, np.uint8), empty, thing)[0] is None
        assert read_thing(render(scene, 96, 96), empty, thing)[0] is not None


@dataclass(frozen=True)
class Shifting(Agent):
    """Puts a thing a little beside where the truth has it, blurred, as a painter may; `keeping` the old one, too."""

    keeping: bool = False

    def paint(self, truth: Image, image: Image) -> Image:
        assert self.example.edit is not None
        removal, addition = self.example.edit.changes
        new = addition.after.things[addition.targets[0]]
        scene = addition.after.changed(addition.targets[0], replace(new, x=new.x + 0.06 * new.size))
        if self.keeping:
            scene = scene.with_thing(removal.before.things[removal.targets[0]])
        return blurred(render(scene, SIDE, SIDE))


class Lazy(Agent):
    """Blurs what was there."""

    def paint(self, truth: Image, image: Image) -> Image:
        return blurred(image)


def blurred(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.7), np.uint8)


def test_an_old_thing_is_gone_where_a_new_one_like_it_stands_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "SIDE", 128)
    rng = np.random.default_rng(5)
    asked: list[Example] = []
    while len(asked) < 10:
        example = sample_dialogue(rng)
        if example.form in ("smaller", "it_move") and example.edit and len(example.edit.changes) == 2:
            removal, addition = example.edit.changes
            old, place = removal.mask(SIDE, SIDE), addition.hole(SIDE, SIDE)
            new = layers(addition.after, SIDE, SIDE)[addition.targets[0]].visible
            # Whether what is all but hidden has gone nobody can tell.
            if (old & place).any() and (old & ~new).sum() > 0.1 * old.sum():
                asked.append(example)

    def removed(agent: Callable[[Example], Agent]) -> list[bool | None]:
        return [score(one, agent(one), side=SIDE).score.changes[0].removed for one in asked]

    assert removed(Shifting) == [True] * len(asked)
    assert removed(lambda one: Shifting(one, keeping=True)) == [False] * len(asked)
    assert removed(Lazy) == [False] * len(asked)


def test_backgrounds_are_told_apart_by_renders_of_other_seeds() -> None:
    rng = np.random.default_rng(4)
    for background in Background:
        scene = sample_scene(rng, 2, background=background)
        told = read_background(render(scene, SIDE, SIDE), replace(scene, seed=scene.seed + 1))
        assert told[0].background is background


def test_an_evaluation_is_json_text_and_a_sheet() -> None:
    runs = {given: scores(Idle, given) for given in (Given.NOTHING, Given.PLAN)}
    told = json.loads(json.dumps(to_json(runs), allow_nan=False))
    assert told["examples"] == len(examples())
    assert {figure["name"]: figure["reached"] for figure in told["figures"]}["removed"] is False
    assert "whole agent right" in to_text(runs)
    scored = [
        score(example, agent(example), side=SIDE)
        for example in examples()[::4]
        for agent in (Agent, Idle)
        if example.outcome == "edited"
    ]
    sheet = contact_sheet(scored, count=4, side=48)
    assert sheet.shape[1] == 2 * 4 * 48 + 3
    first = min(scored, key=lambda one: one.score.success)
    assert not first.score.success
    assert np.array_equal(sheet[:48, :48], first.before) or len(scored) > 2


def test_the_reach_covers_what_the_conductor_may_blend() -> None:
    from brushedit import framing
    from brushedit.diffusion.conductor import default_grow

    mask = masks.from_box(Box(20, 20, 100, 90), 128, 128)
    frames = framing.frames(mask, native=64, multiple=8, context=0.5)
    assert default_grow(frames) <= max(2, round(REACH * 128))
