"""The stub agent, with eyes: it finds three things, and takes the one the plan points at."""

from collections.abc import Generator, Mapping

import numpy as np

from app.settings import Settings
from brushedit.events import Event
from brushedit.types import Box, Candidate, EditPlan, EditRequest, Region, Which
from tests.stub_agent import StubAgent

SECONDS_PER_STEP = 0.03
PLACES = ((0.3, 0.35), (0.6, 0.6), (0.1, 0.75))
SIDE = 0.2


class SeeingAgent:
    """Paints like `StubAgent`, on what it found."""

    def __init__(self) -> None:
        self._painter = StubAgent(SECONDS_PER_STEP)

    def plan(self, request: EditRequest) -> EditPlan:
        return self._painter.plan(request)

    def edit(self, request: EditRequest, regions: Mapping[int, Region] | None = None) -> Generator[Event]:
        known = dict(regions or {})
        if 0 not in known and request.mask is None and "missing" not in request.instruction:
            known[0] = self._found(request, self.plan(request))
        yield from self._painter.edit(request, known)

    def _found(self, request: EditRequest, plan: EditPlan) -> Region:
        height, width = request.image.shape[:2]
        boxes = [
            Box(int(x * width), int(y * height), int((x + SIDE) * width), int((y + SIDE) * height))
            for x, y in PLACES
        ]
        if request.points:
            at = request.points[-1]
            boxes = [Box(at.x - 20, at.y - 20, at.x + 20, at.y + 20)]
        chosen = [0]
        if plan.steps[0].which is Which.ALL:
            chosen = list(range(len(boxes)))
        elif plan.steps[0].box:
            x0, y0, x1, y1 = plan.steps[0].box
            there = Box(x0 * width // 1000, y0 * height // 1000, x1 * width // 1000, y1 * height // 1000)
            chosen = [int(np.argmax([box.iou(there) for box in boxes]))]
        mask = np.zeros((height, width), np.bool_)
        for index in chosen:
            box = boxes[index]
            mask[max(0, box.y0) : box.y1, max(0, box.x0) : box.x1] = True
        found = tuple(Candidate(box, 0.9 - 0.2 * index, "thing") for index, box in enumerate(boxes))
        return Region(mask, found, tuple(chosen), tuple(0.95 for _ in chosen))


def build(settings: Settings) -> SeeingAgent:
    return SeeingAgent()
