"""Write-intents that are refused: as a whole, with the path of what is wrong."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_sql_apply import CONTAINS, FILE, POST, TABLE, apply, count, file_node, virtual

from sql import Column, Database, DeclaredTable
from sql.core.errors import IntentError
from sql.intent.intent import WriteIntent, key_of, load_intent

UNKNOWN = "cd" * 32


@pytest.fixture
def ready(database: Database) -> Database:
    database.declare(TABLE)
    apply(database, "before", virtual_nodes=virtual("t:post:1"), physical_nodes=[file_node()])
    return database


def problems_of(database: Database, **fields: Any) -> list[str]:
    with pytest.raises(IntentError) as caught:
        apply(database, "refused", virtual_nodes=virtual("new"), **fields)
    assert count(database, "node") == 2
    assert count(database, "write_intent") == 1
    return caught.value.problems


def edge(parent: str = POST, child: str = FILE, **other: Any) -> dict[str, Any]:
    return {"parent": parent, "child": child, "relationship": "contains", **other}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"edges": [edge(), edge(UNKNOWN)]}, "edges[1].parent"),
        ({"edges": [edge(child=UNKNOWN)]}, "edges[0].child"),
        ({"flags": [{"key": UNKNOWN, "is_delete": True}]}, "flags[0].key"),
        ({"flags": [{"key": POST, "is_delete": True}]}, "flags[0].key"),
        ({"archive_locations": [{"key": UNKNOWN, "filepath": "p:x"}]}, "archive_locations[0].key"),
        ({"archive_locations": [{"key": POST, "filepath": "p:x"}]}, "archive_locations[0].key"),
        (
            {"common_metadata": [{"key": UNKNOWN, "source": "t", "is_root": True}]},
            "common_metadata[0].key",
        ),
        (
            {"common_metadata": [{"key": POST, "source": "nobody", "is_root": True}]},
            "common_metadata[0].source",
        ),
        (
            {"source_metadata": [{"key": UNKNOWN, "source": "t", "values": {}}]},
            "source_metadata[0].key",
        ),
        (
            {"source_metadata": [{"key": POST, "source": "nobody", "values": {}}]},
            "source_metadata[0].source",
        ),
        (
            {"source_metadata": [{"key": POST, "source": "t", "values": {"colour": 1}}]},
            "source_metadata[0].values.colour",
        ),
        ({"physical_nodes": [file_node(size_bytes=11)]}, "physical_nodes[0].size_bytes"),
        (
            {"physical_nodes": [file_node(UNKNOWN), file_node(UNKNOWN, size_bytes=2)]},
            "physical_nodes[1].size_bytes",
        ),
        ({"physical_nodes": [file_node(UNKNOWN, extension="exe")]}, "physical_nodes[0].extension"),
        ({"edges": [edge(relationship="eats")]}, "edges[0].relationship"),
        ({"edges": [edge(action_id=7)]}, "edges[0].relationship"),
        (
            {"relationships": [{**CONTAINS, "forms_tree": False}, CONTAINS]},
            "relationships[1].forms_tree",
        ),
        ({"relationships": [{**CONTAINS, "action_id": 7}]}, "relationships[0].action_id"),
        ({"ingest_batch": "nobody opened it"}, "ingest_batch"),
        (
            {"results": [{"action": "x", "key": FILE, "action_event_id": 1, "values": {}}]},
            "results[0].action",
        ),
    ],
)
def test_what_is_unknown_is_refused_with_its_path(ready: Database, fields: Any, path: str):
    given = {"relationships": [CONTAINS], **fields}
    assert path in [problem.partition(": ")[0] for problem in problems_of(ready, **given)]


def test_a_relationship_keeps_its_meaning(ready: Database):
    apply(ready, "first", relationships=[CONTAINS])
    with pytest.raises(IntentError, match=r"relationships\[0\]\.forms_tree"):
        apply(ready, "second", relationships=[{**CONTAINS, "forms_tree": False}])


def test_a_word_that_gets_another_meaning_meanwhile(ready: Database, database_url: str):
    other = b"INSERT INTO relationship (action_id, description, forms_tree) VALUES (0, %s, false)"
    with psycopg.connect(database_url) as blocker, ThreadPoolExecutor(1) as thread:
        blocker.execute(other, ["contains"])
        waiting = thread.submit(
            apply, ready, "one", virtual_nodes=virtual("new"), relationships=[CONTAINS]
        )
        with psycopg.connect(database_url, autocommit=True) as watcher:
            while not watcher.execute(
                "SELECT FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchall():
                assert not waiting.done()
        blocker.commit()
        with pytest.raises(IntentError, match="just declared with forms_tree False"):
            waiting.result()
    assert count(ready, "node") == 2


def test_many_problems_are_counted_and_twenty_shown(ready: Database):
    edges = [edge(key_of(f"nobody {n}")) for n in range(30)]
    with pytest.raises(IntentError) as caught:
        apply(ready, "refused", relationships=[CONTAINS], edges=edges)
    assert len(caught.value.problems) == 30
    assert "edges[19].parent" in str(caught.value)
    assert "edges[20].parent" not in str(caught.value)
    assert "and 10 more" in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("likes", "3"),
        ("likes", 3.0),
        ("likes", True),
        ("likes", 2**63),
        ("likes", -(2**63) - 1),
        ("tags", "a"),
        ("tags", [1]),
        ("tags", [None]),
        ("tags", ["a\0"]),
        ("score", "1.5"),
        ("score", float("nan")),
        ("score", float("inf")),
        ("score", 10**400),
        ("edited", "2024-05-01T12:00:00"),
        ("edited", "yesterday"),
        ("edited", 0),
        ("day", "2024-13-01"),
        ("day", "2024-05-01T12:00:00Z"),
        ("edited", "0001-01-01T00:00:00+14:00"),
        ("edited", "9999-12-31T23:59:59-12:00"),
        ("good", 1),
        ("good", "true"),
        ("word", 7),
        ("word", "NUL \0"),
        ("word", "lone \ud800"),
        ("word", {"a": 1}),
        ("word", b"bytes"),
        ("mark", "xyz"),
    ],
)
def test_values_are_refused_not_bent(ready: Database, column: str, value: object):
    row = {"key": POST, "source": "t", "values": {column: value}}
    (problem,) = problems_of(ready, source_metadata=[row])
    assert problem.startswith("source_metadata[0].values")
    assert column in problem


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"virtual_nodes": virtual("")}, "virtual_nodes[0].description"),
        ({"virtual_nodes": virtual("a\0b")}, "virtual_nodes[0].description"),
        ({"virtual_nodes": virtual("lone \udfff")}, "virtual_nodes[0].description"),
        ({"virtual_nodes": virtual("x" * 4_001)}, "virtual_nodes[0].description"),
        ({"physical_nodes": [file_node("AB" * 32)]}, "physical_nodes[0].key"),
        ({"physical_nodes": [file_node("ab" * 31)]}, "physical_nodes[0].key"),
        ({"physical_nodes": [file_node("ab" * 32 + "\n")]}, "physical_nodes[0].key"),
        ({"physical_nodes": [file_node(size_bytes=-1)]}, "physical_nodes[0].size_bytes"),
        ({"physical_nodes": [file_node(size_bytes=2**63)]}, "physical_nodes[0].size_bytes"),
        ({"physical_nodes": [file_node(size_bytes="10")]}, "physical_nodes[0].size_bytes"),
        ({"physical_nodes": [file_node(extension="a.b")]}, "physical_nodes[0].extension"),
        ({"physical_nodes": [file_node(colour=1)]}, "physical_nodes[0].colour"),
        ({"edges": [edge(child=POST)]}, "edges[0]"),
        ({"edges": [edge(position=-1)]}, "edges[0].position"),
        ({"edges": [edge(position=2**31)]}, "edges[0].position"),
        ({"edges": [edge(relationship="x'; DROP TABLE node; --")]}, "edges[0].relationship"),
        ({"relationships": [{"description": "contains"}]}, "relationships[0].forms_tree"),
        ({"version": 2}, "version"),
        ({"colour": "red"}, "colour"),
        ({"edges": {}}, "edges"),
        ({"flags": [{"key": FILE, "is_delete": "yes"}]}, "flags[0].is_delete"),
        ({"archive_locations": [{"key": FILE, "filepath": ""}]}, "archive_locations[0].filepath"),
    ],
)
def test_a_wrong_document_is_refused_with_its_path(fields: Any, path: str):
    with pytest.raises(IntentError) as caught:
        load_intent({"intent_id": "x", **fields})
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [path]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("view", -1),
        ("view", 2**63),
        ("view", "5"),
        ("title", "NUL \0"),
        ("title", "x" * 4_097),
        ("title", 5),
        ("update_time", "2024-05-01T12:00:00"),
        ("update_time", "soon"),
        ("update_time", "0001-01-01T00:00:00+14:00"),
        ("download_time", "9999-12-31T23:59:59-12:00"),
        ("raw_metadata", "石" * 342),
        ("raw_metadata", "\ud83e"),
        ("user", "\0"),
        ("is_root", "yes"),
        ("source", "No Such Name"),
    ],
)
def test_wrong_common_metadata_is_refused(field: str, value: object):
    row = {"key": POST, "source": "t", "is_root": True, field: value}
    with pytest.raises(IntentError) as caught:
        load_intent({"intent_id": "x", "common_metadata": [row]})
    (problem,) = caught.value.problems
    assert problem.startswith(f"common_metadata[0].{field}: ")


@pytest.mark.parametrize(
    "document",
    [
        *(b"", b"{", b"[]", b"null", b'{"intent_id": "\xff"}', b'{"intent_id": "\\ud800"}'),
        *(b"[" * 100_000, b"\xef\xbb\xbf{}", b'{"intent_id": 1}', b"{}"),
    ],
)
def test_broken_json_is_refused(document: bytes):
    with pytest.raises(IntentError) as caught:
        load_intent(document)
    assert len(caught.value.problems) == 1


SQL_TEXTS = (
    "'; DROP TABLE node; --",
    '"; DROP TABLE node; --',
    "$$; SELECT pg_sleep(9)",
    "%s %(x)s {} {0}",
    "\\'; --",
    "\\.\n\\N",
)


@pytest.mark.parametrize("text", SQL_TEXTS)
def test_sql_in_every_text_is_only_text(ready: Database, text: str):
    row = {"key": key_of(text), "source": "t", "is_root": True, "title": text, "user": text}
    row |= {"author_description": text, "raw_metadata": text}
    values = {"word": text, "tags": [text]}
    result = apply(
        ready,
        text,
        virtual_nodes=virtual(text),
        physical_nodes=[file_node()],
        common_metadata=[row],
        source_metadata=[{"key": key_of(text), "source": "t", "values": values}],
        archive_locations=[{"key": FILE, "filepath": text}],
    )
    assert result.nodes_new == 1
    with ready.connection() as connection:
        for query in (
            "SELECT title FROM common_metadata",
            "SELECT raw_metadata FROM common_metadata",
            "SELECT author_description FROM common_metadata",
            "SELECT word FROM meta_t",
            "SELECT tags[1] FROM meta_t",
            "SELECT filepath FROM archive_location",
            "SELECT description FROM virtual_asset ORDER BY record_id DESC LIMIT 1",
            "SELECT intent_id FROM write_intent WHERE intent_id <> 'before'",
        ):
            assert connection.execute(query.encode()).fetchone()[0] == text


def test_columns_named_like_keywords_are_quoted(database: Database):
    columns = (
        Column(name="select", type="text", comment="A keyword"),
        Column(name="given", type="bigint", comment="An alias of ours"),
        Column(name="number", type="bigint", comment="A column of ours"),
        Column(name="user", type="text", comment="A function"),
    )
    database.declare(
        DeclaredTable(kind="source", name="order", version=1, comment="x", columns=columns)
    )
    values = {"select": "a", "given": 1, "number": 77, "user": "b"}
    row = {"key": key_of("x"), "source": "order", "values": values}
    apply(database, "one", virtual_nodes=virtual("x"), source_metadata=[row])
    with database.connection() as connection:
        found = connection.execute('SELECT "select", given, "number", "user" FROM meta_order')
        assert found.fetchone() == ("a", 1, 77, "b")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([column.name for column in TABLE.columns]), value=anything)
def test_any_value_is_stored_or_refused(ready: Database, name: str, value: Any):
    row = {"key": POST, "source": "t", "values": {name: value}}
    intent_id = f"any-{json.dumps(value)}-{name}"[:200].replace("\\u0000", "")
    try:
        apply(ready, intent_id, source_metadata=[row])
    except IntentError as error:
        assert error.problems


@settings(deadline=None, max_examples=300)
@given(
    field=st.sampled_from(list(WriteIntent.model_fields)),
    value=anything | st.lists(st.dictionaries(st.sampled_from(["key", "parent"]), anything)),
)
def test_any_document_is_an_intent_or_refused(field: str, value: Any):
    try:
        load_intent({"intent_id": "x", field: value})
    except IntentError as error:
        assert error.problems
