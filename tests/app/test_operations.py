"""What those see who run the service: log lines and traces."""

import http.server
import json
import logging
import threading

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient
from typer.testing import CliRunner

from app import logs, traces
from app.access import Keys
from app.cli import cli
from app.jobs.stages import Stages
from app.main import create_app
from app.settings import Settings
from app.store.records import Store
from brushedit.errors import InvalidOption
from tests.server import cluster, png, wait_ended
from tests.stub_agent import StubAgent

SAID = "persimmon"
"""A word of every instruction, caption, target, title and file name below."""


class Collector(http.server.BaseHTTPRequestHandler):
    """What OTLP sends, decoded."""

    def do_POST(self):
        sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
        self.server.got.append((self.path, sent))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def collector():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        server.got = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def observed(tmp_path_factory, collector):
    """Return the log lines and spans of a service that did one of each, with the ids that were asked about."""
    folder = tmp_path_factory.mktemp("observed")
    env = {
        "BRUSHEDIT_LOG": "json",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_address[1]}",
    }
    with cluster(folder, "api", "worker", **env) as made:
        store = Store(Settings(data=folder / "data"))
        key = Keys(store.database).create("someone")[1]
        store.database.close()
        picture = ("image", (f"{SAID}.png", png(), "image/png"))
        ids = {}
        with made.client(key) as client:
            for kind, words in (("done", "polish"), ("broken", "explode"), ("absent", "missing")):
                sent = client.post(
                    "/v1/edits",
                    files=[picture],
                    data={"instruction": f"{words} the {SAID}", "negative": SAID},
                    headers={"X-Request-ID": f"{kind}-request"},
                )
                assert sent.headers["x-request-id"] == f"{kind}-request"
                ids[kind] = sent.json()["id"]
                wait_ended(client, ids[kind])
            session = client.post("/v1/sessions", files=[picture], data={"title": SAID}).json()["id"]
            turn = client.post(f"/v1/sessions/{session}/turns", json={"instruction": SAID}).json()
            wait_ended(client, turn["id"])
            client.post("/v1/images/edits", files=[picture], data={"prompt": SAID})
            client.get(f"/v1/edits/{SAID}?{SAID}=1")
            client.get(f"/{SAID}")
            client.post("/v1/edits", json={"instruction": SAID, SAID: SAID})
            batch = client.post(
                "/v1/batches",
                files=[picture],
                data={"instruction": SAID},
                headers={"X-Request-ID": "batch-request"},
            )
            while client.get(f"/v1/batches/{batch.json()['id']}").json()["status"] != "completed":
                pass
    lines = [
        json.loads(line) for path in sorted(folder.glob("*.log")) for line in path.read_text().splitlines()
    ]
    spans = [
        ({a.key: a.value.string_value for a in resource.resource.attributes}, span)
        for path, sent in collector.got
        for resource in sent.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        if path == "/v1/traces"
    ]
    return lines, spans, ids, key


def test_no_line_holds_what_people_said_showed_or_signed_with(observed):
    lines, spans, _, key = observed
    assert len(lines) > 40
    text = json.dumps(lines) + " ".join(str(span) for _, span in spans if "/persimmon" not in str(span))
    assert SAID not in text
    assert key not in text
    assert key.removeprefix("be-") not in text
    assert "iVBOR" not in text


def test_lines_of_one_edit_are_found_by_its_request_in_both_processes(observed):
    lines, _, ids, _ = observed
    mine = [line for line in lines if line["request_id"] == "done-request"]
    assert {line["edit_id"] for line in mine} == {ids["done"]}
    (answered,) = [line for line in mine if line["logger"] == "app.requests"]
    assert (answered["method"], answered["route"], answered["status"]) == ("POST", "/v1/edits", 202)
    stages = [(line["stage"], line["outcome"]) for line in mine if line["logger"] == "app.jobs.stages"]
    assert stages == [("plan", "done"), ("locate", "done"), ("paint", "done"), ("finish", "done")]
    assert all(line["time"] and line["level"] == "INFO" and line["ms"] >= 0 for line in mine)
    absent = [line for line in lines if line["edit_id"] == ids["absent"] and "outcome" in line]
    assert [line["outcome"] for line in absent] == ["done", "target_not_found"]
    assert [
        line["outcome"] for line in lines if line["request_id"] == "batch-request" and "stage" in line
    ] == ["done"] * 4


def test_an_error_is_told_by_its_kind_and_place(observed):
    lines, _, ids, _ = observed
    (line,) = [line for line in lines if line["level"] == "ERROR"]
    assert line["edit_id"] == ids["broken"]
    assert line["exc_info"].endswith("builtins.RuntimeError")
    assert "stub_agent.py" in line["exc_info"]


