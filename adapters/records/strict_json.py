"""JSON as scraped files hold it: it owns decoding and parsing within limits, and no file."""

from __future__ import annotations

import json
from typing import Any

from adapters.records.errors import LimitError, RecordError

MIB = 1 << 20
JSON_DEPTH_MAX = 200
NUMBER_DIGITS_MAX = 40
JSON_VALUES_MAX = 8_000_000
"""The most brackets and commas of one document; counted before it is parsed.

A dump of 100 MB has 2 to 6 million. Of objects with one member, the costliest, these are 1.9 GB.
"""


def decode_text(data: bytes) -> str:
    """Decode scraped text: UTF-8 or UTF-16 by their marks, plain UTF-8, else Latin-1."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def parse_json(text: str) -> Any:
    """Parse one JSON value, integers exactly.

    RecordError for anything else, NaN and numbers beyond a float included; LimitError for what is
    too deep or would need too much memory.
    """
    brackets = text.count("[") + text.count("{")
    count = brackets + text.count(",")
    if count > JSON_VALUES_MAX:
        raise LimitError(
            f"about {count:,} values in one document; at most {JSON_VALUES_MAX:,} are read"
        )
    try:
        value = _DECODER.decode(text)
    except RecursionError as error:
        raise LimitError(f"nested deeper than {JSON_DEPTH_MAX}") from error
    except ValueError as error:
        raise RecordError(f"no valid JSON: {str(error)[:200]}") from error
    # Most documents have fewer brackets than that, and need no walk.
    if brackets > JSON_DEPTH_MAX:
        check_depth(value)
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _parse_int(digits: str) -> int:
    if len(digits) > NUMBER_DIGITS_MAX:
        raise ValueError(f"a number of more than {NUMBER_DIGITS_MAX} digits")
    return int(digits)


def _parse_float(digits: str) -> float:
    number = float(digits)
    if number - number != 0:
        raise ValueError(f"{digits[:40]} is beyond the largest number")
    return number


_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_int=_parse_int, parse_float=_parse_float
)


def check_depth(value: Any) -> None:
    """Raise LimitError for what is nested too deep."""
    # One iterator per level, so that the check needs no memory of its own.
    levels = [iter((value,))]
    while levels:
        for found in levels[-1]:
            kind = type(found)  # The parser makes no objects and lists but these.
            if kind is dict or kind is list:
                break
        else:
            levels.pop()
            continue
        if len(levels) > JSON_DEPTH_MAX:
            raise LimitError(f"nested deeper than {JSON_DEPTH_MAX}")
        levels.append(iter(found.values() if isinstance(found, dict) else found))
