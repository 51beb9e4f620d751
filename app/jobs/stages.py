"""An edit's workflow: plan, locate, paint, finish, each a step DBOS checkpoints. Runs in the worker."""

import logging
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, final

from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from app import logs
from app.jobs import wire
from app.jobs.ledger import Ledger
from app.jobs.queue import now
from app.jobs.requests import build_request, parent_picture, read_history, read_regions
from app.pictures import Picture, decode, encode, encode_mask
from app.refusals import InternalFault, Superseded, WorkerLost
from app.settings import Settings
from app.store.records import Store
from app.store.tables import UNFINISHED, Edit
from app.traces import span
from brushedit.errors import EditError
from brushedit.events import Blended, Denoised, Event, Finished, Located, Planned
from brushedit.types import EditPlan, EditRequest, EditResult, Region

logger = logging.getLogger(__name__)

MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


class Agent(Protocol):
    """What carries out an edit; `agents.editor.Editor` is one."""

    def plan(self, request: EditRequest) -> EditPlan:
        """Return the plan for a request."""
        ...

    def edit(self, request: EditRequest, regions: Mapping[int, Region] = ...) -> Generator[Event]:
        """Yield what happens, from the given plan and regions on."""
        ...


@dataclass(frozen=True)
class Attempt:
    """One worker's go at an edit."""

    edit_id: str
    number: int
    until: str
    origin: Mapping[str, str]


