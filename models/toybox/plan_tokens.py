"""The toy instructor's tokenizer: byte-level BPE learned from its own language, in lower case.

What every reply repeats (brackets, field names, the boxes that words can mean, whole refusals) is one token
each, so that a plan takes about a dozen steps to write.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import final

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import (
    AddedToken,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from models.toybox.edits import COLUMNS, SCALES, place_box
from models.toybox.grammar import refusals

END, IMAGE = "<|im_end|>", "<|image_pad|>"
MARKS = (END, "<|im_start|>", "<|vision_start|>", "<|vision_end|>", IMAGE, "<|video_pad|>")
"""Qwen2-VL's marks, the end of a turn first."""

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Qwen2-VL's chat template, for one question without a system's word."""

DECISIONS = ('steps":[{"kind":"', 'decline":"')
"""How a reply goes on as a plan, and as a refusal."""

_CELL = 28 * 28
"""Pixels that one token of a picture stands for."""

MOST_CELLS = 9
"""Tokens of a picture at most; the toy instructor has no need of them."""


def fixed_pieces() -> tuple[str, ...]:
    """Return the texts that are one token each, in any reply."""
    boxes = [place_box(place, size) for place, size in product(COLUMNS, SCALES)]
    spelled = ["null", *(f"[{','.join(map(str, box))}]" for box in boxes)]
    return (
        # Apart, as a grammar that knows how a reply begins takes the longest token of what is certain.
        '{"reply":{"',
        DECISIONS[0],
        '","target":"',
        '","caption":"',
        *(f'","negative":"","box":{box},"which":"' for box in spelled),
        '","where":"',
        '"},{"kind":"',
        '"}]}}',
        DECISIONS[1],
        *dict.fromkeys(table["reply"] for table in refusals().values() if "reply" in table),
        '"}}',
    )


def learn_tokenizer(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer of `size` learned pieces, and the fixed ones besides, from texts in training words."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = _plain()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?\p{L}+| ?\d| ?[^\s\p{L}\d]|\s"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = BpeTrainer(vocab_size=size, min_frequency=8, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return wrap(tokenizer)


def _plain() -> normalizers.Normalizer:
    """Return what makes text lower case, drops quotation marks inside a quotation and straightens apostrophes."""
    marks = normalizers.Replace(Regex(r'\\"|[“”„«»]'), "")
    return normalizers.Sequence([normalizers.Lowercase(), marks, normalizers.Replace("’", "'")])


def wrap(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """Return transformers' view of a tokenizer, with the marks and the fixed pieces as whole tokens."""
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        chat_template=CHAT,
        clean_up_tokenization_spaces=False,
    )
    fast.add_special_tokens({"additional_special_tokens": list(MARKS[1:])})
    # They are matched in the text as it is, before it is made lower case.
    fast.add_tokens([AddedToken(piece, normalized=False, special=False) for piece in fixed_pieces()])
    return fast


def token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    """Return the number of a token."""
    number = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(number, int), token
    return number


def save_processor(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write tokenizer, chat template and picture processor as a Qwen2-VL folder has them."""
    Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=_CELL, max_pixels=MOST_CELLS * _CELL),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=CHAT,
    ).save_pretrained(folder)


def asked(prompt: str, cells: int) -> str:
    """Return a question as the chat template writes it, with a picture of some tokens."""
    picture = f"<|vision_start|>{IMAGE * cells}<|vision_end|>"
    return f"<|im_start|>user\n{picture}{prompt}<|im_end|>\n<|im_start|>assistant\n"


@final
class Splitter:
    """Breaks words up into smaller pieces of a tokenizer's vocabulary.

    So a network learns how words are spelled, and with it what mistyped words mean (as BPE dropout does,
    Provilkov et al., arXiv 1910.13267, but drawn by a generator that is handed in).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        vocabulary: dict[str, int] = tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False)
        self._ids = vocabulary
        self._pieces = {token: piece for piece, token in vocabulary.items()}

    def split(self, rng: np.random.Generator, ids: Sequence[int], share: float) -> list[int]:
        """Return tokens of the same text, a share of them split in two, or further, at random."""
        found: list[int] = []
        for token, drawn in zip(ids, rng.random(len(ids)), strict=True):
            piece = self._pieces.get(token)
            if piece is None or drawn >= share:
                found.append(token)
            else:
                found += [self._ids[part] for part in self._halved(rng, piece)]
        return found

    def _halved(self, rng: np.random.Generator, piece: str) -> list[str]:
        cuts = [i for i in range(1, len(piece)) if piece[:i] in self._ids and piece[i:] in self._ids]
        if not cuts:
            return list(piece)
        cut = cuts[rng.integers(len(cuts))]
        halves = (piece[:cut], piece[cut:])
        return [
            part for half in halves for part in (self._halved(rng, half) if rng.random() < 0.3 else [half])
        ]
