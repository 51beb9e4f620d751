"""The editor: plan, then locate and paint step by step, as a generator of events. Read this first."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Final, final

import numpy as np

from agents.critic import Critic
from agents.holes import appears, split
from agents.locator import Locator, require_guidance
from agents.plan_schema import ReplyError, check_plan
from agents.planner import Planner
from agents.ports import Conductor
from brushedit import blending
from brushedit.errors import PlanFailed, TargetNotFound, UnsupportedEdit
from brushedit.events import Blended, Denoised, Event, Finished, Located, Planned
from brushedit.options import PaintOptions
from brushedit.types import (
    EditKind,
    EditPlan,
    EditRequest,
    EditResult,
    EditStep,
    Image,
    Mask,
    Painting,
    Region,
    require_image,
)

NO_REGIONS: Final[Mapping[int, Region]] = MappingProxyType({})


@final
class Editor:
    """Carries out an edit.

    Parameters
    ----------
    planner : Planner
    locator : Locator
    conductor : Conductor
    critic : Critic or None
        Looks at what was painted where a request allows several tries; None takes the first one.
    global_strength : float or None
        Strength at which a change of the whole picture starts from the noised original, where the request
        asks for pure noise; None refuses such changes.
    closeup : float or None
        Context of steps in which something new appears, where the request leaves it open: framed more closely, it gets
        more of the model's pixels. None = that of all other steps.
    read_peak : callable or None
        Returns the device's peak memory in bytes since it was last called.
    """

    def __init__(
        self,
        planner: Planner,
        locator: Locator,
        conductor: Conductor,
        *,
        critic: Critic | None = None,
        global_strength: float | None = 0.6,
        closeup: float | None = None,
        read_peak: Callable[[], int] | None = None,
    ) -> None:
        self._planner = planner
        self._locator = locator
        self._conductor = conductor
        self._critic = critic
        self._global_strength = global_strength
        self._closeup = closeup
        self._read_peak = read_peak

    def edit(self, request: EditRequest, regions: Mapping[int, Region] = NO_REGIONS) -> Generator[Event]:
        """Yield what happens, `Finished` last; closing the generator cancels the edit.

        Parameters
        ----------
        request : EditRequest
            Its plan, if any, stands in for the instructor's.
        regions : mapping of int to Region
            Regions by step, each standing in for the locator's: with a plan and all regions given, the edit
            resumes at painting.

        Raises
        ------
        EditError
            The edit cannot be done; nothing was changed.
        """
        require_image(request.image)
        require_guidance(request)
        clock = _Clock()
        if self._read_peak:
            self._read_peak()

        with clock.timed("plan"):
            plan = self.plan(request)
        yield Planned(plan)

        spared = self._locator.marked(request) if request.mask_mode == "subtract" else None
        located: list[Region] = []
        changeable = np.zeros(request.image.shape[:2], dtype=np.bool_)
        # Each sample goes its own way, on its own seed.
        options = tuple(
            replace(request.options, seed=request.options.seed + sample, samples=1)
            for sample in range(request.options.samples)
        )
        pictures = (request.image,) * len(options)
        for number, step in enumerate(plan.steps):
            with clock.timed("locate"):
                region = regions.get(number) or self._locator.locate(pictures[0], step, request)
            located.append(region)
            yield Located(number, region)
            with clock.timed("locate"):
                own = [
                    region
                    if number in regions or picture is pictures[0]
                    else self._own(region, picture, step, request)
                    for picture in pictures
                ]

            with clock.timed("paint"):
                paintings = yield from self._paint(pictures, own, step, options, spared)
            changeable = np.logical_or.reduce([changeable, *(painting.region for painting in paintings)])
            pictures = tuple(painting.images[0] for painting in paintings)

        yield Finished(
            EditResult(
                images=pictures,
                seeds=tuple(option.seed for option in options),
                plan=plan,
                regions=tuple(located),
                reports=tuple(blending.report(request.image, picture, changeable) for picture in pictures),
                timings=clock.seconds,
                peak_memory=self._read_peak() if self._read_peak else None,
            )
        )

    def plan(self, request: EditRequest) -> EditPlan:
        """Return the request's own plan, checked, or else the instructor's; refuse what cannot be painted."""
        if request.plan is None:
            plan = self._planner.plan(request.image, request.instruction, request.history)
        else:
            plan = request.plan
            try:
                check_plan(plan)
            except ReplyError as fault:
                raise PlanFailed(f"the plan is not valid ({fault})", param="plan") from fault
        if self._global_strength is None and any(step.kind is EditKind.GLOBAL for step in plan.steps):
            raise UnsupportedEdit(
                "this asks for a change of the whole picture, which this profile cannot paint: "
                "name a thing to change, or ask for another background",
                param="instruction",
            )
        return plan

    def _own(self, region: Region, picture: Image, step: EditStep, request: EditRequest) -> Region:
        """Return a step's region in another sample's picture; `region` is that in the first one's."""
        try:
            return self._locator.locate(picture, step, request)
        except TargetNotFound:
            # What the step before painted there is not seen: the others shall not be lost for it.
            return region

    def _paint(
        self,
        pictures: tuple[Image, ...],
        regions: Sequence[Region],
        step: EditStep,
        options: tuple[PaintOptions, ...],
        spared: Mask | None,
    ) -> Generator[Denoised | Blended, None, list[Painting]]:
        """Paint a step into every sample's picture; where the critic does not see what was asked for, try again."""
        paintings: list[Painting] = []
        denoised = 0
        for sample, (picture, region, option) in enumerate(zip(pictures, regions, options, strict=True)):
            holes = split(region) if step.kind is EditKind.LOCAL else (region.mask,)
            best = -math.inf
            chosen: Painting | None = None
            for seed in _seeds(option):
                again = replace(self._options(step, option), seed=seed)
                work = self._one_by_one(picture, holes, step.caption, again)
                painting, denoised = yield from _counted(work, denoised, len(pictures) - sample)
                painting = painting if spared is None else _without(painting, picture, spared)
                margin = self._margin(painting, step, region, option)
                if chosen is None or margin > best:
                    best, chosen = margin, painting
                if margin >= 0:
                    break
            assert chosen
            yield Blended(sample, chosen.reports[0])
            paintings.append(chosen)
        return paintings

    def _one_by_one(
        self, picture: Image, holes: tuple[Mask, ...], caption: str, options: PaintOptions
    ) -> Generator[Denoised | Blended, None, Painting]:
        """Paint one hole after the other into a picture, all with the same caption."""
        if len(holes) == 1:
            return (yield from self._conductor.paint(picture, holes[0], caption, options))
        image, region, denoised = picture, np.zeros(picture.shape[:2], dtype=np.bool_), 0
        for number, hole in enumerate(holes):
            work = self._conductor.paint(image, hole, caption, options)
            painting, denoised = yield from _counted(work, denoised, len(holes) - number)
            image, region = painting.images[0], region | painting.region
        return Painting((image,), (options.seed,), region, (blending.report(picture, image, region),))

    def _margin(self, painting: Painting, step: EditStep, region: Region, options: PaintOptions) -> float:
        """Return the critic's opinion, above 0 where it has none or is not asked."""
        if options.tries == 1 or self._critic is None:
            return math.inf
        margin = self._critic.margin(painting.images[0], painting.region, step, region)
        return math.inf if margin is None else margin

    def _options(self, step: EditStep, options: PaintOptions) -> PaintOptions:
        negative = ", ".join(text for text in (step.negative, options.negative) if text)
        strength = options.strength
        if step.kind is EditKind.GLOBAL and self._global_strength is not None and strength == 1.0:
            strength = self._global_strength
        context = self._closeup if options.context is None and appears(step) else options.context
        return replace(options, negative=negative, strength=strength, context=context)


