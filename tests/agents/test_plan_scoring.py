from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from agents.plan_schema import check_plan
from agents.plan_scoring import ANY, Case, ExpectedStep, ask, judge, read_cases, summarize
from brushedit.errors import InstructorUnavailable, PlanFailed
from brushedit.types import EditKind, EditPlan, EditStep, Image, Turn, Which

CASES = read_cases(Path(__file__).parents[1] / "data" / "plans.jsonl")
PICTURE = np.zeros((8, 8, 3), dtype=np.uint8)


def ideal(case: Case) -> EditPlan:
    """Return the plan that a case expects, its own words taken."""
    return EditPlan(
        tuple(
            EditStep(
                step.kind,
                "thing" if step.target == (ANY,) else step.target[0],
                "a picture",
                which=Which.ONE if step.which == ANY else Which(step.which),
                where=next(iter([step.where] if isinstance(step.where, str) else step.where)).replace(
                    ANY, ""
                ),
            )
            for step in case.steps
        )
    )


def test_the_script_covers_what_people_say() -> None:
    tags = Counter(tag for case in CASES for tag in case.tags)
    assert len(CASES) >= 120
    assert len({(case.instruction, case.history) for case in CASES}) == len(CASES)
    for tag in (
        "remove",
        "add",
        "local",
        "background",
        "global",
        "plural",
        "spatial",
        "relation",
        "multi",
        "follow",
    ):
        assert tags[tag] >= 6, tag
    for tag in ("polite", "terse", "typo", "german", "chinese", "contradictory", "undo", "ordinal"):
        assert tags[tag] >= 2, tag
    assert tags["toy"] >= 60
    assert {step.kind for case in CASES for step in case.steps} == set(EditKind)


def test_every_expectation_can_be_met() -> None:
    for case in CASES:
        if case.declines:
            assert case.steps == ()
            continue
        plan = ideal(case)
        check_plan(plan)
        assert judge(case, plan).right, case


CASE = Case("x", (ExpectedStep(EditKind.REMOVE, ("blue cube", "cube"), "one", "second from the left"),))


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        (EditStep(EditKind.REMOVE, "the blue cubes", "x", where="the 2nd one from left"), ""),
        (EditStep(EditKind.REMOVE, "Cube", "x", where="second"), ""),
        (EditStep(EditKind.LOCAL, "cube", "x", where="second"), "kind"),
        (EditStep(EditKind.REMOVE, "red cube", "x", where="second"), "target"),
        (EditStep(EditKind.REMOVE, "cube", "x", where="second", which=Which.ALL), "which"),
        (EditStep(EditKind.REMOVE, "cube", "x", where="left"), "where"),
        (EditStep(EditKind.REMOVE, "cube", "x"), "where"),
    ],
)
def test_plans_are_judged_by_meaning(step: EditStep, wrong: str) -> None:
    outcome = judge(CASE, EditPlan((step,)))
    assert [
        name for name in ("kind", "target", "which", "where") if not getattr(outcome, name)
    ] == wrong.split()


def test_too_many_steps_are_wrong_in_all() -> None:
    assert not any(
        vars(judge(CASE, EditPlan(ideal(CASE).steps * 2)))[name] for name in ("kind", "target", "where")
    )


def test_declining_is_right_where_asked_for_and_wrong_elsewhere() -> None:
    def declining(_: Image, instruction: str, history: Sequence[Turn]) -> EditPlan:
        raise PlanFailed("no")

    outcomes = [ask(declining, case, PICTURE) for case in CASES]
    assert [outcome.right for outcome in outcomes] == [case.declines for case in CASES]
    assert summarize(outcomes).right == pytest.approx(sum(case.declines for case in CASES) / len(CASES))


def test_a_silent_server_is_no_wrong_plan() -> None:
    def silent(_: Image, instruction: str, history: Sequence[Turn]) -> EditPlan:
        raise InstructorUnavailable("gone")

    with pytest.raises(InstructorUnavailable):
        ask(silent, CASES[0], PICTURE)


def test_an_instructor_is_asked_with_the_turns_before() -> None:
    asked: list[tuple[str, int]] = []

    def attentive(_: Image, instruction: str, history: Sequence[Turn]) -> EditPlan:
        asked.append((instruction, len(history)))
        return ideal(
            next(case for case in CASES if case.instruction == instruction and case.turns == tuple(history))
        )

    follow = [case for case in CASES if case.history]
    assert summarize([ask(attentive, case, PICTURE) for case in follow]).right == 1.0
    assert asked == [(case.instruction, len(case.history)) for case in follow]
