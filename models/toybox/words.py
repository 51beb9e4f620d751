"""The toybox's tokenizer: CLIP's, with its merges learned from a few dozen words instead of the web.

Every word of the vocabulary is one token; any other is spelled in pieces or letters, never unknown.
"""

from collections.abc import Collection
from itertools import pairwise

from transformers import CLIPTokenizer

END = "</w>"
LENGTH = 32
"""Tokens of a caption, start and end included; longer ones are cut, as CLIP cuts at 77."""


def make_tokenizer(words: Collection[str]) -> CLIPTokenizer:
    """Return a tokenizer with one token for each of these lower-case words."""
    letters = [chr(code) for code in range(33, 127)]
    merges = learned_merges(words)
    symbols = dict.fromkeys([*letters, *(letter + END for letter in letters)])
    symbols |= dict.fromkeys(left + right for left, right in merges)
    symbols |= dict.fromkeys(["<|startoftext|>", "<|endoftext|>"])
    return CLIPTokenizer(vocab={s: i for i, s in enumerate(symbols)}, merges=merges, model_max_length=LENGTH)


def learned_merges(words: Collection[str]) -> list[tuple[str, str]]:
    """Return the merges that join each word into one token (Sennrich et al., arXiv 1508.07909, algorithm 1).

    Merging goes on until nothing is left to merge, so applying them in order rejoins every word: merges written word by
    word would not, because one word's may break up another ("an" in "orange").
    """
    spelled = [[*word[:-1], word[-1] + END] for word in sorted(set(words))]
    merges: list[tuple[str, str]] = []
    while True:
        counts: dict[tuple[str, str], int] = {}
        for symbols in spelled:
            for pair in pairwise(symbols):
                counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            return merges
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        spelled = [_merged(symbols, best) for symbols in spelled]


def _merged(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    i = 0
    while i < len(symbols):
        joined = tuple(symbols[i : i + 2]) == pair
        merged.append("".join(pair) if joined else symbols[i])
        i += 2 if joined else 1
    return merged
