"""Any OpenAI-compatible chat endpoint (vLLM, SGLang, Ollama, a hosted one) as the instructor."""

import asyncio
import base64
import email.utils
import io
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

import httpx
import numpy as np
import PIL.Image

from brushedit.errors import InstructorUnavailable, PlanFailed
from brushedit.types import Image

_MOST_BYTES: Final = 1 << 20
_RETRIED: Final = frozenset({408, 409, 429, 500, 502, 503, 504})
_LONGEST_SIDE: Final = 1280
_BAD_REQUEST: Final = 400
_MOST_TOLD: Final = 300
"""Letters of what a server says of a refused request."""

_BOUNDS: Final = frozenset({"maxLength", "minLength", "pattern"})
"""Keywords that hosted servers refuse in a strict schema; the planner checks the lengths itself."""


@dataclass(frozen=True)
class Endpoint:
    """A server and how to ask it.

    Attributes
    ----------
    base_url : str
        Up to and including the version, such as "http://localhost:8000/v1".
    model : str
        The model's name there.
    key_variable : str
        Environment variable that holds the key; it may be unset where the server wants none. The key itself
        stands in no setting, log or message.
    timeout : float
        Seconds for an answer, retries and pauses included.
    attempts : int
    max_tokens : int
    temperature : float or None
        None leaves it to the server; some models accept no other.
    """

    base_url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    timeout: float = 60.0
    attempts: int = 4
    first_pause: float = 0.5
    max_tokens: int = 1024
    temperature: float | None = 0.0


@dataclass(frozen=True)
class _Reply:
    status: int
    retry_after: str
    body: bytes = field(repr=False)


@final
class OpenAiVlm:
    """Answers through a chat endpoint with a JSON schema as the response format (a `VisionLanguageModel`).

    It blocks until there is an answer, so it must not be called from a running event loop.

    Attributes
    ----------
    calls : int
        Questions asked so far, retries not counted.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.calls = 0

    def generate(self, image: Image, prompt: str, schema: Mapping[str, Any]) -> str:
        """Return what the server's model wrote; the schema is sent along, but only the server can enforce it.

        Raises
        ------
        InstructorUnavailable
            No usable answer within the time limit; the message says what happened.
        PlanFailed
            The model refused, in its own words.
        """
        self.calls += 1
        return _written(asyncio.run(self._ask(self._question(image, prompt, schema))))

    def _question(self, image: Image, prompt: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        picture = {"type": "image_url", "image_url": {"url": _data_url(image)}}
        question: dict[str, Any] = {
            "model": self._endpoint.model,
            "messages": [{"role": "user", "content": [picture, {"type": "text", "text": prompt}]}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "reply", "strict": True, "schema": _without_bounds(schema)},
            },
            "max_tokens": self._endpoint.max_tokens,
        }
        if self._endpoint.temperature is not None:
            question["temperature"] = self._endpoint.temperature
        return question

    async def _ask(self, question: Mapping[str, Any]) -> bytes:
        """Ask until there is an answer or no hope of one; the time limit holds for all of it together."""
        problem = "it was not asked"
        try:
            async with (
                asyncio.timeout(self._endpoint.timeout) as limit,
                # Its own limits hold for a single read, and slow bytes keep within them: they come later.
                httpx.AsyncClient(timeout=self._endpoint.timeout + 1) as client,
            ):
                for attempt in range(self._endpoint.attempts):
                    pause = self._endpoint.first_pause * 2**attempt
                    try:
                        reply = await self._post(client, question)
                    except httpx.HTTPError as error:
                        # The error's class alone: its text may repeat the request.
                        problem = f"cannot be reached ({type(error).__name__})"
                    else:
                        if reply.status == 200:
                            return reply.body
                        problem = f"answered with status {reply.status}{self._hint(reply)}"
                        amended = _amended(question, reply)
                        if amended:
                            question = amended
                            continue
                        if reply.status not in _RETRIED:
                            break
                        pause = _seconds(reply.retry_after, pause)
                    if attempt + 1 == self._endpoint.attempts or pause >= _left(limit):
                        break
                    await asyncio.sleep(pause)
        except TimeoutError:
            problem = f"did not answer within {self._endpoint.timeout:g} s"
        raise InstructorUnavailable(f"the instructor {self._endpoint.model!r} {problem}")

    async def _post(self, client: httpx.AsyncClient, question: Mapping[str, Any]) -> _Reply:
        key = os.environ.get(self._endpoint.key_variable, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        address = f"{self._endpoint.base_url.rstrip('/')}/chat/completions"
        body = bytearray()
        async with client.stream("POST", address, json=question, headers=headers) as reply:
            async for chunk in reply.aiter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise httpx.DecodingError("the answer is too long")
            return _Reply(reply.status_code, reply.headers.get("Retry-After", ""), bytes(body))

    def _hint(self, reply: _Reply) -> str:
        if reply.status in (401, 403):
            return f"; the key is read from {self._endpoint.key_variable}"
        told = str(_fault(reply).get("message") or "")
        return f": {told[:_MOST_TOLD]}" if told else ""


def _fault(reply: _Reply) -> Mapping[str, Any]:
    """Return what an OpenAI-compatible server says of a refused request, as far as it does."""
    try:
        fault = json.loads(reply.body)["error"]
    except (ValueError, LookupError, TypeError):
        return {}
    return fault if isinstance(fault, dict) else {}


def _amended(question: Mapping[str, Any], reply: _Reply) -> Mapping[str, Any] | None:
    """Return the question as models want it that know a parameter by another name or not at all; else None."""
    if reply.status != _BAD_REQUEST:
        return None
    match _fault(reply).get("param"):
        case "max_tokens" if "max_tokens" in question:
            rest = {key: value for key, value in question.items() if key != "max_tokens"}
            return {**rest, "max_completion_tokens": question["max_tokens"]}
        case "temperature" if "temperature" in question:
            return {key: value for key, value in question.items() if key != "temperature"}
        case _:
            return None


def _left(limit: asyncio.Timeout) -> float:
    end = limit.when()
    assert end is not None
    return end - asyncio.get_running_loop().time()


def _written(body: bytes) -> str:
    try:
        message = json.loads(body)["choices"][0]["message"]
        refusal, content = message.get("refusal"), message.get("content")
    except (ValueError, LookupError, TypeError, AttributeError):
        told = body[:200].decode("utf-8", errors="replace")
        raise InstructorUnavailable(
            f"the instructor's server answered, but with no completion: {told!r}"
        ) from None
    if refusal:
        raise PlanFailed(f"the instructor made no plan: {refusal}", param="instruction")
    if not isinstance(content, str):
        raise InstructorUnavailable("the instructor's server answered with an empty completion")
    return content


def _without_bounds(schema: Any) -> Any:
    match schema:
        case dict():
            return {key: _without_bounds(value) for key, value in schema.items() if key not in _BOUNDS}
        case list():
            return [_without_bounds(value) for value in schema]
        case _:
            return schema


def _seconds(retry_after: str, default: float) -> float:
    """Return the pause a server asks for, in seconds or until a date, or else the default."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return default


def _data_url(image: Image) -> str:
    picture = PIL.Image.fromarray(np.ascontiguousarray(image))
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=92)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
