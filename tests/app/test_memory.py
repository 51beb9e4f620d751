"""What a client can make an API process keep in memory is bounded."""

import io
import zipfile

import pytest
from starlette.testclient import TestClient

import app.routes.sessions
from app.jobs.archives import zipped_session
from app.main import create_app
from app.settings import Settings
from app.store.tables import Edit
from tests.server import png


@pytest.fixture(scope="module")
def http_client(tmp_path_factory):
    made = create_app(Settings(data=tmp_path_factory.mktemp("memory"), rate_per_minute=100_000))
    with TestClient(made, base_url="http://127.0.0.1:8008") as client:
        client.services = made.state.services
        yield client


def test_methods_of_a_clients_invention_are_counted_as_one(http_client):
    for number in range(5):
        http_client.request(f"INVENTED{number}", "/v1/edits")
    http_client.get("/v1/edits")
    told = http_client.services.metrics.render().decode()
    assert "INVENTED" not in told
    assert 'method="other"' in told
    assert 'method="GET"' in told


def test_pictures_are_compared_a_few_at_a_time(http_client, monkeypatch):
    made = http_client.post("/v1/sessions", files={"image": ("a.png", png(), "image/png")}).json()
    decode, held = app.routes.sessions.decode, []

    def watched(*args, **named):
        held.append(http_client.services.decoders.borrowed_tokens)
        return decode(*args, **named)

    monkeypatch.setattr(app.routes.sessions, "decode", watched)
    told = http_client.get(f"/v1/sessions/{made['id']}/compare").json()
    assert (told["changed_fraction"], told["max_delta"], told["box"]) == (0, 0, None)
    assert held == [1, 1]


def test_a_session_is_exported_picture_by_picture(http_client):
    store = http_client.services.store
    pictures = [png(seed=number) for number in range(4)]
    with store.database.write() as rows:
        digests = [store.keep(rows, "somebody", picture, "image/png") for picture in pictures]
    turns = [
        Edit(id=f"turn{number}", result={"images": [{"file": digest, "media_type": "image/png"}]})
        for number, digest in enumerate(digests[1:])
    ]
    parts = list(zipped_session(store, "{}", digests[0], turns))
    assert all(len(part) < 2 * max(map(len, pictures)) for part in parts)
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
        assert archive.testzip() is None
        names = ["input.png", *(f"turn{number}-0.png" for number in range(3))]
        assert [archive.read(name) for name in names] == pictures
        assert archive.read("session.json") == b"{}"
