"""JSON that cannot be invalid: at every step of decoding only tokens a schema's grammar allows are left.

The grammar engine is llguidance. Of the three with current wheels it masks lazily, so a schema costs no
compilation, keeps string lengths, number ranges and patterns exactly, and needs nothing of torch; xgrammar
precompiles masks per vocabulary and schema, which pays for servers with few schemas and long batches, and
outlines builds on either of them.

A grammar alone does not end: a model may ramble inside a string until its tokens run out. So the last
`RESERVE` tokens of the budget close what is open, by the shortest way.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, final

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
from torch import Tensor

RESERVE: Final = 160
"""Tokens kept to close a reply; a plan's step needs about 100 of one byte each."""

_CLOSING: Final = b'"]},n0'
"""Bytes that lead to the end of a value, each preferred to those after it ("n" starts null, "0" a number)."""


def compile_schema(schema: Mapping[str, Any]) -> str:
    """Return the grammar of a JSON schema, written without spaces between its parts."""
    return LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides={"whitespace_flexible": False})


def read_tokenizer(tokenizer: Any, end_tokens: list[int]) -> LLTokenizer:
    """Return the grammar engine's view of a fast tokenizer; a second for a large vocabulary, so keep it."""
    return from_tokenizer(tokenizer, eos_token=end_tokens)


@final
class JsonConstraint:
    """Logits processor for one reply of one sequence, to pass to ``generate`` once.

    Parameters
    ----------
    tokenizer : LLTokenizer
    grammar : str
        From `compile_schema`.
    budget : int
        Tokens that may be generated, the end token included; more than `RESERVE`.
    """

    def __init__(self, tokenizer: LLTokenizer, grammar: str, budget: int) -> None:
        assert budget > RESERVE, (budget, RESERVE)
        self._matcher = LLMatcher(tokenizer, grammar)
        if self._matcher.is_error():
            raise ValueError(f"the schema has no grammar: {self._matcher.get_error()}")
        self._bits = allocate_token_bitmask(1, tokenizer.vocab_size)
        self._closing = [tokenizer.tokenize_bytes(bytes([byte]))[0] for byte in _CLOSING]
        self._budget = budget
        self._start: int | None = None
        self._read = 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores (1, V) in which only tokens the grammar allows after input_ids (1, T) are finite."""
        if self._start is None:
            self._start = self._read = input_ids.shape[1]
        for token in input_ids[0, self._read :].tolist():
            if not self._matcher.consume_token(token):
                raise RuntimeError(f"the grammar lost its way: {self._matcher.get_error()}")
        self._read = input_ids.shape[1]

        allowed = self._allowed(scores.shape[1])
        if self._budget - (self._read - self._start) <= RESERVE:
            closing = next((token for token in self._closing if allowed[token]), None)
            if closing is not None:
                allowed[:] = False
                allowed[closing] = True
        return scores.masked_fill(~torch.from_numpy(allowed).to(scores.device), float("-inf"))

    def _allowed(self, size: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return which of `size` tokens may come next; a model's padding beyond the vocabulary may not."""
        fill_next_token_bitmask(self._matcher, self._bits)
        bits = np.unpackbits(self._bits.view(np.uint8)[0], bitorder="little")[:size]
        allowed = np.zeros(size, dtype=np.bool_)
        allowed[: len(bits)] = bits
        return allowed
