import base64
import hashlib
import hmac
import http.server
import json
import threading
import time

import pytest

from tests.server import cluster, png


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((dict(self.headers), body))
        # The first try fails: it has to come again.
        self.send_response(500 if len(self.server.got) == 1 else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.got = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_webhook_is_signed_and_tried_again(tmp_path, receiver):
    env = {"BRUSHEDIT_WEBHOOK_HOSTS": "127.0.0.1", "BRUSHEDIT_ALLOW_PRIVATE_HOSTS": "true"}
    with cluster(tmp_path, "api", "worker", **env) as made, made.client() as client:
        edit = client.post(
            "/v1/edits",
            files={"image": ("a.png", png(), "image/png")},
            data={"instruction": "x", "webhook": f"http://127.0.0.1:{receiver.server_address[1]}/hook"},
        ).json()
        deadline = time.monotonic() + 30
        while len(receiver.got) < 2:
            assert time.monotonic() < deadline, made.logs()
            time.sleep(0.1)
        secret = client.get("/v1/webhooks/secret").json()["key"]
        (headers, body), (_, again) = receiver.got
        assert again == body
        told = json.loads(body)
        assert told["type"] == "edit.completed"
        assert (told["data"]["id"], told["data"]["status"]) == (edit["id"], "succeeded")
        # Checked as a receiver does that knows Standard Webhooks and nothing of us.
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == expected
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
