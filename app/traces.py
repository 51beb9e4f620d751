"""Traces, where OTEL_ variables name a receiver: one from a request through every stage of the edit it asks for."""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from app import __version__, logs

_WANTED: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")

NOT_TRACED: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""What machines ask every few seconds."""


@contextmanager
def sent(role: str) -> Generator[None]:
    """Send this process's traces to whom the standard OTEL_ variables name, by OTLP over HTTP; to nobody without.

    Parameters
    ----------
    role : str
        What the process is: "api" or "worker".
    """
    named = any(os.environ.get(name) for name in _WANTED)
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if not named or off or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise SystemExit(
            "OTEL_ variables ask for traces, which need more packages: pip install 'brushedit-service[otel]'"
        ) from None
    ours = Resource({"service.name": "brushedit", "service.version": __version__, "brushedit.role": role})
    provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()


def origin() -> dict[str, str]:
    """Return what an edit remembers of the request it came with: its id and its place in a trace."""
    carried: dict[str, str] = {}
    propagate.inject(carried)
    return {"request_id": logs.request_id(), **carried}


@contextmanager
def span(name: str, origin: Mapping[str, str], **attributes: Any) -> Generator[None]:
    """Trace what is done meanwhile, under the request it was asked for with; an error is told by its kind alone."""
    tracer = trace.get_tracer("brushedit", __version__)
    with tracer.start_as_current_span(
        name,
        propagate.extract(origin),
        SpanKind.CONSUMER,
        {f"brushedit.{key}": value for key, value in attributes.items()},
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except Exception as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
