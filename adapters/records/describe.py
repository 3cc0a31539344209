"""Canonical descriptions: it owns the text whose sha256 is the key of a virtual node.

`platform:kind:identity`, for example `twitter:user:783214`. Two batches that never saw each other
meet at the same author because both write exactly this. The identity is the platform's own stable
id wherever there is one, as decimal text; names only where there is no id, and then of the kind
`username` (lower case where the platform ignores case), joined to the id by an `alias` edge when a
record knows both.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from adapters.records.errors import RecordError

IDENTITY_LENGTH_MAX = 3_900
_WORD = re.compile(r"[a-z][a-z0-9_]*")


def describe(platform: str, kind: str, identity: object) -> str:
    """Return the canonical description; RecordError when the identity is none.

    Accepts text and integers only: a float has lost digits of a long id already.
    """
    prefix = _prefix(platform, kind)
    if isinstance(identity, bool) or not isinstance(identity, (str, int)):
        raise RecordError(f"the {kind} has no usable id: {str(identity)[:80]!a}")
    text = str(identity)
    if text.isascii() and text.isprintable():
        text = text.strip()  # Most are, and there is nothing to normalize or leave out.
    else:
        text = unicodedata.normalize("NFC", text).strip()
        text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cs"))
    if not text or len(text) > IDENTITY_LENGTH_MAX:
        raise RecordError(f"the {kind} has no usable id: {text[:80]!a}")
    return prefix + text


@lru_cache(maxsize=1_024)
def _prefix(platform: str, kind: str) -> str:
    if not _WORD.fullmatch(platform) or not _WORD.fullmatch(kind):
        raise ValueError(f"{platform!r}, {kind!r}: platform and kind are lower-case words")
    return f"{platform}:{kind}:"


def reference(platform: str, kind: str, identity: object) -> str | None:
    """Return the canonical description, or None when the identity is none."""
    try:
        return describe(platform, kind, identity)
    except RecordError:
        return None


def username(platform: str, name: object) -> str | None:
    """Return the node of a name, in lower case; None when there is none."""
    if isinstance(name, bool) or not isinstance(name, str | int):
        return None
    return reference(platform, "username", str(name).lower())
