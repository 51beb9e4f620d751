"""A deterministic agent for tests: plans from the words, selects the middle, paints by inverting."""

import os
import time
from collections.abc import Generator, Mapping

import numpy as np

from app.settings import Settings
from brushedit.errors import InstructorUnavailable, TargetNotFound
from brushedit.events import Blended, Denoised, Event, Finished, Located, Planned
from brushedit.types import (
    BlendReport,
    EditKind,
    EditPlan,
    EditRequest,
    EditResult,
    EditStep,
    Image,
    Mask,
    Region,
)

STEPS = 6


class StubAgent:
    """Does what the words of the instruction say: "slow", "missing", "crash at STAGE", "explode"."""

    def __init__(self, seconds_per_step: float) -> None:
        self._seconds = seconds_per_step

    def plan(self, request: EditRequest) -> EditPlan:
        self._misbehave("plan", request)
        if request.plan is not None:
            return request.plan
        if "unavailable" in request.instruction:
            raise InstructorUnavailable("the instructor does not answer")
        told = f"{request.instruction} after {len(request.history)}"
        return EditPlan((EditStep(EditKind.LOCAL, "thing", told),))

    def edit(self, request: EditRequest, regions: Mapping[int, Region] | None = None) -> Generator[Event]:
        plan = self.plan(request) if request.plan is None else request.plan
        yield Planned(plan)
        self._misbehave("locate", request)
        if "missing" in request.instruction and request.mask is None:
            raise TargetNotFound("there is no thing in this picture")
        region = (regions or {}).get(0) or Region(self._middle(request))
        yield Located(0, region)
        for step in range(1, STEPS + 1):
            self._pause(request)
            self._misbehave("paint", request, step)
            preview = None
            if request.options.preview_every and step % request.options.preview_every == 0:
                preview = request.image
            yield Denoised(step, STEPS, preview)
        images = tuple(
            self._painted(request.image, region.mask, request.options.seed + k)
            for k in range(request.options.samples)
        )
        report = BlendReport(0, 0, float(region.mask.mean()), float(region.mask.mean()), 0.0)
        for sample in range(len(images)):
            yield Blended(sample, report)
        yield Finished(
            EditResult(
                images=images,
                seeds=tuple(request.options.seed + k for k in range(len(images))),
                plan=plan,
                regions=(region,),
                reports=(report,) * len(images),
                timings={"plan": 0.0, "locate": 0.0, "paint": 0.0},
            )
        )

    def _middle(self, request: EditRequest) -> Mask:
        if request.mask is not None:
            return request.mask
        mask = np.zeros(request.image.shape[:2], np.bool_)
        height, width = mask.shape
        mask[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = True
        return mask

    def _painted(self, image: Image, mask: Mask, seed: int) -> Image:
        painted = image.copy()
        painted[mask] = (255 - painted[mask]) ^ np.uint8(seed % 7)
        return painted

    def _pause(self, request: EditRequest) -> None:
        seconds = 0.15 if "slow paint" in request.instruction else self._seconds
        if seconds:
            time.sleep(seconds)

    def _misbehave(self, stage: str, request: EditRequest, step: int = 0) -> None:
        if f"slow {stage}" in request.instruction and step == 0:
            time.sleep(0.4)
        if "explode" in request.instruction:
            raise RuntimeError("the network broke: " + request.instruction)
        if f"poison {stage}" in request.instruction and step in (0, 2):
            os._exit(9)


def build(settings: Settings) -> StubAgent:
    return StubAgent(float(os.environ.get("STUB_SECONDS", "0")))
