"""Many clients at once against a stub painter, and what the service adds to one edit.

python -m tests.e2e.load_draw --clients 64 --seconds 60 [--database postgresql://…]
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx
import psutil
from dbos import DBOS, DBOSClient
from dbos._serialization import DBOSPortableJSON

from app.access import Keys
from app.jobs.queue import QUEUE, VERSION
from app.pictures import Picture, decode, encode
from app.settings import Settings
from app.store.database import Database
from app.store.records import Store
from app.worker import configure
from brushedit.options import PaintOptions
from brushedit.types import EditRequest
from tests.server import ROOT, Cluster, cluster, png
from tests.stub_agent import StubAgent


async def ask(made: Cluster, key: str, image: bytes, until: float, seen: Counter, done: list[float]) -> None:
    headers = {"Authorization": f"Bearer {key}", "Prefer": "wait=30"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{made.port}", headers=headers, timeout=90, trust_env=False
    ) as client:
        while time.monotonic() < until:
            began = time.monotonic()
            answer = await client.post(
                "/v1/edits", files={"image": ("a.png", image, "image/png")}, data={"instruction": "x"}
            )
            status = answer.json().get("status") if answer.status_code in (200, 202) else None
            seen[f"{answer.status_code} {status or ''}".strip()] += 1
            if answer.status_code == 429:
                assert "retry-after" in answer.headers
                await asyncio.sleep(float(answer.headers["retry-after-ms"]) / 1000)
            elif status == "succeeded":
                done.append(time.monotonic() - began)


def probe(address: str, seconds: float) -> None:
    """Ask for /healthz ten times a second and print how long each answer took."""
    waits: list[float] = []
    until = time.monotonic() + seconds
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
        while time.monotonic() < until:
            began = time.perf_counter()
            client.get("/healthz").raise_for_status()
            waits.append(time.perf_counter() - began)
            time.sleep(0.1)
    print(json.dumps(waits))


async def probed(made: Cluster, seconds: float) -> list[float]:
    # A process of its own: the clients' event loop would count as the server's waiting time.
    command = (sys.executable, "-m", "tests.e2e.load_draw", "--probe", f"http://127.0.0.1:{made.port}")
    process = await asyncio.create_subprocess_exec(
        *command, "--seconds", str(seconds), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    told, _ = await process.communicate()
    return json.loads(told)


async def load(made: Cluster, keys: list[str], seconds: float) -> dict[str, object]:
    seen: Counter[str] = Counter()
    shares: list[list[float]] = [[] for _ in keys]
    memory: list[int] = []
    until = time.monotonic() + seconds

    async def weigh() -> None:
        process = psutil.Process(made.processes[0].pid)
        while time.monotonic() < until:
            await asyncio.sleep(1)
            memory.append(process.memory_info().rss)

    waits, *_ = await asyncio.gather(
        probed(made, seconds),
        weigh(),
        *(
            ask(made, key, png(seed=n), until, seen, share)
            for n, (key, share) in enumerate(zip(keys, shares, strict=True))
        ),
    )
    counts = [len(share) for share in shares]
    warm = memory[len(memory) // 3]
    return {
        "answers": dict(seen),
        "edits_per_second": round(sum(counts) / seconds, 1),
        "share_max_over_min": round(max(counts) / max(1, min(counts)), 2),
        "healthz_p99_ms": round(statistics.quantiles(waits, n=100)[98] * 1000, 1),
        "api_memory_growth_after_warm_up": round(max(memory[len(memory) // 3 :]) / warm - 1, 3),
    }


def added_latency(made: Cluster, key: str, times: int) -> dict[str, float]:
    """Compare a multipart edit of 1 MP with decoding, calling the agent and encoding in this process."""
    direct, served = [], []
    headers = {"Authorization": f"Bearer {key}", "Prefer": "wait=30"}
    with httpx.Client(
        base_url=f"http://127.0.0.1:{made.port}", headers=headers, timeout=60, trust_env=False
    ) as client:
        for number in range(times):
            image = png(1024, 1024, seed=number)
            began = time.perf_counter()
            picture: Picture = decode(image)
            request = EditRequest(picture.pixels, f"x {number}", options=PaintOptions(seed=1))
            events = list(StubAgent(0).edit(request))
            encode(events[-1].result.images[0], picture)
            direct.append(time.perf_counter() - began)
            began = time.perf_counter()
            answer = client.post(
                "/v1/edits",
                files={"image": ("a.png", image, "image/png")},
                data={"instruction": f"x {number}", "seed": "1"},
            )
            served.append(time.perf_counter() - began)
            assert answer.status_code == 200, answer.text
            time.sleep(0.05)
    return {
        "direct_p50_ms": round(statistics.median(direct) * 1000, 1),
        "served_p50_ms": round(statistics.median(served) * 1000, 1),
        "added_p50_ms": round((statistics.median(served) - statistics.median(direct)) * 1000, 1),
    }


def carry_nothing_out(url: str) -> None:
    """Be a worker whose edits are four stages that do nothing, all else as in `app.worker`."""
    settings = Settings(database_url=url)
    configure(settings, Database(url, waits_for_disk=False), "worker_that_carries_nothing_out")

    def edit(edit_id: str) -> str:
        for _ in range(4):
            DBOS.run_step(None, str, edit_id)
        return edit_id

    DBOS.workflow(name="edit", max_recovery_attempts=None)(edit)
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=1, polling_interval_sec=settings.queue_poll)
    print("ready", flush=True)
    sys.stdin.read()


def durable_floor(folder: Path, url: str, times: int) -> dict[str, float]:
    """Measure what durable execution alone takes: from one process's queue through four stages in another."""
    url = url or f"sqlite:///{folder / 'floor.db'}"
    command = (sys.executable, "-m", "tests.e2e.load_draw", "--carry-nothing-out", "--database", url)
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert worker.stdout
    assert worker.stdout.readline() == b"ready\n"
    client = DBOSClient(system_database_engine=Database(url).engine, serializer=DBOSPortableJSON)
    took: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        handle = client.enqueue({"workflow_name": "edit", "queue_name": QUEUE, "app_version": VERSION}, "x")
        while handle.get_status().status != "SUCCESS":
            time.sleep(0.001)
        took.append(time.perf_counter() - began)
        time.sleep(0.05)
    worker.communicate()
    return {"durable_floor_p50_ms": round(statistics.median(took) * 1000, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--database", default="")
    parser.add_argument("--probe", default="", help=argparse.SUPPRESS)
    parser.add_argument("--carry-nothing-out", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.probe:
        probe(asked.probe, asked.seconds)
        return
    if asked.carry_nothing_out:
        carry_nothing_out(asked.database)
        return
    folder = Path(tempfile.mkdtemp())
    env = {"BRUSHEDIT_RATE_PER_MINUTE": "100000", "BRUSHEDIT_QUEUE_LIMIT": "2000"}
    if asked.database:
        env["DATABASE_URL"] = asked.database
    with cluster(folder, "api", "worker", **env) as made:
        settings = {"database_url": asked.database} if asked.database else {}
        store = Store(Settings(data=folder / "data", **settings))
        keys = [Keys(store.database).create(f"tenant {n}")[1] for n in range(asked.clients)]
        store.database.close()
        latency = added_latency(made, keys[0], asked.times)
        told: dict[str, object] = {"latency": latency}
        print(json.dumps(told), flush=True)
        told["load"] = asyncio.run(load(made, keys, asked.seconds))
    latency |= durable_floor(folder, asked.database, asked.times)
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
