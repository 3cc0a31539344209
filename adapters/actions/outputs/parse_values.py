"""Fields into columns: it owns what a value of a program may become in a result table. Pure.

A value is refused, not bent. Only where a format knows nothing but text (CSV, names of files) are
numbers, truths and times read out of it.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from adapters.actions.outputs.match import has_field, look_up, shown
from adapters.records.errors import RecordError

if TYPE_CHECKING:
    from adapters.actions.contract.contract import ColumnType, ResultColumn

BIGINT_MAX = 2**63 - 1
INTEGER_MAX = 2**31 - 1
TEXT_BYTES_MAX = 16 << 20
LIST_LENGTH_MAX = 1_000_000
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_TRUTHS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def row_values(
    results: Mapping[str, str],
    columns: Mapping[str, ResultColumn],
    fields: Mapping[str, Any],
    *,
    from_text: bool,
) -> dict[str, Any]:
    """Return the columns of one record, without the unknown ones.

    RecordError names the field that does not fit, or says that none of them is there.
    """
    values: dict[str, Any] = {}
    for column, field in results.items():
        if not has_field(fields, field):
            if from_text:
                raise RecordError(f"there is no field {field!r}")
            continue
        value = look_up(fields, field)
        if value is None:
            continue
        try:
            values[column] = converted(columns[column].type, value, from_text=from_text)
        except ValueError as error:
            raise RecordError(f"{field} is {shown(value)!r}: {error}") from error
    if not values:
        raise RecordError("it has none of the fields " + ", ".join(sorted(results.values())))
    return values


def converted(kind: ColumnType, value: Any, *, from_text: bool) -> Any:
    """Return a value as a column of this type takes it; ValueError says what it must be."""
    if kind.endswith("[]"):
        if not isinstance(value, list):
            raise ValueError("must be a list")
        items = cast("list[Any]", value)
        if len(items) > LIST_LENGTH_MAX:
            raise ValueError(f"a list may have {LIST_LENGTH_MAX:,} values")
        convert = _CONVERTERS[kind.removesuffix("[]")]
        return [convert(item, False) for item in items]
    return _CONVERTERS[kind](value, from_text)


def _text(value: Any, _from_text: bool) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    if "\0" in value:
        raise ValueError("text must not contain NUL")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError("text must be valid Unicode") from None
    if size > TEXT_BYTES_MAX:
        raise ValueError(f"a text may have {TEXT_BYTES_MAX:,} bytes")
    return value


def _whole(limit: int) -> Callable[[Any, bool], int]:
    def convert(value: Any, from_text: bool) -> int:
        if from_text and isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("must be a whole number")
        if not -limit - 1 <= value <= limit:
            raise ValueError(f"must be between {-limit - 1} and {limit}")
        return value

    return convert


def _number(value: Any, from_text: bool) -> float:
    if from_text and isinstance(value, str) and "_" not in value:
        try:
            value = float(value)
        except ValueError:
            raise ValueError("must be a number") from None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError("must be a number")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("is too large") from None
    if not math.isfinite(number):
        raise ValueError("must be finite; what is unknown is left out")
    return number


def _truth(value: Any, from_text: bool) -> bool:
    if from_text and isinstance(value, str):
        value = _TRUTHS.get(value.strip().lower())
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _time(value: Any, _from_text: bool) -> str:
    try:
        time = datetime.datetime.fromisoformat(value)
        if time.utcoffset() is None:
            raise ValueError
        # Beyond the years 1 to 9999 in UTC nobody could read it any more.
        return time.astimezone(datetime.UTC).isoformat()
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be a time with its zone, as in 2024-05-31T12:00:00Z") from None


def _date(value: Any, _from_text: bool) -> str:
    try:
        return datetime.date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise ValueError("must be a date as in 2024-05-31") from None


_CONVERTERS: dict[str, Callable[[Any, bool], Any]] = {
    "text": _text,
    "bigint": _whole(BIGINT_MAX),
    "integer": _whole(INTEGER_MAX),
    "double precision": _number,
    "boolean": _truth,
    "timestamptz": _time,
    "date": _date,
}
