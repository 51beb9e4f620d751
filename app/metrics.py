"""Prometheus figures: requests of this process, and the state of the whole queue."""

from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlalchemy import func, select

from app.jobs.queue import now
from app.store.database import Database
from app.store.tables import UNFINISHED, Edit, Happening, Worker

_WINDOW_SECONDS = 3600.0
# Whatever else a client sends as a method would stay in memory for ever.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_STAGES = {"plan": ("started", "planned"), "locate": ("planned", "stage"), "queue": ("accepted", "started")}


@final
class Metrics:
    """Counts requests, and reads the rest from the database when it is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "brushedit_http_requests", "Requests.", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "brushedit_http_request_seconds",
            "Seconds until a request was answered.",
            ("route",),
            registry=self._registry,
        )
        self._queue = Gauge(
            "brushedit_queue_depth", "Unfinished edits.", ("lane", "status"), registry=self._registry
        )
        self._ended = Gauge(
            "brushedit_edits_last_hour",
            "Edits that ended in the last hour.",
            ("status",),
            registry=self._registry,
        )
        self._edit_seconds = Gauge(
            "brushedit_edit_seconds_last_hour",
            "Mean seconds of succeeded edits, begin to end.",
            registry=self._registry,
        )
        self._stage_seconds = Gauge(
            "brushedit_stage_seconds_last_hour",
            "Mean seconds of a stage.",
            ("stage",),
            registry=self._registry,
        )
        self._memory = Gauge(
            "brushedit_device_memory_peak_bytes",
            "Peak device memory of an edit, largest of the last hour.",
            registry=self._registry,
        )
        self._workers = Gauge("brushedit_workers", "Workers by state.", ("state",), registry=self._registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        since = now() - _WINDOW_SECONDS
        with self._database.read() as rows:
            depth = rows.execute(
                select(Edit.lane, Edit.status, func.count())
                .where(Edit.status.in_(UNFINISHED))
                .group_by(Edit.lane, Edit.status)
            ).all()
            ended = rows.execute(
                select(Edit.status, func.count()).where(Edit.completed_at > since).group_by(Edit.status)
            ).all()
            recent = rows.execute(
                select(Edit.started_at, Edit.completed_at, Edit.result)
                .where(Edit.status == "succeeded", Edit.completed_at > since)
                .limit(1000)
            ).all()
            workers = rows.execute(select(Worker.state, func.count()).group_by(Worker.state)).all()
            happened = rows.execute(
                select(Happening.edit_id, Happening.type, func.min(Happening.at))
                .where(Happening.at > since, Happening.type != "denoised")
                .group_by(Happening.edit_id, Happening.type)
                .limit(10_000)
            ).all()
        for gauge in (self._queue, self._ended, self._workers):
            gauge.clear()
        for lane, status, count in depth:
            self._queue.labels(lane, status).set(count)
        for status, count in ended:
            self._ended.labels(status).set(count)
        for state, count in workers:
            self._workers.labels(state).set(count)
        taken = [end - start for start, end, _ in recent if start is not None and end is not None]
        self._edit_seconds.set(sum(taken) / len(taken) if taken else 0.0)
        self._memory.set(max(((result or {}).get("peak_memory") or 0 for _, _, result in recent), default=0))
        at = {(edit_id, kind): moment for edit_id, kind, moment in happened}
        for stage, (first, last) in _STAGES.items():
            spans = [
                at[edit, last] - moment
                for (edit, kind), moment in at.items()
                if kind == first and (edit, last) in at
            ]
            self._stage_seconds.labels(stage).set(sum(spans) / len(spans) if spans else 0.0)
        paints = [
            seconds
            for _, _, result in recent
            if (seconds := ((result or {}).get("timings") or {}).get("paint")) is not None
        ]
        self._stage_seconds.labels("paint").set(sum(paints) / len(paints) if paints else 0.0)
        return generate_latest(self._registry)
