"""Every route × {owner, other tenant, revoked, none}, asked of the application itself."""

import time

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from app.access import Caller, Rates
from app.cli import cli
from app.commands.keys import list_keys
from app.main import create_app
from app.refusals import TooMany
from app.settings import Settings
from tests.server import png

OPEN = {"/healthz", "/readyz", "/v1/links/{token}"}
"""Routes that ask for no key: two tell nothing but whether the service works, links carry their own proof."""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return create_app(Settings(data=tmp_path_factory.mktemp("access"), rate_per_minute=100_000))


@pytest.fixture(scope="module")
def http(app):
    with TestClient(app, base_url="http://127.0.0.1:8008") as client:
        yield client


@pytest.fixture(scope="module")
def keys(app, http):
    made = {name: app.state.services.keys.create(name)[1] for name in ("owner", "other", "revoked")}
    reader = app.state.services.keys.create("owner", scopes=("read",))[1]
    for key in app.state.services.keys.list():
        if key.tenant == "revoked":
            app.state.services.keys.revoke(key.id)
    return {**made, "reader": reader, "none": None}


@pytest.fixture(scope="module")
def things(http, keys):
    """One of each, all the owner's."""
    headers = {"Authorization": f"Bearer {keys['owner']}"}
    image = {"image": ("a.png", png(), "image/png")}
    session = http.post("/v1/sessions", files=image, headers=headers).json()["id"]
    edit = http.post("/v1/edits", files=image, data={"instruction": "x"}, headers=headers).json()["id"]
    file = http.post(
        "/v1/files", files={"file": ("a", b"{}")}, data={"purpose": "batch"}, headers=headers
    ).json()["id"]
    batch = http.post(
        "/v1/batches", json={"input_file_id": file, "endpoint": "/v1/edits"}, headers=headers
    ).json()["id"]
    return {
        "edit_id": edit,
        "session_id": session,
        "file_id": file,
        "batch_id": batch,
        "response_id": edit.replace("edit_", "resp_"),
        "number": "0",
        "token": "abc",
        "model": "brushedit",
    }


def documented(app):
    return [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]


def ask(http, method, path, things, key):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    # A body every route understands enough to get to the question whose things these are.
    bodies = {
        "/v1/sessions/{session_id}": {"title": "x"},
        "/v1/sessions/{session_id}/head": {"head": None},
        "/v1/sessions/{session_id}/turns": {"instruction": "x"},
        "/v1/edits/{edit_id}": {"title": "x"},
        "/v1/edits/{edit_id}/fork": {"stage": "plan"},
    }
    json = bodies.get(path) if method in ("POST", "PUT", "PATCH") else None
    return http.request(method, path.format(**things), headers=headers, json=json)


def test_every_route_refuses_callers_without_a_valid_key(app, http, keys, things):
    asked = documented(app)
    assert len(asked) >= 45
    for method, path in asked:
        for who in ("none", "revoked"):
            response = ask(http, method, path, things, keys[who])
            if path in OPEN:
                assert response.status_code in (200, 404, 503), (method, path, who)
            else:
                assert response.status_code == 401, (method, path, who, response.text)
                assert response.json()["error"]["code"] == "invalid_api_key"
                assert response.headers["www-authenticate"] == "Bearer"


def test_others_things_are_not_found(app, http, keys, things):
    of_one = [(method, path) for method, path in documented(app) if "_id}" in path]
    assert len(of_one) >= 28
    for method, path in of_one:
        if (method, path) == ("PUT", "/v1/edits/{edit_id}"):
            continue
        response = ask(http, method, path, things, keys["other"])
        assert response.status_code == 404, (method, path, response.status_code, response.text)
        assert response.json()["error"]["code"] == "not_found"


def test_a_taken_id_tells_nothing(http, keys, things):
    response = http.put(
        f"/v1/edits/{things['edit_id']}",
        files={"image": ("a.png", png(), "image/png")},
        data={"instruction": "x"},
        headers={"Authorization": f"Bearer {keys['other']}"},
    )
    assert response.status_code == 404


