"""Telling one person or machine: it owns how an alert goes to a command or a webhook, once.

The command gets the JSON document on stdin, without a shell. The webhook gets it as a POST; with a
secret file, `X-Drystone-Signature: sha256=HEX` is the HMAC-SHA256 of the body under the file's
content (less white space around it). Redirects are not followed: only 2xx counts as taken.
"""

import hashlib
import hmac
import http.client
import json
import sys
from typing import Any
from urllib.parse import urlsplit

from fsd.config import AlertsConfig
from fsd.errors import FsdError
from fsd.program import run_program

COMMAND_TIMEOUT_S = 30.0
WEBHOOK_TIMEOUT_S = 10.0
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
    outcome = run_program(config.command, COMMAND_TIMEOUT_S, body + b"\n")
    if output := outcome.output.strip()[:OUTPUT_LOGGED_MAX]:
        # The engine's stderr is its log.
        print(f"alert command: {output!a}", file=sys.stderr, flush=True)
    if outcome.code != 0:
        why = outcome.problem or f"exit code {outcome.code}"
        raise AlertNotSentError(f"the alert command {config.command[0]!a} failed: {why}")


def _post(config: AlertsConfig, body: bytes) -> None:
    parts = urlsplit(config.webhook)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"Content-Type": "application/json", "User-Agent": "drystone"}
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        if config.secret_file:
            with open(config.secret_file, "rb") as file:
                headers[SIGNATURE_HEADER] = sign(file.read(), body)
        connection = kind(parts.hostname or "", parts.port, timeout=WEBHOOK_TIMEOUT_S)
        try:
            connection.request("POST", target, body, headers)
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise AlertNotSentError(f"the webhook was not reached: {error}") from error
    if not 200 <= status < 300:
        raise AlertNotSentError(f"the webhook answered {status}")
