"""The conductor: BrushNet beside a frozen Stable Diffusion UNet. torch starts here."""

from brushedit import torchvision_ops

torchvision_ops.install()