def test_lists_hold_ones_own_alone(http, keys, things):
    for path in ("/v1/edits", "/v1/sessions", "/v1/files", "/v1/batches"):
        own, others = (
            http.get(path, headers={"Authorization": f"Bearer {keys[who]}"}).json()["data"]
            for who in ("owner", "other")
        )
        assert own
        assert others == []


def test_owners_get_their_things(app, http, keys, things):
    for method, path in documented(app):
        if method == "GET" and "_id}" in path and "{number}" not in path and not path.endswith("/events"):
            response = ask(http, method, path, things, keys["owner"])
            assert response.status_code in (200, 409), (path, response.text)


def test_references_to_others_things_are_not_found(http, keys, things):
    headers = {"Authorization": f"Bearer {keys['other']}"}
    for body in (
        {"image": things["file_id"], "instruction": "x"},
        {"image": things["edit_id"], "instruction": "x"},
        {"image": things["session_id"], "instruction": "x"},
        {"session_id": things["session_id"], "instruction": "x"},
    ):
        assert http.post("/v1/edits", json=body, headers=headers).status_code == 404
    batch = {"input_file_id": things["file_id"], "endpoint": "/v1/edits"}
    assert http.post("/v1/batches", json=batch, headers=headers).status_code == 404
    turn = {"input": "x", "previous_response_id": things["response_id"]}
    assert http.post("/v1/responses", json=turn, headers=headers).status_code == 404


def test_a_reading_key_changes_nothing(app, http, keys, things):
    for method, path in documented(app):
        if method != "GET" and path not in OPEN:
            response = ask(http, method, path, things, keys["reader"])
            assert response.status_code == 403, (method, path)
            assert response.json()["error"]["code"] == "insufficient_scope"
    assert http.get("/metrics", headers={"Authorization": f"Bearer {keys['reader']}"}).status_code == 403


def test_revocation_ends_an_open_stream(tmp_path):
    app = create_app(Settings(data=tmp_path))
    services = app.state.services
    with TestClient(app, base_url="http://127.0.0.1:8008") as client:
        key_id, key = services.keys.create("someone")
        headers = {"Authorization": f"Bearer {key}"}
        edit = client.post(
            "/v1/edits",
            files={"image": ("a.png", png(), "image/png")},
            data={"instruction": "x"},
            headers=headers,
        ).json()
        import threading

        threading.Timer(0.5, services.keys.revoke, [key_id]).start()
        began = time.monotonic()
        # No worker runs, so the stream would go on for ever.
        text = client.get(f"/v1/edits/{edit['id']}/events", headers=headers).text
        assert "event: accepted" in text
        assert "event: succeeded" not in text
        assert time.monotonic() - began < 10
        assert client.get("/v1/edits", headers=headers).status_code == 401


def test_without_keys_only_loopback_is_open(tmp_path):
    for host, status in (("127.0.0.1", 200), ("0.0.0.0", 401)):
        app = create_app(Settings(data=tmp_path / host, host=host))
        with TestClient(app, base_url="http://127.0.0.1:8008") as client:
            assert client.get("/v1/edits").status_code == status


def test_the_first_key_closes_the_open_door(tmp_path):
    app = create_app(Settings(data=tmp_path))
    with TestClient(app, base_url="http://localhost:8008") as client:
        assert client.get("/v1/edits").status_code == 200
        app.state.services.keys.create("someone")
        assert client.get("/v1/edits").status_code == 401


