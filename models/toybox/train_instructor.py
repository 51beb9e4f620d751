"""The toybox's instructor: a Qwen2-VL that turns the words of the toy world into plans.

It learns from words alone. What a plan says of a toy scene follows from the instruction and the earlier
turns; which thing in the picture is meant, the locator finds out. So the picture encoder stays as it was drawn
but for its last layer, which is zero: the picture's token is there and says nothing, whatever it shows.
"""

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast, Qwen2VLConfig, Qwen2VLForConditionalGeneration

from brushedit.training.loop import SHEET_EVERY, Budget, Progress, Recipe, Sheet, Trainer
from brushedit.types import EditPlan, Turn
from models.toybox.instructions import Example, sample_dialogue
from models.toybox.lessons import GRIDS, Lesson, positions, with_invented_words
from models.toybox.plan_tokens import (
    DECISIONS,
    END,
    IMAGE,
    MARKS,
    Splitter,
    asked,
    learn_tokenizer,
    save_processor,
    token_id,
    wrap,
)
from models.toybox.sheets import write_sheet, written

NAME = "instructor"

WritePrompt: TypeAlias = Callable[[str, Sequence[Turn]], str]
"""Instruction and earlier turns as the planner asks them."""

WriteReply: TypeAlias = Callable[[EditPlan | str], str]
"""A plan, or a reason to decline, as the planner reads it."""


@dataclass(frozen=True)
class InstructorRecipe:
    """Hyper-parameters.

    Attributes
    ----------
    width, layers, heads, key_heads, inner : int
        Of the language model.
    pieces : int
        Most pieces the tokenizer learns, from `corpus` dialogues.
    dialogues : int
        Different dialogues to learn from; none is seen twice with the same words broken up.
    batch, parts : int
        Dialogues per step, and into how many groups of like length they are sorted.
    broken : float
        Share of a question's tokens that are broken up, in half of the dialogues.
    invented : float
        Share of refused words that are replaced by invented ones.
    decision : float
        How much more than others the token counts that makes a reply a plan or a refusal: one of a dozen, and all
        hangs on it.
    """

    width: int = 128
    layers: int = 6
    heads: int = 4
    key_heads: int = 2
    inner: int = 384
    pieces: int = 1024
    corpus: int = 4000
    dialogues: int = 400000
    batch: int = 24
    parts: int = 2
    broken: float = 0.15
    invented: float = 0.75
    decision: float = 3.0
    steps: Recipe = field(default_factory=lambda: Recipe(learning_rate=2e-3, warmup=100, hold=0.6, ema=0.995))


