"""Crops as latents and captions as text states, computed once by frozen networks for the trainings that read them."""

from pathlib import Path
from typing import final

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from models.toybox.crops import Crops
from models.toybox.train_text import tokens


@torch.no_grad()
def encode_chunk(folder: Path, crops: Crops, chunk: int, vae: AutoencoderKL, *, masked: bool) -> None:
    """Write the scaled latents of a chunk's pictures, or of the pictures with their holes black, unless they exist."""
    path = latents_path(folder, chunk, masked=masked)
    if path.exists():
        return
    pixels, scale = crops.pixels(chunk), vae.config["scaling_factor"]
    latents: list[NDArray[np.float16]] = []
    for first in range(0, len(pixels), 32):
        rows = pixels[first : first + 32]
        colors = np.where(rows[..., 3:4] > 0, np.uint8(0), rows[..., :3]) if masked else rows[..., :3]
        picture = torch.from_numpy(np.ascontiguousarray(colors)).to(vae.device)
        mean = vae.encode(picture.permute(0, 3, 1, 2).float() / 127.5 - 1).latent_dist.mean  # pyright: ignore[reportAttributeAccessIssue]
        latents.append((mean * scale).to(torch.float16).cpu().numpy())
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    with draft.open("wb") as file:
        np.save(file, np.concatenate(latents))
    draft.replace(path)


def latents_path(folder: Path, chunk: int, *, masked: bool) -> Path:
    """Return where a chunk's latents are."""
    return folder / f"{chunk:05d}-{'masked' if masked else 'whole'}.npy"


@final
class Latents:
    """The latents of a set of crops, memory-mapped, encoded first where they are not on disk yet."""

    def __init__(self, folder: Path, crops: Crops, vae: AutoencoderKL, *, masked: bool) -> None:
        for chunk in range(len(crops)):
            encode_chunk(folder, crops, chunk, vae, masked=masked)
        self._chunks: list[NDArray[np.float16]] = [
            np.load(latents_path(folder, chunk, masked=masked), mmap_mode="r") for chunk in range(len(crops))
        ]

    def rows(self, chunk: int, rows: NDArray[np.int64], device: torch.device) -> Tensor:
        """Return latents (B, C, h, w), float32."""
        return torch.from_numpy(self._chunks[chunk][rows].astype(np.float32)).to(device)


@final
class TextStates:
    """States of captions, each caption encoded once, (B, LENGTH, D)."""

    def __init__(self, tokenizer: CLIPTokenizer, encoder: CLIPTextModel) -> None:
        self._tokenizer, self._encoder = tokenizer, encoder.eval().requires_grad_(False)
        self._known: dict[str, Tensor] = {}

    @torch.no_grad()
    def of(self, captions: list[str]) -> Tensor:
        """Return the states of some captions, on the encoder's device."""
        new = sorted(set(captions) - self._known.keys())
        if new:
            words = tokens(self._tokenizer, new).to(self._encoder.device)
            self._known |= dict(zip(new, self._encoder(words).last_hidden_state, strict=True))
        return torch.stack([self._known[caption] for caption in captions])
