"""What peers were attacked with: one regression test each. Asked of the application itself; no worker runs."""

import base64
import http.server
import io
import json
import socket
import struct
import threading
import zlib

import PIL.Image
import pytest
from starlette.testclient import TestClient

from app.fetching import fetch
from app.links import read_token, sign
from app.main import create_app
from app.refusals import AddressNotAllowed, NotFound
from app.settings import Settings
from tests.server import png


@pytest.fixture(scope="module")
def http_client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    settings = Settings(data=folder, max_pixels=1_000_000, max_body=3_000_000, rate_per_minute=100_000)
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8008") as client:
        client.folder = folder
        yield client


def edit(client, image, **fields):
    return client.post(
        "/v1/edits", files={"image": ("a.png", image, "image/png")}, data={"instruction": "x", **fields}
    )


def code(response):
    return response.status_code, response.json()["error"]["code"]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_image_bombs_are_refused_by_their_header(http_client):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )
    assert code(edit(http_client, bomb)) == (413, "image_too_large")
    uri = "data:image/png;base64," + base64.b64encode(bomb).decode()
    assert code(http_client.post("/v1/edits", json={"image": uri, "instruction": "x"})) == (
        413,
        "image_too_large",
    )
    assert code(http_client.post("/v1/masks", json={"mask": uri})) == (413, "image_too_large")
    assert code(http_client.post("/v1/masks", json={"width": 60_000, "height": 60_000})) == (
        413,
        "image_too_large",
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        png()[:200],
        b"GIF89a" + bytes(50),
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\x80\x04cposix\nsystem\n.",
    ],
    ids=["empty", "text", "svg", "cut off", "gif", "postscript", "pickle"],
)
def test_what_is_no_accepted_picture_is_refused(http_client, data):
    assert code(edit(http_client, data)) == (400, "invalid_image")


def test_tiff_and_other_formats_are_refused_whatever_their_name(http_client):
    for kind in ("TIFF", "BMP", "GIF", "ICO"):
        out = io.BytesIO()
        PIL.Image.new("RGB", (16, 16)).save(out, kind)
        assert code(edit(http_client, out.getvalue())) == (400, "invalid_image")


def test_bodies_are_bounded(http_client):
    assert code(edit(http_client, bytes(3_100_000))) == (413, "request_too_large")

    def endless():
        for _ in range(100):
            yield b"x" * 100_000

    chunked = http_client.post("/v1/edits", content=endless(), headers={"Content-Type": "application/json"})
    assert code(chunked) == (413, "request_too_large")


def test_json_is_bounded_in_depth(http_client):
    for depth in (40, 100_000):
        deep = '{"instruction":"x","options":' + "[" * depth + "]" * depth + "}"
        headers = {"Content-Type": "application/json"}
        assert code(http_client.post("/v1/edits", content=deep, headers=headers)) == (400, "invalid_request")
        assert code(edit(http_client, png(), options="[" * depth + "]" * depth)) == (400, "invalid_request")
    for text in (b'{"instruction": NaN}', b"{", b"\xff\xfe", b"[]", b'"x"'):
        response = http_client.post("/v1/edits", content=text, headers={"Content-Type": "application/json"})
        assert code(response) == (400, "invalid_request")


def test_only_json_and_forms_are_read(http_client):
    for kind in ("application/octet-stream", "application/x-python-pickle", "text/xml", ""):
        response = http_client.post("/v1/edits", content=b"x", headers={"Content-Type": kind})
        assert code(response) == (415, "unsupported_media_type")


def test_forms_with_too_many_parts_or_a_broken_boundary_are_refused(http_client):
    data = {f"f{number}": "x" for number in range(300)}
    assert code(http_client.post("/v1/edits", files={"image": png()}, data=data)) == (400, "invalid_request")
    for boundary in ("", "x" * 300):
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        response = http_client.post("/v1/edits", content=b"--" * 1000, headers=headers)
        assert response.status_code == 400


@pytest.mark.parametrize(
    "ref",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "../../data/secret",
        "http://127.0.0.1:8008/metrics",
        "http://169.254.169.254/latest/meta-data/",
        "gopher://127.0.0.1/",
        "data:text/html;base64,PHNjcmlwdD4=",
        "data:image/png;base64,@@@",
        "edit_" + "0" * 32,
        "file_" + "0" * 32 + "/../x",
    ],
)
def test_references_cannot_make_the_server_read_anything(http_client, ref):
    for body in (
        {"image": ref},
        {"image": "data:image/png;base64," + base64.b64encode(png()).decode(), "mask": ref},
    ):
        response = http_client.post("/v1/edits", json={"instruction": "x", **body})
        assert response.status_code in (400, 404), response.text
    response = http_client.post("/v1/images/edits", json={"prompt": "x", "images": [{"image_url": ref}]})
    assert response.status_code in (400, 404), response.text


