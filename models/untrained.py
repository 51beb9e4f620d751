"""A small Stable Diffusion 1.5 and BrushNet with random weights, in the published file formats.

It paints noise, honestly: it shows that everything from the file to the pixel contract works, not what an edit
looks like. It stands in until a trained set is chosen, and makes the tests' pipelines.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_pndm import PNDMScheduler
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from brushedit.diffusion.brushnet import BrushNetModel

NAME = "untrained"
"""What results say their weights are."""

_UNET: dict[str, Any] = {
    "sample_size": 16,
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 32,
    "attention_head_dim": 4,
    "norm_num_groups": 8,
}
_VAE: dict[str, Any] = {
    "block_out_channels": (8, 16, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "norm_num_groups": 8,
    "sample_size": 64,
}
_TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
_SCHEDULE: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "skip_prk_steps": True,
    "steps_offset": 1,
}


def ensure(folder: Path, seed: int = 0) -> Path:
    """Return the folder, with ``base_model`` and ``brushnetX`` in it; they are built where it does not exist yet.

    The folder appears whole or not at all, so two processes may ask for it at once.
    """
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
        try:
            save(draft, seed)
            os.rename(draft, folder)
        except OSError:
            # Another process was first; anything else is an error.
            if not folder.exists():
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder


def save(folder: Path, seed: int) -> None:
    """Write the base model and BrushNet, drawn by the seed, into the folder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(**_UNET)
        vae = AutoencoderKL(**_VAE)
        tokenizer = _tokenizer()
        special = {
            f"{name}_id": getattr(tokenizer, f"{name}_id") for name in ("bos_token", "eos_token", "pad_token")
        }
        text_encoder = CLIPTextModel(CLIPTextConfig(vocab_size=len(tokenizer), **_TEXT, **special))
        brushnet = BrushNetModel.from_unet(unet)
        for name, weight in brushnet.named_parameters():
            # At zero, as training starts, BrushNet would say nothing and not see the mask.
            if name.startswith("brushnet_"):
                torch.nn.init.normal_(weight, std=0.05)
            elif name == "conv_in_condition.weight":
                torch.nn.init.normal_(weight[:, -1:], std=0.2)
    pipeline_type: Any = StableDiffusionPipeline  # its annotations do not admit that parts are optional
    pipeline = pipeline_type(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=PNDMScheduler(**_SCHEDULE),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder / "base_model")
    brushnet.save_pretrained(folder / "brushnetX")


def _tokenizer() -> CLIPTokenizer:
    """Return CLIP's tokenizer with letters for a vocabulary: every caption has a spelling, none has words."""
    letters = [chr(code) for code in range(33, 127)]
    symbols = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={symbol: i for i, symbol in enumerate(symbols)}, merges=[], model_max_length=77
    )
