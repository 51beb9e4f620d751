"""Pretrained networks: one file each, their weights, and where they are placed."""