@final
class Stages:
    """The stages of an edit, on one agent.

    Each stage reads the edit's row, does its part, and writes what came of it into the row, so a stage that is
    begun again after a crash finds everything the ones before it left.
    """

    def __init__(self, settings: Settings, store: Store, ledger: Ledger, agent: Agent) -> None:
        self._settings = settings
        self._store = store
        self._ledger = ledger
        self._agent = agent
        self._recent: tuple[str, Picture] | None = None
        self._found: tuple[Attempt, dict[int, Region]] | None = None

    def begin(self, edit_id: str) -> Attempt | None:
        """Take an edit in hand; None where there is nothing left to do."""
        with self._store.database.write() as rows:
            begun = rows.execute(
                update(Edit)
                .where(Edit.id == edit_id, Edit.status.in_(UNFINISHED))
                .values(attempt=Edit.attempt + 1)
                .returning(Edit.attempt, Edit.until, Edit.request)
                .execution_options(synchronize_session=False)
            ).one_or_none()
        if begun is None:
            return None
        attempt = Attempt(edit_id, begun.attempt, begun.until, begun.request.get("origin", {}))
        if attempt.number > self._settings.attempts:
            lost = WorkerLost(
                f"{self._settings.attempts} workers stopped working while they carried out this edit"
            )
            self._ledger.settle(edit_id, attempt.number, "failed", error=lost)
            return None
        return attempt

    def guarded(self, stage: Callable[[Attempt], None], attempt: Attempt) -> bool:
        """Run a stage; return whether the next one is to follow. What goes wrong settles the edit.

        Raises
        ------
        DBAPIError
            The database is not there for now: the stage is to be run again.
        """
        name, began = stage.__name__, time.perf_counter()
        about = logs.about(attempt.origin.get("request_id", ""), attempt.edit_id)
        with about, span(name, attempt.origin, edit=attempt.edit_id, attempt=attempt.number):
            outcome = self._outcome(stage, attempt)
            told = {"stage": name, "outcome": outcome, "ms": round((time.perf_counter() - began) * 1000)}
            logger.info("%(stage)s: %(outcome)s in %(ms)d ms", told, extra=told)
        return outcome == "done"

    def _outcome(self, stage: Callable[[Attempt], None], attempt: Attempt) -> str:
        """Run a stage; return "done", or why the edit does not go on."""
        try:
            stage(attempt)
        except Superseded as error:
            return error.code
        except DBAPIError:
            raise
        except EditError as error:
            self._ledger.settle(attempt.edit_id, attempt.number, "failed", error=error)
            return error.code
        except Exception:
            # A worker outlives any one edit: what a network or a codec throws ends this edit alone.
            logger.exception("%s failed", stage.__name__)
            fault = InternalFault("the service failed on this edit; its log says more under the edit's id")
            self._ledger.settle(attempt.edit_id, attempt.number, "failed", error=fault)
            return fault.code
        return "done"

    def plan(self, attempt: Attempt) -> None:
        """Ask the instructor, unless the plan is there already."""
        with self._store.database.read() as rows:
            edit = rows.get_one(Edit, attempt.edit_id)
            source = parent_picture(rows, edit) if edit.parent_id and not edit.image else edit.image
            history = read_history(rows, edit)
        with self._store.database.write() as rows:
            self._ledger.note_in(
                rows,
                attempt.edit_id,
                attempt.number,
                "started",
                {"attempt": attempt.number},
                status="processing",
                stage="plan",
                image=source,
                started_at=now(),
            )
            self._store.use(rows, attempt.edit_id, [source])
        picture = self._picture(source)
        known = wire.plan_from_json(edit.plan) if edit.plan else None
        plan = self._agent.plan(build_request(self._store, edit, picture.pixels, known, history))
        data = wire.plan_to_json(plan)
        self._ledger.note(
            attempt.edit_id, attempt.number, "planned", {"plan": data}, plan=data, stage="locate"
        )

    def locate(self, attempt: Attempt) -> None:
        """Find the first step's region; those of later steps are found on what the earlier ones painted."""
        edit, picture, request = self._request(attempt)
        regions = read_regions(self._store, edit, picture.pixels.shape[:2])
        if 0 not in regions:
            events = self._agent.edit(request)
            try:
                for event in events:
                    if isinstance(event, Located):
                        self._locate(attempt, regions, event)
                        break
            finally:
                events.close()
        self._ledger.note(attempt.edit_id, attempt.number, "stage", {"stage": "paint"}, stage="paint")
        self._found = (attempt, regions)

    def paint(self, attempt: Attempt) -> None:
        """Repaint, and store the result."""
        edit, picture, request = self._request(attempt)
        if edit.stage == "finish":
            return
        # The same worker has just found them, unless it is new to this edit.
        same = self._found is not None and self._found[0] == attempt
        shape = picture.pixels.shape[:2]
        regions = self._found[1] if self._found and same else read_regions(self._store, edit, shape)
        events = self._agent.edit(request, dict(regions))
        try:
            for event in events:
                match event:
                    case Located(step=step):
                        if step not in regions:
                            self._locate(attempt, regions, event)
                    case Denoised():
                        self._denoised(attempt, picture, event)
                    case Blended(sample=sample, report=report):
                        self._ledger.note(
                            attempt.edit_id,
                            attempt.number,
                            "blended",
                            {"sample": sample, "report": wire.report_to_json(report)},
                        )
                    case Finished(result=result):
                        self._keep(attempt, edit, picture, result)
                    case Planned():
                        pass
        finally:
            # Closing is what stops the denoising loop.
            events.close()

    def finish(self, attempt: Attempt) -> None:
        """End the edit."""
        self._ledger.settle(attempt.edit_id, attempt.number, "succeeded")

    def _picture(self, digest: str) -> Picture:
        """Return an edit's input; its three stages follow one another, and decode it once."""
        if self._recent is None or self._recent[0] != digest:
            self._recent = (
                digest,
                decode(self._store.blobs.get(digest), max_pixels=self._settings.max_pixels),
            )
        return self._recent[1]

    def _request(self, attempt: Attempt) -> tuple[Edit, Picture, EditRequest]:
        with self._store.database.read() as rows:
            edit = rows.get_one(Edit, attempt.edit_id)
        picture = self._picture(edit.image)
        plan = wire.plan_from_json(edit.plan)
        return edit, picture, build_request(self._store, edit, picture.pixels, plan, ())

    def _locate(self, attempt: Attempt, regions: dict[int, Region], event: Located) -> None:
        region = event.region
        regions[event.step] = region
        with self._store.database.write() as rows:
            mask = self._store.keep(rows, attempt.edit_id, encode_mask(region.mask), "image/png")
            edit = rows.get_one(Edit, attempt.edit_id)
            entry = {
                "mask": mask,
                "coverage": float(region.mask.mean()),
                "candidates": wire.candidates_to_json(region.candidates),
                "chosen": list(region.chosen),
                "scores": [float(score) for score in region.scores],
            }
            told = {key: value for key, value in entry.items() if key != "mask"}
            self._ledger.note_in(
                rows,
                attempt.edit_id,
                attempt.number,
                "located",
                {"step": event.step, **told},
                regions=[*edit.regions[: event.step], entry],
            )

    def _denoised(self, attempt: Attempt, picture: Picture, event: Denoised) -> None:
        data: dict[str, Any] = {"step": event.step, "steps": event.steps}
        with self._store.database.write() as rows:
            if event.preview is not None:
                data["preview"] = self._store.keep(
                    rows,
                    attempt.edit_id,
                    encode(event.preview, Picture(picture.pixels), format="png"),
                    "image/png",
                )
            self._ledger.note_in(rows, attempt.edit_id, attempt.number, "denoised", data)

    def _keep(self, attempt: Attempt, edit: Edit, picture: Picture, result: EditResult) -> None:
        wanted = edit.request.get("output_format") or picture.source.format.lower()
        quality = edit.request.get("output_quality", 95)
        files: list[tuple[dict[str, Any], bytes, bytes | None]] = []
        for image, seed, report in zip(result.images, result.seeds, result.reports, strict=True):
            about = {"seed": seed, "report": wire.report_to_json(report), "media_type": MEDIA_TYPES[wanted]}
            recipe = self._recipe(edit, result, seed) if edit.request.get("recipe", True) else None
            file = encode(image, picture, format=wanted, quality=quality, recipe=recipe)
            # The next turn works on the picture as it was painted, not as JPEG remembers it.
            files.append((about, file, encode(image, picture, format="png") if wanted == "jpeg" else None))
        with self._store.database.write() as rows:
            images: list[dict[str, Any]] = []
            for about, file, lossless in files:
                kept = self._store.keep(rows, attempt.edit_id, file, about["media_type"])
                exact = self._store.keep(rows, attempt.edit_id, lossless, "image/png") if lossless else kept
                images.append({**about, "file": kept, "lossless": exact, "bytes": len(file)})
            height, width = picture.pixels.shape[:2]
            told = {
                "images": images,
                "width": width,
                "height": height,
                "timings": {stage: float(seconds) for stage, seconds in result.timings.items()},
                "peak_memory": result.peak_memory,
                "warnings": list(picture.source.warnings),
            }
            self._ledger.note_in(
                rows,
                attempt.edit_id,
                attempt.number,
                "stage",
                {"stage": "finish"},
                result=told,
                stage="finish",
            )

    def _recipe(self, edit: Edit, result: EditResult, seed: int) -> dict[str, object]:
        return {
            "instruction": edit.request["instruction"],
            "plan": wire.plan_to_json(result.plan),
            "seed": seed,
            "options": edit.request.get("options", {}),
            "profile": self._settings.profile,
            "input_sha256": edit.image,
        }
