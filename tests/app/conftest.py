import pytest

from app.services import build_services
from app.settings import Settings
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


@pytest.fixture
def settings(tmp_path):
    return Settings(data=tmp_path, heartbeat=0.05)


@pytest.fixture
def services(settings):
    """What the routes share, in this process; no worker runs beside it."""
    made = build_services(settings)
    made.store.database.migrate()
    yield made
    made.queue.close()
    made.store.database.close()