def _without(painting: Painting, before: Image, spared: Mask) -> Painting:
    """Return a painting without what its blend did, past its mask, to pixels that a person had taken out of it."""
    images = tuple(np.where(spared[..., None], before, image) for image in painting.images)
    return replace(painting, images=images, region=painting.region & ~spared)


def _seeds(options: PaintOptions) -> Iterator[int]:
    """Yield the seed of each try: the request's own first."""
    yield options.seed
    for number in range(1, options.tries):
        yield int(np.random.SeedSequence([options.seed, number, 1]).generate_state(1)[0])


def _counted(
    painting: Generator[Denoised | Blended, None, Painting], before: int, left: int
) -> Generator[Denoised, None, tuple[Painting, int]]:
    """Pass on one painting's steps, counted on from those `before`; return it and the new count.

    Parameters
    ----------
    left : int
        Paintings still to come, this one among them, unless one has to be tried again.
    """
    done = before
    try:
        while True:
            event = next(painting)
            if isinstance(event, Denoised):
                done = before + event.step
                yield replace(event, step=done, steps=before + left * event.steps)
    except StopIteration as stop:
        return stop.value, done
    finally:
        painting.close()


@final
class _Clock:
    """Seconds per stage."""

    def __init__(self) -> None:
        self.seconds = {"plan": 0.0, "locate": 0.0, "paint": 0.0}

    @contextmanager
    def timed(self, stage: str) -> Generator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - start
