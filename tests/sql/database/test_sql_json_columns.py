"""Columns of JSON in declared tables: what goes in comes out, is found, and is indexed."""

from __future__ import annotations

import json

import pytest

from sql import (
    Column,
    Condition,
    Database,
    DeclaredTable,
    Selector,
    SourceMetadata,
    VirtualNode,
    WriteIntent,
    key_of,
)
from sql.core.declared import ddl
from sql.core.errors import IntentError, SchemaError
from sql.selector.document import read_selector


def pets(version: int = 1, *more: Column) -> DeclaredTable:
    columns = (
        Column(name="document", type="jsonb", comment="All", is_indexed=True),
        Column(name="name", type="text", comment="Its name", is_indexed=True),
        Column(name="tags", type="text[]", comment="Its tags", is_indexed=True),
        Column(name="age", type="bigint", comment="Years", is_indexed=True),
        *more,
    )
    return DeclaredTable(kind="source", name="pets", version=version, comment="P", columns=columns)


def write(database: Database, number: int, text: str) -> int:
    description = f"test:pet:{number}"
    row = SourceMetadata(key=key_of(description), source="pets", values={"document": text})
    intent = WriteIntent(
        intent_id=f"pets:{number}:{text[:50]}",
        virtual_nodes=(VirtualNode(description=description),),
        source_metadata=(row,),
    )
    return database.apply_intent(intent).observations_new


def found(database: Database, has: object) -> int:
    block = {"source": "pets", "columns": {"document": {"has": has}}}
    selector = read_selector({"version": 1, "where": {"source_metadata": block}})
    return database.aggregate(selector).count


def test_json_is_kept_found_and_the_same_again_is_no_new_row(database: Database):
    database.declare(pets())
    odd = {"name": 'Rex "\\u0000" 🐦', "owner": {"id": 2**60, "of": [1, None, [2.5]]}, "none": None}
    text = json.dumps(odd)
    assert write(database, 1, text) == 1
    turned = json.dumps(dict(reversed(odd.items())), indent=1)
    assert write(database, 1, turned) == 0, "the same document in another order"
    assert write(database, 2, '{"name": "Tom"}') == 1
    with database.reading() as connection:
        rows = connection.execute("SELECT document FROM meta_pets ORDER BY id").fetchall()
    assert rows == [(odd,), ({"name": "Tom"},)]
    assert found(database, {"owner": {"id": 2**60}}) == 1
    assert found(database, {"name": "Tom"}) == 1
    assert found(database, {"name": "'; DROP TABLE node; --"}) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "must be JSON"),
        ('{"a": NaN}', "finite"),
        ('{"a": 1e400}', "finite"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"a\\u0000": 1}', "NUL"),
        ('{"a": "\\ud800"}', "surrogates"),
        ("[" * 100_000, "must be JSON"),
    ],
)
def test_what_postgresql_cannot_keep_is_refused_before(database: Database, text: str, said: str):
    database.declare(pets())
    with pytest.raises(IntentError, match=said):
        write(database, 1, text)


def test_a_condition_that_is_no_json_is_told(database: Database):
    from sql.core.errors import SelectorError

    database.declare(pets())
    with pytest.raises(SelectorError, match="NUL"):
        found(database, {"a": "\0"})
    block = {"source": "pets", "columns": {"document": {"equals": 1}}}
    with pytest.raises(SelectorError, match="does not fit a column of type jsonb"):
        database.aggregate(read_selector({"version": 1, "where": {"source_metadata": block}}))


def indexes(database: Database) -> list[str]:
    with database.reading() as connection:
        query = "SELECT indexdef FROM pg_indexes WHERE tablename = 'meta_pets' ORDER BY 1"
        return [row[0].partition(" USING ")[2] for row in connection.execute(query)]


def test_what_is_looked_up_has_an_index(database: Database):
    database.declare(pets())
    asked = {"gin (document jsonb_path_ops)", "hash (name)", "gin (tags)", "btree (age)"}
    assert asked <= set(indexes(database))
    assert len(indexes(database)) == len(asked) + 2
    later = pets(2, Column(name="seen", type="date", comment="When", is_indexed=True))
    assert database.declare(later)
    assert "btree (seen)" in indexes(database) and len(indexes(database)) == len(asked) + 3
    with pytest.raises(SchemaError, match="the index of column seen"):
        database.declare(pets(2, Column(name="seen", type="date", comment="When")))


def test_statements_for_people_make_the_table(database: Database):
    with database.connection() as connection:
        connection.execute(ddl(pets()))
    assert "hash (name)" in indexes(database)


def test_a_selector_of_the_face_finds_it(database: Database):
    database.declare(pets())
    write(database, 1, '{"a": [1, 2]}')
    where = Condition.model_validate(
        {"source_metadata": {"source": "pets", "columns": {"document": {"has": {"a": [2]}}}}}
    )
    assert database.aggregate(Selector(version=1, where=where)).count == 1
