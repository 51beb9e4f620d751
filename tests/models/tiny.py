"""Small random networks of the real architectures, in the published file formats."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    BertTokenizer,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from models import grounding_dino, sam
from models.grounding_dino import BertSize, GroundingDinoConfig, SwinSize
from models.sam import SamConfig

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "red", "blue", "cube", "ball", "cone"]

DINO = GroundingDinoConfig(
    swin=SwinSize(embed_dim=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8), window_size=4),
    bert=BertSize(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    ),
    enc_layers=1,
    dec_layers=1,
    dim_feedforward=64,
    nheads=4,
    num_queries=20,
    shorter_side=64,
    longest_side=128,
)

SAM = SamConfig(
    embed_dim=32,
    depth=2,
    num_heads=2,
    global_attention=(1,),
    window=4,
    image_size=128,
    width=32,
    mlp_width=64,
    decoder_heads=4,
)

_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_MARKS = [
    "<|im_end|>",
    "<|im_start|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]


def bert_tokenizer(folder: Path) -> BertTokenizer:
    """Write a word tokenizer of BERT's kind and return it."""
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)})
    tokenizer.save_pretrained(folder)
    return tokenizer


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of single bytes and Qwen's marks."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>", chat_template=_CHAT
    )
    fast.add_special_tokens({"additional_special_tokens": _MARKS[1:]})
    return fast


def write_qwen2_vl(folder: Path, seed: int = 0) -> None:
    """Write a Qwen2-VL folder: config, safetensors, tokenizer, chat template and picture processor."""
    tokenizer = byte_tokenizer()
    ids = dict(zip(_MARKS, tokenizer.convert_tokens_to_ids(_MARKS), strict=True))
    config = Qwen2VLConfig(
        text_config={
            # More rows than tokens, as in the published model.
            "vocab_size": len(tokenizer) + 10,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]},
            "bos_token_id": ids["<|im_start|>"],
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|im_end|>"],
        },
        vision_config={"depth": 1, "embed_dim": 32, "num_heads": 2, "hidden_size": 32, "mlp_ratio": 2},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    torch.manual_seed(seed)
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=4 * 28 * 28),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=_CHAT,
    ).save_pretrained(folder)


def names_in(path: Path) -> list[str]:
    """Return the names of a safetensors file's tensors."""
    with safe_open(path, "pt") as file:
        return list(file.keys())


def write_dino(path: Path, tokenizer: Path, seed: int = 0) -> None:
    """Write a detector's checkpoint, wrapped as the published one if it ends in .pth, and its tokenizer."""
    torch.manual_seed(seed)
    network = grounding_dino.build(DINO, bert_tokenizer(tokenizer))
    # Its last layer starts at zero, so that all boxes would be alike.
    for parameter in network.bbox_embed[0].layers[-1].parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    state = network.state_dict()
    if path.suffix == ".pth":
        extra = {
            "module.label_enc.weight": torch.zeros(3),
            "module.bert.embeddings.position_ids": torch.zeros(1, 64),
        }
        torch.save({"model": {f"module.{key}": value for key, value in state.items()} | extra}, path)
    else:
        save_file({key: value.clone() for key, value in state.items()}, path)


def write_sam(path: Path, seed: int = 0) -> None:
    """Write a segmenter's checkpoint, pickled where the path ends in .pth."""
    torch.manual_seed(seed)
    state = sam.build(SAM).state_dict()
    if path.suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)


def copy_without(source: Path, target: Path, name: str) -> None:
    """Copy a safetensors file, but for one of its tensors."""
    with safe_open(source, "pt") as file:
        save_file({key: file.get_tensor(key) for key in file.keys() if key != name}, target, {"format": "pt"})  # noqa: SIM118
