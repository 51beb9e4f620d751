"""Qwen2-VL and Qwen2.5-VL (arXiv 2409.12191, 2502.13923) as the instructor, through transformers."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import PIL.Image
import torch
from qwen_vl_utils.vision_process import MAX_RATIO, fetch_image
from torch import nn
from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig, GenerationConfig

from brushedit.diffusion.checkpoint import load_strictly
from brushedit.errors import InvalidImage, InvalidOption, InvalidWeights
from brushedit.types import Image
from models.json_constraint import JsonConstraint, compile_schema, read_tokenizer
from models.placement import Placement

_CELL: Final = 28 * 28
"""Pixels of a token of the picture."""

_MOST_PIXELS: Final = 1280 * _CELL
"""Pixels a picture is shown with at most, 1280 tokens: the upper end of what the model's card recommends."""


def load_instructor(
    folder: Path,
    placement: Placement,
    dtype: torch.dtype,
    *,
    four_bit: bool = False,
    max_new_tokens: int = 1024,
) -> "QwenVl":
    """Load a Qwen-VL from its folder, strictly.

    Raises
    ------
    InvalidOption
        `four_bit` without the bitsandbytes package and a CUDA device; the network would stay on it.
    InvalidWeights
        No such folder, another architecture, or keys or shapes that differ.
    """
    if four_bit and not (find_spec("bitsandbytes") and placement.device.type == "cuda"):
        raise InvalidOption("4 bits need a CUDA device and the bitsandbytes package", param="four_bit")
    quantization = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=dtype) if four_bit else None

    def load(path: Path) -> Any:
        return AutoModelForImageTextToText.from_pretrained(
            path,
            dtype=dtype,
            quantization_config=quantization,
            device_map={"": placement.device} if four_bit else None,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )

    network = load_strictly(folder, load)
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InvalidWeights(f"no processor in {folder}: {error}") from error
    if four_bit:
        placement.pin(network)
    return QwenVl(network.eval().requires_grad_(False), processor, placement, max_new_tokens)


@final
class QwenVl:
    """Answers in JSON of a given schema, whatever its weights (a `VisionLanguageModel`).

    Attributes
    ----------
    calls : int
        Generations so far.
    """

    def __init__(self, network: nn.Module, processor: Any, placement: Placement, max_new_tokens: int) -> None:
        self._network: Any = network
        self._processor = processor
        self._placement = placement
        self._max_new_tokens = max_new_tokens
        self._end = [processor.tokenizer.eos_token_id]
        self._tokenizer = read_tokenizer(processor.tokenizer, self._end)
        self.calls = 0

    @torch.inference_mode()
    def generate(self, image: Image, prompt: str, schema: Mapping[str, Any]) -> str:
        """Return JSON of the schema: the likeliest token of those allowed at each step."""
        self.calls += 1
        constraint = JsonConstraint(self._tokenizer, compile_schema(schema), self._max_new_tokens)
        inputs = self._inputs(image, prompt)
        with self._placement.on_device(self._network):
            output = self._network.generate(
                **inputs.to(self._placement.device),
                generation_config=GenerationConfig(
                    max_new_tokens=self._max_new_tokens,
                    do_sample=False,
                    eos_token_id=self._end,
                    pad_token_id=self._end[0],
                ),
                logits_processor=[constraint],
            )
        answer = output[0, inputs["input_ids"].shape[1] :]
        return self._processor.tokenizer.decode(answer, skip_special_tokens=True)

    def _inputs(self, image: Image, prompt: str) -> Any:
        """Return the tokens of one message, the picture before the words: a prefix cache keeps it."""
        content = [{"type": "image"}, {"type": "text", "text": self._defused(prompt)}]
        text = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        return self._processor(text=[text], images=[self._shown(image)], return_tensors="pt")

    def _shown(self, image: Image) -> PIL.Image.Image:
        height, width = image.shape[:2]
        sizes = self._processor.image_processor.size
        most = min(_MOST_PIXELS, sizes["longest_edge"])
        # One cell high, a picture is as many cells wide as it may have; the package would make it 0 high.
        ratio = min(MAX_RATIO, most // _CELL)
        if max(height, width) > ratio * min(height, width):
            raise InvalidImage(
                f"a {width}x{height} picture is too narrow for the instructor: at most {ratio} to 1",
                param="image",
            )
        # The picture itself is handed over: that package would open any path or address a message named.
        shown: dict[str, Any] = {
            "image": PIL.Image.fromarray(np.ascontiguousarray(image)),
            "min_pixels": sizes["shortest_edge"],
            "max_pixels": most,
        }
        return fetch_image(shown, image_patch_size=self._processor.image_processor.patch_size)

    def _defused(self, prompt: str) -> str:
        """Break up what the tokenizer would read as its own marks ("<|im_end|>"): a prompt is words alone."""
        for token in self._processor.tokenizer.added_tokens_decoder.values():
            if token.special:
                prompt = prompt.replace(token.content, f"{token.content[0]} {token.content[1:]}")
        return prompt
