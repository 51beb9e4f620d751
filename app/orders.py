"""From a request's words and pictures to an order the desk accepts: everything checked that can be."""

import base64
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Literal

from pydantic import ValidationError

from app.bodies import Body, Upload
from app.fetching import fetch, require_webhook_address
from app.jobs import wire
from app.jobs.desk import Order
from app.pictures import Picture, decode, decode_mask, encode_mask
from app.problems import describe_faults
from app.refusals import Conflict, InvalidRequest, NotFound
from app.schemas import OPTION_ALIASES, EditBody, ForkBody, OptionsBody
from app.services import Services
from app.store.tables import Edit, File, Session
from brushedit.errors import EmptyMask, InvalidMask
from models.catalog import find_profile

_DATA_URL: Final = re.compile(r"data:(image/[a-z+.-]{1,20})?(;[a-zA-Z0-9=-]{1,40})*;base64,", re.ASCII)
_EDIT_REF: Final = re.compile(r"(edit_[0-9a-f]{32})(?:/(\d{1,2}))?", re.ASCII)
_FILE_REF: Final = re.compile(r"file_[0-9a-f]{32}", re.ASCII)
_SESSION_REF: Final = re.compile(r"session_[0-9a-f]{32}", re.ASCII)
_MEDIA_TYPES: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
_SEEDS: Final = 2**31


def edit_body(body: Body) -> EditBody:
    """Return the fields of an edit; in a form, an option may be a field of its own."""
    fields = dict(body.fields)
    if body.files:
        options = fields.pop("options", {})
        if not isinstance(options, dict):
            raise InvalidRequest("options must be a JSON object", param="options")
        own = [name for name in fields if OPTION_ALIASES.get(name, name) in OptionsBody.model_fields]
        fields["options"] = {**options, **{name: fields.pop(name) for name in own}}
    return EditBody.model_validate(fields)


def prepare(
    services: Services,
    tenant: str,
    body: EditBody,
    files: Mapping[str, tuple[Upload, ...]],
    *,
    opaque_mask: Literal["white", "alpha"] = "white",
) -> Order:
    """Return the order for an edit: pictures found and decoded once, options checked, the mask normalised.

    `opaque_mask` says by what an opaque mask selects that has an alpha channel, where `mask_polarity` is "auto".
    """
    try:
        options = body.paint_options(find_profile(services.settings.profile).sampling)
        plan = body.edit_plan()
    except ValidationError as error:
        raise describe_faults(list(error.errors())) from error
    asked = wire.options_to_json(options)
    request: dict[str, Any] = {
        "instruction": body.instruction,
        "mask_mode": body.mask_mode,
        "options": asked,
        "output_quality": body.output_quality,
        "recipe": body.recipe,
        "metadata": dict(body.metadata),
    }
    if "seed" not in body.options:
        del asked["seed"]
        request["derived_seed"] = secrets.randbelow(_SEEDS)
    if body.box is not None:
        request["box"] = list(body.box)
    if body.points:
        request["points"] = [point.model_dump() for point in body.points]
    if body.which:
        request["which"] = body.which
    if body.output_format:
        request["output_format"] = body.output_format
    if body.webhook:
        require_webhook_address(services.settings, body.webhook)
        request |= {"webhook": body.webhook, "webhook_events": list(body.webhook_events_filter)}

    image: bytes | str | None = _picture(services, tenant, "image", body.image, files)
    # Every turn keeps its session's size, so the session's picture stands in for one not painted yet.
    known = image
    if body.session_id:
        if image is not None:
            raise InvalidRequest("a turn works on the session's picture; leave image out", param="image")
        known = _session_picture(services, tenant, body.session_id, body.parent_id)
        request["parent_index"] = body.parent_index
    elif body.parent_id:
        raise InvalidRequest("parent_id needs a session_id", param="parent_id")
    if known is None:
        raise InvalidRequest("image is missing", param="image")

    picture = decode(_bytes(services, known), max_pixels=services.settings.max_pixels)
    return Order(
        request=request,
        image=image,
        media_type=_MEDIA_TYPES[picture.source.format],
        mask=_mask(services, tenant, picture, body, files, opaque_mask),
        plan=wire.plan_to_json(plan) if plan else None,
        session_id=body.session_id,
        parent_id=body.parent_id,
    )


