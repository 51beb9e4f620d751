"""Pretrained networks: one file each, their weights, and where they are placed."""

from brushedit import torchvision_ops

torchvision_ops.install()
