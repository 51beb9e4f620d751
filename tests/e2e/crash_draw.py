"""Kill workers and APIs at random moments of every stage and count what becomes of the edits.

python -m tests.e2e.crash_draw --times 20 [--database postgresql://…]
"""

import argparse
import json
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx
from sqlalchemy import select

from app.settings import Settings
from app.store.records import Store
from app.store.retention import sweep_blobs
from app.store.tables import Blob, BlobUse
from tests.server import Cluster, cluster, pixels, png, wait_ended

STAGES = ("plan", "locate", "paint", "finish")
BEFORE = {"plan": "started", "locate": "planned", "paint": "located", "finish": "blended"}
"""The event after which a stage runs."""
LASTING = {"plan": 0.4, "locate": 0.4, "paint": 0.9, "finish": 0.05}


def follow(client: httpx.Client, edit_id: str, kind: str) -> None:
    """Return once an event has come."""
    with client.stream("GET", f"/v1/edits/{edit_id}/events") as response:
        for line in response.iter_lines():
            if line == f"event: {kind}":
                return


def draw(made: Cluster, role: str, stage: str, rng: random.Random, number: int) -> str:
    """Kill one process at a random moment of a stage; return how the edit ended, having checked all of it."""
    image = png(seed=number)
    with made.client() as client:
        sent = client.post(
            "/v1/edits",
            files={"image": ("a.png", image, "image/png")},
            data={"instruction": f"slow {stage} {number}", "seed": "3"},
        )
        assert sent.status_code == 202, sent.text
        edit_id = sent.json()["id"]
        follow(client, edit_id, BEFORE[stage])
    time.sleep(rng.random() * LASTING[stage])
    victim = next(process for process in reversed(made.processes) if process.args[2].count(f"import {role};"))
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    made.start(role)
    if role == "api":
        made.wait_up()
    with made.client() as client:
        edit = wait_ended(client, edit_id, 40)
        with client.stream("GET", edit["urls"]["events"]) as response:
            lines = list(response.iter_lines())
        numbers = [int(line[4:]) for line in lines if line.startswith("id: ")]
        assert numbers == list(range(1, len(numbers) + 1)), numbers
        assert lines.count("event: succeeded") + lines.count("event: failed") == 1, lines
        if edit["status"] == "succeeded":
            before, after = pixels(image), pixels(client.get(edit["images"][0]["url"]).content)
            assert (before[0] == after[0]).all()
            assert ((255 - before[12, 16]) ^ 3 == after[12, 16]).all()
        else:
            assert edit["error"]["code"], edit
    return edit["status"]


def orphans(data: Path, **settings: str) -> int:
    """Return how many blobs are left that no row needs, after garbage collection."""
    store = Store(Settings(data=data, **settings))
    try:
        sweep_blobs(store, 0)
        with store.database.read() as rows:
            needed = set(rows.scalars(select(BlobUse.digest)))
            known = set(rows.scalars(select(Blob.digest)))
        return len({digest for digest, _ in store.blobs.ages()} ^ needed) + len(known ^ needed)
    finally:
        store.database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--database", default="")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    outcomes: dict[str, Counter[str]] = {}
    folder = Path(tempfile.mkdtemp())
    env = {"DATABASE_URL": asked.database} if asked.database else {}
    with cluster(folder, "api", "worker", **env) as made:
        for role in ("worker", "api"):
            for stage in STAGES:
                seen = outcomes.setdefault(f"{role} killed in {stage}", Counter())
                for number in range(asked.times):
                    seen[draw(made, role, stage, rng, number)] += 1
                print(f"{role} killed in {stage}: {dict(seen)}", flush=True)
    left = orphans(folder / "data", **({"database_url": asked.database} if asked.database else {}))
    print(json.dumps({"outcomes": outcomes, "orphans": left}))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
