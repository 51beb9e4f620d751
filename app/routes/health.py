"""`/healthz` (alive), `/readyz` (a worker has its models loaded), `/metrics` (Prometheus)."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import select

from app.access import identify, require_scope
from app.jobs.queue import now
from app.services import Services, Shared
from app.store.tables import Worker

router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """Answer as long as the process does."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Not ready."}})
def ready(services: Shared) -> Response:
    """Tell whether edits are carried out: a worker is ready, and this process is not stopping."""
    workers = live_workers(services)
    loaded = [worker for worker in workers if worker.state == "ready"]
    draining = services.news.closing.is_set()
    about: dict[str, Any] = {
        "status": "draining" if draining else "ready" if loaded else "loading" if workers else "no worker",
        "workers": len(loaded),
    }
    ok = loaded and not draining
    return JSONResponse(about, 200 if ok else 503, {} if ok else {"Retry-After": "5"})


@router.get("/metrics", response_class=Response, responses={401: {"description": "No valid key."}})
def metrics(services: Shared, request: Request) -> Response:
    """Return figures for Prometheus; needs a key of the scope "metrics" unless the settings make them public."""
    if not services.settings.metrics_public:
        require_scope(identify(request), "metrics")
    return Response(services.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def live_workers(services: Services) -> list[Worker]:
    """Return the workers that gave a sign of life lately."""
    since = now() - services.settings.worker_timeout
    with services.store.database.read() as rows:
        return list(rows.scalars(select(Worker).where(Worker.seen_at > since)))