def prepare_fork(services: Services, tenant: str, edit_id: str, body: ForkBody) -> Order:
    """Return the order that resumes an edit with changes."""
    with services.store.database.read() as rows:
        edit = services.desk.get(rows, tenant, edit_id)
    if not edit.image:
        raise Conflict("this edit has not begun; there is nothing to resume from")
    changed = EditBody(instruction=body.instruction or edit.request["instruction"], options=body.options)
    if changed.instruction != edit.request["instruction"] and body.stage != "plan":
        raise InvalidRequest('a new instruction is planned anew: it needs stage "plan"', param="stage")
    try:
        plan = wire.plan_from_json(body.plan) if body.plan is not None else None
        merged = {**edit.request["options"], **_renamed(body.options)}
        options = wire.options_to_json(OptionsBody.model_validate(merged).to_options())
    except ValidationError as error:
        raise describe_faults(list(error.errors())) from error
    if "seed" not in merged:
        del options["seed"]
    if body.caption is not None:
        base = wire.plan_to_json(plan) if plan else edit.plan
        if not base or not base["steps"]:
            raise InvalidRequest("there is no plan whose caption could change", param="caption")
        steps = [dict(step) for step in base["steps"]]
        steps[0]["caption"] = body.caption
        plan = wire.plan_from_json({"steps": steps})
    request: dict[str, Any] = {"instruction": changed.instruction, "options": options}
    mask = None
    if body.mask is not None:
        picture = decode(_bytes(services, edit.image), max_pixels=services.settings.max_pixels)
        with_mask = EditBody(
            instruction=changed.instruction, mask=body.mask, mask_polarity=body.mask_polarity
        )
        mask = _mask(services, tenant, picture, with_mask, {}, "white")
        request["mask_mode"] = "replace"
    change = Order(
        request=request,
        image=None,
        mask=mask,
        plan=wire.plan_to_json(plan) if plan else None,
        session_id=edit.session_id,
        parent_id=edit.parent_id,
    )
    return services.desk.fork(tenant, edit_id, body.stage, change)


def read_picture_ref(services: Services, tenant: str, name: str, ref: str) -> bytes | str:
    """Return the bytes a reference holds, or the digest of the stored picture it names."""
    if match := _DATA_URL.match(ref):
        try:
            return base64.b64decode(ref[match.end() :], validate=True)
        except ValueError as error:
            raise InvalidRequest(f"{name} is no valid base64: {error}", param=name) from error
    with services.store.database.read() as rows:
        if match := _EDIT_REF.fullmatch(ref):
            edit = services.desk.get(rows, tenant, match[1])
            images = (edit.result or {}).get("images", [])
            index = int(match[2] or 0)
            if index >= len(images):
                raise NotFound(f"{match[1]} has no picture {index}", param=name)
            return images[index]["lossless"]
        if _FILE_REF.fullmatch(ref):
            file = rows.get(File, ref)
            if file is None or file.tenant != tenant:
                raise NotFound(f"there is no file {ref}", param=name)
            return file.digest
        if _SESSION_REF.fullmatch(ref):
            session = rows.get(Session, ref)
            if session is None or session.tenant != tenant:
                raise NotFound(f"there is no session {ref}", param=name)
            return session.image
    if ref.startswith(("http://", "https://")):
        return fetch(services.settings, ref, param=name)
    raise InvalidRequest(
        f"{name} must be a data URL (data:image/png;base64,…), or the id of a file, an edit or a session",
        param=name,
    )


def _picture(
    services: Services, tenant: str, name: str, ref: str | None, files: Mapping[str, tuple[Upload, ...]]
) -> bytes | str | None:
    uploads = files.get(name, ())
    if len(uploads) + (ref is not None) > 1:
        raise InvalidRequest(f"one {name} is expected", param=name)
    if uploads:
        return uploads[0].data
    return None if ref is None else read_picture_ref(services, tenant, name, ref)


def _bytes(services: Services, picture: bytes | str) -> bytes:
    return picture if isinstance(picture, bytes) else services.store.blobs.get(picture)


def _mask(
    services: Services,
    tenant: str,
    picture: Picture,
    body: EditBody,
    files: Mapping[str, tuple[Upload, ...]],
    opaque: Literal["white", "alpha"],
) -> bytes | None:
    mask = _picture(services, tenant, "mask", body.mask, files)
    if mask is None:
        return None
    read = partial(
        decode_mask,
        _bytes(services, mask),
        picture.pixels.shape[:2],
        resize=body.mask_resize,
        max_pixels=services.settings.max_pixels,
    )
    selected = None
    if body.mask_polarity == "auto" and opaque == "alpha":
        # A mask without an alpha channel goes by white; any other fault is found again.
        with suppress(InvalidMask):
            selected = read(polarity="alpha")
    if selected is None:
        selected = read(polarity=body.mask_polarity)
    if body.mask_mode == "replace" and not selected.any():
        raise EmptyMask("the mask selects nothing, so nothing would change", param="mask")
    return encode_mask(selected)


def _session_picture(services: Services, tenant: str, session_id: str, parent_id: str | None) -> str:
    """Return the picture a session began with, having checked that the turn to build on is one of its turns."""
    with services.store.database.read() as rows:
        session = rows.get(Session, session_id)
        if session is None or session.tenant != tenant:
            raise NotFound(f"there is no session {session_id}", param="session_id")
        if parent_id is not None:
            parent = rows.get(Edit, parent_id)
            if parent is None or parent.tenant != tenant or parent.session_id != session_id:
                raise NotFound(f"there is no turn {parent_id} in this session", param="parent_id")
        return session.image


def _renamed(options: Mapping[str, Any]) -> dict[str, Any]:
    return {OPTION_ALIASES.get(name, name): value for name, value in options.items()}
