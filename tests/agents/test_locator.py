from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.locator import Locator, describe
from agents.selection import suppress, to_pixels
from brushedit import masks
from brushedit.errors import EditError, EmptyMask, InvalidMask, TargetNotFound
from brushedit.types import Box, Candidate, EditKind, EditRequest, EditStep, Mask, Point, Region, Which
from tests.agents.fakes import FilledBoxes, NamedBoxes

HEIGHT, WIDTH = 60, 120
IMAGE = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
REQUEST = EditRequest(IMAGE, "an instruction")
LEFT, MIDDLE, RIGHT, LARGE = (5, 30, 15, 40), (40, 30, 50, 40), (70, 10, 80, 20), (90, 20, 115, 50)
CUBES = [(MIDDLE, 0.9), (RIGHT, 0.8), (LEFT, 0.7), (LARGE, 0.6)]
CONE = (52, 28, 60, 42)


def step(kind: EditKind = EditKind.LOCAL, target: str = "cube", **fields: Any) -> EditStep:
    """Return a step whose hole is little more than the thing itself: it stays what it is."""
    return EditStep(kind, target, f"a red {target}", **fields)


def found(locator: Locator, of: EditStep, request: EditRequest = REQUEST) -> Box:
    """Return where the things are that were found, or else the hole."""
    region = locator.locate(IMAGE, of, request)
    return bounds(region.mask if region.things is None else region.things)


def bounds(mask: Mask) -> Box:
    rows, columns = np.nonzero(mask)
    return Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


def locator_of(**names: Sequence[tuple[tuple[int, int, int, int], float]]) -> Locator:
    return Locator(NamedBoxes(**names), FilledBoxes(), floor=0.3)


def chosen(locator: Locator, where: str, which: Which) -> set[Box]:
    region = locator.locate(IMAGE, step(where=where, which=which), REQUEST)
    return {region.candidates[index].box for index in region.chosen}


CASES = [
    ("", MIDDLE),
    ("left", LEFT),
    ("the leftmost one", LEFT),
    ("right", LARGE),
    ("second from the right", RIGHT),
    ("second from the left", MIDDLE),
    ("third", RIGHT),
    ("last", LARGE),
    ("top", RIGHT),
    ("at the top of the picture", RIGHT),
    ("bottom left", LEFT),
    ("top right corner", RIGHT),
    ("the left one of the two", LEFT),
    ("largest", LARGE),
    ("the bigger one", LARGE),
    ("in the foreground", LARGE),
    ("in the background", RIGHT),
    ("next to the cone", MIDDLE),
    ("to the left of the cone", MIDDLE),
    ("right of the cone", RIGHT),
    ("above the cone", RIGHT),
    ("between the cone and the ball", RIGHT),
    ("right next to the cone", MIDDLE),
    ("the one right next to the cone", MIDDLE),
    ("right behind the cone", MIDDLE),
    ("large, next to the cone", MIDDLE),
    ("right in the middle", MIDDLE),
    ("first", LEFT),
    ("the first from the right", LARGE),
    ("second", MIDDLE),
    ("second to last", RIGHT),
    ("second-to-last", RIGHT),
    ("second from the last", RIGHT),
    ("2nd last", RIGHT),
    ("next to last", RIGHT),
    ("the last but one", RIGHT),
    ("third to last", MIDDLE),
    ("last from the right", LEFT),
    ("last on the right", LARGE),
    ("second to last on the left", MIDDLE),
    ("next to the last cone", MIDDLE),
    ("furthest right", LARGE),
    ("furthest to the left", LEFT),
    ("farthest from the left", LARGE),
    ("closest to the left edge", LEFT),
    ("nearest the top edge", RIGHT),
    ("closest to the camera", LARGE),
    ("farthest back", RIGHT),
    ("on the far left", LEFT),
    ("the very left", LEFT),
    ("on the extreme right", LARGE),
    ("at the very top", RIGHT),
    ("on the left-most side", LEFT),
    ("left of the cone on the right", MIDDLE),
    ("next to the second cone from the left", MIDDLE),
    ("next to the cone at the bottom of the picture", MIDDLE),
]


@pytest.mark.parametrize(("where", "expected"), CASES)
def test_words_pick_the_one_they_mean(where: str, expected: tuple[int, int, int, int]) -> None:
    locator = locator_of(cube=CUBES, cone=[(CONE, 0.9)], ball=[((85, 5, 95, 15), 0.9)])
    assert found(locator, step(where=where)) == Box(*expected)


