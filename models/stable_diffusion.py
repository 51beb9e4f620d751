"""The base model: any Stable Diffusion 1.5 or XL in diffusers' folder layout, and LoRAs on top of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from brushedit.diffusion.checkpoint import load_strictly
from brushedit.diffusion.conductor import BaseModel
from brushedit.diffusion.sampling import TextConditions
from brushedit.errors import InvalidOption, InvalidWeights


@dataclass(frozen=True)
class Lora:
    """Low-rank weights added to the UNet and text encoder: a safetensors file and a factor."""

    path: Path
    weight: float = 1.0


def load_base(
    folder: Path, *, device: torch.device, dtype: torch.dtype, loras: Sequence[Lora] = ()
) -> BaseModel:
    """Load a base model from a diffusers folder, strictly; its safety checker is not read.

    A VAE whose config says ``force_upcast`` (Stable Diffusion XL's own overflows in float16) stays in float32.

    Raises
    ------
    InvalidWeights
        No such folder, another kind of model, or keys or shapes that differ.
    """
    match _pipeline_name(folder):
        case "StableDiffusionPipeline" | "StableDiffusionInpaintPipeline":
            pipeline = _sd15(folder, dtype)
            captions = Captions(pipeline.tokenizer, pipeline.text_encoder)
        case "StableDiffusionXLPipeline" | "StableDiffusionXLInpaintPipeline":
            pipeline = _sdxl(folder, dtype)
            captions = XlCaptions(pipeline)
        case other:
            raise InvalidWeights(f"{folder} holds a {other}, not a Stable Diffusion 1.5 or XL")
    unet, vae = pipeline.unet, pipeline.vae
    if unet.config["in_channels"] != vae.config["latent_channels"]:
        raise InvalidWeights(
            f"{folder}: a UNet with {unet.config['in_channels']} input channels is an inpainting model of its own; "
            "BrushNet wants a plain one"
        )
    _add_loras(pipeline, loras)
    pipeline.to(device)
    if vae.config["force_upcast"] and dtype == torch.float16:
        vae.to(dtype=torch.float32)
    for network in (unet, vae):
        network.eval().requires_grad_(False)
    factor = 2 ** (len(vae.config["block_out_channels"]) - 1)
    schedule = _json(folder / "scheduler" / "scheduler_config.json")
    return BaseModel(unet, vae, captions, schedule, unet.config["sample_size"] * factor)


@final
class Captions:
    """CLIP text encoder of Stable Diffusion 1.5."""

    def __init__(self, tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> None:
        self._tokenizer = tokenizer
        self._text_encoder = text_encoder

    def encode(self, caption: str, negative: str, clip_skip: int) -> TextConditions:
        """Return both captions' hidden states; words past the encoder's 77 tokens are not seen.

        `clip_skip` applies to the caption alone, as in the published pipeline.
        """
        return TextConditions(self._states(caption, clip_skip), self._states(negative, 0))

    def _states(self, text: str, clip_skip: int) -> torch.Tensor:
        # diffusers' own encode_prompt reads an attribute that CLIPTextModel of transformers 5 no longer has.
        tokens = self._tokenizer(
            text,
            padding="max_length",
            max_length=self._tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        layers = self._text_encoder(tokens.input_ids.to(self._text_encoder.device), output_hidden_states=True)
        if clip_skip >= len(layers.hidden_states) - 1:
            raise InvalidOption(
                f"clip_skip must be below {len(layers.hidden_states) - 1}, the text encoder's layers",
                param="clip_skip",
            )
        return self._text_encoder.final_layer_norm(layers.hidden_states[-1 - clip_skip])


@final
class XlCaptions:
    """The two text encoders of Stable Diffusion XL."""

    def __init__(self, pipeline: StableDiffusionXLPipeline) -> None:
        self._pipeline = pipeline

    def encode(self, caption: str, negative: str, clip_skip: int) -> TextConditions:
        """Return both captions' hidden states and pooled states; an empty negative caption is all zeros."""
        states = self._pipeline.encode_prompt(
            caption,
            device=self._pipeline.device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=True,
            # XL was trained with zeros for "no caption"; diffusers sends zeros for None and encodes "".
            negative_prompt=negative or None,
            clip_skip=clip_skip or None,
        )
        positive, negative_states, pooled, negative_pooled = states
        assert negative_states is not None  # guidance was asked for
        return TextConditions(positive, negative_states, pooled, negative_pooled)


def _sd15(folder: Path, dtype: torch.dtype) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=_network(folder / "vae", AutoencoderKL, dtype),
        text_encoder=_network(folder / "text_encoder", CLIPTextModel, dtype),
        tokenizer=_tokenizer(folder / "tokenizer"),
        unet=_network(folder / "unet", UNet2DConditionModel, dtype),
        scheduler=None,  # pyright: ignore[reportArgumentType]  the conductor makes one per request
        safety_checker=None,  # pyright: ignore[reportArgumentType]
        feature_extractor=None,  # pyright: ignore[reportArgumentType]
        requires_safety_checker=False,
    )


def _sdxl(folder: Path, dtype: torch.dtype) -> StableDiffusionXLPipeline:
    return StableDiffusionXLPipeline(
        vae=_network(folder / "vae", AutoencoderKL, dtype),
        text_encoder=_network(folder / "text_encoder", CLIPTextModel, dtype),
        text_encoder_2=_network(folder / "text_encoder_2", CLIPTextModelWithProjection, dtype),
        tokenizer=_tokenizer(folder / "tokenizer"),
        tokenizer_2=_tokenizer(folder / "tokenizer_2"),
        unet=_network(folder / "unet", UNet2DConditionModel, dtype),
        scheduler=None,  # pyright: ignore[reportArgumentType]  the conductor makes one per request
        add_watermarker=False,
    )


def _network(folder: Path, kind: Any, dtype: torch.dtype) -> Any:
    """Load one network of a pipeline; diffusers and transformers share this signature, but for the type's name."""
    type_argument = {"dtype" if kind.__module__.startswith("transformers.") else "torch_dtype": dtype}
    return load_strictly(
        folder,
        lambda path: kind.from_pretrained(
            path, use_safetensors=True, local_files_only=True, output_loading_info=True, **type_argument
        ),
    )


def _tokenizer(folder: Path) -> CLIPTokenizer:
    try:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InvalidWeights(f"no tokenizer in {folder}: {error}") from error


def _add_loras(pipeline: Any, loras: Sequence[Lora]) -> None:
    for i, lora in enumerate(loras):
        if lora.path.suffix != ".safetensors" or not lora.path.is_file():
            raise InvalidWeights(f"{lora.path} is no safetensors file")
        try:
            pipeline.load_lora_weights(lora.path.parent, weight_name=lora.path.name, adapter_name=f"lora{i}")
        except (ValueError, KeyError, RuntimeError, OSError) as error:
            raise InvalidWeights(f"the LoRA {lora.path} does not fit this base model: {error}") from error
    if loras:
        pipeline.set_adapters([f"lora{i}" for i in range(len(loras))], [lora.weight for lora in loras])


def _pipeline_name(folder: Path) -> str:
    return str(_json(folder / "model_index.json").get("_class_name"))


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidWeights(f"{path.parent} is no base model in diffusers' layout: {error}") from error
