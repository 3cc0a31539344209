"""Spans of requests, runs and tasks, for OpenTelemetry; they are exported where that is configured.

    request -> run -> attempts of its tasks

The id of a span follows from what it is of (a request's id, the number of a run), so whoever knows
the run knows its parent, and nothing but the trace's id travels between processes. Nothing of the
SDK is loaded unless an endpoint is set.
"""

from __future__ import annotations

import functools
import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from base.errors import ConfigError

VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Of OpenTelemetry, which the SDK itself reads with its others; `endpoint` goes first."""
TIMEOUT_S = 2.0
"""So long a collector may take, also when a process ends."""
MODULES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


@dataclass(frozen=True, slots=True)
class Span:
    """What took how long; times in ns since the epoch. `parent_id` is 0 for none."""

    name: str
    trace_id: str
    span_id: int
    parent_id: int
    begin_ns: int
    end_ns: int
    attributes: dict[str, str | int]
    is_error: bool = False
    is_server: bool = False


@dataclass(frozen=True, slots=True)
class _Settings:
    daemon: str
    endpoint: str
    store_id: str


_settings: _Settings | None = None
_processor: Any = None


def configure(daemon: str, config_path: str) -> None:
    """Say where the spans of this process go, by [telemetry] of drystone.toml or the environment.

    Raises ConfigError where that is wrong, or what exports them is not installed.
    """
    from base.config import read_config

    file = read_config(config_path)
    endpoint = ""
    if file.section("telemetry"):
        from base.logging.config import TelemetryConfig

        endpoint = file.checked(TelemetryConfig, "telemetry").endpoint
    if not endpoint and not any(os.environ.get(name) for name in VARIABLES):
        return
    if not _is_installed():
        if not endpoint:
            return  # The variables may be meant for other programs of this machine.
        raise ConfigError(
            "[telemetry] in drystone.toml needs what exports spans: install the extra `telemetry` "
            "(pip install 'drystone[telemetry]'), or leave the section out"
        )
    _begin(_Settings(daemon, endpoint, file.store_id))


def configure_elsewhere(daemon: str, store_id: str) -> None:
    """Say where the spans of a process go that has no drystone.toml: by the environment alone.

    `store_id` is that of the store it works for: the ids of spans follow from it.
    """
    if store_id and any(os.environ.get(name) for name in VARIABLES) and _is_installed():
        _begin(_Settings(daemon, "", store_id))


def is_on() -> bool:
    """Tell whether spans are exported."""
    return _settings is not None


def span_id_of(what: str) -> int:
    """Return the id of the span of something: `request ID`, `run 7`, `attempt 9 2`."""
    assert _settings is not None
    digest = hashlib.sha256(f"{_settings.store_id} {what}".encode()).digest()
    return int.from_bytes(digest[:8], "big") or 1


def trace_id_of(what: str) -> str:
    """Return the id of a trace that nobody began elsewhere."""
    assert _settings is not None
    return hashlib.sha256(f"{_settings.store_id} trace {what}".encode()).hexdigest()[:32]


def add(span: Span) -> None:
    """Export a span that has ended, soon and in the background."""
    if _settings is not None:
        _exporting(_settings).on_end(_readable(span))


def close() -> None:
    """Export what is left; for the end of a process."""
    global _processor
    processor, _processor = _processor, None
    if processor is not None:
        processor.shutdown()


def _begin(settings: _Settings) -> None:
    global _settings
    _settings = settings
    _load()  # Here, for all that are forked from this process.


def _is_installed() -> bool:
    with suppress(ModuleNotFoundError):
        return all(find_spec(name) is not None for name in MODULES)
    return False


def _load() -> Any:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk import trace as sdk
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return trace, sdk, Resource, BatchSpanProcessor, OTLPSpanExporter


def _exporting(settings: _Settings) -> Any:
    """Return what exports, begun in the process that needs it: a fork has no thread of another."""
    global _processor
    if _processor is None:
        _, _, _, processor, exporter = _load()
        path = f"{settings.endpoint.rstrip('/')}/v1/traces" if settings.endpoint else None
        _processor = processor(exporter(endpoint=path, timeout=TIMEOUT_S))
    return _processor


@functools.cache
def _resource(daemon: str) -> Any:
    return _load()[2].create({"service.name": "drystone", "drystone.daemon": daemon})


def _readable(span: Span) -> Any:
    assert _settings is not None
    trace, sdk, _, _, _ = _load()
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    trace_id = int(span.trace_id, 16)

    def context(span_id: int) -> Any:
        return trace.SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags)

    status = trace.StatusCode.ERROR if span.is_error else trace.StatusCode.UNSET
    return sdk.ReadableSpan(
        span.name,
        context=context(span.span_id),
        parent=context(span.parent_id) if span.parent_id else None,
        resource=_resource(_settings.daemon),
        attributes=span.attributes,
        kind=trace.SpanKind.SERVER if span.is_server else trace.SpanKind.INTERNAL,
        status=trace.Status(status),
        start_time=span.begin_ns,
        end_time=span.end_ns,
    )
