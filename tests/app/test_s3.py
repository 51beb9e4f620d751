"""The picture store on a local S3 server; skipped where the packages of the extra `s3` and moto are not installed."""

import pytest

from app.store.blobs import BlobStore

pytest.importorskip("s3fs", reason="the extra s3 is not installed")
moto_server = pytest.importorskip("moto.server", reason="moto, a local S3 server, is not installed")


@pytest.fixture
def bucket(monkeypatch):
    import s3fs

    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "one")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "two")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem().mkdir("pictures")
    yield "s3://pictures/here"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.filterwarnings("ignore")
def test_blobs_on_s3(bucket):
    blobs = BlobStore(bucket)
    digest = blobs.put(b"some bytes" * 1000)
    assert blobs.put(b"some bytes" * 1000) == digest
    assert BlobStore(bucket).get(digest) == b"some bytes" * 1000
    ((found, age),) = blobs.ages()
    assert found == digest
    assert -5 < age < 60
    blobs.remove(digest)
    assert not blobs.has(digest)
    blobs.remove(digest)
    with pytest.raises(FileNotFoundError):
        blobs.get(digest)
