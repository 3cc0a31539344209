"""Keeps secrets out of logs: passwords, tokens, connection strings, headers of authorization.

What looks like one is replaced, whoever wrote it into a message: an exception of a library may
quote a whole connection string. What is known to be one (`hide`) is replaced wherever it stands.
"""

from __future__ import annotations

import re
from urllib.parse import quote

HIDDEN = "***"
HIDDEN_LENGTH_MIN = 6
"""A shorter secret would hide pieces of ordinary words."""

_SECRET_WORDS = (
    r"password|passwd|passphrase|pgpassword|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|cookie|credentials?|webhook-signature"
)
_SECRET_NAME = re.compile(rf"(?i)(?:^|[_-])(?:{_SECRET_WORDS}|authorization)$")
_PATTERNS = (
    # What was shared by a link, which needs no more than its address.
    (re.compile(r"(/shared/)[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"), rf"\1{HIDDEN}"),
    # scheme://user:password@host
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s:/@'\"]*):[^\s/'\"]*@"), rf"\1:{HIDDEN}@"),
    # Authorization: Basic dXNlcjpwYXNzd29yZA==, in any form that a header is printed in
    (
        re.compile(
            r"(?i)\b(authorization\b['\"]?\s*[:=,]\s*(?:b?['\"])?)(?:\w+\s+)?[^\s'\",;)\]}]+"
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    # password=..., "token": "...", PGPASSWORD='...', --api-key=...
    (
        re.compile(
            rf"(?i)((?:\b|_)(?:{_SECRET_WORDS})['\"]?\s*[=:]\s*(?:b(?=['\"]))?)"
            r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s,;&'\")\]}]+)"
        ),
        rf"\1{HIDDEN}",
    ),
)

_known: tuple[str, ...] = ()


def hide(secret: str) -> None:
    """Keep a secret out of all that this process logs from now on."""
    global _known
    forms = {secret, quote(secret, safe="")} if len(secret) >= HIDDEN_LENGTH_MIN else set[str]()
    # The longest first: one may be a part of another.
    _known = tuple(sorted({*_known, *forms}, key=len, reverse=True))


def without_secrets(text: str) -> str:
    """Return a text in which what is a secret, or looks like one, is replaced."""
    for secret in _known:
        text = text.replace(secret, HIDDEN)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def is_secret_name(name: str) -> bool:
    """Tell whether what bears this name is a secret by it."""
    return _SECRET_NAME.search(name) is not None
