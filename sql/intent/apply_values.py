"""Values of declared columns: it owns their conversion from documents, and observation hashes.

A value is refused, not bent: text is not made of a number, nor a number of text. What JSON cannot
say is read from text (times and dates in ISO 8601, bytes in hexadecimal); JSON is given as text.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from psycopg.types.json import Jsonb

from sql.core.declared import DeclaredTable
from sql.core.json_text import json_text
from sql.intent.intent import BIGINT_MAX, INTEGER_MAX, CommonMetadata, checked_instant

HASH_BYTES = 16
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
# Between the parts of what is hashed; text cannot contain it.
_SEPARATOR = "\0"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def _whole(limit: int) -> Callable[[object], int]:
    def convert(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("must be a whole number")
        if not -limit - 1 <= value <= limit:
            raise ValueError(f"must be between {-limit - 1} and {limit}")
        return value

    return convert


def _number(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError("must be a number")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("is too large") from None
    if not math.isfinite(number):
        raise ValueError("must be finite")
    # -0.0 equals 0.0 and must not be another observation.
    return number + 0.0


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _time(value: object) -> datetime.datetime:
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a time as in 2024-05-31T12:00:00Z") from None
    if not isinstance(value, datetime.datetime) or value.utcoffset() is None:
        raise ValueError("must be a time with its zone")
    return checked_instant(value)


def _date(value: object) -> datetime.date:
    if isinstance(value, str):
        try:
            value = datetime.date.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a date as in 2024-05-31") from None
    if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
        raise ValueError("must be a date")
    return value


def _bytes(value: object) -> bytes:
    try:
        return bytes.fromhex(_text(value))
    except ValueError:
        raise ValueError("must be bytes in hexadecimal digits") from None


def _json(value: object) -> Jsonb:
    try:
        parsed = json.loads(_text(value))
    except (ValueError, RecursionError):
        raise ValueError("must be JSON, as text") from None
    return Jsonb(json_text(parsed), dumps=str)


def _list_of(convert: Callable[[object], Any]) -> Callable[[object], list[Any]]:
    def convert_all(value: object) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise ValueError("must be a list")
        return [convert(item) for item in cast("list[object]", value)]

    return convert_all


_CONVERTERS: dict[str, Callable[[object], Any]] = {
    "text": _text,
    "bigint": _whole(BIGINT_MAX),
    "integer": _whole(INTEGER_MAX),
    "double precision": _number,
    "boolean": _truth,
    "timestamptz": _time,
    "date": _date,
    "bytea": _bytes,
    "text[]": _list_of(_text),
    "bigint[]": _list_of(_whole(BIGINT_MAX)),
    "double precision[]": _list_of(_number),
    "jsonb": _json,
}


def _encoded(value: Any) -> str:
    """Return text that is the same for equal values only."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime.datetime):
        return _instant(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return json.dumps(value)
    if isinstance(value, Jsonb):
        return value.obj
    return str(value)


def _instant(value: datetime.datetime) -> str:
    """Return microseconds since 1970, as PostgreSQL keeps them: one instant in any zone is one."""
    return str((value - _EPOCH) // _MICROSECOND)


def _hash(parts: list[str]) -> bytes:
    data = _SEPARATOR.join(parts).encode()
    return hashlib.blake2b(data, digest_size=HASH_BYTES).digest()


def common_hash(row: CommonMetadata) -> bytes:
    """Return the observation_hash of a row of common_metadata.

    What is NULL is left out and every other column named, so that no two rows look alike.
    """
    parts = [f"source={row.source}", f"is_raw={row.is_raw}", f"is_root={row.is_root}"]
    if row.title is not None:
        parts.append("title=" + row.title)
    if row.view is not None:
        parts.append(f"view={row.view}")
    if row.update_time is not None:
        parts.append("update_time=" + _instant(row.update_time))
    if row.download_time is not None:
        parts.append("download_time=" + _instant(row.download_time))
    if row.author_description is not None:
        parts.append("author_description=" + row.author_description)
    if row.user is not None:
        parts.append("user=" + row.user)
    if row.raw_metadata is not None:
        parts.append("raw_metadata=" + row.raw_metadata)
    return _hash(parts)


_FORMER: dict[tuple[str, str], dict[object, int | None]] = {
    ("meta_received", "priority"): {"high": 3, "normal": None},
}
"""Words that columns held before they were numbers: intents of then say them for ever, in cold
packages, and are known by their digest as they are."""


@dataclass(frozen=True, slots=True)
class Converter:
    """Turns documents' values into rows of one declared table."""

    table_name: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    converters: dict[str, tuple[int, Callable[[object], Any]]]
    required: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, table: DeclaredTable) -> Converter:
        """Return the converter of a declared table."""
        return cls(
            table.table_name,
            tuple(column.name for column in table.columns),
            tuple(column.type for column in table.columns),
            {
                column.name: (place, _CONVERTERS[column.type])
                for place, column in enumerate(table.columns)
            },
            tuple(
                (n, column.name) for n, column in enumerate(table.columns) if not column.nullable
            ),
        )

    def row(self, values: dict[str, Any], problems: list[str], path: str) -> list[Any]:
        """Return the cells in the order of the columns; what is wrong is added to `problems`."""
        cells: list[Any] = [None] * len(self.names)
        for name, given in values.items():
            former = _FORMER.get((self.table_name, name))
            value = former.get(given, given) if former and isinstance(given, str) else given
            known = self.converters.get(name)
            if known is None:
                problems.append(f"{path}.{name}: {self.table_name} has no such column")
            elif value is not None:
                try:
                    cells[known[0]] = known[1](value)
                except ValueError as error:
                    problems.append(f"{path}.{name}: {error}")
        for place, name in self.required:
            if cells[place] is None:
                problems.append(f"{path}.{name}: must be given")
        return cells

    def hash(self, cells: list[Any], download_time: datetime.datetime | None) -> bytes:
        """Return the observation_hash: NULL is left out, so a column added later changes none."""
        parts = [
            f"{name}={_encoded(cell)}"
            for name, cell in zip(self.names, cells, strict=True)
            if cell is not None
        ]
        parts.sort()
        if download_time is not None:
            parts.append("download_time=" + _instant(download_time))
        return _hash(parts)
