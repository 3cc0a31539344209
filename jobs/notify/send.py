"""Telling one receiver one thing, once: it owns command, webhook and mail, and keeps no state.

Every receiver gets the same JSON document. Its `id` is the same when it comes again (a crash
between sending and noting that it was sent), so a receiver can tell a repeat.

- A command gets the document on stdin, without a shell, and must end with 0.
- A webhook gets it as a POST. With a secret file, `X-Drystone-Signature: t=SECONDS,v1=HEX` is the
  HMAC-SHA256, under the content of the file, of the bytes `SECONDS.BODY`: whoever also checks the
  time cannot be told an old alert again. Only 2xx counts; redirects are not followed.
- Mail goes to the configured host, with the id as Message-ID.

Over TLS the name and the certificate of whoever answers are checked, by the system's authorities or
by those of the channel's `ca_file`. A try has one deadline: a receiver that sends a byte now and
then holds nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import smtplib
import socket
import ssl
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from base.errors import ConfigError
from base.run_command import run_command
from base.text import safe_text
from jobs.core.alert_config import Channel, read_secret
from jobs.core.errors import JobsError
from jobs.notify.deadline import Deadline

COMMAND_TIMEOUT_S = 30.0
NETWORK_TIMEOUT_S = 10.0
"""Of silence."""
TRY_S = 45.0
"""Of a webhook or a mail as a whole, from finding the receiver to its last byte."""
SAID_SIZE_MAX = 500
SUBJECT_LENGTH_MAX = 150
SIGNATURE_HEADER = "X-Drystone-Signature"
ID_HEADER = "X-Drystone-Id"


class NotDeliveredError(JobsError):
    """It was not taken; the message says why and holds no secret. It may be tried again."""


def send(channel: Channel, document: dict[str, Any]) -> None:
    """Tell one channel; NotDeliveredError when it was not taken, ConfigError for its secret."""
    if channel.kind == "command":
        _run_command(channel, document)
    elif channel.kind == "webhook":
        _post(channel, document)
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
        "id": f"test-{now.timestamp():.6f}",
        "kind": "test",
        "subject": "this is a test; nothing is to be done",
        "time": now.isoformat(),
        "attempt": 1,
        "document": {},
    }


def sign(secret: bytes, time_s: int, body: bytes) -> str:
    """Return the value of the signature's header."""
    digest = hmac.new(secret, b"%d.%s" % (time_s, body), hashlib.sha256).hexdigest()
    return f"t={time_s},v1={digest}"


def _run_command(channel: Channel, document: dict[str, Any]) -> None:
    name = channel.command[0]
    ended = run_command(
        channel.command,
        COMMAND_TIMEOUT_S,
        given=_body(document) + b"\n",
        said_bytes_max=SAID_SIZE_MAX,
    )
    if ended.code is None:
        raise NotDeliveredError(f"{name!a} {ended.problem}")
    if ended.code:
        text = safe_text(ended.said.decode(errors="replace").strip())
        raise NotDeliveredError(f"{name!a} ended with {ended.code}: {text}")


def _post(channel: Channel, document: dict[str, Any]) -> None:
    parts = urlsplit(channel.url)
    body, now_s = _body(document), int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "drystone",
        ID_HEADER: str(document["id"]),
    }
    if channel.secret_file:
        headers[SIGNATURE_HEADER] = sign(read_secret(channel.secret_file), now_s, body)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.hostname or ""
    try:
        connection = http.client.HTTPConnection(host, parts.port)
        trust = _trust(channel) if parts.scheme == "https" else None
        if trust is not None:
            connection = http.client.HTTPSConnection(host, parts.port, context=trust)
        with Deadline(TRY_S) as deadline, contextlib.closing(connection):
            plain = deadline.connect(host, connection.port, NETWORK_TIMEOUT_S)
            connection.sock = trust.wrap_socket(plain, server_hostname=host) if trust else plain
            connection.request("POST", target, body, headers)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotDeliveredError(f"the webhook was not reached: {_said(error)}") from error
    if not 200 <= status < 300:
        raise NotDeliveredError(f"the webhook answered {status}")


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
        at_once = _trust(channel) if channel.tls == "tls" else None
        with (
            Deadline(TRY_S) as deadline,
            _Smtp(channel.host, channel.port, deadline, at_once) as server,
        ):
            if channel.tls == "starttls":
                server.starttls(context=_trust(channel))
            if channel.user:
                server.login(channel.user, password.decode("utf-8", "surrogateescape"))
            # Some of several who are refused do not have the others told again.
            server.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise NotDeliveredError(f"the mail was not taken: {_said(error)}") from error


class _Smtp(smtplib.SMTP):
    """SMTP over a connection that ends in time; with `trust` over TLS from its first byte."""

    def __init__(
        self, host: str, port: int, deadline: Deadline, trust: ssl.SSLContext | None
    ) -> None:
        self._deadline, self._trust = deadline, trust
        super().__init__(host, port, timeout=NETWORK_TIMEOUT_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = self._deadline.connect(host, port, timeout)
        return self._trust.wrap_socket(plain, server_hostname=host) if self._trust else plain


def _trust(channel: Channel) -> ssl.SSLContext:
    """Return what decides whom a channel believes."""
    try:
        return ssl.create_default_context(cafile=channel.ca_file or None)
    except OSError as error:  # An ssl.SSLError, too.
        raise NotDeliveredError(f"the ca_file {channel.ca_file} is not usable: {error}") from error


def _body(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode("ascii")


def _said(error: Exception) -> str:
    return safe_text(" ".join(str(error).split()))[:SAID_SIZE_MAX] or type(error).__name__
