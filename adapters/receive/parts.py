"""The parts of a request: the JSON objects of a body, each as it was sent. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from adapters.receive.receipts import Said
from adapters.records.errors import RecordError
from adapters.records.json_objects import FoundObject, ObjectReader
from adapters.sources.registry import adapter_names
from base.errors import UsageError

BODY_BYTES_MAX = 10 << 20
PARTS_MAX = 5_000
"""Of one request, and about of one window."""
SOURCE_DEFAULT = "received"
JSON_SOURCE = "json"
_SOURCE = re.compile(r"[a-z][a-z0-9_]{0,39}")


def parts_of(body: bytes, *, is_lines: bool) -> list[bytes]:
    """Return the objects of a body: one object, those of a list, or one a line.

    UsageError names the first that cannot be taken; then none is.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"the body is no UTF-8, at byte {error.start:,}; send JSON") from error
    parts: list[bytes] = []
    for number, found in enumerate(_found(text, is_lines=is_lines)):
        if found.fault:
            raise UsageError(f"object {number + 1:,}: {found.fault}; nothing of it was taken")
        if number == PARTS_MAX:
            raise UsageError(f"more than {PARTS_MAX:,} objects; send them in several requests")
        parts.append(found.text.encode())
    if not parts:
        raise UsageError("there is no JSON object in the body; send at least one")
    return parts


def check_source(source: str) -> None:
    """Raise UsageError for what is no name of a source, or the name of a format of folders."""
    if not _SOURCE.fullmatch(source):
        raise UsageError(
            f"{source[:80]!a} is no source: a name has small letters, digits and _, begins with a "
            "letter, and has at most 40 of them"
        )
    if source in set(adapter_names()) - {JSON_SOURCE}:
        raise UsageError(
            f"{source} is a format of folders, which come in by the inbox; give what you send "
            "another name"
        )


def check_said(said: Said, content_types: Sequence[str | None] = ()) -> None:
    """Raise UsageError for what no column can hold, as a NUL, which JSON may still write."""
    text = json.dumps({"said": said.model_dump(), "types": content_types})
    try:
        fault = ObjectReader().read_one(text).fault
    except (ValueError, RecursionError) as error:
        fault = str(error)
    if fault:
        raise UsageError(f"what is said of the parts is refused: {fault}; nothing was taken")


def _found(text: str, *, is_lines: bool) -> Iterable[FoundObject]:
    reader = ObjectReader()
    if is_lines:
        lines = (line.strip() for line in text.split("\n"))
        return (reader.read_one(line) for line in lines if line)
    try:
        return list(reader.read(text))
    except RecordError as error:
        raise UsageError(f"the body is refused: {error}") from error
