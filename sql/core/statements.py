"""Named statements in .sql files: it owns their notation, `-- name: NAME` above each."""

from __future__ import annotations

import functools
import os
import re

_FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "queries")
_HEAD = re.compile(r"^-- name: ([a-z_]+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)


@functools.cache
def statements(name: str) -> dict[str, bytes]:
    """Return the statements of `sql/queries/NAME.sql` by their names."""
    with open(os.path.join(_FOLDER, name + ".sql"), encoding="utf-8") as file:
        parts = _HEAD.split(file.read())
    named = zip(parts[1::2], parts[2::2], strict=True)
    # Without comments: one statement's text ends with the comment of the next.
    return {head: _COMMENT.sub("", text).strip().encode() for head, text in named}
