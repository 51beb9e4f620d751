"""The instructor's reply: its JSON schema and its validation, both from the records of `brushedit.types`."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from brushedit.types import EditKind, EditPlan, EditStep, Which

MAX_STEPS: Final = 6
MAX_LENGTH: Final[Mapping[str, int]] = {
    "target": 80,
    "caption": 300,
    "negative": 200,
    "where": 80,
    "decline": 300,
}
"""Characters a field may have: room for what is meant, and a bound on what a model can ramble."""

_REQUIRED: Final = frozenset({"target", "caption", "decline"})
_UNTARGETED: Final = frozenset({"background", "the background", "backdrop"})
_ANYTHING: Final = frozenset({"object", "thing", "everything"})
_FENCED: Final = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)


@dataclass(frozen=True)
class Declined:
    """The instructor's reason, in plain words, why it makes no plan."""

    decline: str


@dataclass(frozen=True)
class Reply:
    """What the instructor answers; an object around both forms, as servers refuse a schema of two roots."""

    reply: EditPlan | Declined


class ReplyError(ValueError):
    """A reply, or a person's plan, that is no valid plan; the message names each field at fault."""


_REPLY: Final = TypeAdapter(Reply)
_PLAN: Final = TypeAdapter(EditPlan)


def reply_schema() -> dict[str, Any]:
    """Return the JSON schema of a `Reply`, in the subset that hosted servers and grammar engines share.

    Every property is required and no other is allowed, references are resolved, arrays and strings are
    bounded, and a box is four integers 0..1000 or null.
    """
    schema = _REPLY.json_schema()
    return _closed(schema, schema["$defs"], name="")


def _closed(node: Mapping[str, Any], definitions: Mapping[str, Any], name: str) -> dict[str, Any]:
    if "$ref" in node:
        return _closed(definitions[str(node["$ref"]).rsplit("/", 1)[-1]], definitions, name)
    if "anyOf" in node:
        return {"anyOf": [_closed(option, definitions, name) for option in node["anyOf"]]}
    if "enum" in node:
        return {"type": "string", "enum": list(node["enum"])}
    if node["type"] == "object":
        properties = {key: _closed(value, definitions, key) for key, value in node["properties"].items()}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    if node["type"] == "array" and name == "box":
        coordinate = {"type": "integer", "minimum": 0, "maximum": 1000}
        return {"type": "array", "items": coordinate, "minItems": 4, "maxItems": 4}
    if node["type"] == "array":
        items = _closed(node["items"], definitions, name)
        return {"type": "array", "items": items, "minItems": 1, "maxItems": MAX_STEPS}
    if node["type"] == "string" and name in _REQUIRED:
        return {"type": "string", "pattern": r"^\S.*$", "maxLength": MAX_LENGTH[name]}
    if node["type"] == "string":
        return {"type": "string", "maxLength": MAX_LENGTH[name]}
    return {"type": node["type"]}


def parse_reply(text: str) -> EditPlan | Declined:
    """Return the plan that a model wrote as JSON, alone or in one fenced block, or its reason to make none.

    Raises
    ------
    ReplyError
        Not JSON, or not a valid reply.
    """
    fenced = _FENCED.fullmatch(text)
    try:
        reply = _REPLY.validate_json(fenced.group(1) if fenced else text).reply
    except ValidationError as error:
        raise ReplyError(_sentence(error)) from error
    if isinstance(reply, EditPlan):
        check_plan(reply)
    elif not reply.decline.strip():
        raise ReplyError("decline: empty")
    return reply


def check_plan(plan: EditPlan) -> None:
    """Raise `ReplyError` where a plan is empty, contradicts itself, or has a field out of its bounds."""
    if not 1 <= len(plan.steps) <= MAX_STEPS:
        raise ReplyError(f"steps: a plan has 1 to {MAX_STEPS} steps, not {len(plan.steps)}")
    for number, step in enumerate(plan.steps):
        _check_step(f"steps.{number}", step)
    for gone in plan.steps:
        for kept in plan.steps:
            if gone.kind is EditKind.REMOVE and kept.kind is EditKind.LOCAL and _covers(gone, kept):
                name = f"{kept.where} {kept.target}".strip()
                raise ReplyError(f"steps: contradictory, {name!r} is both removed and changed")


def _check_step(place: str, step: EditStep) -> None:
    for name, text in {
        "target": step.target,
        "caption": step.caption,
        "negative": step.negative,
        "where": step.where,
    }.items():
        if len(text) > MAX_LENGTH[name]:
            raise ReplyError(f"{place}.{name}: {len(text)} characters, at most {MAX_LENGTH[name]}")
        if name in _REQUIRED and not text.strip():
            raise ReplyError(f"{place}.{name}: empty")
    if step.box is not None and not all(0 <= value <= 1000 for value in step.box):
        raise ReplyError(f"{place}.box: each coordinate is 0..1000, got {list(step.box)}")
    if step.kind is EditKind.BACKGROUND and step.target.strip().lower() in _UNTARGETED:
        raise ReplyError(f"{place}.target: for a background name the subject that stays, not the background")


def _covers(gone: EditStep, kept: EditStep) -> bool:
    """Tell whether one step's words surely mean what the other's do: the same, or "all balls" and "the red ball"."""
    (target, where), (other, there) = (
        (step.target.strip().lower(), step.where.strip().lower()) for step in (gone, kept)
    )
    if gone.which is Which.ALL and not where:
        return f" {other}".endswith(f" {target}") or target in _ANYTHING
    return (target, where) == (other, there)


def reply_to_json(reply: EditPlan | Declined) -> str:
    """Return a reply as a model that follows `reply_schema` writes it: no spaces, fields in order."""
    return json.dumps(
        _REPLY.dump_python(Reply(reply), mode="json"), ensure_ascii=False, separators=(",", ":")
    )


def plan_to_json(plan: EditPlan) -> str:
    """Return a plan as indented JSON, the format `plan_from_json` reads."""
    return json.dumps(_PLAN.dump_python(plan, mode="json"), ensure_ascii=False, indent=2)


def plan_from_json(text: str) -> EditPlan:
    """Return the plan that a person wrote or changed.

    Raises
    ------
    ReplyError
        Not JSON, or not a valid plan.
    """
    try:
        plan = _PLAN.validate_json(text)
    except ValidationError as error:
        raise ReplyError(_sentence(error)) from error
    check_plan(plan)
    return plan


def _sentence(error: ValidationError) -> str:
    faults = error.errors(include_url=False)
    # A faulty plan is no decline either; that half of the union's faults would only mislead.
    plans = [fault for fault in faults if Declined.__name__ not in fault["loc"]] or faults
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'reply'}: {fault['msg']}" for fault in plans[:5])
