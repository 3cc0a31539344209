"""Webhooks of a database of a test's own, and receivers on this machine that do what is asked."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from base.operations.operation import Caller
from jobs.core.alert_config import AlertsConfig
from jobs.core.config import WebhooksConfig
from jobs.notify.deliver import Deliverer
from jobs.runs import webhook_operations as operations
from jobs.runs.session import Session
from sql import Database

HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$c29tZWhhc2g"
OWNER = Caller("root", "admin")
HERE = WebhooksConfig.model_validate({"allowed_networks": ["127.0.0.0/8"]})


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what it got, and does what its server says."""

    protocol_version = "HTTP/1.1"
    server: Hook

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True  # Its sender died in the middle: that is no message.
            return
        self.server.got.append((dict(self.headers), body))
        self.server.answer(self)

    def say(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Hook(http.server.ThreadingHTTPServer):
    """A receiver on this machine."""

    daemon_threads = True
    scheme = "http"

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[Receiver], None] = lambda one: one.say(204)
        self.ends = threading.Event()
        self.was_read = False
        super().__init__(("127.0.0.1", 0), Receiver)
        if context is not None:
            self.scheme = "https"
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}/hook?a=1"

    @property
    def documents(self) -> list[Any]:
        return [json.loads(body) for _, body in self.got]

    def handle_error(self, *_: object) -> None:
        """Somebody who does not trust us is no error of the test."""


@contextmanager
def serving(server: Hook) -> Iterator[Hook]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Place:
    """A database, a session of its operations, and a deliverer."""

    def __init__(self, database: Database, config_path: str) -> None:
        self.database = database
        self.session = Session(config_path, lambda: database)

    def add(self, url: str, name: str = "ops", caller: Caller = OWNER, **fields: Any) -> Any:
        asked = operations.NewWebhookRequest(name=name, url=url, **fields)
        return operations.add(self.session, caller, asked)

    def happen(self, *subjects: str, kind: str = "processing.failed") -> None:
        for subject in subjects:
            self.database.events.add(kind, subject, {"reason": "no \x1b space"})

    def deliver(self, config: WebhooksConfig = HERE) -> None:
        deliverer = Deliverer(AlertsConfig(), self.database, "00" * 16, config)
        deliverer.tick()
        deliverer.join()

    def found(self, name: str = "ops") -> Any:
        return operations.show(self.session, OWNER, operations.OneWebhook(name=name))

    def deliveries(self, name: str = "ops") -> list[Any]:
        asked = operations.DeliveriesRequest(name=name)
        return operations.deliveries(self.session, OWNER, asked)

    def make_due(self) -> None:
        with self.database.connection() as connection:
            connection.execute("UPDATE webhook_delivery SET not_before = now() - interval '1 s'")
            connection.execute("UPDATE webhook SET taken_until = now() - interval '1 s'")
