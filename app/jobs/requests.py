"""From an edit's row to what the agent is asked: pictures read, the conversation retold."""

from typing import Any

from sqlalchemy.orm import Session as Rows

from app.jobs import wire
from app.pictures import decode_mask
from app.refusals import Conflict
from app.store.records import Store
from app.store.tables import Edit
from brushedit.types import EditPlan, EditRequest, Image, Region, Turn, Which


def build_request(
    store: Store, edit: Edit, image: Image, plan: EditPlan | None, history: tuple[Turn, ...]
) -> EditRequest:
    """Return what the agent is asked."""
    asked = edit.request
    mask = asked.get("mask")
    return EditRequest(
        image=image,
        instruction=asked["instruction"],
        mask=decode_mask(store.blobs.get(mask), image.shape[:2], polarity="white") if mask else None,
        mask_mode=asked.get("mask_mode", "replace"),
        box=wire.box_from_json(asked.get("box")),
        points=wire.points_from_json(asked.get("points", [])),
        plan=plan,
        which=Which(asked["which"]) if asked.get("which") else None,
        options=wire.options_from_json(seeded_options(edit.request)),
        history=history,
    )


def seeded_options(asked: dict[str, Any]) -> dict[str, Any]:
    """Return an edit's options with the seed that is used, drawn or asked for."""
    options = asked.get("options", {})
    return options if "seed" in options else {**options, "seed": asked.get("derived_seed", 0)}


def read_history(rows: Rows, edit: Edit) -> tuple[Turn, ...]:
    """Return the turns from the session's first picture to this edit, oldest first."""
    turns: list[Turn] = []
    parent = rows.get(Edit, edit.parent_id) if edit.parent_id else None
    while parent is not None:
        if parent.plan:
            turns.append(Turn(parent.request["instruction"], wire.plan_from_json(parent.plan)))
        parent = rows.get(Edit, parent.parent_id) if parent.parent_id else None
    return tuple(reversed(turns))


def parent_picture(rows: Rows, edit: Edit) -> str:
    """Return the digest of the picture a turn works on: what its parent made of it."""
    parent = rows.get(Edit, edit.parent_id)
    if parent is None or parent.status != "succeeded" or not (parent.result or {}).get("images"):
        raise Conflict("the turn this one builds on made no picture", param="parent_id")
    images: list[dict[str, Any]] = (parent.result or {})["images"]
    index = edit.request.get("parent_index", 0)
    if index >= len(images):
        raise Conflict(f"the turn this one builds on made {len(images)} pictures", param="parent_index")
    return images[index]["lossless"]


def read_regions(store: Store, edit: Edit, shape: tuple[int, int]) -> dict[int, Region]:
    """Return the regions that are known already, by step."""
    return {
        number: Region(
            mask=decode_mask(store.blobs.get(region["mask"]), shape, polarity="white"),
            candidates=wire.candidates_from_json(region["candidates"]),
            chosen=tuple(region["chosen"]),
            scores=tuple(region["scores"]),
        )
        for number, region in enumerate(edit.regions)
    }
