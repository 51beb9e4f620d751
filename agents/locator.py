"""The locator: from one step of a plan to the pixels that may change."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, final

import numpy as np

from agents.holes import box_of, carries, hole
from agents.placing import place, place_at
from agents.ports import Detector, Segmenter
from agents.selection import alike, in_order, nearest_to_box, pick, suppress, to_pixels
from agents.wording import Wording, bare_noun, read_wording
from brushedit import masks
from brushedit.errors import EmptyMask, InvalidMask, TargetNotFound
from brushedit.types import (
    Box,
    Candidate,
    EditKind,
    EditRequest,
    EditStep,
    Image,
    Mask,
    Region,
    Which,
    require_mask,
)

ANYTHING: Final = "object"
"""What a detector is asked for to find all there is."""

_SUBJECTS: Final = re.compile(r"\s*(?:,|\band\b)\s*")


@final
class Locator:
    """Finds what a step is about. What a person gives (mask, box, points) wins over what the networks find.

    Parameters
    ----------
    detector : Detector
    segmenter : Segmenter
    floor : float
        Score below which a detection is no sighting, 0..1; the published system's first threshold is 0.3.
    """

    def __init__(self, detector: Detector, segmenter: Segmenter, floor: float = 0.3) -> None:
        self._detector = detector
        self._segmenter = segmenter
        self._floor = floor
        self._by_kind: Mapping[EditKind, Callable[[Image, EditStep, EditRequest], Region]] = {
            EditKind.ADD: self._place,
            EditKind.REMOVE: self._find,
            EditKind.LOCAL: self._find,
            EditKind.BACKGROUND: self._surround,
            EditKind.GLOBAL: _everything,
        }

    def locate(self, image: Image, step: EditStep, request: EditRequest) -> Region:
        """Return the region of one step.

        Parameters
        ----------
        image : Image
            The picture as the steps before this one left it.
        step : EditStep
        request : EditRequest
            Its mask, box, points and `which`, given by a person, hold for every step of the plan.

        Raises
        ------
        TargetNotFound
            Nothing above the floor, or not what the words ask for; the message names the best guesses.
        InvalidMask, EmptyMask
            A mask, box or point that does not fit the picture, or a selection of nothing.
        """
        require_guidance(request)
        if request.mask is not None and request.mask_mode == "replace":
            return _selected(Region(request.mask))
        marked = self.marked(request)
        if marked is None:
            return _selected(self._by_kind[step.kind](image, step, request))
        if request.mask is None:
            # The box and the points are what is added or taken away; the words alone find the rest.
            request = replace(request, box=None, points=())
        region = self._by_kind[step.kind](image, step, request)
        mask = region.mask | marked if request.mask_mode == "add" else region.mask & ~marked
        return _selected(
            replace(region, mask=mask, things=region.mask if region.things is None else region.things)
        )

    def marked(self, request: EditRequest) -> Mask | None:
        """Return what a person marked to be added to what is found, or taken away; None where it takes its place.

        That is the mask, or without one what the segmenter makes of the box and the points.
        """
        if request.mask_mode == "replace":
            return None
        if request.mask is not None:
            return request.mask
        return self._segmenter.segment(request.image, _clipped(request.box, request.image), request.points)[0]

    def _find(self, image: Image, step: EditStep, request: EditRequest) -> Region:
        if request.box is not None or request.points:
            thing, score = self._segmenter.segment(image, _clipped(request.box, image), request.points)
            return Region(self._hole(image, step, [thing]), scores=(score,), things=thing)
        candidates = self._detect(image, step.target)
        chosen = self._choose(image, candidates, step, request.which or step.which)
        return self._segment(image, step, candidates, chosen)

    def _place(self, image: Image, step: EditStep, request: EditRequest) -> Region:
        size = image.shape[0], image.shape[1]
        wording = read_wording(step.where)
        if request.box is not None:
            return _filled(_clipped(request.box, image) or request.box, size)
        if request.points:
            return _filled(
                place_at([point for point in request.points if point.positive], wording, size), size
            )
        if step.box is not None:
            return _filled(to_pixels(step.box, size), size)
        if wording.excluded is not None:
            raise TargetNotFound(
                f"Say where it goes, not where it does not ({step.where}).", param="instruction"
            )
        return _filled(place(wording, self._anchors(image, wording), size), size)

    def _surround(self, image: Image, step: EditStep, request: EditRequest) -> Region:
        """Return all but the subjects (the published system looks for the word "background" instead)."""
        if request.box is not None or request.points:
            subjects = self._find(image, step, request)
        else:
            subjects = self._subjects(image, step)
        return replace(subjects, mask=~subjects.mask, things=None)

    def _subjects(self, image: Image, step: EditStep) -> Region:
        """Return all that stays: each of "dog and bench", and every instance unless words pick one."""
        which = Which.ONE if step.where else Which.ALL
        names = [name for name in _SUBJECTS.split(step.target) if name]
        found = [self._above_floor(image, name) for name in names]
        if len(names) < 2 or not all(found):
            candidates = self._detect(image, step.target)
            return self._segment(image, step, candidates, self._choose(image, candidates, step, which))
        candidates = tuple(candidate for some in found for candidate in some)
        return self._segment(image, step, candidates, range(len(candidates)))

    def _above_floor(self, image: Image, phrase: str) -> tuple[Candidate, ...]:
        return suppress([c for c in self._detector.detect(image, phrase) if c.score >= self._floor])

    def _detect(self, image: Image, phrase: str) -> tuple[Candidate, ...]:
        candidates = self._above_floor(image, phrase)
        if not candidates:
            guesses = suppress(self._detector.detect(image, phrase))[:3]
            raise TargetNotFound(
                f'I cannot find "{phrase}" in the picture. The best guesses score {_told(guesses)}; '
                f"{self._floor:.2f} is needed. Name it otherwise, or mark it with a mask, a box or a point.",
                param="instruction",
            )
        return candidates

    def _choose(
        self, image: Image, candidates: Sequence[Candidate], step: EditStep, which: Which
    ) -> Sequence[int]:
        """Pick candidates by the words, then by the instructor's box, then by score."""
        size = image.shape[0], image.shape[1]
        wording = read_wording(step.where)
        several = alike(candidates)
        picked = pick(
            candidates, several, wording, which, size, lambda wording: self._anchors(image, wording)
        )
        if not picked:
            raise TargetNotFound(
                f'I found only {len(several)} × "{step.target}", and none {step.where}.', param="instruction"
            )
        if which is Which.ALL and not wording.counted:
            return picked
        if not wording.telling and step.box is not None:
            picked = nearest_to_box(candidates, picked, to_pixels(step.box, size))
        return picked[: wording.count]

    def _anchors(self, image: Image, wording: Wording) -> list[Box]:
        """Return a box for each thing the words refer to: the one they pick, or else the best."""
        boxes: list[Box] = []
        for anchor in wording.anchors:
            found = self._detect(image, bare_noun(anchor))
            ordered = in_order(found, alike(found), read_wording(anchor), (image.shape[0], image.shape[1]))
            fresh = [found[index].box for index in [*ordered, *alike(found)] if found[index].box not in boxes]
            if not fresh:
                raise TargetNotFound(f'I cannot find another "{anchor}".', param="instruction")
            boxes.append(fresh[0])
        return boxes

    def _segment(
        self, image: Image, step: EditStep, candidates: Sequence[Candidate], chosen: Sequence[int]
    ) -> Region:
        things, scores = zip(
            *(self._segmenter.segment(image, candidates[index].box, ()) for index in chosen), strict=True
        )
        return Region(
            self._hole(image, step, things),
            tuple(candidates),
            tuple(chosen),
            tuple(scores),
            np.logical_or.reduce(things),
        )

    def _hole(self, image: Image, step: EditStep, things: Sequence[Mask]) -> Mask:
        """Return what has to be repainted for things of a step; what goes beyond them spares what else is seen."""
        meant = np.logical_or.reduce(things)
        beyond = [hole(thing, step) & ~meant for thing in things]
        rooms = [masks.bounding_box(room) for room in beyond]
        if not any(rooms):
            return meant
        boxes = [box_of(thing) for thing in things]
        for other in self._above_floor(image, ANYTHING):
            if all(room is None or other.box.intersection(room).empty for room in rooms):
                continue
            seen = self._segmenter.segment(image, other.box, ())[0]
            if np.count_nonzero(seen & meant) > 0.5 * np.count_nonzero(seen):
                continue  # one of the things, or a part of one
            beyond = [
                room if carries(seen, box, room) else room & ~seen
                for box, room in zip(boxes, beyond, strict=True)
            ]
        return np.logical_or.reduce([meant, *beyond])


