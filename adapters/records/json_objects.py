"""JSON objects one by one, each with its text as it was sent: it owns what is wrong with one.

An object with a key that it has twice, a number that is none, text that no database keeps, or more
bytes than the limit is a fault of its own and costs no other. Never raises RecordError for one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from adapters.records.errors import LimitError, RecordError
from adapters.records.strict_json import (
    JSON_DEPTH_MAX,
    JSON_VALUES_MAX,
    NUMBER_DIGITS_MAX,
    check_depth,
)

OBJECT_BYTES_MAX = 1 << 20
"""The largest object that becomes a row; a larger one is a file, not a row."""
_SPACE = re.compile(r"[ \t\n\r]*")
_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One member of a text: the object and its text; or why it is none that can be kept."""

    text: str
    value: dict[str, Any]
    fault: str = ""


class ObjectReader:
    """Reads objects; for one thread."""

    def __init__(self, size_bytes_max: int = OBJECT_BYTES_MAX) -> None:
        self._size_bytes_max = size_bytes_max
        self._faults: list[str] = []
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_constant=self._constant,
            parse_int=self._integer,
            parse_float=self._float,
        )

    def read(self, text: str) -> Iterator[FoundObject]:
        """Yield the object of a text, or the objects of its list.

        RecordError where the text is no JSON, whole; then nothing was yielded.
        """
        yield from self._members(text) if _first(text) == "[" else self._alone(text)

    def read_one(self, text: str) -> FoundObject:
        """Return the object that a text is, such as a line; a RecordError becomes its fault."""
        try:
            return self._alone(text)[0]
        except RecordError as error:
            return FoundObject(text, {}, str(error))

    def _alone(self, text: str) -> list[FoundObject]:
        found, end = self._next(text, _skip(text, 0))
        if _skip(text, end) != len(text):
            raise RecordError(f"no valid JSON: more after its end, at character {end}")
        return [found]

    def _members(self, text: str) -> list[FoundObject]:
        if text.count(",") + text.count("{") + text.count("[") > JSON_VALUES_MAX:
            raise LimitError(f"more than {JSON_VALUES_MAX:,} values; write one object a line")
        place = _skip(text, _skip(text, 0) + 1)
        found: list[FoundObject] = []
        if text[place : place + 1] == "]":
            place += 1
        else:
            while True:
                one, place = self._next(text, place)
                found.append(one)
                place = _skip(text, place)
                mark, place = text[place : place + 1], _skip(text, place + 1)
                if mark == "]":
                    break
                if mark != ",":
                    raise RecordError(f"no valid JSON: no comma or ] at character {place - 1}")
        if _skip(text, place) != len(text):
            raise RecordError(f"no valid JSON: more after its end, at character {place}")
        return found

    def _next(self, text: str, place: int) -> tuple[FoundObject, int]:
        self._faults.clear()
        try:
            value, end = self._decoder.raw_decode(text, place)
        except RecursionError as error:
            raise LimitError(f"nested deeper than {JSON_DEPTH_MAX}") from error
        except ValueError as error:
            raise RecordError(f"no valid JSON: {str(error)[:200]}") from error
        own = text[place:end]
        fault = self._faults[0] if self._faults else self._fault_of(own, value)
        return FoundObject(own, {} if fault else value, fault), end

    def _fault_of(self, text: str, value: Any) -> str:
        if not isinstance(value, dict):
            return f"no object: {text[:80]!a}"
        size = len(text) if text.isascii() else len(text.encode(errors="replace"))
        if size > self._size_bytes_max:
            return f"{size:,} bytes; an object of at most {self._size_bytes_max:,} is a row"
        if text.count("{") + text.count("[") > JSON_DEPTH_MAX:
            try:
                check_depth(value)
            except LimitError as error:
                return str(error)
        if _ESCAPED.search(text):
            return _text_fault(value)
        return ""

    # ---- What the parser asks ------------------------------------------------------------------

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            self._faults.append(f"the key {twice[:80]!a} is there twice")
        return found

    def _constant(self, name: str) -> None:
        self._faults.append(f"{name} is no JSON")

    def _integer(self, digits: str) -> int:
        if len(digits) > NUMBER_DIGITS_MAX:
            self._faults.append(f"a number of more than {NUMBER_DIGITS_MAX} digits")
            return 0
        return int(digits)

    def _float(self, digits: str) -> float:
        number = float(digits)
        if number - number != 0:
            self._faults.append(f"{digits[:40]} is beyond the largest number")
        return number


def _text_fault(value: Any) -> str:
    """Return why no database keeps the text in a value, or nothing."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str):
            if "\0" in one:
                return "text with a NUL, which no database keeps"
            try:
                one.encode()
            except UnicodeEncodeError:
                return "text with half of a character (a lone surrogate), which no database keeps"
    return ""


def _first(text: str) -> str:
    place = _skip(text, 0)
    return text[place : place + 1]


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place
