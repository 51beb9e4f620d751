"""Every route of the OpenAPI document, asked what schemathesis makes up: no 5xx, no status that is not documented."""

import re

import httpx
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import status_code_conformance


def test_no_request_is_a_surprise(service):
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{service.port}/openapi.json")
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=3,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case):
            case.call_and_validate(checks=[not_a_server_error, status_code_conformance], timeout=60)

        ask()
        asked += 1
    assert asked >= 43


def test_the_documents_page_loads_nothing_from_elsewhere(service):
    here = f"http://127.0.0.1:{service.port}"
    with httpx.Client(base_url=here, trust_env=False) as client:
        shown = client.get("/docs").text
        loaded = re.findall(r'(?:src|href)="([^"]+)"', shown)
        assert len(loaded) >= 2
        for address in loaded:
            assert address.startswith((here, "/"))
            assert client.get(address).status_code == 200
        assert "/openapi.json" in shown
        assert client.get("/redoc").status_code == 404