def test_the_middle_one_of_three_is_counted_not_measured() -> None:
    locator = locator_of(cube=[((0, 0, 10, 10), 0.9), ((20, 0, 30, 10), 0.9), ((40, 0, 50, 10), 0.9)])
    assert found(locator, step(where="the middle one")) == Box(20, 0, 30, 10)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", {LEFT, MIDDLE, RIGHT, LARGE}),
        ("on the left", {LEFT, MIDDLE}),
        ("on the right", {RIGHT, LARGE}),
        ("at the top", {RIGHT}),
        ("in the middle", {MIDDLE}),
        ("in the foreground", {LEFT, MIDDLE, LARGE}),
        ("in the background", {RIGHT}),
        ("the small ones", {LEFT, MIDDLE, RIGHT}),
        ("the large ones", {LARGE}),
        ("the tall ones", {LARGE}),
        ("the small ones on the left", {LEFT, MIDDLE}),
        ("two", {MIDDLE, RIGHT}),
        ("next to the cone", {MIDDLE}),
        ("the two next to the cone", {MIDDLE, RIGHT}),
        ("three next to the cone", {MIDDLE, RIGHT, LARGE}),
        ("the small ones next to the cone", {MIDDLE}),
        ("left of the cone", {LEFT, MIDDLE}),
        ("between the cone and the ball", {RIGHT}),
        ("right behind the cone", {RIGHT, LEFT, MIDDLE}),
    ],
)
def test_all_of_a_place_or_a_size_are_no_more(where: str, expected: set[tuple[int, ...]]) -> None:
    locator = locator_of(cube=CUBES, cone=[(CONE, 0.9)], ball=[((85, 5, 95, 15), 0.9)])
    assert chosen(locator, where, Which.ALL) == {Box(*box) for box in expected}


def test_all_on_a_side_may_be_none() -> None:
    with pytest.raises(TargetNotFound):
        locator_of(cube=[(RIGHT, 0.9)]).locate(IMAGE, step(where="left", which=Which.ALL), REQUEST)
    assert chosen(locator_of(cube=[(RIGHT, 0.9)]), "in the background", Which.ALL) == {Box(*RIGHT)}


@pytest.mark.parametrize(
    ("where", "spared"),
    [
        ("except the left one", {LEFT}),
        ("all but the one on the left", {LEFT}),
        ("except for the leftmost", {LEFT}),
        ("other than the left one", {LEFT}),
        ("not the left one", {LEFT}),
        ("except left", {LEFT}),
        ("all except the largest", {LARGE}),
        ("all but the second from the right", {RIGHT}),
        ("except the last two", {RIGHT, LARGE}),
        ("but not the one next to the cone", {MIDDLE}),
        ("except the small ones", {LEFT, MIDDLE, RIGHT}),
        ("except those on the left", {LEFT, MIDDLE}),
        ("except the cubes on the right", {RIGHT, LARGE}),
        ("not on the left", {LEFT, MIDDLE}),
        ("apart from those left of the cone", {LEFT, MIDDLE}),
        ("on the left except the left one", {RIGHT, LARGE, LEFT}),
        ("on the right but not the largest", {LEFT, MIDDLE, LARGE}),
        ("the last but one", {LEFT, MIDDLE, LARGE}),
    ],
)
def test_all_but_some_spares_those(where: str, spared: set[tuple[int, ...]]) -> None:
    locator = locator_of(cube=CUBES, cone=[(CONE, 0.9)])
    assert chosen(locator, where, Which.ALL) == {Box(*box) for box in {LEFT, MIDDLE, RIGHT, LARGE} - spared}


def test_one_that_is_not_another_is_chosen_among_the_rest() -> None:
    locator = locator_of(cube=CUBES)
    assert found(locator, step(where="not the largest")) == Box(*MIDDLE)
    assert found(locator, step(where="the left one, but not the leftmost")) == Box(*MIDDLE)
    region = locator.locate(IMAGE, step(where="not the largest"), REQUEST)
    assert "took 1" in describe(region, step(where="not the largest"), None)
    two = locator_of(cube=CUBES[:2]).locate(IMAGE, step(where="not the left one"), REQUEST)
    assert describe(two, step(where="not the left one"), None) == ""


