"""What the toybox is shown by: pictures of a few large things well apart, and what is said about each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from brushedit.types import Image
from models.toybox.rendering import render
from models.toybox.scenes import Background, Color, Scene, Thing
from models.toybox.shapes import Kind
from models.toybox.sheets import grid, titled

_HEIGHT: Final = 192
_ASPECT: Final = 4 / 3
_ABREAST: Final = 2


@dataclass(frozen=True)
class Talk:
    """A picture, and what is said about it: each sentence about what the one before has made of it."""

    name: str
    scene: Scene
    sentences: tuple[str, ...]

    @property
    def picture(self) -> Image:
        """The picture the talk begins with."""
        return render(self.scene, _HEIGHT, round(_HEIGHT * _ASPECT))


TALKS: Final = (
    Talk(
        "add",
        Scene(
            Background.TABLE, (Thing(Kind.BALL, Color.GREEN, 0.97, 0.84, 0.36, 2),), seed=5, aspect=_ASPECT
        ),
        ("put a red cube on the left",),
    ),
    Talk(
        "remove",
        Scene(
            Background.BEACH,
            (
                Thing(Kind.CUBE, Color.BLUE, 0.38, 0.86, 0.36, 3),
                Thing(Kind.STAR, Color.PINK, 0.98, 0.84, 0.36, 1),
            ),
            light=3,
            seed=11,
            aspect=_ASPECT,
        ),
        ("remove the blue cube",),
    ),
    Talk(
        "local",
        Scene(
            Background.STUDIO,
            (
                Thing(Kind.CYLINDER, Color.WHITE, 0.36, 0.84, 0.36),
                Thing(Kind.CONE, Color.ORANGE, 0.96, 0.88, 0.38),
            ),
            light=1,
            seed=2,
            aspect=_ASPECT,
        ),
        ("make the cone purple", "now make it yellow"),
    ),
    Talk(
        "background",
        Scene(
            Background.GRASS,
            (
                Thing(Kind.BALL, Color.RED, 0.4, 0.84, 0.36),
                Thing(Kind.CONE, Color.YELLOW, 0.96, 0.88, 0.38),
            ),
            light=1,
            seed=4,
            aspect=_ASPECT,
        ),
        ("change the background to a night sky",),
    ),
)
"""Four edits, one of each kind, and a follow-up."""


def turn_sheet(turns: Sequence[tuple[str, Image, Image]]) -> Image:
    """Return a sheet of what was said, two to a row: the picture before, the one after, the words under both.

    The pictures of all turns have the same size.
    """
    cells = [titled(grid([[before, after]]), said) for said, before, after in turns]
    return grid([cells[i : i + _ABREAST] for i in range(0, len(cells), _ABREAST)])
