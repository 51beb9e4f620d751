"""The stub agent, with eyes: it finds the three toys of the example picture, and takes the one it is told of."""

from collections.abc import Generator, Mapping
from dataclasses import replace

import cv2
import numpy as np

from app.settings import Settings
from brushedit.events import Event
from brushedit.types import (
    Box,
    Candidate,
    EditKind,
    EditPlan,
    EditRequest,
    EditStep,
    Image,
    Mask,
    Region,
    Which,
)
from tests.stub_agent import StubAgent

SECONDS_PER_STEP = 0.03
PATIENT_SECONDS = 1.5
"""Per step, where the instruction says "patiently": long enough to be looked at and cancelled."""
TOYS = {
    "cube": (0.240, 0.521, 0.479, 0.857),
    "ball": (0.623, 0.510, 0.803, 0.750),
    "cone": (0.068, 0.417, 0.232, 0.701),
}
"""Where they are in `app/web/examples/table.png`: corners in shares of its width and height."""


class SeeingAgent:
    """Paints like `StubAgent`, on what it found."""

    def __init__(self) -> None:
        self._painter = StubAgent(SECONDS_PER_STEP)
        self._patient = StubAgent(PATIENT_SECONDS)

    def plan(self, request: EditRequest) -> EditPlan:
        plan = self._painter.plan(request)
        if request.plan is not None:
            return plan
        target = next((toy for toy in TOYS if toy in request.instruction), "cube")
        return EditPlan((EditStep(EditKind.LOCAL, target, request.instruction),))

    def edit(self, request: EditRequest, regions: Mapping[int, Region] | None = None) -> Generator[Event]:
        known = dict(regions or {})
        plan = self.plan(request)
        if 0 not in known and request.mask is None and "missing" not in request.instruction:
            known[0] = self._found(request, plan.steps[0])
        painter = self._patient if "patiently" in request.instruction else self._painter
        yield from painter.edit(replace(request, plan=plan), known)

    def _found(self, request: EditRequest, step: EditStep) -> Region:
        height, width = request.image.shape[:2]
        if request.points:
            mask = np.zeros((height, width), np.bool_)
            for at in request.points:
                mask[max(0, at.y - 20) : at.y + 20, max(0, at.x - 20) : at.x + 20] = at.positive
            return Region(mask)
        boxes = [
            Box(int(x0 * width), int(y0 * height), int(x1 * width), int(y1 * height))
            for x0, y0, x1, y1 in TOYS.values()
        ]
        chosen = [list(TOYS).index(step.target) if step.target in TOYS else 0]
        if step.which is Which.ALL:
            chosen = list(range(len(boxes)))
        elif step.box:
            x0, y0, x1, y1 = step.box
            there = Box(x0 * width // 1000, y0 * height // 1000, x1 * width // 1000, y1 * height // 1000)
            chosen = [int(np.argmax([box.iou(there) for box in boxes]))]
        mask = np.zeros((height, width), np.bool_)
        for index in chosen:
            mask |= _coloured(request.image, boxes[index])
        found = tuple(
            Candidate(box, 0.9 - 0.2 * index, toy)
            for index, (toy, box) in enumerate(zip(TOYS, boxes, strict=True))
        )
        return Region(mask, found, tuple(chosen), tuple(0.95 for _ in chosen))


def _coloured(image: Image, box: Box) -> Mask:
    """Return what is in a box and more vivid than wood: the toy's outline, filled; else all of the box."""
    mask = np.zeros(image.shape[:2], np.uint8)
    inside = image[box.y0 : box.y1, box.x0 : box.x1].astype(np.float32)
    chroma = inside.max(axis=2) - inside.min(axis=2)
    vivid = (chroma > 0.72 * inside.max(axis=2).clip(1)).astype(np.uint8)
    outlines, _ = cv2.findContours(vivid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        mask[box.y0 : box.y1, box.x0 : box.x1] = 1
    else:
        largest = max(outlines, key=cv2.contourArea)
        cv2.drawContours(mask[box.y0 : box.y1, box.x0 : box.x1], [largest], -1, 1, cv2.FILLED)
    return mask.astype(np.bool_)


def build(settings: Settings) -> SeeingAgent:
    return SeeingAgent()