def test_one_trace_goes_from_the_request_through_every_stage(observed):
    lines, spans, ids, _ = observed
    (trace_id,) = {
        line["trace_id"]
        for line in lines
        if line["request_id"] == "done-request" and line["logger"] != "app.requests"
    }
    mine = [(about, span) for about, span in spans if span.trace_id.hex() == trace_id]
    (served,) = [span for about, span in mine if about["brushedit.role"] == "api"]
    assert served.name == "POST /v1/edits"
    stages = [span for about, span in mine if about["brushedit.role"] == "worker"]
    assert [span.name for span in sorted(stages, key=lambda span: span.start_time_unix_nano)] == [
        "plan",
        "locate",
        "paint",
        "finish",
    ]
    assert {span.parent_span_id for span in stages} == {served.span_id}
    named = {attribute.value.string_value for span in stages for attribute in span.attributes}
    assert ids["done"] in named
    assert {about["service.name"] for about, _ in mine} == {"brushedit"}


def test_without_a_receiver_nothing_is_traced(monkeypatch):
    for variable in (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_TRACES_EXPORTER",
    ):
        monkeypatch.delenv(variable, raising=False)
    with logs.about("some-request"), traces.sent("api"), traces.span("x", {}):
        assert traces.origin() == {"request_id": "some-request"}


@pytest.fixture(scope="module")
def spans():
    """Return what is traced in this process; a provider is set once for the whole of it."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    yield exporter
    provider.shutdown()


def test_a_callers_trace_goes_on(spans, tmp_path):
    app = create_app(Settings(data=tmp_path))
    services = app.state.services
    asked = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with TestClient(app, base_url="http://127.0.0.1:8008", headers=asked) as client:
        edit = client.post(
            "/v1/edits", files={"image": ("a.png", png(), "image/png")}, data={"instruction": "missing"}
        ).json()
        client.get("/healthz")
        stages = Stages(services.settings, services.store, services.ledger, StubAgent(0))
        attempt = stages.begin(edit["id"])
        assert stages.guarded(stages.plan, attempt)
        assert not stages.guarded(stages.locate, attempt)
        assert "origin" not in client.get(f"/v1/edits/{edit['id']}").text
    found = {span.name: span for span in spans.get_finished_spans()}
    assert "GET /healthz" not in found
    assert {f"{found[name].context.trace_id:032x}" for name in ("POST /v1/edits", "plan", "locate")} == {
        "0af7651916cd43dd8448eb211c80319c"
    }
    assert found["POST /v1/edits"].parent.span_id == 0xB7AD6B7169203331


@pytest.fixture
def log(capsys):
    """Return a function that makes the log as settings say, and one that returns what was written to it."""
    before = logging.root.handlers[:], logging.root.level
    yield lambda **fields: logs.configure(Settings(**fields)), lambda: capsys.readouterr().err
    logging.root.handlers[:], logging.root.level = before


def fail():
    try:
        raise KeyError(SAID)
    except KeyError as error:
        raise ValueError(f"no {SAID}") from error


@pytest.mark.parametrize("style", ["text", "json"])
def test_messages_of_exceptions_are_for_debugging_alone(style, log):
    configure, written = log

    def told(level):
        configure(log=style, log_level=level)
        try:
            fail()
        except ValueError:
            with logs.about("r1", "e1"):
                logging.getLogger("app.some").exception("it failed")
        return written()

    quiet = told("info")
    assert SAID not in quiet
    assert quiet.index("builtins.KeyError") < quiet.index("which led to") < quiet.index("builtins.ValueError")
    assert "r1" in quiet
    assert "e1" in quiet
    assert SAID in told("debug")


def test_libraries_say_only_what_goes_wrong(log):
    configure, written = log
    configure()
    for name in ("httpx", "dbos", "alembic.runtime", "uvicorn.access"):
        logging.getLogger(name).info("GET /secret")
        logging.getLogger(name).warning("oh")
    told = written()
    assert told.count("oh") == 4
    assert "secret" not in told


def test_what_dbos_says_of_a_canceled_edit_is_no_fault(log):
    configure, written = log
    configure()
    canceled = type("DBOSAwaitedWorkflowCancelledError", (Exception,), {})
    dbos = logging.getLogger("dbos")
    dbos.error("Exception encountered in background workflow:", exc_info=canceled("canceled-1"))
    dbos.warning("Workflow w is no longer owned by this execution. Waiting for the owner's recorded outcome")
    dbos.error("Exception encountered in background workflow:", exc_info=ValueError())
    assert written().count("background workflow") == 1
    assert "owned" not in written()


def test_every_setting_is_a_flag_but_the_secret(monkeypatch, tmp_path):
    helped = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["serve", "--help"]).stdout
    for name in Settings.model_fields:
        assert (f"--{name.replace('_', '-')} " in helped) == (name != "secret"), name
    given = []
    monkeypatch.setattr("app.commands.serve.serve", given.append)
    words = ["serve", "--workers", "3", "--cors-origins", "https://a,https://b", "--metrics-public", "true"]
    assert CliRunner().invoke(cli, [*words, "--database-url", "postgresql://x/y"]).exit_code == 0
    (settings,) = given
    assert (settings.workers, settings.cors_origins) == (3, ("https://a", "https://b"))
    assert settings.metrics_public
    assert settings.sql_url == "postgresql+psycopg://x/y"
    refusal = CliRunner().invoke(cli, ["worker", "--queue-poll", "often"]).exception
    assert isinstance(refusal, InvalidOption)
    assert refusal.param == "queue_poll"
