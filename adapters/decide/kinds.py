"""Kinds of JSON values: which type a column of them has, and which values fit a type.

Pure. A value is never bent: what does not fit the type of its column stays JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sql import ColumnType

BIGINT_MAX = 2**63 - 1
EXACT_MAX = 2**53
"""Up to here every integer is a double as well."""
TYPES: dict[str, ColumnType] = {
    "boolean": "boolean",
    "integer": "bigint",
    "number": "double precision",
    "text": "text",
    "time": "timestamptz",
    "date": "date",
    "texts": "text[]",
    "integers": "bigint[]",
    "numbers": "double precision[]",
    "objects": "jsonb",
    "object": "jsonb",
    "list": "jsonb",
    "large": "jsonb",
}
"""Kinds of values, and the type of a column that has one kind only."""
SCALARS = frozenset({"boolean", "integer", "number", "text", "time", "date", "large"})

# Without a zone a time says no instant, and is text; so is one finer than PostgreSQL keeps.
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# Together they are a kind of their own; the first that there is of a row stands for all.
_FAMILIES = (
    ("boolean",),
    ("number", "integer"),
    ("text", "time", "date"),
    ("object",),
    ("texts", "empty"),
    ("numbers", "integers", "empty"),
    ("objects", "empty"),
    ("list",),
    ("large",),
)


def kind_of(value: Any) -> str:
    """Return the kind of a value: a key of TYPES, `null`, or `empty` for a list without members."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        if -BIGINT_MAX <= value <= BIGINT_MAX:
            return "integer"
        return "number" if fits("double precision", value) else "large"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return _kind_of_text(value)
    return "object" if isinstance(value, dict) else _kind_of_list(value)


def _kind_of_text(text: str) -> str:
    if not 10 <= len(text) <= 32 or not text[:4].isdigit():
        return "text"
    if _DATE.fullmatch(text):
        return "date" if fits("date", text) else "text"
    return "time" if fits("timestamptz", text) else "text"


def _kind_of_list(members: list[Any]) -> str:
    kinds = {
        "object" if isinstance(member, dict) else _kind_of_number(member) for member in members
    }
    if not kinds:
        return "empty"
    if kinds == {"text"}:
        return "texts"
    if kinds <= {"integer", "number"}:
        return "integers" if kinds == {"integer"} else "numbers"
    return "objects" if kinds == {"object"} else "list"


def _kind_of_number(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if fits("bigint", value):
        return "integer"
    return "number" if fits("double precision", value) else "list"


def common_kind(kinds: Mapping[str, int]) -> tuple[str, int]:
    """Return the commonest kind of values, nulls left out, and how many are of it.

    Kinds that one type holds count together: integers and numbers, texts and times. The list
    without members is of any kind of list.
    """
    best = ("null", 0)
    for family in _FAMILIES:
        there = [kind for kind in family if kinds.get(kind) and kind != "empty"]
        count = sum(kinds.get(kind, 0) for kind in family)
        if there and count > best[1]:
            # Times beside dates, or beside other texts, are texts.
            is_mixed = len(there) > 1 and family[0] == "text"
            best = ("text" if is_mixed else there[0], count)
    if best[1] == 0 and kinds.get("empty"):
        return "list", kinds["empty"]
    return best


# ---- Values that fit ---------------------------------------------------------------------------


def fits(kind: ColumnType, value: Any) -> bool:
    """Tell whether a column of this type holds exactly this value."""
    return _FITS[kind](value)


def _is_integer(value: Any) -> bool:
    return type(value) is int and -BIGINT_MAX <= value <= BIGINT_MAX


def _is_number(value: Any) -> bool:
    if type(value) is float:
        return True
    if type(value) is not int:
        return False
    if -EXACT_MAX <= value <= EXACT_MAX:
        return True
    # PostgreSQL writes the number 1e23 of a document as digits: the same number all the same.
    return value.bit_length() < 1024 and Decimal(repr(float(value))) == value


def _is_time(value: Any) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        return 1 < datetime.fromisoformat(value).year < 9999
    except ValueError:
        return False


def _is_date(value: Any) -> bool:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        return bool(date.fromisoformat(value))
    except ValueError:
        return False


def _all(is_one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_one, value))


_FITS: dict[str, Callable[[Any], bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "bigint": _is_integer,
    "double precision": _is_number,
    "text": lambda value: isinstance(value, str),
    "timestamptz": _is_time,
    "date": _is_date,
    "text[]": _all(lambda value: isinstance(value, str)),
    "bigint[]": _all(_is_integer),
    "double precision[]": _all(_is_number),
    "jsonb": lambda value: value is not None,
}
