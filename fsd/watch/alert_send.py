"""Telling somebody of an alert of the store, by its command or its webhook, once."""

from __future__ import annotations

import hashlib
import hmac
import sys
from typing import Any

from base.notify import NotDeliveredError, tell_command, tell_webhook
from fsd.disks.config import AlertsConfig


def channels(config: AlertsConfig) -> tuple[str, ...]:
    """Return the configured ways: `command`, `webhook`."""
    return ("command",) * bool(config.command) + ("webhook",) * bool(config.webhook)


def send(config: AlertsConfig, channel: str, document: dict[str, Any]) -> None:
    """Send one document one way. Raises NotDeliveredError and ConfigError."""
    if channel == "command":
        if said := tell_command(config.command, document):
            # The engine's stderr is its log.
            print(f"alert command: {said}", file=sys.stderr, flush=True)
    else:
        secret = _secret(config.secret_file) if config.secret_file else b""
        tell_webhook(config.webhook, document, secret=secret, former=_former_signature)


def _former_signature(secret: bytes, _time_s: int, body: bytes) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def _secret(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            secret = file.read().strip()
    except OSError as error:
        raise NotDeliveredError(
            f"the secret file {path} cannot be read: {error.strerror}"
        ) from error
    if not secret:
        raise NotDeliveredError(f"the secret file {path} is empty")
    return secret
