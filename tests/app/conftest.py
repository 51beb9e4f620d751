import pytest

from tests.server import cluster


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """An API and a worker in processes of their own, without keys."""
    with cluster(tmp_path_factory.mktemp("service"), "api", "worker") as made:
        yield made


@pytest.fixture
def client(service):
    with service.client() as client:
        yield client
