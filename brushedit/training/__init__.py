"""Training: the paper's BrushNet recipe, its masks and data, and a loop that resumes where it was killed."""

# Training runs the networks of `brushedit.diffusion`, which says why this comes first.
from brushedit import diffusion as _diffusion  # noqa: F401
