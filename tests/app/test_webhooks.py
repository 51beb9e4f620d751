import base64
import hashlib
import hmac
import http.server
import json
import threading
import time

import pytest
from sqlalchemy import text

from app.jobs.webhooks import NOT_DELIVERED, TRIES, Letter, Webhooks
from app.services import build_services
from app.settings import Settings
from tests.server import cluster, free_port, png, wait_ended


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((dict(self.headers), body))
        # The first try fails: it has to come again.
        self.send_response(500 if len(self.server.got) == self.server.fails else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.got, server.fails = [], 0
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


ALLOWED = {"BRUSHEDIT_WEBHOOK_HOSTS": "127.0.0.1", "BRUSHEDIT_ALLOW_PRIVATE_HOSTS": "true"}


def test_a_webhook_is_signed_and_tried_again(tmp_path, receiver):
    receiver.fails = 1
    with cluster(tmp_path, "api", "worker", **ALLOWED) as made, made.client() as client:
        edit = client.post(
            "/v1/edits",
            files={"image": ("a.png", png(), "image/png")},
            data={"instruction": "x", "webhook": f"http://127.0.0.1:{receiver.server_address[1]}/hook"},
        ).json()
        deadline = time.monotonic() + 120
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


def test_each_end_is_told_to_those_who_asked_for_it(tmp_path, receiver):
    hook = f"http://127.0.0.1:{receiver.server_address[1]}/hook"
    picture = [("image", ("a.png", png(), "image/png"))]

    def edit(instruction, *events):
        asked = {"webhook_events_filter": json.dumps(events)} if events else {}
        data = {"instruction": instruction, "webhook": hook, **asked}
        return client.post("/v1/edits", files=picture, data=data).json()["id"]

    def batch(instruction, **asked):
        data = {"instruction": instruction, "webhook": hook, **asked}
        return client.post("/v1/batches", files=picture, data=data).json()["id"]

    with cluster(tmp_path, "api", "worker", **ALLOWED) as made, made.client() as client:
        expected = {("edit.completed", edit("x")), ("edit.failed", edit("missing"))}
        expected.add(("edit.failed", edit("missing", "failed", "cancelled")))
        edit("x", "failed")
        edit("missing", "completed")
        canceled = edit("slow paint", "cancelled")
        client.post(f"/v1/edits/{canceled}/cancel")
        done = batch("missing", webhook_events_filter='["completed"]')
        stopped = batch("slow paint")
        while not client.get("/v1/batches").json()["data"][0]["request_counts"]["total"]:
            pass
        client.post(f"/v1/batches/{stopped}/cancel")
        empty = client.post("/v1/files", files={"file": ("a.jsonl", b"\n")}, data={"purpose": "batch"}).json()
        body = {"input_file_id": empty["id"], "endpoint": "/v1/edits", "webhook": hook}
        refused = client.post("/v1/batches", json=body).json()["id"]
        expected |= {("edit.cancelled", canceled), ("batch.completed", done)}
        expected |= {("batch.cancelled", stopped), ("batch.failed", refused)}
        deadline = time.monotonic() + 120
        while len(receiver.got) < len(expected):
            assert time.monotonic() < deadline, (receiver.got, made.logs())
            time.sleep(0.1)
        # Once more round of the same batch is told once more.
        client.post(f"/v1/batches/{done}/retry")
        while len(receiver.got) < len(expected) + 1:
            assert time.monotonic() < deadline, receiver.got
            time.sleep(0.1)
        time.sleep(0.5)
    told = [(json.loads(body)["type"], json.loads(body)["data"]["id"]) for _, body in receiver.got]
    assert sorted(told) == sorted([*expected, ("batch.completed", done)])
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == len(told)
    counts = [json.loads(body)["data"]["request_counts"] for _, body in receiver.got if done in str(body)]
    assert counts[0] == {"total": 1, "completed": 0, "failed": 1}


def test_receivers_that_do_not_answer_hold_up_nobody(tmp_path, receiver):
    picture = [("image", ("a.png", png(), "image/png"))]
    with cluster(tmp_path, "api", "worker", **ALLOWED) as made, made.client() as client:
        for number in range(6):
            data = {"instruction": f"x {number}", "webhook": f"http://127.0.0.1:{free_port()}/nobody"}
            wait_ended(client, client.post("/v1/edits", files=picture, data=data).json()["id"])
        hook = f"http://127.0.0.1:{receiver.server_address[1]}/hook"
        batch = client.post("/v1/batches", files=picture, data={"instruction": "x", "webhook": hook}).json()
        deadline = time.monotonic() + 60
        while not receiver.got:
            assert time.monotonic() < deadline, client.get(f"/v1/batches/{batch['id']}").json()
            time.sleep(0.1)


def test_a_try_that_failed_is_put_off_and_the_last_one_given_up(tmp_path):
    allowed = Settings(data=tmp_path, webhook_hosts=["127.0.0.1"], allow_private_hosts=True)
    services = build_services(allowed)
    services.store.database.migrate()
    webhooks = Webhooks(allowed, services.store, services.queue, services.secret)
    content, address = {"type": "edit.completed"}, f"http://127.0.0.1:{free_port()}/nobody"
    letter = Letter("msg_1", "edit_1", "tenant", address, content, "")
    assert webhooks.deliver(letter) == NOT_DELIVERED
    for _ in range(2):
        # A crash in between does it twice.
        webhooks.go_on(letter, 3)
    assert webhooks.go_on(letter, TRIES) == "given up"
    with services.store.database.read() as rows:
        asked = (
            "SELECT status, queue_name, workflow_uuid, delay_until_epoch_ms - created_at FROM workflow_status"
        )
        ((status, queue, chore, delay),) = rows.execute(text(asked)).all()
    assert (status, queue, chore) == ("DELAYED", "chores", "msg_1_4")
    assert delay == pytest.approx(5000 * 4**2, abs=1000)
    services.queue.close()
    services.store.database.close()


def test_where_webhooks_are_off_asking_for_one_is_refused(client):
    picture = [("image", ("a.png", png(), "image/png"))]
    data = {"instruction": "x", "webhook": "http://127.0.0.1:1/"}
    for path in ("/v1/edits", "/v1/batches"):
        refusal = client.post(path, files=picture, data=data)
        assert (refusal.status_code, refusal.json()["error"]["code"]) == (400, "address_not_allowed")
    unknown = client.post("/v1/edits", files=picture, data={**data, "webhook_events_filter": '["started"]'})
    assert unknown.status_code == 400
