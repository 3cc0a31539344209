"""Selectors at work: it owns how a selector is planned, run and streamed, and never changes a row.

Every function wants a connection from `Database.reading()`: the role that may only read, a
read-only transaction, a statement timeout. A statement is explained before it runs. Where a
condition can be asked in two ways the cheaper plan is taken, and a plan whose cost is beyond
COST_MAX is refused: it would run for hours and be cut by the timeout anyway.
"""

from __future__ import annotations

import datetime
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg.sql import SQL, Composed
from pydantic import BaseModel, ConfigDict

from sql.core.errors import SelectorError
from sql.selector.compile_selector import Compiled, Form, compile_selector
from sql.selector.selector import Condition, Selector
from sql.selector.vocabulary import Vocabulary, load_vocabulary

COST_MAX = 1e9
"""In the planner's units, of which a million take about a second: joins of 10 M nodes cost 10^6."""
FETCH_ROWS = 5_000
CHOICES_COMPARED_MAX = 4
"""Up to so many, every combination is explained: 16 times about 0.3 ms."""
CHOICES_ALONE_MAX = 12
COMPARE_LIMIT_S = 1.0

# A cursor is planned for its first tenth unless told otherwise; compiling to machine code costs
# more than most selectors; and ten tables are still ordered by search, not as they were written.
SETTINGS = """
    SELECT set_config('cursor_tuple_fraction', '1', true), set_config('jit', 'off', true),
        set_config('join_collapse_limit', '10', true),
        set_config('from_collapse_limit', '10', true),
        CASE WHEN current_user = 'drystone_guest' THEN coalesce(granted('grant'), '{}') END
"""


class NodeRow(NamedTuple):
    """One node; size, extension and media type are None for a node without bytes.

    `description` is there only when asked for, and None for a node that is not virtual.
    """

    node_id: int
    key: str
    size_bytes: int | None
    extension: str | None
    media_type: str | None
    description: str | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Total(_Answer):
    """How many nodes, and how many bytes they have together."""

    count: int
    size_bytes: int


class Aggregate(Total):
    """How many nodes and bytes; a node without bytes counts as media type `none`."""

    by_media_type: dict[str, Total]


