"""Stand-ins for the networks: scripted answers, boxes for names, rectangles, and flat paint."""

import json
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from brushedit import blending, masks
from brushedit.events import Blended, Denoised
from brushedit.options import PaintOptions
from brushedit.types import Box, Candidate, Image, Mask, Painting, Point


class ScriptedModel:
    """Answers from a list, in turn, and remembers the prompts."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.prompts: list[str] = []

    def generate(self, image: Image, prompt: str, schema: Mapping[str, Any]) -> str:
        self.prompts.append(prompt)
        return self.answers.pop(0)


class NamedBoxes:
    """Detects what it is told is there: a phrase's boxes and scores; nothing else."""

    def __init__(self, **found: Sequence[tuple[tuple[int, int, int, int], float]]) -> None:
        self.found = {name.replace("_", " "): boxes for name, boxes in found.items()}
        self.asked: list[str] = []

    def detect(self, image: Image, phrase: str) -> Sequence[Candidate]:
        self.asked.append(phrase)
        candidates = [Candidate(Box(*box), score, phrase) for box, score in self.found.get(phrase, ())]
        return sorted(candidates, key=lambda c: -c.score)


class FilledBoxes:
    """Segments a box into itself, and clicks into the pixels clicked."""

    def segment(self, image: Image, box: Box | None, points: Sequence[Point]) -> tuple[Mask, float]:
        mask = np.zeros(image.shape[:2], dtype=np.bool_)
        if box is not None:
            mask |= masks.from_box(box, *image.shape[:2])
        for point in points:
            mask[point.y, point.x] = point.positive
        return mask, 0.9


class FlatPainter:
    """Paints the region, grown by two pixels, in a colour made of the seed; leaves the rest alone."""

    def __init__(self) -> None:
        self.asked: list[tuple[Image, Mask, str, PaintOptions]] = []
        self.closed = 0

    def paint(
        self, image: Image, mask: Mask, caption: str, options: PaintOptions
    ) -> Generator[Denoised | Blended, None, Painting]:
        self.asked.append((image, mask, caption, options))
        region = blending.region(mask, 2)
        try:
            images: list[Image] = []
            for sample in range(options.samples):
                for step in range(options.steps):
                    yield Denoised(sample * options.steps + step + 1, options.samples * options.steps)
                painted = image.copy()
                painted[region] = (options.seed + sample) * 37 % 256
                images.append(painted)
                yield Blended(sample, blending.report(image, painted, region))
        except GeneratorExit:
            self.closed += 1
            raise
        return Painting(
            tuple(images),
            tuple(options.seed + sample for sample in range(options.samples)),
            region,
            tuple(blending.report(image, painted, region) for painted in images),
        )


def step_json(**fields: Any) -> dict[str, Any]:
    """Return a complete step, `remove blue cube` unless told otherwise."""
    step = {
        "kind": "remove",
        "target": "blue cube",
        "caption": "an empty beach",
        "negative": "",
        "box": None,
        "which": "one",
        "where": "",
    }
    return step | fields


def plan_reply(*steps: dict[str, Any]) -> str:
    """Return the reply of an instructor that plans these steps."""
    return json.dumps({"reply": {"steps": list(steps or [step_json()])}})