def make_instructor(
    tokenizer: PreTrainedTokenizerFast, recipe: InstructorRecipe
) -> Qwen2VLForConditionalGeneration:
    """Return the untrained network; torch's random state draws its weights."""
    ids = {mark: token_id(tokenizer, mark) for mark in MARKS}
    half = recipe.width // recipe.heads // 2
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": recipe.width,
            "intermediate_size": recipe.inner,
            "num_hidden_layers": recipe.layers,
            "num_attention_heads": recipe.heads,
            "num_key_value_heads": recipe.key_heads,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [
                    half // 4,
                    half - half // 4 - (half - half // 4) // 2,
                    (half - half // 4) // 2,
                ],
            },
            "bos_token_id": ids["<|im_start|>"],
            "eos_token_id": ids[END],
            "pad_token_id": ids[END],
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 1,
            "embed_dim": 32,
            "num_heads": 2,
            "hidden_size": recipe.width,
            "mlp_ratio": 2,
        },
        image_token_id=ids[IMAGE],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    network = Qwen2VLForConditionalGeneration(config)
    network.model.visual.requires_grad_(False)
    last: Any = network.model.visual.merger.mlp[-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return network


@final
class PlanObjective:
    """The reply's tokens, each told from the question and the tokens before it."""

    def __init__(
        self,
        network: Qwen2VLForConditionalGeneration,
        tokenizer: PreTrainedTokenizerFast,
        write_prompt: WritePrompt,
        write_reply: WriteReply,
        recipe: InstructorRecipe,
    ) -> None:
        self.network, self.batch = network, recipe.batch
        self._tokenizer, self._recipe = tokenizer, recipe
        self._write_prompt, self._write_reply = write_prompt, write_reply
        self._splitter = Splitter(tokenizer)
        self._known: dict[int, tuple[list[int], list[int]]] = {}
        self._end = token_id(tokenizer, END)
        self._image = token_id(tokenizer, IMAGE)
        self._weights = torch.ones(len(tokenizer), device=network.device)
        self._weights[[token_id(tokenizer, piece) for piece in DECISIONS]] = recipe.decision

    def loss(self, rng: np.random.Generator, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Return the loss of one step."""
        drawn = sorted((self._drawn(rng) for _ in range(self.batch)), key=lambda lesson: len(lesson.ids))
        size = -(-len(drawn) // self._recipe.parts)
        sums = [self._wrong(drawn[start : start + size]) for start in range(0, len(drawn), size)]
        losses, weights = (torch.stack(parts).sum() for parts in zip(*sums, strict=True))
        return losses / weights

    def _drawn(self, rng: np.random.Generator) -> Lesson:
        """Draw a dialogue, and the shape of a picture."""
        number = int(rng.integers(self._recipe.dialogues))
        if number not in self._known:
            self._known[number] = self._read(np.random.default_rng((self._recipe.steps.seed, 0, number)))
        question, reply = self._known[number]
        rows, columns = GRIDS[rng.integers(len(GRIDS))]
        if rng.random() < 0.5:
            question = self._splitter.split(rng, question, self._recipe.broken)
        start = question.index(self._image)
        question = [*question[:start], *[self._image] * (rows * columns), *question[start + 1 :]]
        length = len(question) + len(reply)
        return Lesson((*question, *reply), len(question), positions(start, rows, columns, length))

    def _read(self, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        """Return the tokens of one dialogue's question, with a picture of one token, and of its reply."""
        return self._read_example(
            with_invented_words(rng, sample_dialogue(rng, "train"), self._recipe.invented)
        )

    def _read_example(self, example: Example) -> tuple[list[int], list[int]]:
        question = asked(self._write_prompt(example.instruction, example.history), 1)
        reply = self._write_reply(example.plan or example.reply)
        return self._tokenizer(question)["input_ids"], [*self._tokenizer(reply)["input_ids"], self._end]

    @torch.no_grad()
    def answers(self, count: int, longest: int = 80) -> list[tuple[str, str]]:
        """Return held-out instructions and what the network answers, the likeliest token each time."""
        told: list[tuple[str, str]] = []
        for number in range(count):
            example = sample_dialogue(np.random.default_rng((777, number)), "held_out")
            question, _ = self._read_example(example)
            start, ids = question.index(self._image), list(question)
            while len(ids) - len(question) < longest and ids[-1] != self._end:
                places = positions(start, 1, 1, len(ids))
                last = self._states(torch.tensor([ids]), places[:, None])[:, -1]
                ids.append(int(self.network.lm_head(last).argmax()))
            told.append((example.instruction, str(self._tokenizer.decode(ids[len(question) : -1]))))
        return told

    def _wrong(self, lessons: Sequence[Lesson]) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of the cross-entropy of the replies' tokens, and the sum of their weights."""
        length = max(len(lesson.ids) for lesson in lessons) - 1
        device = self.network.device
        ids = torch.full((len(lessons), length), self._end)
        right = torch.full((len(lessons), length), -100)
        places = torch.zeros((3, len(lessons), length), dtype=torch.long)
        for row, lesson in enumerate(lessons):
            whole, end = torch.tensor(lesson.ids), len(lesson.ids) - 1
            ids[row, :end] = whole[:-1]
            right[row, lesson.asked - 1 : end] = whole[lesson.asked :]
            places[:, row, :end] = lesson.places[:, :-1]
        right = right.to(device)
        told = right != -100
        logits = self.network.lm_head(self._states(ids, places)[told])
        answers = right[told]
        wrong = F.cross_entropy(logits.float(), answers, self._weights, reduction="sum")
        return wrong, self._weights[answers].sum()

    def _states(self, ids: Tensor, places: Tensor) -> Tensor:
        """Return the last states (N, L, D) of tokens (N, L) at positions (3, N, L)."""
        model: Any = self.network.model
        ids, places = ids.to(self.network.device), places.to(self.network.device)
        # The picture's tokens as the network's last picture layer makes them: nothing.
        words = model.get_input_embeddings()(ids) * (ids != self._image)[..., None]
        # Padding is on the right, where causal attention does not look.
        return model.language_model(
            inputs_embeds=words, position_ids=places, use_cache=False
        ).last_hidden_state


def train_instructor(
    out: Path,
    budget: Budget,
    *,
    write_prompt: WritePrompt,
    write_reply: WriteReply,
    device: torch.device,
    sheet_every: float = SHEET_EVERY,
    recipe: InstructorRecipe | None = None,
) -> Generator[Progress]:
    """Train into ``out``/vlms/instructor, or go on from the checkpoint in ``out``/checkpoints/instructor.

    Yields
    ------
    Progress
        After every step; when the generator ends the network is written.
    """
    recipe = recipe or InstructorRecipe()
    checkpoints = out / "checkpoints" / NAME
    tokenizer = _tokenizer(checkpoints / "tokenizer.json", write_prompt, write_reply, recipe)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(recipe.steps.seed)
        network = make_instructor(tokenizer, recipe)
        nn.Module.to(network, device)
    objective = PlanObjective(network, tokenizer, write_prompt, write_reply, recipe)
    trainer = Trainer(objective, recipe.steps, budget, checkpoints)

    def draw_sheet() -> None:
        lines = [f"{asked}  ->  {said}" for asked, said in objective.answers(24)]
        write_sheet(out / "sheets" / "instructor.png", written(lines))

    yield from trainer.run(sheet=Sheet(draw_sheet, sheet_every))
    trainer.load_average()
    save_instructor(out / "vlms" / NAME, network, tokenizer)


def save_instructor(
    folder: Path, network: Qwen2VLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Write a network and its tokenizer as Qwen2-VL is published, in half precision."""
    nn.Module.half(network.eval())
    network.save_pretrained(folder)
    save_processor(folder, tokenizer)


def _tokenizer(
    path: Path, write_prompt: WritePrompt, write_reply: WriteReply, recipe: InstructorRecipe
) -> PreTrainedTokenizerFast:
    """Return the tokenizer that a training began with; learn and keep it at its start."""
    if path.is_file():
        return wrap(Tokenizer.from_file(str(path)))
    examples = [
        sample_dialogue(np.random.default_rng((recipe.steps.seed, 1, i))) for i in range(recipe.corpus)
    ]
    texts = [write_prompt(e.instruction, e.history) for e in examples]
    # Replies begin their strings without a space; the template's own words come in every question.
    texts += ["\n".join(re.findall(r'[^"]+', write_reply(e.plan))) for e in examples if e.plan]
    texts += ["user\nassistant"] * len(examples)
    tokenizer = learn_tokenizer(texts, recipe.pieces)
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.backend_tokenizer.save(str(path))
    return tokenizer
