"""Conditions on declared columns: it owns which operator fits which type, and the SQL of each.

Column names come from the declared table and values are bound; a value that does not fit the type
is a problem with its path, never an error of the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg.sql import SQL, Composable

from sql.core.json_text import json_text
from sql.selector.compile_scope import Build
from sql.selector.selector import ColumnMatch
from sql.selector.values import BIGINT_MAX, KEYS_MAX, TEXT_LENGTH_MAX

_OPERATORS: dict[str, tuple[str, ...]] = {
    "text": ("equals", "in", "contains"),
    "bigint": ("equals", "in", "min", "max"),
    "integer": ("equals", "in", "min", "max"),
    "double precision": ("equals", "in", "min", "max"),
    "boolean": ("equals",),
    "timestamptz": ("since", "before"),
    "date": ("since", "before"),
    "bytea": ("equals", "in"),
    "text[]": ("has",),
    "bigint[]": ("has",),
    "double precision[]": ("has",),
    "jsonb": ("has",),
}
_TEMPLATES: dict[str, LiteralString] = {
    "equals": "{column} = {value}",
    "in": "{column} = ANY({value})",
    "min": "{column} >= {value}",
    "max": "{column} <= {value}",
    "since": "{column} >= {value}",
    "before": "{column} < {value}",
    "contains": "{column} ILIKE {value}",
    "has": "{column} @> {value}",
}
_CASTS: dict[str, LiteralString] = {
    "text": "text",
    "bigint": "bigint",
    "integer": "bigint",
    "double precision": "double precision",
    "boolean": "boolean",
    "bytea": "bytea",
}


def like_pattern(text: str, *, before: bool = True, after: bool = True) -> str:
    """Return the pattern of LIKE that finds the text as it is, with anything before or after it."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return "%" * before + escaped + "%" * after


def column_terms(
    column: Composable, kind: str, match: ColumnMatch, path: str, build: Build
) -> list[Composable]:
    """Return the terms that a column must fulfil; they are unknown where the column is NULL."""
    terms: list[Composable] = []
    allowed = (*_OPERATORS[kind], "is_null")
    for name, value in match.model_dump(exclude_unset=True, by_alias=True).items():
        if name not in allowed:
            build.complain(
                f"{path}.{name}", f"does not fit a column of type {kind}; {_listed(allowed)} do"
            )
        elif name == "is_null":
            terms.append(SQL("{} IS NULL" if value else "{} IS NOT NULL").format(column))
        elif (term := _term(column, kind, name, value, f"{path}.{name}", build)) is not None:
            terms.append(term)
    return terms


def _term(
    column: Composable, kind: str, name: str, value: Any, path: str, build: Build
) -> Composable | None:
    if kind == "jsonb":
        return _contained(column, value, path, build)
    element = kind.removesuffix("[]")
    if name in ("since", "before"):
        # A date stands for its first moment in UTC, whatever the time zone of the session is.
        placed = (
            SQL("({}::timestamp AT TIME ZONE 'UTC')").format(column) if kind == "date" else column
        )
        return SQL(_TEMPLATES[name]).format(column=placed, value=build.bind(value))
    if name == "contains":
        return SQL(_TEMPLATES[name]).format(column=column, value=build.bind(like_pattern(value)))
    try:
        if name in ("in", "has"):
            values = list(value) if isinstance(value, list | tuple) else [value]
            if not 1 <= len(values) <= KEYS_MAX:
                raise ValueError("needs at least one value")
            checked: Any = [_checked(part, element) for part in values]
            suffix: LiteralString = "[]"
        else:
            checked, suffix = _checked(value, element), ""
    except ValueError as error:
        build.complain(path, str(error))
        return None
    bound = SQL("{}::" + _CASTS[element] + suffix).format(build.bind(checked))
    return SQL(_TEMPLATES[name]).format(column=column, value=bound)


def _contained(column: Composable, value: Any, path: str, build: Build) -> Composable | None:
    """Return the term of JSON that has this in it: `{author: {name: Ann}}`."""
    try:
        text = json_text(value)
    except ValueError as error:
        build.complain(path, str(error))
        return None
    return SQL("{} @> {}::jsonb").format(column, build.bind(text))


def _checked(value: Any, kind: str) -> Any:
    """Return a value as the type wants it; raises ValueError that says what does."""
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind in ("bigint", "integer") and type(value) is int and abs(value) <= BIGINT_MAX:
        return value
    if kind == "double precision" and type(value) in (int, float) and abs(value) <= 1e308:
        return float(value)
    if kind == "text" and isinstance(value, str) and len(value) <= TEXT_LENGTH_MAX:
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("text must be valid Unicode without NUL")
        return value
    if kind == "bytea" and isinstance(value, str):
        return bytes.fromhex(value)
    wanted = {"text": "text (put it in quotes)", "bytea": "hexadecimal digits"}
    raise ValueError(f"is no {wanted.get(kind, kind)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
