"""What the agent needs of the networks: one method each, satisfied by shape."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol

from brushedit.events import Blended, Denoised
from brushedit.options import PaintOptions
from brushedit.types import Box, Candidate, Image, Mask, Painting, Point


class VisionLanguageModel(Protocol):
    """The instructor's network."""

    def generate(self, image: Image, prompt: str, schema: Mapping[str, Any]) -> str:
        """Return JSON text that is valid under the JSON `schema`.

        Raises
        ------
        InstructorUnavailable
            The network is remote and does not answer.
        """
        ...


class Detector(Protocol):
    """Finds things by name."""

    def detect(self, image: Image, phrase: str) -> Sequence[Candidate]:
        """Return every candidate for a noun phrase, best first, with scores 0..1 and no threshold applied."""
        ...


class Segmenter(Protocol):
    """Turns boxes and points into masks."""

    def segment(self, image: Image, box: Box | None, points: Sequence[Point]) -> tuple[Mask, float]:
        """Return the best mask for one box and/or points, and its predicted IoU, 0..1."""
        ...


class Conductor(Protocol):
    """Repaints a region."""

    def paint(
        self, image: Image, mask: Mask, caption: str, options: PaintOptions
    ) -> Generator[Denoised | Blended, None, Painting]:
        """Yield one event per denoising step and one per finished sample; return the painting."""
        ...
