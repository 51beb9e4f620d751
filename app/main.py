"""The API process: a FastAPI application that knows no models."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi_swagger import patch_fastapi
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from app import problems
from app.access import identify
from app.gates import Gate
from app.routes import batches, edits, files, health, images, masks, page, responses, sessions, webhooks
from app.services import build_services
from app.settings import Settings
from app.traces import NOT_TRACED


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application; without settings, those of the environment."""
    # Imported when an application is made: it takes as long as all the rest of this module.
    from app.tools import build_tools, mcp_application

    settings = settings or Settings()
    services = build_services(settings)
    tools = build_tools(services)
    endpoint = mcp_application(services, tools)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        await to_thread.run_sync(services.store.database.migrate)
        news = asyncio.create_task(services.news.run())
        async with tools.session_manager.run():
            yield
        services.news.close()
        news.cancel()
        with suppress(asyncio.CancelledError):
            await news
        services.queue.close()
        services.store.database.close()

    app = FastAPI(
        title="BrushEdit",
        summary="Edit a picture with a sentence; everything outside the edit stays identical.",
        version="1",
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        telemetry={
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
            "exclude": lambda scope: scope["path"] in NOT_TRACED,
        },
        lifespan=lifespan,
    )
    app.state.services = services
    problems.install(app)
    # Deny by default: whatever is added below asks for a key, only `health` and signed links do not.
    for module in (edits, masks, sessions, files, batches, images, responses, webhooks):
        app.include_router(module.router, dependencies=[Depends(identify)])
    app.include_router(health.router)
    app.include_router(images.public)
    app.include_router(page.router)
    # FastAPI's own page loads its scripts from elsewhere.
    patch_fastapi(app, redirect_from_root_to_docs=False)
    app.mount("/web", page.assets())
    app.router.routes.append(Route("/mcp", endpoint, methods=["POST"]))
    app.add_middleware(
        Gate,
        limit=settings.max_body,
        file_limit=settings.max_file,
        observe=services.metrics.observe,
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"]
        )
    return app
