"""An S3-compatible server for tests, in a process of its own: beside a client's event loop it would block it."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx

from tests.server import free_port

BUCKET = "brushedit"


@contextlib.contextmanager
def s3() -> Iterator[dict[str, str]]:
    """Give the variables that name the server, with an empty bucket on it."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                # The server asks for no signature.
                httpx.put(f"{address}/{BUCKET}", trust_env=False).raise_for_status()
                break
            except httpx.TransportError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        process.kill()
        process.wait()
