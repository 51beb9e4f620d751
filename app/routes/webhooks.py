"""`/v1/webhooks/secret`: the key a receiver checks signatures with."""

from fastapi import APIRouter

from app.access import Writer
from app.links import webhook_secret
from app.routes.shapes import PROBLEMS
from app.services import Shared

router = APIRouter(prefix="/v1/webhooks", tags=["edits"], responses=PROBLEMS)


@router.get("/secret")
def get_secret(services: Shared, caller: Writer) -> dict[str, str]:
    """Return the caller's webhook secret (Standard Webhooks)."""
    return {"key": webhook_secret(services.secret, caller.tenant)}
