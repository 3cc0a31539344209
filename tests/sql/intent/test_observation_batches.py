"""Which ingest batches brought an observation, as write-intents note it."""

from __future__ import annotations

from typing import Any

import pytest

from sql import Column, Database, DeclaredTable
from sql.intent.intent import key_of, load_intent

POST = key_of("t:post:1")


@pytest.fixture
def ready(database: Database) -> Database:
    column = Column(name="likes", type="bigint", comment="Likes")
    for name in ("t", "u"):
        table = DeclaredTable(kind="source", name=name, version=1, comment="t", columns=(column,))
        database.declare(table)
    for name in ("first", "second"):
        database.ingests.open(name, adapter="t", user="ada", folder="/" + name)
    return database


def said(title: str, likes: int, source: str = "t") -> dict[str, Any]:
    return {
        "virtual_nodes": [{"description": "t:post:1"}],
        "common_metadata": [{"key": POST, "source": source, "is_root": True, "title": title}],
        "source_metadata": [{"key": POST, "source": source, "values": {"likes": likes}}],
    }


def apply(database: Database, intent_id: str, batch: str | None, **fields: Any) -> None:
    given = {"intent_id": intent_id, **fields}
    database.apply_intent(load_intent(given | ({"ingest_batch": batch} if batch else {})))


def brought(database: Database, table: str, column: str) -> list[tuple[Any, ...]]:
    """Return what a table says, each with the names of the batches that said it."""
    source = (
        "said.source_id"
        if table == "common_metadata"
        else f"(SELECT source_id FROM source WHERE meta_table_name = '{table}')"
    )
    query = f"""
        SELECT said.{column}, array_remove(array_agg(batch.name ORDER BY batch.name), NULL)
        FROM {table} AS said
        LEFT JOIN observation_batch AS known ON known.node_id = said.node_id
            AND known.observation_hash = said.observation_hash AND known.source_id = {source}
        LEFT JOIN ingest_batch AS batch USING (ingest_batch_id)
        GROUP BY said.{column} ORDER BY 1
    """
    with database.connection() as connection:
        return connection.execute(query.encode()).fetchall()


def test_each_batch_is_known_by_what_it_brought(ready: Database):
    apply(ready, "one", "first", **said("shared", 1))
    apply(ready, "two", "second", **said("shared", 2))
    apply(ready, "three", "second", **said("only here", 2))
    assert brought(ready, "common_metadata", "title") == [
        ("only here", ["second"]),
        ("shared", ["first", "second"]),
    ]
    assert brought(ready, "meta_t", "likes") == [(1, ["first"]), (2, ["second"])]


def test_two_sources_may_say_the_same(ready: Database):
    """Rows of two tables with the same values have the same hash."""
    apply(ready, "one", "first", **said("a", 1, "t"))
    apply(ready, "two", "second", **said("a", 1, "u"))
    assert brought(ready, "meta_t", "likes") == [(1, ["first"])]
    assert brought(ready, "meta_u", "likes") == [(1, ["second"])]


def test_of_what_was_there_before_nothing_is_known_until_it_comes_again(ready: Database):
    """So it is, too, with what no batch brings, such as what an action says."""
    apply(ready, "one", None, **said("old", 1))
    assert brought(ready, "common_metadata", "title") == [("old", [])]
    apply(ready, "two", "first", **said("old", 1))
    assert brought(ready, "common_metadata", "title") == [("old", ["first"])]
    assert brought(ready, "meta_t", "likes") == [(1, ["first"])]


def test_a_merge_that_fails_notes_nothing(ready: Database):
    with ready.connection() as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no'; END $$; "
            "CREATE TRIGGER refuse BEFORE INSERT ON write_intent EXECUTE FUNCTION refuse()"
        )
    with pytest.raises(Exception, match="no"):
        apply(ready, "one", "first", **said("a", 1))
    with ready.connection() as connection:
        count = connection.execute("SELECT count(*) FROM observation_batch").fetchone()
    assert count == (0,)
