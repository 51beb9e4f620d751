"""The MCP endpoint: other agents edit pictures with the same keys, limits and queue as everybody else."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, Final, final

from anyio import to_thread
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access import Caller, identify, require_scope
from app.jobs.desk import Order, Ticket
from app.orders import prepare
from app.problems import describe_faults, problem
from app.schemas import EditBody
from app.services import Services
from app.store.tables import Edit, Happening
from app.streams import happenings
from brushedit.errors import EditError

Picture = Annotated[
    str, Field(description="Data URL (data:image/png;base64,…), or the id of a file, edit or session.")
]
Words = Annotated[str, Field(description='What to change, such as "remove the blue cube".')]

_ABOUT: Final = (
    "Edits a picture by a sentence; everything outside the edit stays identical, bit for bit. "
    "edit_image begins a session, continue_session says the next thing about its picture, "
    "plan_edit tells what an edit would do without painting."
)


@final
class Door:
    """ASGI application that lets callers with a key through to another one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        request = Request(scope, receive)
        try:
            require_scope(await to_thread.run_sync(identify, request), "edit")
        except EditError as error:
            await problem(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def build_tools(services: Services) -> MCPServer[Any]:
    """Return the MCP server with its tools."""
    server: MCPServer[Any] = MCPServer("brushedit", instructions=_ABOUT)

    @server.tool(structured_output=False)
    async def edit_image(image: Picture, instruction: Words, ctx: Context[Any, Any]) -> list[Any]:  # pyright: ignore[reportUnusedFunction] - registered
        """Edit a picture; returns the result and the id of a session to go on with."""
        caller = _caller(ctx)
        order = await _order(services, caller, image=image, instruction=instruction)
        order = replace(order, session_title=instruction[:60])
        return await _carry_out(services, caller, order, ctx)

    @server.tool(structured_output=False)
    async def continue_session(  # pyright: ignore[reportUnusedFunction] - registered
        session_id: str, instruction: Words, ctx: Context[Any, Any]
    ) -> list[Any]:
        """Say the next thing about a session's picture: "bigger", "now the other one"."""
        caller = _caller(ctx)
        order = await _order(services, caller, session_id=session_id, instruction=instruction)
        return await _carry_out(services, caller, order, ctx)

    @server.tool(structured_output=False)
    async def plan_edit(image: Picture, instruction: Words, ctx: Context[Any, Any]) -> list[Any]:  # pyright: ignore[reportUnusedFunction] - registered
        """Tell what an edit would do, and where, without painting."""
        caller = _caller(ctx)
        order = await _order(services, caller, image=image, instruction=instruction)
        return await _carry_out(services, caller, replace(order, until="locate"), ctx)

    return server


def mcp_application(services: Services, server: MCPServer[Any]) -> ASGIApp:
    """Return the endpoint, for POST alone: it keeps no sessions of its own, so any API process can answer any request.

    Without sessions nothing would ever come on the stream that a GET opens.
    """
    inner = server.streamable_http_app(
        streamable_http_path="/mcp",
        stateless_http=True,
        max_request_body_size=services.settings.max_body,
        # Host and Origin are checked at the door, as for every other route.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return Door(inner)


def _caller(ctx: Context[Any, Any]) -> Caller:
    request = ctx.request_context.request
    assert isinstance(request, Request)
    return request.state.caller


async def _order(services: Services, caller: Caller, **fields: str) -> Order:
    try:
        body = EditBody.model_validate(fields)
        return await to_thread.run_sync(prepare, services, caller.tenant, body, {}, limiter=services.decoders)
    except ValidationError as error:
        raise ToolError(describe_faults(list(error.errors())).message) from error
    except EditError as error:
        raise ToolError(f"{error.code}: {error.message}") from error


async def _carry_out(services: Services, caller: Caller, order: Order, ctx: Context[Any, Any]) -> list[Any]:
    def accept() -> Ticket:
        return services.desk.accept(caller.tenant, order, tenant_limit=caller.queue_limit)

    try:
        ticket = await to_thread.run_sync(accept)
    except EditError as error:
        raise ToolError(f"{error.code}: {error.message}") from error
    await _report(ctx, happenings(services, caller, ticket.edit.id, 0))

    def read() -> Edit:
        with services.store.database.read() as rows:
            return rows.get_one(Edit, ticket.edit.id)

    edit = await to_thread.run_sync(read)
    if edit.status != "succeeded":
        error = edit.error or {"code": "not_finished", "message": "the edit has not ended"}
        kept = f" (session_id: {edit.session_id})" if edit.session_id else ""
        raise ToolError(f"{error['code']}: {error['message']}{kept}")
    told: dict[str, Any] = {"edit_id": edit.id, "session_id": edit.session_id, "plan": edit.plan}
    told["regions"] = [
        {key: region[key] for key in ("coverage", "candidates", "chosen")} for region in edit.regions
    ]
    images: list[dict[str, Any]] = (edit.result or {}).get("images", [])
    shown = [
        Image(
            data=await to_thread.run_sync(services.store.blobs.get, image["file"]),
            format=image["media_type"].rpartition("/")[2],
        )
        for image in images
    ]
    return [*shown, json.dumps(told, ensure_ascii=False)]


async def _report(ctx: Context[Any, Any], told: AsyncIterator[Happening | int | None]) -> None:
    async for happening in told:
        if isinstance(happening, int) and happening > 0:
            await ctx.report_progress(0, None, f"{happening} edits are before this one")
        elif isinstance(happening, Happening) and happening.type == "denoised":
            await ctx.report_progress(happening.data["step"], happening.data["steps"], "painting")