def test_keys_are_not_stored(tmp_path):
    app = create_app(Settings(data=tmp_path))
    with TestClient(app, base_url="http://localhost:8008"):
        _, key = app.state.services.keys.create("someone")
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert key.encode() not in stored
    assert key.removeprefix("be-").encode() not in stored


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("",), "tenant"),
        ((" \t",), "tenant"),
        (("me", "--rate", "0"), "--rate"),
        (("me", "--rate", "-5"), "--rate"),
        (("me", "--queue", "0"), "--queue"),
        (("me", "--queue", "-1"), "--queue"),
        (("me", "--scope", "all"), "scope"),
    ],
)
def test_keys_that_would_be_of_no_use_are_not_made(words, said, tmp_path):
    made = CliRunner().invoke(cli, ["keys", "create", "--data", str(tmp_path), *words])
    assert made.exit_code != 0
    assert said in made.stderr + str(made.exception)
    assert not list_keys(Settings(data=tmp_path))


def test_a_key_is_made_with_its_limits(tmp_path):
    words = ["keys", "create", "--data", str(tmp_path), "me", "--rate", "1", "--queue", "1"]
    assert CliRunner().invoke(cli, words).exit_code == 0
    (key,) = list_keys(Settings(data=tmp_path))
    assert (key.tenant, key.rate_per_minute, key.queue_limit) == ("me", 1, 1)


def test_pages_of_other_origins_change_nothing(http):
    for origin, host, status in (
        ("http://evil.example", "127.0.0.1:8008", 403),
        ("null", "127.0.0.1:8008", 403),
        ("http://127.0.0.1:8008", "127.0.0.1:8008", 401),
        (None, "evil.example", 403),
    ):
        headers = {"Host": host} | ({"Origin": origin} if origin else {})
        assert http.post("/v1/masks", json={}, headers=headers).status_code == status, (origin, host)
    assert (
        "access-control-allow-origin"
        not in http.get("/healthz", headers={"Origin": "http://evil.example"}).headers
    )


def test_listed_origins_may_call(tmp_path):
    app = create_app(Settings(data=tmp_path, cors_origins=("https://studio.example",)))
    with TestClient(app, base_url="http://127.0.0.1:8008") as client:
        response = client.get("/v1/edits", headers={"Origin": "https://studio.example"})
        assert response.headers["access-control-allow-origin"] == "https://studio.example"
        assert "access-control-allow-credentials" not in response.headers
        assert (
            client.post("/v1/masks", json={}, headers={"Origin": "https://studio.example"}).status_code == 400
        )


def test_rates_are_per_key():
    at = [0.0]
    rates = Rates(60, clock=lambda: at[0])
    one, two = (Caller("t", key, frozenset()) for key in ("a", "b"))
    for _ in range(60):
        rates.take(one)
    with pytest.raises(TooMany) as refused:
        rates.take(one)
    assert refused.value.retry_after == pytest.approx(1)
    rates.take(two)
    at[0] = 1.01
    rates.take(one)
    with pytest.raises(TooMany):
        rates.take(one)
    slow = Caller("t", "c", frozenset(), rate_per_minute=1)
    rates.take(slow)
    with pytest.raises(TooMany):
        rates.take(slow)


def test_rate_limit_on_the_wire(tmp_path):
    app = create_app(Settings(data=tmp_path, rate_per_minute=2))
    with TestClient(app, base_url="http://localhost:8008") as client:
        told = [client.get("/v1/models") for _ in range(3)]
    assert [response.status_code for response in told] == [200, 200, 429]
    assert told[0].headers["x-ratelimit-limit-requests"] == "2"
    assert told[0].headers["x-ratelimit-remaining-requests"] == "1"
    assert int(told[2].headers["retry-after"]) >= 1


def test_the_mcp_endpoint_asks_for_a_key(http, keys):
    headers = {"Accept": "application/json, text/event-stream"}
    for who in ("none", "revoked"):
        given = headers | ({"Authorization": f"Bearer {keys[who]}"} if keys[who] else {})
        assert http.post("/mcp", json={}, headers=given).status_code == 401
    reader = headers | {"Authorization": f"Bearer {keys['reader']}"}
    assert http.post("/mcp", json={}, headers=reader).status_code == 403
