"""`/v1/responses` with the `image_generation` tool: a response is a turn, the one before it the node it builds on."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from anyio import to_thread
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from app.access import Caller, Reader, Writer
from app.bodies import read_body
from app.compatible import Asked, image_edit, require_model
from app.jobs.answers import images_answer, revised_prompt
from app.refusals import InvalidRequest, NotFound
from app.routes.edits import RepeatKey, accept
from app.routes.images import finished, partial_image
from app.routes.shapes import PROBLEMS, inlined
from app.schemas import Metadata
from app.services import Services, Shared
from app.store.tables import FINISHED, Edit, Happening
from app.streams import happenings, sse, stream

router = APIRouter(prefix="/v1/responses", tags=["openai"], responses=PROBLEMS)

ResponseId = Annotated[str, Path(pattern=r"^resp_[0-9a-f]{32}$")]
_CALL: Final = re.compile(r"ig_([0-9a-f]{32})", re.ASCII)
_STATUS: Final = {
    "starting": "queued",
    "processing": "in_progress",
    "succeeded": "completed",
    "failed": "failed",
    "canceled": "cancelled",
}
_TOOL_FIELDS: Final = (
    "size",
    "quality",
    "background",
    "output_format",
    "output_compression",
    "partial_images",
)
_TITLE: Final = 60


class ResponseBody(BaseModel):
    """What is read of a response's request; other fields, which OpenAI's libraries may send, are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str = Field(default="brushedit", max_length=100)
    input: str | tuple[dict[str, Any], ...] = Field(
        description="A sentence, or messages with text and a picture."
    )
    tools: tuple[dict[str, Any], ...] = Field(default=({"type": "image_generation"},), max_length=8)
    previous_response_id: str | None = Field(default=None, pattern=r"^resp_[0-9a-f]{32}$")
    background: bool | None = False
    stream: Literal[True, False] | None = False
    metadata: Metadata | None = None


_REQUEST: Final = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": inlined(ResponseBody)}}}
}


@router.post("", openapi_extra=_REQUEST)
async def create_response(
    services: Shared, caller: Writer, request: Request, idempotency_key: RepeatKey = None
) -> Response:
    """Say the next thing about a picture, and wait for what becomes of it."""
    fields = await read_body(request, services.settings.max_json_depth)
    body = ResponseBody.model_validate(dict(fields.fields))
    tool = _tool(body)
    asked = await to_thread.run_sync(_asked, services, caller.tenant, body, tool, limiter=services.decoders)
    ticket = await accept(services, caller, request, asked.order, idempotency_key)
    if body.stream:
        return stream(_streamed(services, caller, ticket.edit.id, asked.body.partial_images))
    if not body.background:
        await finished(services, ticket.edit.id)
    return JSONResponse(await to_thread.run_sync(response_view, services, caller.tenant, ticket.edit.id))


@router.get("/{response_id}")
def get_response(services: Shared, caller: Reader, response_id: ResponseId) -> dict[str, Any]:
    """Return a response's state."""
    return response_view(services, caller.tenant, _edit_id(response_id))


@router.post("/{response_id}/cancel")
def cancel_response(services: Shared, caller: Writer, response_id: ResponseId) -> dict[str, Any]:
    """Cancel a response made in the background."""
    services.desk.cancel(caller.tenant, _edit_id(response_id))
    return response_view(services, caller.tenant, _edit_id(response_id))


def response_view(services: Services, tenant: str, edit_id: str) -> dict[str, Any]:
    """Return an edit as a response with one image generation call."""
    with services.store.database.read() as rows:
        edit = services.desk.get(rows, tenant, edit_id)
    tail = edit.id.removeprefix("edit_")
    status = _STATUS[edit.status]
    call: dict[str, Any] = {
        "type": "image_generation_call",
        "id": f"ig_{tail}",
        "status": status if status in ("completed", "failed", "in_progress") else "generating",
        "action": "edit",
        "result": None,
    }
    output: list[dict[str, Any]] = [call]
    if edit.status == "succeeded":
        answer = images_answer(services.store, edit, None)
        call |= {
            "result": answer["data"][0]["b64_json"],
            "revised_prompt": revised_prompt(edit),
            "output_format": answer["output_format"],
            "size": answer["size"],
        }
        text = {"type": "output_text", "text": revised_prompt(edit), "annotations": []}
        output.append(
            {
                "type": "message",
                "id": f"msg_{tail}",
                "role": "assistant",
                "status": "completed",
                "content": [text],
            }
        )
    previous = edit.request.get("previous_response_id")
    return {
        "id": f"resp_{tail}",
        "object": "response",
        "created_at": int(edit.created_at),
        "status": status,
        "background": False,
        "model": edit.request.get("model", "brushedit"),
        "output": output,
        "error": {"code": "server_error", "message": edit.error["message"]} if edit.error else None,
        "incomplete_details": None,
        "instructions": None,
        "parallel_tool_calls": False,
        "previous_response_id": previous,
        "tool_choice": "auto",
        "tools": [{"type": "image_generation"}],
        "metadata": edit.request.get("metadata", {}),
        "edit": {"id": edit.id, "session_id": edit.session_id, "plan": edit.plan, "error": edit.error},
    }


