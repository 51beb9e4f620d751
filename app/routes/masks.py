"""`/v1/masks` and `/v1/plan`: the tools and stages before painting, on their own."""

import base64
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from app.access import Writer
from app.bodies import read_body
from app.orders import edit_body, prepare, read_picture_ref
from app.pictures import Picture, Source, decode_mask, encode, encode_mask
from app.pictures.reading import decode
from app.refusals import InvalidRequest
from app.routes.edits import RepeatKey, accept, answer
from app.routes.shapes import EDIT_REQUEST, PROBLEMS
from app.schemas import Coordinate, PictureRef, Strict
from app.services import Services, Shared
from brushedit import masks
from brushedit.errors import ImageTooLarge
from brushedit.types import Box, Mask

router = APIRouter(prefix="/v1", responses=PROBLEMS)

Distance = Annotated[float, Field(ge=0, le=4096)]
Corners = tuple[Coordinate, Coordinate, Coordinate, Coordinate]
_PLAN_SECONDS = 60.0


class ByDistance(Strict):
    """Grow, shrink or smooth by some pixels."""

    op: Literal["grow", "shrink", "smooth"]
    px: Distance


class Plain(Strict):
    """What needs no number."""

    op: Literal["invert", "fill_holes", "largest"]


class Move(Strict):
    """Move right and down."""

    op: Literal["move"]
    dx: Coordinate
    dy: Coordinate


class Combine(Strict):
    """Combine with another mask, or with a shape."""

    op: Literal["union", "subtract", "intersect"]
    mask: PictureRef | None = None
    box: Corners | None = None
    ellipse: Corners | None = None
    polygon: tuple[tuple[float, float], ...] | None = Field(default=None, max_length=1000)


class MaskBody(Strict):
    """Where a mask begins, and what is done to it."""

    mask: PictureRef | None = Field(default=None, description="Data URL or file id; otherwise an empty mask.")
    mask_polarity: Literal["auto", "white", "black", "alpha"] = "auto"
    width: int | None = Field(default=None, ge=1, le=65535)
    height: int | None = Field(default=None, ge=1, le=65535)
    operations: tuple[Annotated[ByDistance | Plain | Move | Combine, Field(discriminator="op")], ...] = Field(
        default=(), max_length=50
    )
    feather: Distance = Field(default=0, description="Width of a soft edge in the answer, in pixels.")


@router.post("/masks", tags=["masks"])
async def work_on_mask(services: Shared, caller: Writer, body: MaskBody) -> dict[str, Any]:
    """Make a mask or change one; the answer's `mask` is a data URL that edits take."""
    return await to_thread.run_sync(_work, services, caller.tenant, body, limiter=services.decoders)


@router.post(
    "/plan",
    tags=["edits"],
    status_code=202,
    openapi_extra=EDIT_REQUEST,
    responses={200: {"description": "Planned and located."}},
)
async def plan_edit(
    services: Shared, caller: Writer, request: Request, idempotency_key: RepeatKey = None
) -> JSONResponse:
    """Plan and locate without painting; `/v1/edits/{id}/fork` with stage "paint" carries it out."""
    body = await read_body(request, services.settings.max_json_depth)
    order = await to_thread.run_sync(
        prepare, services, caller.tenant, edit_body(body), body.files, limiter=services.decoders
    )
    if order.session_id:
        raise InvalidRequest("a plan is made for a picture; leave session_id out", param="session_id")
    ticket = await accept(services, caller, request, replace(order, until="locate"), idempotency_key)
    return await answer(services, request, ticket, otherwise=_PLAN_SECONDS)


def _work(services: Services, tenant: str, body: MaskBody) -> dict[str, Any]:
    mask = _first(services, tenant, body)
    for operation in body.operations:
        match operation:
            case ByDistance(op="grow", px=px):
                mask = masks.grow(mask, px)
            case ByDistance(op="shrink", px=px):
                mask = masks.shrink(mask, px)
            case ByDistance(px=px):
                mask = masks.smooth(mask, px)
            case Plain(op="invert"):
                mask = masks.invert(mask)
            case Plain(op="fill_holes"):
                mask = masks.fill_holes(mask)
            case Plain():
                mask = masks.largest_component(mask)
            case Move(dx=dx, dy=dy):
                mask = masks.move(mask, dx, dy)
            case Combine(op="union"):
                mask = masks.union(mask, _other(services, tenant, operation, mask))
            case Combine(op="subtract"):
                mask = masks.subtract(mask, _other(services, tenant, operation, mask))
            case Combine():
                mask = masks.intersect(mask, _other(services, tenant, operation, mask))
    box = masks.bounding_box(mask)
    png = _soft(mask, body.feather) if body.feather else encode_mask(mask)
    return {
        "object": "mask",
        "mask": f"data:image/png;base64,{base64.b64encode(png).decode()}",
        "width": mask.shape[1],
        "height": mask.shape[0],
        "coverage": masks.coverage(mask),
        "box": [box.x0, box.y0, box.x1, box.y1] if box else None,
    }


def _first(services: Services, tenant: str, body: MaskBody) -> Mask:
    limit = services.settings.max_pixels
    if body.mask is None:
        if body.width is None or body.height is None:
            raise InvalidRequest("a mask, or width and height, are needed", param="mask")
        if body.width * body.height > limit:
            raise ImageTooLarge(f"a mask may have at most {limit} pixels", param="width")
        return np.zeros((body.height, body.width), np.bool_)
    data = _read(services, tenant, body.mask)
    shape = decode(data, max_pixels=limit).pixels.shape
    for name, given, size in (("height", body.height, shape[0]), ("width", body.width, shape[1])):
        if given not in (None, size):
            raise InvalidRequest(f"the mask's {name} is {size} pixels, not {given}", param=name)
    return decode_mask(data, (shape[0], shape[1]), polarity=body.mask_polarity, max_pixels=limit)


def _other(services: Services, tenant: str, operation: Combine, mask: Mask) -> Mask:
    height, width = mask.shape
    given = [
        value for value in (operation.mask, operation.box, operation.ellipse, operation.polygon) if value
    ]
    if len(given) != 1:
        raise InvalidRequest(
            f"{operation.op} needs one of mask, box, ellipse and polygon", param="operations"
        )
    if operation.box:
        return masks.from_box(Box(*operation.box), height, width)
    if operation.ellipse:
        return masks.from_ellipse(Box(*operation.ellipse), height, width)
    if operation.polygon:
        return masks.from_polygon(operation.polygon, height, width)
    data = _read(services, tenant, operation.mask or "")
    return decode_mask(data, (height, width), max_pixels=services.settings.max_pixels)


def _read(services: Services, tenant: str, ref: str) -> bytes:
    found = read_picture_ref(services, tenant, "mask", ref)
    return found if isinstance(found, bytes) else services.store.blobs.get(found)


def _soft(mask: Mask, px: float) -> bytes:
    grey = np.floor(masks.feather(mask, px) * 255 + 0.5).astype(np.uint8)
    pixels = np.repeat(grey[:, :, None], 3, axis=2)
    return encode(pixels, Picture(pixels, source=Source(mode="L")), format="png")
