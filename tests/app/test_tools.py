"""The `mcp` package's own client against a live server."""

import asyncio
import base64
import json

import httpx
import numpy as np
from mcp.client import Client

from tests.server import pixels, png


def run(service, work):
    async def inside():
        async with Client(f"http://127.0.0.1:{service.port}/mcp") as client:
            return await work(client)

    return asyncio.run(inside())


def data_url(data):
    return "data:image/png;base64," + base64.b64encode(data).decode()


def read(result):
    assert not result.is_error, result.content
    images = [base64.b64decode(part.data) for part in result.content if part.type == "image"]
    return images, json.loads(result.content[-1].text)


def test_an_agent_edits_and_goes_on(service):
    image, steps = png(), []

    async def progress(done, total, message):
        steps.append((done, total))

    async def work(client):
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names == {"edit_image", "continue_session", "plan_edit"}
        first = await client.call_tool(
            "edit_image", {"image": data_url(image), "instruction": "make it red"}, progress_callback=progress
        )
        _, told = read(first)
        second = await client.call_tool(
            "continue_session", {"session_id": told["session_id"], "instruction": "bigger"}
        )
        plan = await client.call_tool("plan_edit", {"image": data_url(image), "instruction": "what"})
        return first, second, plan

    first, second, plan = run(service, work)
    (made,), told = read(first)
    assert np.array_equal(pixels(made)[0], pixels(image)[0])
    assert steps[-1] == (6, 6)
    (_,), again = read(second)
    assert again["session_id"] == told["session_id"]
    assert again["plan"]["steps"][0]["caption"] == "bigger after 1"
    none, planned = read(plan)
    assert none == []
    assert planned["regions"][0]["coverage"] == 0.25


def test_failures_are_told_to_the_agent(service):
    async def work(client):
        return [
            await client.call_tool("edit_image", {"image": data_url(png()), "instruction": "missing"}),
            await client.call_tool("edit_image", {"image": "/etc/passwd", "instruction": "x"}),
            await client.call_tool("plan_edit", {"image": data_url(png()), "instruction": ""}),
            await client.call_tool(
                "continue_session", {"session_id": "session_" + "0" * 32, "instruction": "x"}
            ),
        ]

    codes = [result.content[0].text for result in run(service, work)]
    assert all(
        code in text
        for code, text in zip(
            ("target_not_found", "invalid_request", "instruction", "not_found"), codes, strict=True
        )
    )
    # The session with the picture is there to go on with.
    assert "session_id: session_" in codes[0]


def test_no_stream_is_opened_on_which_nothing_would_come(service):
    headers = {"Accept": "text/event-stream"}
    response = httpx.get(f"http://127.0.0.1:{service.port}/mcp", headers=headers, trust_env=False)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


def test_the_endpoint_asks_for_a_key_and_an_origin_it_knows(service):
    headers = {"Origin": "http://evil.example", "Accept": "application/json, text/event-stream"}
    response = httpx.post(f"http://127.0.0.1:{service.port}/mcp", json={}, headers=headers, trust_env=False)
    assert response.status_code == 403