async def _streamed(
    services: Services, caller: Caller, edit_id: str, partial_images: int | None
) -> AsyncIterator[str]:
    numbers, partial = iter(range(2**31)), 0

    def told(kind: str, **data: Any) -> str:
        return sse(kind, {"type": kind, "sequence_number": next(numbers), **data})

    view = await to_thread.run_sync(response_view, services, caller.tenant, edit_id)
    about = {"item_id": view["output"][0]["id"], "output_index": 0}
    yield told("response.created", response={**view, "output": []})
    yield told("response.image_generation_call.in_progress", **about)
    async for happening in happenings(services, caller, edit_id, 0):
        if happening is None:
            yield ": still here\n\n"
        if not isinstance(happening, Happening):
            continue
        if shown := await partial_image(services, happening, partial_images, partial):
            yield told(
                "response.image_generation_call.partial_image",
                partial_image_b64=shown,
                partial_image_index=partial,
                **about,
            )
            partial += 1
        if happening.type in FINISHED:
            view = await to_thread.run_sync(response_view, services, caller.tenant, edit_id)
            if happening.type == "succeeded":
                yield told("response.image_generation_call.completed", **about)
                for index, item in enumerate(view["output"]):
                    yield told("response.output_item.done", output_index=index, item=item)
            yield told(
                "response.completed" if happening.type == "succeeded" else "response.failed", response=view
            )


def _tool(body: ResponseBody) -> dict[str, Any]:
    for tool in body.tools:
        if tool.get("type") == "image_generation":
            return tool
    raise InvalidRequest("only the tool image_generation is served here", param="tools")


def _asked(services: Services, tenant: str, body: ResponseBody, tool: dict[str, Any]) -> Asked:
    require_model(services, body.model)
    text, image, call = _said(body.input)
    if not text:
        raise InvalidRequest("the input says nothing", param="input")
    parent = body.previous_response_id or call
    fields: dict[str, Any] = {"prompt": text, "metadata": body.metadata}
    fields |= {name: tool[name] for name in _TOOL_FIELDS if tool.get(name) is not None}
    if body.stream and fields.get("partial_images"):
        fields["stream"] = True
    if tool.get("input_image_mask"):
        fields["mask"] = tool["input_image_mask"]
    known = {"model": body.model, "previous_response_id": body.previous_response_id}
    if image is not None:
        fields["image"] = image
        asked = image_edit(services, tenant, fields, {})
        request = {**asked.order.request, **known}
        return replace(asked, order=replace(asked.order, request=request, session_title=text[:_TITLE]))
    if parent is None:
        raise InvalidRequest("the input shows no picture, and no earlier response is named", param="input")
    edit = _parent(services, tenant, parent)
    fields["image"] = f"{edit.id}/0" if edit.status == "succeeded" else None
    if fields["image"] is None:
        raise InvalidRequest("the earlier response made no picture", param="previous_response_id")
    asked = image_edit(services, tenant, fields, {})
    order = replace(asked.order, request={**asked.order.request, **known, "parent_index": 0})
    if edit.session_id is None:
        return replace(asked, order=replace(order, session_title=text[:_TITLE]))
    return replace(asked, order=replace(order, session_id=edit.session_id, parent_id=edit.id))


def _said(said: str | tuple[dict[str, Any], ...]) -> tuple[str, str | None, str | None]:
    """Return the words, the last picture and the last image generation call of an input.

    The words are those said since that call; an input that ends with it has said them right before.
    """
    if isinstance(said, str):
        return said.strip(), None, None
    earlier: list[str] = []
    words: list[str] = []
    image: str | None = None
    call: str | None = None
    for item in said:
        if item.get("type") == "image_generation_call":
            call, image = str(item.get("id", "")), None
            earlier, words = words or earlier, []
        if item.get("role") != "user":
            continue
        content = item.get("content")
        parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
        if not isinstance(parts, list):
            raise InvalidRequest("a message's content must be text, or a list of parts", param="input")
        for part in parts:
            if not isinstance(part, dict):
                raise InvalidRequest("the parts of a message must be objects", param="input")
            if part.get("type") == "input_text":
                words.append(str(part.get("text", "")))
            elif part.get("type") == "input_image":
                found = part.get("image_url") or part.get("file_id")
                if not isinstance(found, str):
                    raise InvalidRequest("an input_image needs image_url or file_id", param="input")
                image = found
    return "\n".join(words or earlier).strip(), image, call


def _parent(services: Services, tenant: str, name: str) -> Edit:
    if match := _CALL.fullmatch(name):
        edit_id = f"edit_{match[1]}"
    elif name.startswith("resp_"):
        edit_id = _edit_id(name)
    else:
        raise NotFound(f"there is no {name}", param="previous_response_id")
    with services.store.database.read() as rows:
        return services.desk.get(rows, tenant, edit_id)


def _edit_id(response_id: str) -> str:
    return "edit_" + response_id.removeprefix("resp_")
