"""The critic: whether a painted step shows what was asked for, in the eyes of the detector."""

import re
from typing import Final, final

from agents.locator import ANYTHING
from agents.ports import Detector
from agents.wording import bare_noun
from brushedit import masks
from brushedit.types import EditKind, EditStep, Image, Mask, Region

_MOSTLY: Final = 0.7
"""Share of a detection's box that lies within the box of what was painted, if it is a sight of that."""

_SUBJECT: Final = re.compile(
    r"\s*(?:[,.;:]|\b(?:on|in|at|with|under|over|behind|beside|near|next to|in front of|against)\b)"
)
"""Where a caption has said what is to be seen and goes on to say how and where: a detector is asked for the thing."""


@final
class Critic:
    """Looks at what was painted.

    Parameters
    ----------
    detector : Detector
    floor : float
        Score from which a detection is a sighting, 0..1.
    """

    def __init__(self, detector: Detector, floor: float) -> None:
        self._detector = detector
        self._floor = floor

    def margin(self, image: Image, painted: Mask, step: EditStep, region: Region) -> float | None:
        """Return how far a result is on the right side of the floor; None where a detector cannot tell.

        A thing that was asked for must be seen where it was painted (each of several); where one was removed, neither
        it nor anything else may be.

        Parameters
        ----------
        image : Image
            The result.
        painted : Mask
            Where it may differ from the picture before.
        region : Region
            What the step was painted in.
        """
        match step.kind:
            case EditKind.ADD | EditKind.LOCAL:
                seen = self._seen(image, painted, bare_noun(_SUBJECT.split(step.caption)[0] or step.caption))
                wanted = max(1, len(region.chosen))
                return (seen[wanted - 1] if len(seen) >= wanted else 0.0) - self._floor
            case EditKind.REMOVE:
                # What stands in its place may be of another colour, or nothing that has a name.
                phrases = {step.target, bare_noun(step.target).split(" ")[-1], ANYTHING}
                seen = [score for phrase in sorted(phrases) for score in self._seen(image, painted, phrase)]
                return self._floor - max(seen, default=0.0)
            case EditKind.BACKGROUND | EditKind.GLOBAL:
                return None

    def _seen(self, image: Image, painted: Mask, phrase: str) -> list[float]:
        """Return the scores of what the detector sees in the painted places, best first."""
        boxes = masks.components(painted)
        return [
            found.score
            for found in self._detector.detect(image, phrase)
            if any(found.box.intersection(box).area >= _MOSTLY * found.box.area for box in boxes)
        ]
