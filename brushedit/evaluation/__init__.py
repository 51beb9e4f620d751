"""Benchmarks, metrics and published figures by which inpainting and editing are compared."""