def require_guidance(request: EditRequest) -> None:
    """Raise `InvalidMask` or `EmptyMask` where a person's mask, box or points do not fit the picture."""
    height, width = request.image.shape[:2]
    if request.mask is not None:
        require_mask(request.mask, request.image)
    elif request.mask_mode != "replace" and request.box is None and not request.points:
        raise InvalidMask(
            f"there is nothing to {request.mask_mode}: give a mask, a box or points", param="mask_mode"
        )
    if request.mask is not None and request.mask_mode == "replace" and (request.box or request.points):
        raise InvalidMask(
            "this mask takes the place of what a box or points would find: leave them out, or have the mask "
            "added or subtracted",
            param="mask_mode",
        )
    if request.box is not None and _clipped(request.box, request.image) is None:
        raise InvalidMask(
            f"the box {_told_box(request.box)} lies outside the {width}x{height} picture", param="box"
        )
    for point in request.points:
        if not (0 <= point.x < width and 0 <= point.y < height):
            raise InvalidMask(
                f"the point {point.x},{point.y} lies outside the {width}x{height} picture", param="points"
            )
        box = request.box
        if box and point.positive and not (box.x0 <= point.x < box.x1 and box.y0 <= point.y < box.y1):
            raise InvalidMask(
                f"the point {point.x},{point.y} is on the target, but outside the box {_told_box(box)}",
                param="points",
            )
    if request.points and request.box is None and not any(point.positive for point in request.points):
        raise InvalidMask("points without a box need one on the target at least", param="points")


