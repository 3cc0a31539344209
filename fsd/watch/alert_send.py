"""Telling one person or machine: it owns how an alert goes to a command or a webhook, once.

The command gets the JSON document on stdin, without a shell. The webhook gets it as a POST; with a
secret file, `X-Drystone-Signature: sha256=HEX` is the HMAC-SHA256 of the body under the file's
content (less white space around it). Redirects are not followed: only 2xx counts as taken.
"""

import contextlib
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import sys
import threading
from collections.abc import Generator
from typing import Any
from urllib.parse import SplitResult, urlsplit

from base.run_command import run_command
from fsd.disks.config import AlertsConfig
from fsd.format.errors import FsdError

COMMAND_TIMEOUT_S = 30.0
WEBHOOK_TIMEOUT_S = 10.0
WEBHOOK_TRY_S = 20.0
"""For all of one try, whatever the receiver does; the other is for a silence."""
OUTPUT_LOGGED_MAX = 2000
SIGNATURE_HEADER = "X-Drystone-Signature"


class AlertNotSentError(FsdError):
    """It was not taken; the message says why, and it may be tried again."""


def channels(config: AlertsConfig) -> tuple[str, ...]:
    """Return the configured ways: `command`, `webhook`."""
    return ("command",) * bool(config.command) + ("webhook",) * bool(config.webhook)


def send(config: AlertsConfig, channel: str, document: dict[str, Any]) -> None:
    """Send one document one way; AlertNotSentError when it was not taken."""
    body = json.dumps(document).encode("ascii")
    if channel == "command":
        _run_command(config, body)
    else:
        _post(config, body)


def sign(secret: bytes, body: bytes) -> str:
    """Return the value of the signature's header."""
    return "sha256=" + hmac.new(secret.strip(), body, hashlib.sha256).hexdigest()


def _run_command(config: AlertsConfig, body: bytes) -> None:
    ended = run_command(
        config.command, COMMAND_TIMEOUT_S, given=body + b"\n", said_bytes_max=OUTPUT_LOGGED_MAX
    )
    if output := ended.said.decode("utf-8", "replace").strip():
        # The engine's stderr is its log.
        print(f"alert command: {output!a}", file=sys.stderr, flush=True)
    if ended.code != 0:
        why = ended.problem or f"exit code {ended.code}"
        raise AlertNotSentError(f"the alert command {config.command[0]!a} failed: {why}")


def _post(config: AlertsConfig, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "drystone"}
    try:
        parts = urlsplit(config.webhook)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if config.secret_file:
            with open(config.secret_file, "rb") as file:
                headers[SIGNATURE_HEADER] = sign(file.read(), body)
        with _connection(parts) as connection:
            connection.request("POST", target, body, headers)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise AlertNotSentError(f"the webhook was not reached: {error}") from error
    if not 200 <= status < 300:
        raise AlertNotSentError(f"the webhook answered {status}")


@contextlib.contextmanager
def _connection(parts: SplitResult) -> Generator[http.client.HTTPConnection]:
    """Connect, for so long at most: a receiver that sends a byte now and then never ends itself."""
    secure, host = parts.scheme == "https", parts.hostname or ""
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(host, parts.port, timeout=WEBHOOK_TIMEOUT_S)
    address = host, connection.port
    with socket.create_connection(address, WEBHOOK_TIMEOUT_S) as plain, plain.dup() as guard:
        timer = threading.Timer(WEBHOOK_TRY_S, _hang_up, (guard,))
        timer.daemon = True
        timer.start()
        try:
            tls = ssl.create_default_context() if secure else None
            connection.sock = tls.wrap_socket(plain, server_hostname=host) if tls else plain
            yield connection
        finally:
            timer.cancel()
            connection.close()


def _hang_up(guard: socket.socket) -> None:
    with contextlib.suppress(OSError):  # It was over just before.
        guard.shutdown(socket.SHUT_RDWR)
