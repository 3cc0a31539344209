"""JSON text as `jsonb` columns get it: equal documents are the same text, and all of it fits."""

from __future__ import annotations

import json
import re
from typing import Any

# A NUL is written so; two backslashes in front are one of the text itself.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def json_text(value: Any) -> str:
    """Return a value as text; ValueError says why PostgreSQL could not keep it."""
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode, without lone surrogates") from None
    except (TypeError, ValueError, RecursionError):
        raise ValueError("must be JSON, its numbers finite") from None
    if "\\u0000" in text and _NUL.search(text):
        raise ValueError("must not contain NUL")
    return text