def describe(region: Region, step: EditStep, which: Which | None) -> str:
    """Say what was chosen among how many and how to choose otherwise; "" where there was no choice to make.

    Parameters
    ----------
    which : Which or None
        The request's, given by a person; None leaves it to the step's.
    """
    # Words without a meaning that is known here leave it as open as none; of two, one excluded leaves no choice.
    wording = read_wording(step.where)
    left_open = replace(wording, excluded=None) == Wording() and (which or step.which) is Which.ONE
    fewest = 2 if wording.excluded is None else 3
    if not left_open or len(region.candidates) < fewest or len(region.chosen) == len(region.candidates):
        return ""
    boxes = ", ".join(_told_box(region.candidates[index].box) for index in region.chosen)
    return (
        f'I found {len(region.candidates)} × "{step.target}" and took {len(region.chosen)}, at {boxes}: '
        "say which (left, largest, second from the right), or ask for all."
    )


def _everything(image: Image, step: EditStep, request: EditRequest) -> Region:
    del step, request
    return Region(np.ones(image.shape[:2], dtype=np.bool_))


def _filled(box: Box, size: tuple[int, int]) -> Region:
    return Region(masks.from_box(box, *size))


def _selected(region: Region) -> Region:
    if not region.mask.any():
        raise EmptyMask("nothing is selected, so nothing would change", param="mask")
    return region


def _clipped(box: Box | None, image: Image) -> Box | None:
    """Return what of a box lies in the picture, None where nothing does."""
    if box is None:
        return None
    inside = box.intersection(Box(0, 0, image.shape[1], image.shape[0]))
    return None if inside.empty else inside


def _told(candidates: Sequence[Candidate]) -> str:
    return ", ".join(f"{c.score:.2f} at {_told_box(c.box)}" for c in candidates) or "nothing"


def _told_box(box: Box) -> str:
    return f"({box.x0}, {box.y0}, {box.x1}, {box.y1})"
