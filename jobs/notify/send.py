"""Telling one receiver one thing, once: it owns command, webhook and mail, and keeps no state.

Every receiver gets the same JSON document. Its `id` is the same when it comes again (a crash
between sending and noting that it was sent), so a receiver can tell a repeat.

Commands and webhooks are told as `base.network.notify` says. Mail goes to the configured host, with
the id as Message-ID, over TLS by the system's authorities or those of the channel's `ca_file`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import socket
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from base.errors import ConfigError
from base.network import notify
from base.network.deadline import Deadline
from base.network.notify import tell_command, tell_webhook
from base.network.post import NotDeliveredError, said_of, trust_of
from base.text import safe_text
from jobs.core.alert_config import Channel, read_secret

SUBJECT_LENGTH_MAX = 150


def send(channel: Channel, document: dict[str, Any]) -> None:
    """Tell one channel; NotDeliveredError when it was not taken, ConfigError for its secret."""
    if channel.kind == "command":
        tell_command(channel.command, document)
    elif channel.kind == "webhook":
        secret = read_secret(channel.secret_file) if channel.secret_file else b""
        tell_webhook(
            channel.url,
            document,
            secret=secret,
            ca_file=channel.ca_file,
            former=_former_signature,
        )
    else:
        _mail(channel, document)


def try_channel(channel: Channel, document: dict[str, Any]) -> str:
    """Tell one channel; returns why it was not taken, or ''."""
    try:
        send(channel, document)
    except (NotDeliveredError, ConfigError) as error:
        return str(error)
    return ""


def test_document() -> dict[str, Any]:
    """Return a document that says that it is a test."""
    now = datetime.now(UTC)
    return {
        "id": f"test-{now.timestamp() * 1e6:.0f}",
        "kind": "test",
        "subject": "this is a test; nothing is to be done",
        "time": now.isoformat(),
        "attempt": 1,
        "document": {},
    }


def _former_signature(secret: bytes, time_s: int, body: bytes) -> str:
    digest = hmac.new(secret, b"%d.%s" % (time_s, body), hashlib.sha256).hexdigest()
    return f"t={time_s},v1={digest}"


def _mail(channel: Channel, document: dict[str, Any]) -> None:
    message = EmailMessage()
    message["From"] = channel.sender
    message["To"] = ", ".join(channel.to)
    subject = safe_text(f"Drystone: {document['kind']}: {document['subject']}")
    message["Subject"] = subject.encode("ascii", "backslashreplace").decode()[:SUBJECT_LENGTH_MAX]
    message["Message-ID"] = f"<{document['id']}@drystone>"
    message.set_content(json.dumps(document, indent=2) + "\n")
    password = read_secret(channel.password_file) if channel.password_file else b""
    try:
        at_once = trust_of(channel.ca_file) if channel.tls == "tls" else None
        with (
            Deadline(notify.TRY_S) as deadline,
            _Smtp(channel.host, channel.port, deadline, at_once) as server,
        ):
            if channel.tls == "starttls":
                server.starttls(context=trust_of(channel.ca_file))
            if channel.user:
                server.login(channel.user, password.decode("utf-8", "surrogateescape"))
            # Some of several who are refused do not have the others told again.
            server.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise NotDeliveredError(f"the mail was not taken: {said_of(error)}") from error


class _Smtp(smtplib.SMTP):
    """SMTP over a connection that ends in time; with `trust` over TLS from its first byte."""

    def __init__(
        self, host: str, port: int, deadline: Deadline, trust: ssl.SSLContext | None
    ) -> None:
        self._deadline, self._trust = deadline, trust
        super().__init__(host, port, timeout=notify.NETWORK_TIMEOUT_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = self._deadline.connect(host, port, timeout)
        return self._trust.wrap_socket(plain, server_hostname=host) if self._trust else plain