@pytest.mark.parametrize(
    "where",
    ["all but the red one", "all but one", "all but two", "not the left one but the right one", "except"],
)
@pytest.mark.parametrize("which", Which)
def test_an_exception_that_cannot_be_told_spares_all(where: str, which: Which) -> None:
    with pytest.raises(TargetNotFound):
        chosen(locator_of(cube=CUBES), where, which)


def test_all_but_the_only_one_is_none() -> None:
    with pytest.raises(TargetNotFound):
        chosen(locator_of(cube=CUBES[:1]), "except the left one", Which.ALL)


def test_a_thing_is_not_added_where_it_shall_not_be() -> None:
    with pytest.raises(TargetNotFound, match="where it goes"):
        locator_of().locate(IMAGE, step(EditKind.ADD, "star", where="anywhere but the middle"), REQUEST)


@pytest.mark.parametrize(
    ("where", "expected"),
    [("next to the cone", MIDDLE), ("right next to the cone", MIDDLE), ("right, next to the cone", RIGHT)],
)
def test_orders_choose_among_those_near(where: str, expected: tuple[int, int, int, int]) -> None:
    locator = locator_of(cube=CUBES, cone=[((55, 20, 63, 34), 0.9)])
    assert found(locator, step(where=where)) == Box(*expected)
    assert chosen(locator, "next to the cone", Which.ALL) == {Box(*MIDDLE), Box(*RIGHT)}


def test_the_nearest_is_next_to_a_thing_however_far() -> None:
    locator = locator_of(cube=[(LARGE, 0.9), (RIGHT, 0.8)], cone=[((0, 30, 10, 40), 0.9)])
    assert found(locator, step(where="next to the cone")) == Box(*RIGHT)
    assert found(locator, step(where="largest next to the cone")) == Box(*RIGHT)


def test_between_two_of_a_kind() -> None:
    cones = [((0, 0, 10, 10), 0.9), ((60, 0, 70, 10), 0.8)]
    region = locator_of(cone=cones).locate(
        IMAGE, step(EditKind.ADD, "ball", where="between the two cones"), REQUEST
    )
    assert bounds(region.mask) == Box(30, 0, 40, 10)
    with pytest.raises(TargetNotFound, match="another"):
        locator_of(cone=cones[:1]).locate(
            IMAGE, step(EditKind.ADD, "ball", where="between the cones"), REQUEST
        )


def test_a_count_takes_so_many() -> None:
    region = locator_of(cube=CUBES).locate(IMAGE, step(where="the two on the left"), REQUEST)
    assert [region.candidates[index].box for index in region.chosen] == [Box(*LEFT), Box(*MIDDLE)]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("last two", {RIGHT, LARGE}),
        ("first two", {LEFT, MIDDLE}),
        ("last two from the right", {LEFT, MIDDLE}),
        ("last two on the right", {RIGHT, LARGE}),
        ("second from the right", {RIGHT}),
        ("first", {LEFT}),
        ("last", {LARGE}),
        ("the two on the left", {LEFT, MIDDLE}),
    ],
)
@pytest.mark.parametrize("which", Which)
def test_a_number_is_one_whatever_which_says(
    where: str, expected: set[tuple[int, ...]], which: Which
) -> None:
    assert chosen(locator_of(cube=CUBES), where, which) == {Box(*box) for box in expected}


@pytest.mark.parametrize("where", ["fifth from the left", "fifth to last"])
def test_no_fifth_among_four(where: str) -> None:
    with pytest.raises(TargetNotFound, match="only 4"):
        locator_of(cube=CUBES).locate(IMAGE, step(where=where), REQUEST)


def test_a_relation_that_holds_for_none_is_said() -> None:
    with pytest.raises(TargetNotFound, match="none below the cone"):
        locator_of(cube=CUBES[:2], cone=[((40, 50, 50, 60), 0.9)]).locate(
            IMAGE, step(where="below the cone"), REQUEST
        )


def test_a_missing_anchor_is_named() -> None:
    with pytest.raises(TargetNotFound, match="cone"):
        locator_of(cube=CUBES).locate(IMAGE, step(where="next to the cone"), REQUEST)


def test_a_lone_target_needs_no_words_and_no_anchor() -> None:
    detector = NamedBoxes(cube=[(LEFT, 0.9)])
    assert found(Locator(detector, FilledBoxes()), step(where="right of the cone")) == Box(*LEFT)
    assert detector.asked == ["cube", "object"]