def test_file_names_of_clients_never_reach_the_disk(http_client):
    name = "../../../../tmp/evil.png"
    assert (
        http_client.post("/v1/files", files={"file": (name, b"1234")}, data={"purpose": "vision"}).json()[
            "filename"
        ]
        == name
    )
    http_client.post("/v1/edits", files={"image": (name, png(), "image/png")}, data={"instruction": "x"})
    stored = [path.name for path in http_client.folder.rglob("*") if path.is_file()]
    assert not [one for one in stored if "evil" in one]


def test_downloads_are_never_pages(http_client):
    file = http_client.post(
        "/v1/files",
        files={"file": ("a.html", b"<script>1</script>", "text/html")},
        data={"purpose": "vision"},
    ).json()
    response = http_client.get(f"/v1/files/{file['id']}/content")
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment")
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "edit_id",
    ["edit_'; DROP TABLE edits; --", "edit_%00", "edit_" + "a" * 10_000, "..%2f..%2fetc", "%F0%9F%92%A3"],
)
def test_ids_are_bounded(http_client, edit_id):
    for path in (
        f"/v1/edits/{edit_id}",
        f"/v1/edits/{edit_id}/events",
        f"/v1/sessions/{edit_id}",
        f"/v1/files/{edit_id}/content",
    ):
        assert http_client.get(path).status_code in (400, 404), path
    assert http_client.get("/v1/edits").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"seed": "-1"},
        {"seed": "9223372036854775807"},
        {"steps": "100000"},
        {"guidance": "inf"},
        {"guidance": "nan"},
        {"samples": "17"},
        {"unknown": "1"},
        {"instruction_": "x"},
        {"metadata": json.dumps({"a": "b" * 1000})},
        {"output_format": "gif"},
        {"box": "[1,2,3]"},
        {"box": "[1,2,3,1e99]"},
        {"points": json.dumps([{"x": 1, "y": 1}] * 100)},
        {"plan": '{"steps": [{"kind": "explode"}]}'},
        {"options": "5"},
        {"options": '[["steps", 5]]'},
        {"parent_id": "edit_" + "0" * 32},
        {"webhook": "http://127.0.0.1/hook"},
    ],
    ids=str,
)
def test_absurd_values_are_refused(http_client, fields):
    response = edit(http_client, png(), **fields)
    assert response.status_code == 400, response.text


@pytest.mark.parametrize("steps", ["abc", "1.5", "9" * 5000])
def test_previews_of_an_absurd_number_of_steps_are_refused(http_client, steps):
    asked = {"prompt": "x", "stream": "true", "partial_images": "2", "steps": steps}
    response = http_client.post(
        "/v1/images/edits", files={"image": ("a.png", png(), "image/png")}, data=asked
    )
    assert code(response) == (400, "invalid_request")


def test_base64_with_foreign_letters_is_refused(http_client):
    image = "data:image/png;base64,é"
    assert code(http_client.post("/v1/edits", json={"image": image, "instruction": "x"})) == (
        400,
        "invalid_request",
    )


def test_a_fork_of_what_is_not_there_is_refused(http_client):
    made = http_client.post("/v1/sessions", files={"image": ("a.png", png(), "image/png")}).json()
    first, waiting = (
        http_client.post(f"/v1/sessions/{made['id']}/turns", json={"instruction": "x"}).json()["id"]
        for _ in range(2)
    )
    mask = {"mask": "data:image/png;base64," + base64.b64encode(png()).decode()}
    assert code(http_client.post(f"/v1/edits/{waiting}/fork", json=mask)) == (409, "conflict")
    empty = {"plan": {"steps": []}, "caption": "a"}
    assert code(http_client.post(f"/v1/edits/{first}/fork", json=empty)) == (400, "invalid_request")


def test_masks_must_fit(http_client):
    files = {"image": ("a.png", png(), "image/png"), "mask": ("m.png", png(8, 8), "image/png")}
    assert code(http_client.post("/v1/edits", files=files, data={"instruction": "x"})) == (
        400,
        "invalid_mask",
    )
    out = io.BytesIO()
    PIL.Image.new("L", (32, 24), 0).save(out, "PNG")
    files["mask"] = ("m.png", out.getvalue(), "image/png")
    assert code(http_client.post("/v1/edits", files=files, data={"instruction": "x"})) == (422, "mask_empty")


def test_errors_tell_nothing_of_the_inside(http_client):
    for path in ("/v1/nothing", "/v1/edits/x/../..", "/internal/config", "/openapi.json/../.env"):
        response = http_client.get(path)
        assert response.status_code in (400, 404)
        assert "Traceback" not in response.text
        assert str(http_client.folder) not in response.text
    assert code(http_client.delete("/v1/models")) == (405, "method_not_allowed")


