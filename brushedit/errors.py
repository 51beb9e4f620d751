"""Typed failures: each has a stable ``code`` for programs and a sentence a person can act on."""

from typing import ClassVar


class EditError(Exception):
    """An edit that cannot be done as asked.

    Attributes
    ----------
    code : str
        Stable, machine-readable name of the failure, the same in every release.
    param : str or None
        The input at fault, by the name the caller used for it.
    """

    code: ClassVar[str] = "edit_failed"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidOption(EditError):
    """An option outside its range, not a number, or of an unknown name."""

    code = "invalid_option"


class InvalidImage(EditError):
    """Not a picture, a broken one, or one of a kind that is not accepted."""

    code = "invalid_image"


class ImageTooLarge(EditError):
    """More pixels than allowed, found in the header before anything is decoded."""

    code = "image_too_large"


class InvalidMask(EditError):
    """A mask, box or point that does not fit the picture."""

    code = "invalid_mask"


class EmptyMask(EditError):
    """Nothing is selected, so nothing would change."""

    code = "mask_empty"


class InvalidInstruction(EditError):
    """An instruction that is empty or too long."""

    code = "invalid_instruction"


class PlanFailed(EditError):
    """The instructor's reply is no valid plan, or it declined; the message says what it answered."""

    code = "plan_failed"


class TargetNotFound(EditError):
    """The picture does not show what the instruction is about."""

    code = "target_not_found"


class UnsupportedEdit(EditError):
    """The request is understood, but this profile cannot do it."""

    code = "unsupported_edit"


class InvalidWeights(EditError):
    """A checkpoint that is missing, of another architecture, or whose keys do not fit; the message names them."""

    code = "invalid_weights"


class InvalidBenchmark(EditError):
    """A benchmark's files that are missing or do not say what they should; the message names the place."""

    code = "invalid_benchmark"


class InstructorUnavailable(EditError):
    """The instructor's server cannot be reached, is overloaded, or did not answer in time."""

    code = "instructor_unavailable"


class OutputNotWritable(EditError):
    """The result could not be written where it was asked for."""

    code = "output_not_writable"


class PaintingFailed(EditError):
    """The networks gave numbers that are no picture (NaN or infinite)."""

    code = "painting_failed"


class Canceled(EditError):
    """The caller asked to stop."""

    code = "canceled"
