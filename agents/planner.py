"""The planner: one schema-constrained question to the instructor, and a second after an invalid answer."""

import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Final, final

from agents.plan_schema import Declined, ReplyError, parse_reply, reply_schema
from agents.ports import VisionLanguageModel
from brushedit.errors import InvalidInstruction, PlanFailed
from brushedit.types import EditPlan, Image, Turn

MAX_INSTRUCTION: Final = 4000
"""Characters an instruction may have."""

MAX_TURNS: Final = 8
"""Earlier turns the instructor is told of, the latest ones."""

_QUOTED: Final = 300


def read_prompt(name: str) -> str:
    """Return the text of a prompt of this package, such as "plan" or "plan_short"."""
    return files("agents").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8")


def require_instruction(instruction: str) -> str:
    """Return the instruction without surrounding space, or raise `InvalidInstruction`."""
    stripped = instruction.strip()
    if not stripped:
        raise InvalidInstruction("the instruction is empty: say what to change", param="instruction")
    if len(stripped) > MAX_INSTRUCTION:
        raise InvalidInstruction(
            f"the instruction has {len(stripped)} characters, at most {MAX_INSTRUCTION} are read",
            param="instruction",
        )
    return stripped


_REASON: Final = 160
"""Letters of an instructor's reason to decline that are passed on."""


@final
class Planner:
    """Turns an instruction into a plan.

    Parameters
    ----------
    model : VisionLanguageModel
    template : str
        Prompt with the places ``$history``, ``$instruction`` and ``$correction``. The backend puts the
        picture before it, so that a server's prefix cache keeps picture and rules between turns.

    Attributes
    ----------
    calls : int
        Questions asked so far; an edit whose first answer is valid costs one.
    """

    def __init__(self, model: VisionLanguageModel, template: str) -> None:
        self._model = model
        self._template = template
        self._schema = reply_schema()
        self.calls = 0

    def plan(self, image: Image, instruction: str, history: Sequence[Turn] = ()) -> EditPlan:
        """Return the plan for an instruction about a picture as it is now.

        Raises
        ------
        InvalidInstruction
            Empty or too long.
        PlanFailed
            Two invalid answers, or the instructor declined; the message says what it answered.
        """
        instruction = require_instruction(instruction)
        answer = self._ask(image, write_prompt(self._template, instruction, history))
        try:
            reply = parse_reply(answer)
        except ReplyError as fault:
            correction = f"Your last answer was no valid plan ({fault}). Answer again, in the form asked for."
            reply = self._second_answer(image, write_prompt(self._template, instruction, history, correction))
        if isinstance(reply, Declined):
            raise PlanFailed(f"the instructor made no plan: {_shortened(reply.decline)}", param="instruction")
        return reply

    def _second_answer(self, image: Image, prompt: str) -> EditPlan | Declined:
        answer = self._ask(image, prompt)
        try:
            return parse_reply(answer)
        except ReplyError as fault:
            raise PlanFailed(
                f"the instructor answered twice, with no valid plan ({fault}); it said: {_quoted(answer)}",
                param="instruction",
            ) from fault

    def _ask(self, image: Image, prompt: str) -> str:
        self.calls += 1
        return self._model.generate(image, prompt, self._schema)


def write_prompt(template: str, instruction: str, history: Sequence[Turn] = (), correction: str = "") -> str:
    """Return the words that the instructor is asked with, in planning and in training alike.

    Parameters
    ----------
    template : str
        As of `Planner`.
    correction : str
        What was wrong with its last answer; "" before there is one.
    """
    return Template(template).substitute(
        history="".join(_told(turn) for turn in history[-MAX_TURNS:]),
        instruction=_literal(instruction),
        correction=correction,
    )


def _told(turn: Turn) -> str:
    done = "; ".join(
        f"{step.kind} {step.which} {f'{step.where} {step.target}'.strip()}: {step.caption}"
        for step in turn.plan.steps
    )
    return f"Earlier turn: {_literal(turn.instruction)} was done as {_literal(done)}.\n"


def _literal(text: str) -> str:
    """Quote a person's words as a JSON string: they cannot end the quotation and pass for rules."""
    return json.dumps(text, ensure_ascii=False)


def _quoted(answer: str) -> str:
    text = " ".join(answer.split())
    return _literal(text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…")


def _shortened(reason: str) -> str:
    """Return a reason of reasonable length: small models go on babbling after they have said what matters."""
    text = " ".join(reason.split())
    head = text[:_REASON]
    end = max(head.rfind(mark) for mark in ".!?。")
    if len(text) <= _REASON:
        return text
    return head[: end + 1] if end > 0 else f"{head}…"