class Explanation(_Answer):
    """What the planner expects of a selector, the statement, and its parameters beside it."""

    rows_estimate: int
    cost: float
    statement: str
    parameters: dict[str, Any]
    plan: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A statement that is ready to run, and what the planner expects of it."""

    compiled: Compiled
    vocabulary: Vocabulary
    cost: float
    rows_estimate: int


def query_nodes(
    connection: psycopg.Connection[Any],
    selector: Selector,
    *,
    described: bool = False,
    cost_max: float = COST_MAX,
    only: Condition | None = None,
) -> Iterator[NodeRow]:
    """Stream the nodes of a selector, in constant memory; `only` those of them that fulfil it.

    The transaction of the connection must stay open until the last row is taken. Raises
    SelectorError before the first one, QueryTimeoutError whenever a fetch takes too long.
    """
    form: Form = "described rows" if described else "rows"
    planned = plan(connection, selector, form, cost_max, only)
    extensions = {
        number: (name, kind) for name, (number, kind) in planned.vocabulary.extensions.items()
    }
    compiled = planned.compiled
    with psycopg.ServerCursor(connection, "selected_nodes") as cursor:
        cursor.execute(compiled.statement, compiled.parameters)
        while rows := cursor.fetchmany(FETCH_ROWS):
            for node_id, sha256, size_bytes, extension_id, *description in rows:
                extension, media_type = extensions.get(extension_id, (None, None))
                yield NodeRow(
                    node_id, sha256.hex(), size_bytes, extension, media_type, *description
                )


def aggregate(
    connection: psycopg.Connection[Any],
    selector: Selector,
    *,
    cost_max: float = COST_MAX,
    only: Condition | None = None,
) -> Aggregate:
    """Count the nodes of a selector and sum their sizes; `only` those of them that fulfil it."""
    planned = plan(connection, selector, "aggregate", cost_max, only)
    kinds = dict(planned.vocabulary.extensions.values())
    sums: dict[str, tuple[int, int]] = {}
    compiled = planned.compiled
    for extension_id, count, size_bytes in connection.execute(
        compiled.statement, compiled.parameters
    ):
        kind = kinds.get(extension_id, "none")
        count_before, size_before = sums.get(kind, (0, 0))
        sums[kind] = (count_before + count, size_before + (size_bytes or 0))
    return Aggregate(
        count=sum(count for count, _ in sums.values()),
        size_bytes=sum(size for _, size in sums.values()),
        by_media_type={
            kind: Total(count=count, size_bytes=size)
            for kind, (count, size) in sorted(sums.items())
        },
    )


def explain(connection: psycopg.Connection[Any], selector: Selector) -> Explanation:
    """Return the statement that would list the nodes, and what the planner expects of it."""
    planned = plan(connection, selector, "rows", float("inf"))
    compiled = planned.compiled
    lines = connection.execute(
        SQL("EXPLAIN {}").format(compiled.statement), compiled.parameters
    ).fetchall()
    return Explanation(
        rows_estimate=planned.rows_estimate,
        cost=planned.cost,
        statement=compiled.statement.as_string(connection),
        parameters={name: shown_value(value) for name, value in compiled.parameters.items()},
        plan="\n".join(line for (line,) in lines),
    )


def plan(
    connection: psycopg.Connection[Any],
    selector: Selector,
    form: Form,
    cost_max: float,
    only: Condition | None = None,
) -> Planned:
    """Compile a selector in the way that costs least; refuse what costs too much.

    `only` must name nothing that the database has to know: its words are not looked up.
    """
    (*_, grants) = connection.execute(SETTINGS).fetchone() or (None,)
    vocabulary = load_vocabulary(connection, selector)

    def planned(choices: tuple[bool, ...]) -> Planned:
        compiled = compile_selector(selector, vocabulary, form, choices, only, grants)
        return Planned(compiled, vocabulary, *_estimate(connection, compiled))

    if form != "aggregate":
        # A cursor never runs in parallel, so no parallel plan is compared with.
        connection.execute("SET LOCAL max_parallel_workers_per_gather = 0")
    best = planned(())
    ways = _ways(best.compiled.choice_count)
    started = time.monotonic()
    for choices in ways:
        if time.monotonic() - started > COMPARE_LIMIT_S:
            break
        best = min(best, planned(choices), key=lambda one: one.cost)
    # To a guest a refusal would tell how much there is that is hidden.
    if grants is None and best.cost > cost_max:
        raise SelectorError(
            [
                f"the planner expects {best.rows_estimate:,} rows at a cost of {best.cost:.3g}, "
                f"and {cost_max:.3g} is the limit: add a condition that few nodes fulfil (a "
                "source, a time, a batch), see `drystone select --explain`, or run ANALYZE when "
                "much was ingested just now"
            ]
        )
    return best


def _ways(count: int) -> list[tuple[bool, ...]]:
    """Return the choices to compare: all while they are few, else those nearly of one mind."""
    if count <= CHOICES_COMPARED_MAX:
        return list(itertools.product((False, True), repeat=count))[1:]
    alone = [tuple(place == one for place in range(count)) for one in range(count)]
    return [(True,) * count, *alone[:CHOICES_ALONE_MAX]]


def _estimate(connection: psycopg.Connection[Any], compiled: Compiled) -> tuple[float, int]:
    statement: Composed = SQL("EXPLAIN (FORMAT JSON) {}").format(compiled.statement)
    row = connection.execute(statement, compiled.parameters).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return plan["Total Cost"], plan["Plan Rows"]


def shown_value(value: Any) -> Any:
    """Return a parameter as JSON can say it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [shown_value(part) for part in value]
    return value
