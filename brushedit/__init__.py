"""BrushEdit's core: the records of an edit, masks, framing, blending, and the diffusion conductor."""