def test_links_cannot_be_made_or_stretched():
    token = sign(b"secret", "edit_" + "0" * 32, 1)
    assert read_token(b"secret", token) == ("edit_" + "0" * 32, 1)
    other = ("A" if token[0] != "A" else "B") + token[1:]  # the last letter may hold bits that nothing reads
    for bad in (other, token[1:], "", "é", "A" * 200):
        with pytest.raises(NotFound):
            read_token(b"secret", bad)
    with pytest.raises(NotFound):
        read_token(b"another", token)


class Peer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/redirect"):
            self.send_response(302)
            self.send_header("Location", self.path.partition("=")[2])
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(bytes(200_000) if self.path == "/large" else png())

    def log_message(self, *_):
        pass


@pytest.fixture
def peer():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Peer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_addresses_are_off_by_default(tmp_path, peer):
    with pytest.raises(AddressNotAllowed, match="calls no addresses"):
        fetch(Settings(data=tmp_path), f"http://127.0.0.1:{peer}/", param="image")


def test_listed_hosts_are_fetched_and_every_redirect_is_checked(tmp_path, peer):
    settings = Settings(data=tmp_path, fetch_hosts=("127.0.0.1",), allow_private_hosts=True, max_body=100_000)
    here = f"http://127.0.0.1:{peer}"
    assert fetch(settings, f"{here}/a.png", param="image") == png()
    assert fetch(settings, f"{here}/redirect?to={here}/a.png", param="image") == png()
    for bad in (
        f"{here}/redirect?to=http://localhost:{peer}/a.png",
        f"{here}/redirect?to=file:///etc/passwd",
        f"{here}/redirect?to={here}/redirect?to={here}/redirect?to={here}/redirect?to={here}/redirect?to={here}/",
        f"{here}/large",
        f"http://user:pass@127.0.0.1:{peer}/",
        f"{here}/é.png",
        f"{here}/a b.png",
        f"{here}/a.png\r\nX-Other: header",
        f"{here}/redirect?to={here}/%C3%A9.png?é",
    ):
        with pytest.raises(AddressNotAllowed):
            fetch(settings, bad, param="image")


def test_a_listed_name_with_a_private_address_is_not_called(tmp_path, peer, monkeypatch):
    settings = Settings(data=tmp_path, fetch_hosts=("pictures.example",))
    for address in (
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
        "fd00::1",
        "0.0.0.0",
    ):
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda *_, address=address, **__: [(2, 1, 6, "", (address, peer))]
        )
        with pytest.raises(AddressNotAllowed, match="private"):
            fetch(settings, f"http://pictures.example:{peer}/", param="image")


def test_the_checked_address_is_the_one_connected_to(tmp_path, monkeypatch):
    """A name that answers with a public address first and a private one next gains nothing."""
    asked, connected = [], []

    def resolve(host, port, **_):
        asked.append(host)
        return [(2, 1, 6, "", ("93.184.216.34" if len(asked) == 1 else "127.0.0.1", port))]

    def connect(peer, timeout):
        connected.append(peer)
        raise OSError("not called in tests")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(AddressNotAllowed):
        fetch(
            Settings(data=tmp_path, fetch_hosts=("pictures.example",)),
            "http://pictures.example/",
            param="image",
        )
    assert asked == ["pictures.example"]
    assert connected == [("93.184.216.34", 80)]


def test_logs_hold_no_words_pictures_or_keys(tmp_path, caplog):
    app = create_app(Settings(data=tmp_path))
    with caplog.at_level("INFO"), TestClient(app, base_url="http://127.0.0.1:8008") as client:
        _, key = app.state.services.keys.create("someone")
        client.post(
            "/v1/edits?note=private-query",
            files={"image": ("private-name.png", png(), "image/png")},
            data={"instruction": "private words"},
            headers={"Authorization": f"Bearer {key}"},
        )
    own = [record for record in caplog.records if not record.name.startswith("httpx")]
    text = " ".join(record.getMessage() for record in own)
    assert "POST /v1/edits 202" in text
    assert "private" not in text
    assert key not in text


def test_a_character_that_a_database_cannot_store_is_refused(http_client):
    form = {"image": ("a.png", png(), "image/png")}
    made = http_client.post("/v1/sessions", files=form).raise_for_status().json()
    answers = [
        http_client.post("/v1/sessions", files=form, data={"title": "a\0b"}),
        http_client.patch(f"/v1/sessions/{made['id']}", json={"title": "a\0b"}),
        edit(http_client, png(), instruction="a\0b"),
        http_client.get("/v1/files", params={"purpose": "a\0b"}),
    ]
    assert [code(answer) for answer in answers] == [(400, "invalid_request")] * 4
    file = http_client.post(
        "/v1/files", files={"file": ("a\0b.png", png(), "image/png")}, data={"purpose": "vision"}
    )
    assert "\0" not in file.raise_for_status().json()["filename"]
