"""`/v1/images/edits` and `/v1/models`: what OpenAI's clients ask for, answered as they expect."""

import base64
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from app.access import Caller, Reader, Writer
from app.bodies import read_body
from app.compatible import MODELS, Asked, ImageEditBody, image_edit, require_model
from app.jobs.answers import images_answer, usage
from app.jobs.resizing import resized
from app.links import read_token, sign
from app.problems import error_body
from app.refusals import Ended, NotFound, Unfinished
from app.routes.edits import RepeatKey, accept
from app.routes.shapes import PROBLEMS, inlined, request_of
from app.services import Services, Shared
from app.store.tables import Edit, Happening
from app.streams import happenings, sse, stream

router = APIRouter(prefix="/v1", tags=["openai"], responses=PROBLEMS)
public = APIRouter(prefix="/v1", tags=["openai"], responses=PROBLEMS)

_REQUEST = request_of(inlined(ImageEditBody), ("image", "mask", "mask_image"))


@router.get("/models")
def list_models(services: Shared, _caller: Reader) -> dict[str, Any]:
    """List what `model` can be."""
    return {"object": "list", "data": [_model(name) for name in (*MODELS, services.settings.profile)]}


@router.get("/models/{model}")
def get_model(
    services: Shared, _caller: Reader, model: Annotated[str, Path(max_length=100)]
) -> dict[str, Any]:
    """Describe a model."""
    require_model(services, model)
    return _model(model)


@router.post("/images/edits", openapi_extra=_REQUEST)
async def edit_image(
    services: Shared, caller: Writer, request: Request, idempotency_key: RepeatKey = None
) -> Response:
    """Edit a picture and wait for the result; with `stream`, tell what happens meanwhile."""
    body = await read_body(request, services.settings.max_json_depth)
    asked = await to_thread.run_sync(
        image_edit, services, caller.tenant, body.fields, body.files, limiter=services.decoders
    )
    ticket = await accept(services, caller, request, asked.order, idempotency_key)
    if asked.body.stream:
        return stream(_streamed(services, caller, asked, ticket.edit.id))
    edit = await finished(services, ticket.edit.id)
    link: Callable[[int], str] | None = None
    if asked.body.response_format == "url":
        base = str(request.base_url)

        def made(number: int) -> str:
            return f"{base}v1/links/{sign(services.secret, edit.id, number)}"

        link = made
    answer = await to_thread.run_sync(images_answer, services.store, edit, link)
    return JSONResponse(answer, headers={"X-Seed": str(answer["edit"]["seeds"][0])})


@public.get("/links/{token}", response_class=Response)
async def follow_link(services: Shared, token: Annotated[str, Path(max_length=300)]) -> Response:
    """Return the picture a link of a result stands for, in the size that was asked for."""

    def work() -> Response:
        edit_id, number = read_token(services.secret, token)
        with services.store.database.read() as rows:
            edit = rows.get(Edit, edit_id)
        images: list[dict[str, Any]] = (edit.result or {}).get("images", []) if edit else []
        if edit is None or number >= len(images):
            raise NotFound("this link is not valid, or no longer")
        data = resized(services.store.blobs.get(images[number]["file"]), edit.request.get("size"))
        headers = {"Cache-Control": "private, max-age=3600"}
        return Response(data, media_type=images[number]["media_type"], headers=headers)

    return await to_thread.run_sync(work, limiter=services.decoders)


async def finished(services: Services, edit_id: str) -> Edit:
    """Return an edit that has succeeded, once it has.

    Raises
    ------
    Ended
        It failed.
    Unfinished
        It did not end in time; it goes on, and an equal request joins it.
    """
    ended = await services.news.wait_finished(edit_id, services.settings.max_wait)
    if not ended:
        raise Unfinished(f"the edit {edit_id} has not ended yet; ask again, or GET /v1/edits/{edit_id}")

    def read() -> Edit:
        with services.store.database.read() as rows:
            return rows.get_one(Edit, edit_id)

    edit = await to_thread.run_sync(read)
    if edit.status != "succeeded":
        raise Ended(edit.error or {"code": edit.status, "message": f"the edit {edit.status}", "param": None})
    return edit


async def partial_image(
    services: Services, happening: Happening, wanted: int | None, sent: int
) -> str | None:
    """Return the preview that came with an event, in base64, unless as many as are wanted have been sent."""
    if "preview" not in happening.data or sent >= (wanted or 0):
        return None
    data = await to_thread.run_sync(services.store.blobs.get, happening.data["preview"])
    return base64.b64encode(data).decode()


async def _streamed(services: Services, caller: Caller, asked: Asked, edit_id: str) -> AsyncIterator[str]:
    body, partial = asked.body, 0
    common: dict[str, Any] = {
        "background": "opaque",
        "output_format": body.output_format or "png",
        "quality": body.quality if body.quality in ("low", "medium", "high") else "auto",
        "size": body.size or "auto",
    }
    async for happening in happenings(services, caller, edit_id, 0):
        if happening is None:
            yield ": still here\n\n"
        if not isinstance(happening, Happening):
            continue
        if shown := await partial_image(services, happening, body.partial_images, partial):
            yield sse(
                "image_edit.partial_image",
                {
                    "type": "image_edit.partial_image",
                    "b64_json": shown,
                    "partial_image_index": partial,
                    "created_at": int(time.time()),
                    **common,
                    "output_format": "png",
                },
            )
            partial += 1
        elif happening.type == "succeeded":
            answer = await to_thread.run_sync(
                images_answer, services.store, await finished(services, edit_id), None
            )
            for image in answer["data"]:
                yield sse(
                    "image_edit.completed",
                    {
                        "type": "image_edit.completed",
                        "b64_json": image["b64_json"],
                        "revised_prompt": image["revised_prompt"],
                        "created_at": answer["created"],
                        "usage": usage(),
                        "edit": answer["edit"],
                        **common,
                    },
                )
        elif happening.type in ("failed", "canceled"):
            error = happening.data.get("error") or error_body("canceled", "the edit was canceled")["error"]
            yield sse("error", {"type": "error", "error": error})
    yield "data: [DONE]\n\n"


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_763_000_000, "owned_by": "brushedit"}
