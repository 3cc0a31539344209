"""A collector of OpenTelemetry on loopback: it keeps the spans that it is sent."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Collector:
    """The spans that came, by their names, and from which daemon each is."""

    address: str = ""
    spans: list[tuple[str, Any]] = field(default_factory=list)

    def named(self, name: str) -> list[Any]:
        return [span for _, span in list(self.spans) if span.name == name]

    def daemons(self) -> set[str]:
        return {daemon for daemon, _ in list(self.spans)}


@contextlib.contextmanager
def collector() -> Iterator[Collector]:
    """Listen; skipped where the extra `telemetry` is not installed."""
    service = pytest.importorskip(
        "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="extra telemetry"
    )
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="extra telemetry")
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces"
            request = service.ExportTraceServiceRequest.FromString(body)
            for group in request.resource_spans:
                told = {one.key: one.value.string_value for one in group.resource.attributes}
                assert told["service.name"] == "drystone"
                for scope in group.scope_spans:
                    found.spans += [(told["drystone.daemon"], span) for span in scope.spans]
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
