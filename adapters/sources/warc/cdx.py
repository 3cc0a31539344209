"""CDX listings: it owns their two forms, lines of named letters and lines that end in JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.folder import parse_json
from adapters.records.items import Observation, Problem, Record
from adapters.records.times import parse_time
from adapters.records.values import as_integer, as_text, dig

SOURCE = "warc"
# What the letters of a header line mean; without one these eleven are usual.
_LETTERS = {
    "a": "url",
    "b": "timestamp",
    "m": "mime",
    "s": "status",
    "k": "digest",
    "r": "redirect",
    "V": "offset",
    "g": "filename",
}
_USUAL = ["N", "b", "a", "m", "s", "k", "r", "M", "S", "V", "g"]


def cdx_records(path: str, lines: Iterable[bytes]) -> Iterator[Record | Problem]:
    """Yield one record of every line; numbers count lines from 0."""
    letters = _USUAL
    for number, raw in enumerate(lines):
        line = raw.decode("utf-8", "replace").strip()
        if not line or line.startswith("!"):
            continue
        if number == 0 and line.startswith("CDX"):
            letters = line.split()[1:]
            continue
        try:
            yield _record(path, number, line, letters)
        except RecordError as error:
            yield Problem(path, number, str(error))


def _record(path: str, number: int, line: str, letters: list[str]) -> Record:
    fields = _json_fields(line) if "{" in line else _letter_fields(line, letters)
    url = fields.get("url")
    page = describe("web", "page", url)
    location = as_text(fields.get("redirect"))
    meta = {
        "record_type": "cdx",
        "target_uri": as_text(url),
        "warc_date": _time(fields.get("timestamp")),
        "content_type": as_text(fields.get("mime")),
        "http_status": as_integer(fields.get("status")),
        "payload_digest": as_text(fields.get("digest")),
        "location": location if location != "-" else None,
        "archive_name": as_text(fields.get("filename")),
        "archive_offset": as_integer(fields.get("offset")),
    }
    said = Observation(page, SOURCE, False, meta=meta)
    return Record(path, number, page, (said,), (), line)


def _json_fields(line: str) -> dict[str, Any]:
    head, _, rest = line.partition("{")
    value = parse_json("{" + rest)
    parts = head.split()
    stamp = parts[1] if len(parts) > 1 else None
    return {"timestamp": stamp, **value} if dig(value, "url") else {}


def _letter_fields(line: str, letters: list[str]) -> dict[str, Any]:
    parts = line.split(" ")
    if len(parts) != len(letters):
        raise RecordError(f"{len(parts)} columns where the listing has {len(letters)}")
    named = zip(letters, parts, strict=True)
    return {_LETTERS[letter]: part for letter, part in named if letter in _LETTERS}


def _time(stamp: Any) -> Any:
    """Return the time of fourteen digits, or of fewer where the listing says less."""
    digits = str(stamp or "")
    if not digits.isascii() or not digits.isdigit() or not 4 <= len(digits) <= 14:
        return None
    digits = digits.ljust(14, "0") if len(digits) >= 8 else (digits + "0101")[:8].ljust(14, "0")
    date, clock = digits[:8], digits[8:]
    return parse_time(f"{date[:4]}-{date[4:6]}-{date[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}Z")
