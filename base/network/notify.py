"""Telling one command or one webhook one thing, once: alerts of the store, of runs, of backups.

Every receiver gets the same JSON document. Its `id` is the same when it comes again (a crash
between sending and noting that it was sent), so a receiver can tell a repeat.

- A command gets the document on stdin, without a shell, and must end with 0.
- A webhook gets it as a POST, with the headers of Standard Webhooks (standardwebhooks.com):
  `webhook-id`, `webhook-timestamp` and, with a secret, `webhook-signature: v1,BASE64`, the
  HMAC-SHA256 of `ID.TIMESTAMP.BODY`. Whoever also checks the time cannot be told an old alert
  again. Only 2xx counts. `base/network/post.py` has how it is posted.

A secret that begins with `whsec_` is base64 behind that, as the receivers' libraries write it; of
every other one the bytes are the key.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from base.network.post import (
    SAID_SIZE_MAX,
    NotDeliveredError,
    Poster,
    signed_headers,
    trust_of,
)
from base.processes.run_command import run_command
from base.text import safe_text

COMMAND_TIMEOUT_S = 30.0
NETWORK_TIMEOUT_S = 10.0
"""Of silence."""
TRY_S = 45.0
"""Of a try as a whole, from finding the receiver to its last byte."""
FORMER_SIGNATURE_HEADER = "X-Drystone-Signature"
FORMER_ID_HEADER = "X-Drystone-Id"

FormerSignature = Callable[[bytes, int, bytes], str]
"""From secret, time in seconds and body to the signature as it was before Standard Webhooks."""


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
    """Post the document. Raises NotDeliveredError, and ConfigError for a secret that is none.

    `former` signs as releases before did, for receivers that check that still; it goes with the
    next release.
    """
    body, message_id, time_s = _body(document), str(document.get("id", "")), int(time.time())
    headers = {"Content-Type": "application/json", "User-Agent": "drystone"}
    headers |= signed_headers([secret] if secret else [], message_id, time_s, body)
    if former is not None:
        headers[FORMER_ID_HEADER] = message_id
        if secret:
            headers[FORMER_SIGNATURE_HEADER] = former(secret, time_s, body)
    trust = trust_of(ca_file) if ca_file else None
    with Poster(url, trust=trust, try_s=TRY_S, silence_s=NETWORK_TIMEOUT_S) as poster:
        poster.post(body, headers).check()


def _body(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode("ascii")