def test_the_instructors_box_picks_among_equals() -> None:
    x0, y0, x1, y1 = RIGHT
    box = (x0 * 1000 // WIDTH, y0 * 1000 // HEIGHT, x1 * 1000 // WIDTH, y1 * 1000 // HEIGHT)
    assert found(locator_of(cube=CUBES), step(box=box)) == Box(*RIGHT)
    assert found(locator_of(cube=CUBES), step(box=(0, 900, 10, 1000))) == Box(*MIDDLE)


def test_plurals_take_every_instance_and_no_faint_double() -> None:
    cubes = [*CUBES, ((41, 31, 51, 41), 0.85), ((100, 0, 110, 5), 0.35)]
    region = locator_of(cube=cubes).locate(IMAGE, step(which=Which.ALL), REQUEST)
    expected = np.zeros(IMAGE.shape[:2], dtype=bool)
    for x0, y0, x1, y1 in (LEFT, MIDDLE, RIGHT, LARGE):
        expected[y0:y1, x0:x1] = True
    assert region.things is not None
    assert np.array_equal(region.things, expected)
    assert region.scores == (0.9,) * 4


def test_a_persons_which_overrides_the_plan() -> None:
    region = locator_of(cube=CUBES).locate(IMAGE, step(), replace(REQUEST, which=Which.ALL))
    assert len(region.chosen) == 4


def test_below_the_floor_nothing_is_found_and_the_guesses_are_told() -> None:
    with pytest.raises(TargetNotFound) as caught:
        locator_of(cube=[(LEFT, 0.29), (RIGHT, 0.1)]).locate(IMAGE, step(), REQUEST)
    assert caught.value.code == "target_not_found"
    assert "0.29 at (5, 30, 15, 40), 0.10 at (70, 10, 80, 20)" in caught.value.message
    assert '"cube"' in caught.value.message


def test_one_of_several_is_taken_and_said() -> None:
    region = locator_of(cube=CUBES).locate(IMAGE, step(), REQUEST)
    assert len(region.candidates) == 4
    assert region.chosen == (0,)
    assert 'I found 4 × "cube"' in describe(region, step(), None)
    assert 'I found 4 × "cube"' in describe(region, step(where="sideways"), None)
    assert describe(Region(region.mask), step(), None) == ""


def test_a_persons_which_leaves_nothing_open() -> None:
    cubes = [*CUBES[:3], ((100, 0, 110, 5), 0.35)]
    region = locator_of(cube=cubes).locate(IMAGE, step(), replace(REQUEST, which=Which.ALL))
    assert (len(region.candidates), len(region.chosen)) == (4, 3)
    assert describe(region, step(), Which.ALL) == ""
    assert "took 3" in describe(region, step(which=Which.ALL), Which.ONE)


def test_a_persons_box_and_points_are_not_looked_for() -> None:
    detector = NamedBoxes()
    locator = Locator(detector, FilledBoxes())
    assert found(locator, step(), replace(REQUEST, box=Box(-5, -5, 7, 8))) == Box(0, 0, 7, 8)
    assert found(locator, step(), replace(REQUEST, points=(Point(3, 4),))) == Box(3, 4, 4, 5)
    assert detector.asked == ["object", "object"]


BESIDE, HANDLE, GROUND, TABLE = (112, 20, 118, 50), (95, 25, 100, 30), (0, 25, 120, 60), (87, 50, 118, 60)


def test_what_is_repainted_beyond_a_thing_spares_what_else_is_seen_there() -> None:
    gone = step(EditKind.REMOVE)
    alone, spared = (
        locator_of(cube=[(LARGE, 0.9)], object=[(LARGE, 0.9), *others]).locate(IMAGE, gone, REQUEST)
        for others in ([], [(BESIDE, 0.8)])
    )
    inside, beside = square(Box(*LARGE)), square(Box(*BESIDE))
    assert (alone.mask & beside & ~inside).any()
    assert np.array_equal(spared.mask, inside | (alone.mask & ~beside))


@pytest.mark.parametrize("other", [HANDLE, GROUND, TABLE])
def test_a_part_of_a_thing_and_the_ground_it_stands_on_are_not_spared(
    other: tuple[int, int, int, int],
) -> None:
    gone = step(EditKind.REMOVE)
    alone = locator_of(cube=[(LARGE, 0.9)]).locate(IMAGE, gone, REQUEST)
    region = locator_of(cube=[(LARGE, 0.9)], object=[(other, 0.9)]).locate(IMAGE, gone, REQUEST)
    assert np.array_equal(region.mask, alone.mask)


def square(box: Box) -> Mask:
    mask = np.zeros(IMAGE.shape[:2], dtype=np.bool_)
    mask[box.y0 : box.y1, box.x0 : box.x1] = True
    return mask


def test_a_persons_mask_replaces_adds_or_subtracts() -> None:
    locator = locator_of(cube=[(LEFT, 0.9)])
    mine, cube = square(Box(10, 35, 30, 45)), locator.locate(IMAGE, step(), REQUEST).mask
    results = {
        mode: locator.locate(IMAGE, step(), replace(REQUEST, mask=mine, mask_mode=mode)).mask
        for mode in ("replace", "add", "subtract")
    }
    assert np.array_equal(results["replace"], mine)
    assert np.array_equal(results["add"], mine | cube)
    assert np.array_equal(results["subtract"], cube & ~mine)
    with pytest.raises(EmptyMask):
        locator.locate(IMAGE, step(), replace(REQUEST, mask=np.ones_like(mine), mask_mode="subtract"))


@pytest.mark.parametrize("guidance", [{"box": Box(2, 2, 8, 35)}, {"points": (Point(7, 33), Point(8, 33))}])
def test_a_box_or_points_are_added_to_or_taken_from_what_the_words_find(guidance: dict[str, Any]) -> None:
    locator = locator_of(cube=[(LEFT, 0.9)])
    cube = locator.locate(IMAGE, step(), REQUEST).mask
    mine = locator.locate(IMAGE, step(), replace(REQUEST, **guidance)).things
    assert mine is not None
    assert (mine & cube).any()
    added = locator.locate(IMAGE, step(), replace(REQUEST, mask_mode="add", **guidance))
    assert np.array_equal(added.mask, mine | cube)
    assert added.things is not None
    assert np.array_equal(masks.grow(added.things, 1), cube)
    less = locator.locate(IMAGE, step(), replace(REQUEST, mask_mode="subtract", **guidance))
    assert np.array_equal(less.mask, cube & ~mine)


@pytest.mark.parametrize(
    ("guidance", "code", "param"),
    [
        ({"mask_mode": "add"}, "invalid_mask", "mask_mode"),
        ({"box": Box(200, 0, 220, 10)}, "invalid_mask", "box"),
        ({"box": Box(10, 10, 10, 20)}, "invalid_mask", "box"),
        ({"points": (Point(WIDTH, 0),)}, "invalid_mask", "points"),
        ({"points": (Point(0, 0, positive=False),)}, "invalid_mask", "points"),
        ({"mask": np.ones((5, 5), dtype=np.bool_)}, "invalid_mask", "mask"),
        ({"mask": np.zeros((HEIGHT, WIDTH), dtype=np.bool_)}, "mask_empty", "mask"),
    ],
)
def test_guidance_that_does_not_fit_is_refused(guidance: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(EditError) as caught:
        locator_of(cube=CUBES).locate(IMAGE, step(), replace(REQUEST, **guidance))
    assert (caught.value.code, caught.value.param) == (code, param)


def test_the_background_is_all_but_every_subject() -> None:
    locator = locator_of(dog=[(LEFT, 0.9), (RIGHT, 0.8)], bench=[(LARGE, 0.5)])
    kept = ~locator.locate(IMAGE, step(EditKind.BACKGROUND, "dog and bench"), REQUEST).mask
    assert np.array_equal(kept, square(Box(*LEFT)) | square(Box(*RIGHT)) | square(Box(*LARGE)))


def test_one_subject_of_two_words_is_looked_for_as_a_whole() -> None:
    locator = Locator(NamedBoxes(**{"black and white cat": [(LEFT, 0.9)]}), FilledBoxes())
    region = locator.locate(IMAGE, step(EditKind.BACKGROUND, "black and white cat"), REQUEST)
    assert np.array_equal(~region.mask, square(Box(*LEFT)))


def test_a_background_behind_nothing_known_is_an_error() -> None:
    with pytest.raises(TargetNotFound):
        locator_of().locate(IMAGE, step(EditKind.BACKGROUND, "dog"), REQUEST)


def test_a_change_of_the_whole_picture_covers_it() -> None:
    assert locator_of().locate(IMAGE, step(EditKind.GLOBAL, "picture"), REQUEST).mask.all()


@pytest.mark.parametrize(
    ("where", "check"),
    [
        ("on the left", lambda box: box.x1 < WIDTH / 2),
        ("on the far left", lambda box: box.x1 < WIDTH / 2),
        ("on the right", lambda box: box.x0 > WIDTH / 2),
        ("at the top", lambda box: box.y1 < HEIGHT / 2 + 1),
        ("next to the cone", lambda box: box.x0 == 60 and box.y1 == 42 and box.width == 8),
        ("to the left of the cone", lambda box: box.x1 == 52 and box.y1 == 42),
        ("above the cone", lambda box: box.y1 == 28),
        ("between the cone and the ball", lambda box: 52 < (box.x0 + box.x1) / 2 < 95),
        ("", lambda box: abs(box.x0 + box.x1 - WIDTH) <= 1),
    ],
)
def test_added_things_go_where_the_words_say(where: str, check: Any) -> None:
    locator = locator_of(cone=[(CONE, 0.9)], ball=[((85, 5, 95, 15), 0.9)])
    assert check(found(locator, step(EditKind.ADD, "star", where=where)))


def test_an_added_thing_goes_into_a_persons_box_before_the_instructors() -> None:
    locator = locator_of()
    planned = step(EditKind.ADD, "star", box=(500, 500, 1000, 1000), where="left")
    assert found(locator, planned) == Box(60, 30, 120, 60)
    assert found(locator, planned, replace(REQUEST, box=Box(1, 2, 3, 4))) == Box(1, 2, 3, 4)
    assert found(locator, planned, replace(REQUEST, points=(Point(10, 10),))).x1 < 30


@settings(deadline=None)
@given(
    box=st.tuples(*[st.integers(0, 1000)] * 4),
    height=st.integers(1, 50),
    width=st.integers(1, 50),
)
def test_an_instructors_box_is_never_empty_nor_outside(
    box: tuple[int, int, int, int], height: int, width: int
) -> None:
    pixels = to_pixels(box, (height, width))
    assert not pixels.empty
    assert pixels.intersection(Box(0, 0, width, height)) == pixels


WORDS = (
    "left right top bottom middle second third last largest small next to the cone left of above in front of "
    "behind between and ball on in two of picture corner other"
)
words = st.sampled_from(WORDS.split())


@settings(deadline=None)
@given(st.lists(words, max_size=8).map(" ".join), st.integers(1, 40), st.integers(1, 40))
def test_any_words_place_a_thing_inside_the_picture(where: str, height: int, width: int) -> None:
    image = np.zeros((height, width, 3), dtype=np.uint8)

    class Everything(NamedBoxes):
        def detect(self, image: Any, phrase: str) -> Sequence[Candidate]:
            return [
                Candidate(Box(0, 0, 1, 1), 0.9, phrase),
                Candidate(Box(width - 1, 0, width, height), 0.8, phrase),
            ]

    locator = Locator(Everything(), FilledBoxes())
    try:
        region = locator.locate(image, step(EditKind.ADD, "star", where=where), EditRequest(image, "x"))
    except TargetNotFound:
        assert "between" in where
    else:
        assert region.mask.any()


boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(1, 20),
    st.integers(1, 20),
)


@settings(deadline=None)
@given(st.lists(st.builds(Candidate, boxes, st.floats(0, 1), st.just("cube")), max_size=12))
def test_suppression_keeps_the_best_of_each_heap(candidates: list[Candidate]) -> None:
    kept = suppress(candidates, overlap=0.5)
    assert list(kept) == sorted(kept, key=lambda c: -c.score)
    for candidate in candidates:
        assert any(
            candidate == other or (candidate.box.iou(other.box) > 0.5 and other.score >= candidate.score)
            for other in kept
        )
    for index, candidate in enumerate(kept):
        assert all(candidate.box.iou(other.box) <= 0.5 for other in kept[:index])


@pytest.mark.parametrize(
    ("guidance", "param"),
    [
        ({"mask_mode": "add"}, "mask_mode"),
        ({"mask": np.ones((HEIGHT, WIDTH), np.bool_), "box": Box(1, 1, 9, 9)}, "mask_mode"),
        ({"mask": np.ones((HEIGHT, WIDTH), np.bool_), "points": (Point(3, 3),)}, "mask_mode"),
        ({"box": Box(1, 1, 9, 9), "points": (Point(20, 3),)}, "points"),
    ],
)
def test_guidance_that_would_be_dropped_is_refused(guidance: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidMask) as caught:
        locator_of(cube=CUBES).locate(IMAGE, step(), replace(REQUEST, **guidance))
    assert caught.value.param == param
