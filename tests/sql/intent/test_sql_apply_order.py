"""What later intents add to what is known: positions of edges, and the first and last of times."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from sql import Database, DeclaredTable
from sql.intent.intent import key_of, load_intent

CONTAINS = {"description": "contains", "forms_tree": True}


@pytest.fixture
def ready(database: Database) -> Database:
    database.declare(DeclaredTable(kind="source", name="t", version=1, comment="Some", columns=()))
    return database


def apply(database: Database, intent_id: str, **fields: Any):
    return database.apply_intent(load_intent({"intent_id": intent_id, **fields}))


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.connection() as connection:
        return connection.execute(query.encode()).fetchall()


def virtual(*names: str) -> list[dict[str, str]]:
    return [{"description": name} for name in names]


def test_the_first_position_known_stays_and_an_unknown_one_is_filled(ready: Database):
    """Also of several in one intent: the least, in whatever order they come."""
    ends = {"parent": key_of("p"), "child": key_of("c"), "relationship": "contains"}

    def positions(*values: int | None) -> tuple[int, int | None]:
        edges = [ends if value is None else {**ends, "position": value} for value in values]
        result = apply(
            ready,
            f"positions {values}",
            virtual_nodes=virtual("p", "c"),
            relationships=[CONTAINS],
            edges=edges,
        )
        assert result.edges_new + result.edges_existing == len(edges)
        return result.rows_new, rows(ready, "SELECT position FROM edge")[0][0]

    assert positions(None) == (0, None)
    assert positions(None, None) == (0, None)
    assert positions(6, None, 5, 9) == (1, 5)
    assert positions(7) == (0, 5)
    assert len(rows(ready, "SELECT FROM edge")) == 1
    rows(ready, "DELETE FROM edge RETURNING 1")
    assert positions(4, 8, None, 3) == (0, 3)


def test_the_first_and_the_last_times_can_be_read_again(ready: Database):
    times = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
    observations = [
        {"key": key_of("n"), "source": "t", "is_root": False, "update_time": time} for time in times
    ]
    apply(ready, "edges of time", virtual_nodes=virtual("n"), common_metadata=observations)
    with ready.reading() as connection:
        found = connection.execute("SELECT update_time FROM common_metadata ORDER BY 1").fetchall()
    assert [row[0] for row in found] == [datetime.fromisoformat(time) for time in times]
