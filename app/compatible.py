"""OpenAI's names for what an edit is asked with, turned into ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.bodies import Body, Upload
from app.jobs.desk import Order
from app.jobs.resizing import wanted_size
from app.orders import edit_body, prepare
from app.refusals import InvalidRequest, NotFound
from app.schemas import OPTION_ALIASES, EditBody, Metadata, OptionsBody
from app.services import Services
from models.catalog import find_profile

MODELS: Final = ("brushedit",)
_ALIASES: Final = re.compile(r"gpt-image-\S+|dall-e-2|chatgpt-image-\S+", re.ASCII)
_EFFORT: Final = {"low": 0.5, "medium": 1.0, "high": 2.0}
"""Denoising steps of a quality, over the profile's usual ones."""


def _truth(value: Any) -> Any:
    return (
        {"true": True, "false": False, "1": True, "0": False}.get(value, value)
        if isinstance(value, str)
        else value
    )


class ImageEditBody(BaseModel):
    """`POST /v1/images/edits`; unknown fields are ignored there, as OpenAI's libraries send new ones."""

    model_config = ConfigDict(extra="allow", frozen=True)

    prompt: str = Field(min_length=1, max_length=4000)
    image: str | tuple[str, ...] | None = None
    images: tuple[dict[str, Any], ...] | None = Field(default=None, max_length=16)
    mask: str | dict[str, Any] | None = None
    mask_image: str | None = Field(default=None, description="White = repaint.")
    mask_polarity: Literal["auto", "white", "black", "alpha"] = Field(
        default="auto", description='Of `mask`; "auto" = its alpha channel, or white where it has none.'
    )
    model: str = Field(default="brushedit", max_length=100)
    n: int | None = Field(default=1, ge=1, le=10)
    size: str | None = Field(default=None, max_length=16)
    quality: Literal["auto", "low", "medium", "high", "standard", "hd"] | None = None
    background: Literal["auto", "opaque", "transparent"] | None = None
    output_format: Literal["png", "jpeg", "webp"] | None = None
    output_compression: int | None = Field(default=None, ge=0, le=100)
    response_format: Literal["b64_json", "url"] = "b64_json"
    stream: Annotated[bool, BeforeValidator(_truth)] | None = False
    partial_images: int | None = Field(default=None, ge=0, le=3)
    user: str | None = Field(default=None, max_length=512)
    metadata: Metadata | None = None


@dataclass(frozen=True)
class Asked:
    """An image edit as it was asked for."""

    body: ImageEditBody
    order: Order


def require_model(services: Services, model: str) -> None:
    """Raise `NotFound` for a model that is not served; OpenAI's own image models stand for ours."""
    if model not in (*MODELS, services.settings.profile) and not _ALIASES.fullmatch(model):
        raise NotFound(f"there is no model {model!r}; see /v1/models", param="model")


def image_edit(
    services: Services, tenant: str, fields: Mapping[str, Any], files: Mapping[str, tuple[Upload, ...]]
) -> Asked:
    """Return the order an image edit describes.

    Raises
    ------
    EditError, ValidationError
    """
    body = ImageEditBody.model_validate(dict(fields))
    require_model(services, body.model)
    if body.background == "transparent":
        raise InvalidRequest("a transparent background cannot be painted", param="background")
    wanted_size(body.size)
    # An extension is one of our options, or a name users know it by elsewhere.
    extra = body.model_extra or {}
    names = {name: OPTION_ALIASES.get(name, name) for name in extra}
    options: dict[str, Any] = {
        ours: extra[name] for name, ours in names.items() if ours in OptionsBody.model_fields
    }
    options["samples"] = body.n or 1
    usual = find_profile(services.settings.profile).sampling.steps
    if body.quality in _EFFORT and "steps" not in options:
        options["steps"] = round(_EFFORT[body.quality] * usual)
    if body.stream and body.partial_images:
        steps = OptionsBody.model_validate({"steps": options.get("steps")}).steps or usual
        options["preview_every"] = max(1, steps // (body.partial_images + 1))

    files = dict(files)
    masks = [name for name in ("mask", "mask_image") if name in files or getattr(body, name) is not None]
    if len(masks) > 1:
        raise InvalidRequest("give mask or mask_image, not both", param="mask_image")
    if "mask_image" in files:
        files["mask"] = files.pop("mask_image")
    mask = body.mask_image if body.mask is None else _reference(body.mask, "mask")
    images = _images(body)
    if len(images) + len(files.get("image", ())) > 1:
        # OpenAI paints from several pictures; the mask, and so the edit, belongs to the first.
        images, files["image"] = images[:1], files.get("image", ())[: 1 - len(images[:1])]
    edit = EditBody(
        image=images[0] if images else None,
        instruction=body.prompt,
        mask=mask,
        mask_polarity="white" if masks == ["mask_image"] else body.mask_polarity,
        options=options,
        output_format=body.output_format or "png",
        output_quality=max(1, body.output_compression) if body.output_compression is not None else 95,
        metadata=body.metadata or {},
    )
    given = {name: found for name, found in files.items() if found}
    order = prepare(services, tenant, edit, given, opaque_mask="alpha")
    if body.size and body.size != "auto":
        order = replace(order, request={**order.request, "size": body.size})
    return Asked(body, order)


def _images(body: ImageEditBody) -> tuple[str, ...]:
    own = (body.image,) if isinstance(body.image, str) else body.image or ()
    return (*own, *(_reference(image, "images") for image in body.images or ()))


def _reference(image: str | dict[str, Any], param: str) -> str:
    """Return the address or file id of OpenAI's `{"image_url": …}` and `{"file_id": …}`."""
    if isinstance(image, str):
        return image
    found = image.get("image_url") or image.get("file_id")
    if isinstance(found, dict):
        found = found.get("url")
    if not isinstance(found, str):
        raise InvalidRequest("an image needs image_url or file_id", param=param)
    return found


def prepare_line(services: Services, tenant: str, endpoint: str, body: dict[str, Any]) -> Order:
    """Return the order for a line of a batch, or raise what its own request would have been answered."""
    if endpoint == "/v1/edits":
        return prepare(services, tenant, edit_body(Body(body, {})), {})
    return image_edit(services, tenant, body, {}).order
