"""The conductor: BrushNet beside a frozen Stable Diffusion UNet. torch starts here."""
