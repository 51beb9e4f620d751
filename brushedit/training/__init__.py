"""Training: the paper's BrushNet recipe, its masks and data, and a loop that resumes where it was killed."""

from brushedit import torchvision_ops

torchvision_ops.install()
