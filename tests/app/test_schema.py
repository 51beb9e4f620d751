"""Every route of the OpenAPI document, asked what schemathesis makes up: no 5xx, no status that is not documented."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import status_code_conformance


@pytest.fixture(scope="module")
def document(service):
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{service.port}/openapi.json")


schema = schemathesis.pytest.from_fixture("document")


@schema.exclude(path_regex="/events$").parametrize()
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_request_is_a_surprise(case):
    # An edit stream of an unfinished edit never ends by itself; ids that exist are not made up.
    case.call_and_validate(checks=[not_a_server_error, status_code_conformance])
