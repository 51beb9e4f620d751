import threading
import time

import pytest
from sqlalchemy import inspect, select, text

from app.settings import Settings
from app.store.blobs import BlobStore, digest_of
from app.store.records import Store
from app.store.retention import sweep_blobs
from app.store.tables import Blob, BlobUse, Row


@pytest.fixture(params=["folder", "s3"])
def root(request, tmp_path):
    if request.param == "folder":
        return str(tmp_path / "blobs")
    return f"{request.getfixturevalue('bucket')}/{tmp_path.name}"


@pytest.fixture
def store(tmp_path, root):
    made = Store(Settings(data=tmp_path, blobs_url=root))
    made.database.migrate()
    yield made
    made.database.close()


@pytest.fixture
def blobs(root):
    return BlobStore(root)


def test_blobs_are_found_by_their_content(blobs):
    digest = digest_of(b"some bytes")
    for _ in range(2):
        blobs.put(b"some bytes", digest)
    assert blobs.get(digest) == b"some bytes"
    assert [found for found, _ in blobs.ages()] == [digest]
    assert all(0 <= age < 60 for _, age in blobs.ages())
    blobs.remove(digest)
    blobs.remove(digest)
    assert not blobs.has(digest)
    with pytest.raises(FileNotFoundError):
        blobs.get(digest)


@pytest.mark.parametrize("digest", ["", "..", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_digests_are_paths(blobs, digest):
    with pytest.raises(ValueError, match="no SHA-256"):
        blobs.get(digest)


def test_writers_of_the_same_bytes_do_not_disturb_each_other(tmp_path):
    blobs = BlobStore(str(tmp_path))
    data = bytes(range(256)) * 4096
    threads = [threading.Thread(target=blobs.put, args=(data, digest_of(data))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [blobs.get(digest) == data for digest, _ in blobs.ages()] == [True]
    assert not list(tmp_path.rglob("*.part"))


def test_migrations_make_the_tables_of_the_models(store):
    found = inspect(store.database.engine)
    for name, table in Row.metadata.tables.items():
        columns = {column["name"]: column["nullable"] for column in found.get_columns(name)}
        assert columns == {column.name: column.nullable for column in table.columns}, name
        indexes = {index["name"] for index in found.get_indexes(name)}
        assert {index.name for index in table.indexes} <= indexes, name


def test_many_processes_may_migrate_at_once(tmp_path):
    stores = [Store(Settings(data=tmp_path)) for _ in range(3)]
    threads = [threading.Thread(target=store.database.migrate) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with stores[0].database.read() as rows:
        assert rows.execute(text("SELECT count(*) FROM brushedit_schema")).scalar() == 1
    for store in stores:
        store.database.close()


def test_a_blob_lives_as_long_as_its_last_use(store):
    with store.database.write() as rows:
        digest = store.keep(rows, "one", b"x", "image/png")
        store.keep(rows, "two", b"x", "image/png")
        other = store.keep(rows, "one", b"y", "image/png")
    with store.database.write() as rows:
        store.release(rows, ["one"])
    assert store.blobs.has(digest)
    assert not store.blobs.has(other)
    with store.database.write() as rows:
        store.release(rows, ["two"])
        assert rows.scalars(select(Blob)).all() == []
    assert not store.blobs.has(digest)


def test_what_is_rolled_back_leaves_no_row(store):
    def fail():
        with store.database.write() as rows:
            store.keep(rows, "one", b"x", "image/png")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with store.database.read() as rows:
        assert rows.scalars(select(BlobUse)).all() == []
    # The bytes a crash left are swept once nobody can be about to use them.
    assert sweep_blobs(store, grace=3600) == 0
    assert sweep_blobs(store, grace=0) == 1
    assert list(store.blobs.ages()) == []


def test_removing_and_keeping_at_once_never_leaves_a_row_without_bytes(store):
    stop = time.monotonic() + 1.0

    def keep(owner):
        while time.monotonic() < stop:
            with store.database.write() as rows:
                store.keep(rows, owner, b"shared", "image/png")
            with store.database.write() as rows:
                store.release(rows, [owner])

    threads = [threading.Thread(target=keep, args=(f"owner {n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    seen = 0
    while time.monotonic() < stop:
        with store.database.write() as rows:
            for digest in rows.scalars(select(Blob.digest)):
                seen += 1
                assert store.blobs.has(digest)
    for thread in threads:
        thread.join()
    assert list(store.blobs.ages()) == []
    assert seen >= 0
