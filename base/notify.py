"""Telling one command or one webhook one thing, once: alerts of the store, of runs, of backups.

Every receiver gets the same JSON document. Its `id` is the same when it comes again (a crash
between sending and noting that it was sent), so a receiver can tell a repeat.

- A command gets the document on stdin, without a shell, and must end with 0.
- A webhook gets it as a POST, with the headers of Standard Webhooks (standardwebhooks.com):
  `webhook-id`, `webhook-timestamp` and, with a secret, `webhook-signature: v1,BASE64`, the
  HMAC-SHA256 of `ID.TIMESTAMP.BODY`. Whoever also checks the time cannot be told an old alert
  again. Only 2xx counts; redirects are not followed.

A secret that begins with `whsec_` is base64 behind that, as the receivers' libraries write it; of
every other one the bytes are the key. Over TLS the name and the certificate of whoever answers are
checked. A try has one deadline: a receiver that sends a byte now and then holds nobody.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from base.deadline import Deadline
from base.errors import ConfigError, DrystoneError
from base.run_command import run_command
from base.text import safe_text

COMMAND_TIMEOUT_S = 30.0
NETWORK_TIMEOUT_S = 10.0
"""Of silence."""
TRY_S = 45.0
"""Of a try as a whole, from finding the receiver to its last byte."""
SAID_SIZE_MAX = 500
SECRET_PREFIX = b"whsec_"
FORMER_SIGNATURE_HEADER = "X-Drystone-Signature"
FORMER_ID_HEADER = "X-Drystone-Id"

FormerSignature = Callable[[bytes, int, bytes], str]
"""From secret, time in seconds and body to the signature as it was before Standard Webhooks."""


class NotDeliveredError(DrystoneError):
    """It was not taken; the message says why and holds no secret. It may be tried again."""


def tell_command(
    command: Sequence[str], document: dict[str, Any], timeout_s: float | None = None
) -> str:
    """Give a command the document; returns the end of what it printed. Raises NotDeliveredError."""
    name = command[0]
    ended = run_command(
        command,
        timeout_s or COMMAND_TIMEOUT_S,
        given=_body(document) + b"\n",
        said_bytes_max=SAID_SIZE_MAX,
    )
    said = safe_text(ended.said.decode(errors="replace").strip())
    if ended.code is None:
        raise NotDeliveredError(f"{name!a} {ended.problem}")
    if ended.code:
        raise NotDeliveredError(f"{name!a} ended with {ended.code}: {said}")
    return said


def tell_webhook(
    url: str,
    document: dict[str, Any],
    *,
    secret: bytes = b"",
    ca_file: str = "",
    former: FormerSignature | None = None,
) -> None:
    """Post the document. Raises NotDeliveredError, and ConfigError for a secret that is none."""
    body = _body(document)
    headers = {"Content-Type": "application/json", "User-Agent": "drystone"}
    headers |= signed_headers(secret, str(document.get("id", "")), int(time.time()), body, former)
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        trust = trust_of(ca_file) if parts.scheme == "https" else None
        connection = http.client.HTTPConnection(host, parts.port)
        if trust is not None:
            connection = http.client.HTTPSConnection(host, parts.port, context=trust)
        with Deadline(TRY_S) as deadline, contextlib.closing(connection):
            plain = deadline.connect(host, connection.port, NETWORK_TIMEOUT_S)
            connection.sock = trust.wrap_socket(plain, server_hostname=host) if trust else plain
            connection.request("POST", target, body, headers)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotDeliveredError(f"the webhook was not reached: {said_of(error)}") from error
    if not 200 <= status < 300:
        raise NotDeliveredError(f"the webhook answered {status}")


def signed_headers(
    secret: bytes,
    message_id: str,
    time_s: int,
    body: bytes,
    former: FormerSignature | None = None,
) -> dict[str, str]:
    """Return the headers of Standard Webhooks; without a secret they are not signed.

    `former` signs as releases before did, for receivers that check that still; it goes with the
    next release.
    """
    headers = {"webhook-id": message_id, "webhook-timestamp": str(time_s)}
    if former is not None:
        headers[FORMER_ID_HEADER] = message_id
    if secret:
        signed = b"%s.%d.%s" % (message_id.encode(), time_s, body)
        digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
        headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
        if former is not None:
            headers[FORMER_SIGNATURE_HEADER] = former(secret, time_s, body)
    return headers


def trust_of(ca_file: str) -> ssl.SSLContext:
    """Return what decides whom is believed over TLS: the system's authorities, or this file's."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # An ssl.SSLError, too.
        raise NotDeliveredError(f"the ca_file {ca_file} is not usable: {error}") from error


def said_of(error: Exception) -> str:
    """Return what an error of the network says, as one line of bounded length."""
    return safe_text(" ".join(str(error).split()))[:SAID_SIZE_MAX] or type(error).__name__


def _key(secret: bytes) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        return secret
    with contextlib.suppress(ValueError):
        if key := base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True):
            return key
    raise ConfigError("a secret that begins with whsec_ goes on in base64")


def _body(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode("ascii")
