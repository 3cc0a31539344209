"""Terms of SQL's logic: it owns how conditions are joined and negated, and the small common ones.

Pure. SQL has three truth values and selectors two: a term knows whether it can be NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from psycopg.sql import SQL, Composable

from base.mistakes import suggestion
from sql.selector.compile_scope import Build
from sql.selector.values import IntegerRange, TimeRange

Value = TypeVar("Value")

TRUE = SQL("true")
FALSE = SQL("false")


@dataclass(frozen=True, slots=True)
class Term:
    """A condition in SQL; `maybe_null` when it can be NULL, which counts as not fulfilled."""

    sql: Composable
    maybe_null: bool = False


def both(parts: Iterable[Composable]) -> Composable:
    """Join conditions that must all hold."""
    listed = list(parts)
    return SQL(" AND ").join(listed) if listed else TRUE


def conjunction(terms: Sequence[Term]) -> Term:
    """Return the term that holds when all do."""
    return _joined(terms, SQL(" AND "), TRUE)


def disjunction(terms: Sequence[Term]) -> Term:
    """Return the term that holds when one does."""
    return _joined(terms, SQL(" OR "), FALSE)


def negation(term: Term) -> Term:
    """Return the term that holds exactly where the other does not."""
    template = "({}) IS NOT TRUE" if term.maybe_null else "NOT ({})"
    return Term(SQL(template).format(term.sql))


def _joined(terms: Sequence[Term], word: SQL, empty: SQL) -> Term:
    if not terms:
        return Term(empty)
    if len(terms) == 1:
        return terms[0]
    return Term(
        SQL("({})").format(word.join([term.sql for term in terms])),
        any(term.maybe_null for term in terms),
    )


def among(column: Composable, values: Iterable[int | str | bytes], build: Build) -> Composable:
    """Return the term for a column that is one of the values."""
    listed = list(values)
    if len(listed) == 1:
        return SQL("{} = {}").format(column, build.bind(listed[0]))
    if not listed:
        return FALSE
    return SQL("{} = ANY({})").format(column, build.bind(listed))


def range_terms(column: Composable, wanted: IntegerRange, build: Build) -> list[Composable]:
    """Return the terms for a number in a range."""
    words = {"equals": SQL("{} = {}"), "min": SQL("{} >= {}"), "max": SQL("{} <= {}")}
    return [
        word.format(column, build.bind(getattr(wanted, name)))
        for name, word in words.items()
        if getattr(wanted, name) is not None
    ]


def time_terms(column: Composable, wanted: TimeRange, build: Build) -> list[Composable]:
    """Return the terms for a time in a range."""
    words = {"since": SQL("{} >= {}"), "before": SQL("{} < {}")}
    return [
        word.format(column, build.bind(getattr(wanted, name)))
        for name, word in words.items()
        if getattr(wanted, name) is not None
    ]


def look_up(
    build: Build, names: Iterable[str], known: Mapping[str, Value], path: str, what: str
) -> list[Value]:
    """Return what names stand for; a name that the database does not have is a problem."""
    found: list[Value] = []
    for name in names:
        if name in known:
            found.append(known[name])
        else:
            build.complain(path, f"there is no {what} {name[:100]!a}{suggestion(name, known)}")
    return found
