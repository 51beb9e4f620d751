"""Real processes for tests: an API and workers on a stub agent, in a folder of their own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import httpx
import numpy as np
import PIL.Image

ROOT = Path(__file__).parent.parent


def png(width: int = 32, height: int = 24, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    out = BytesIO()
    PIL.Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(PIL.Image.open(BytesIO(data)).convert("RGB"))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@dataclass
class Cluster:
    """Processes that share one folder and database."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    files: list[BinaryIO] = field(default_factory=list)
    port: int = field(default_factory=free_port)

    def start(self, role: str, **env: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{role}-{len(self.processes)}.log").open("wb")
        self.files.append(log)
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"from app.commands.serve import {role}; from app.settings import Settings; {role}(Settings())",
            ],
            cwd=ROOT,
            env=os.environ
            | {
                "BRUSHEDIT_DATA": str(self.folder / "data"),
                "BRUSHEDIT_PORT": str(self.port),
                "BRUSHEDIT_AGENT": "tests.stub_agent:build",
                "BRUSHEDIT_HEARTBEAT": "0.3",
                "BRUSHEDIT_WORKER_TIMEOUT": "3",
                "BRUSHEDIT_DRAIN_SECONDS": "5",
                "BRUSHEDIT_RATE_PER_MINUTE": "100000",
                "OMP_NUM_THREADS": "1",
            }
            | self.env
            | env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        self.processes.append(process)
        return process

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30, trust_env=False
        )

    def wait_up(self, path: str = "/healthz", seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        with self.client() as client:
            while time.monotonic() < deadline:
                with contextlib.suppress(httpx.TransportError):
                    if client.get(path).status_code == 200:
                        return
                if any(process.poll() not in (None, 0, -9) for process in self.processes):
                    break
                time.sleep(0.05)
        raise TimeoutError(f"{path} did not answer; the logs say:\n{self.logs()}")

    def logs(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()}" for path in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for file in self.files:
            file.close()


@contextlib.contextmanager
def cluster(folder: Path, *roles: str, **env: str) -> Iterator[Cluster]:
    made = Cluster(folder, env)
    try:
        for role in roles:
            made.start(role)
        if "api" in roles or "serve" in roles:
            made.wait_up()
        if "worker" in roles or "serve" in roles:
            made.wait_up("/readyz")
        yield made
    finally:
        made.stop()


def wait_ended(client: httpx.Client, edit_id: str, seconds: float = 30) -> dict:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        edit = client.get(f"/v1/edits/{edit_id}").raise_for_status().json()
        if edit["status"] in ("succeeded", "failed", "canceled"):
            return edit
        time.sleep(0.05)
    raise TimeoutError(f"the edit did not end: {edit}")
