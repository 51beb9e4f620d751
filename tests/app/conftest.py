import pytest

from tests.server import cluster


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """An API and a worker in processes of their own, without keys."""
    env = {"BRUSHEDIT_RATE_PER_MINUTE": "1000000", "BRUSHEDIT_MAX_WAIT": "30"}
    with cluster(tmp_path_factory.mktemp("service"), "api", "worker", **env) as made:
        yield made


@pytest.fixture
def client(service):
    with service.client() as client:
        yield client
