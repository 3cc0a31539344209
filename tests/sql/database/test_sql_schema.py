"""The live catalogue is what the design says, and the rules that the schema itself keeps."""

from __future__ import annotations

import hashlib
from typing import Any

import psycopg
import pytest
from schema_design import DESIGN, INDEXES

from sql.actions.history import record_action_history
from sql.core.file_types import FILE_TYPES


@pytest.fixture
def connection(database_url):
    """A connection that commits by itself."""
    with psycopg.connect(database_url, autocommit=True) as opened:
        yield opened


def rows(connection, query: str, *values: object) -> list[tuple]:
    return connection.execute(query, values or None).fetchall()


def test_every_table_and_column_of_the_design_is_there(connection):
    found: dict[str, set[str]] = {}
    query = (
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'public'"
    )
    for table, column in rows(connection, query):
        found.setdefault(table, set()).add(column)
    missing = {
        table: sorted(set(columns.split()) - found.get(table, set()))
        for table, columns in DESIGN.items()
    }
    assert {table: columns for table, columns in missing.items() if columns} == {}


def test_everything_has_a_comment(connection):
    naked = rows(
        connection,
        """
        SELECT class.relname, attribute.attname
        FROM pg_class AS class
        JOIN pg_attribute AS attribute ON attrelid = class.oid AND attnum > 0 AND NOT attisdropped
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'p')
            AND (coalesce(obj_description(class.oid, 'pg_class'), '') = ''
                OR coalesce(col_description(class.oid, attnum), '') = '')
        """,
    )
    assert naked == []


def test_no_column_is_json(connection):
    query = (
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND data_type IN ('json', 'jsonb', 'xml', 'ARRAY', 'hstore')"
    )
    assert rows(connection, query) == []


def test_every_index_is_justified(connection):
    found = rows(connection, "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
    assert {name for (name,) in found} == set(INDEXES)


def test_every_foreign_key_has_an_index_where_it_is_followed_back(connection):
    """Or a delete, and every question from the other side, reads the whole table."""
    uncovered = rows(
        connection,
        """
        SELECT conrelid::regclass::text, attname
        FROM pg_constraint
        JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
        WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_index WHERE indrelid = conrelid AND indkey[0] = conkey[1]
        )
        ORDER BY 1, 2
        """,
    )
    # Small tables, or parents that are never deleted and seldom asked from.
    assert uncovered == [
        ("access_grant", "group_id"),
        ("access_grant", "node_id"),
        ("access_grant", "user_id"),
        ("edge", "relationship_id"),
        ("outbox_package", "ingest_batch_id"),
        ("pipeline_stage", "action_id"),
        ("quarantine", "action_event_id"),
        ("quarantine", "ingest_batch_id"),
        ("quarantine", "node_id"),
        ("superseded_result", "action_event_id"),
        ("superseded_result", "table_name"),
    ]


def test_the_types_of_files_are_those_that_a_dry_run_knows(connection):
    seeded = {(name, kind) for kind, text in FILE_TYPES.items() for name in text.split()}
    assert set(rows(connection, "SELECT file_extension, type FROM file_type")) == seeded
    assert {("ugoira", "unknown"), ("m4b", "sound"), ("lrc", "text"), ("tga", "image")} <= seeded


def test_action_zero_is_the_ingest(connection):
    assert rows(connection, "SELECT * FROM action") == [(0, "UA_1", "AC0")]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO file_type (file_extension, type) VALUES ('exe', 'program')",
        "INSERT INTO file_type (file_extension, type) VALUES ('JPG', 'image')",
        "INSERT INTO node (sha256, root_id, component_id) VALUES (sha256('x'), 1, 1)",
        "INSERT INTO node (sha256, is_virtual, root_id, component_id) VALUES ('x', true, 1, 1)",
        "INSERT INTO action VALUES (1, 'x', 'AC9')",
        "INSERT INTO source (description, meta_table_name) VALUES ('x', 'x')",
        "INSERT INTO source (description, meta_table_name) VALUES ('x', 'metax')",
        "INSERT INTO edge (parent_node_id, child_node_id, relationship_id) VALUES (1, 1, 1)",
        "INSERT INTO pipeline_stage VALUES (1, 0, 0)",
    ],
)
def test_what_the_schema_itself_refuses(connection, statement):
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(statement)


# ---- Sealed batches --------------------------------------------------------------------------


def add_nodes(connection, count: int) -> list[int]:
    start = rows(connection, "SELECT count(*) FROM node")[0][0]
    return [
        rows(
            connection,
            "INSERT INTO node (sha256, is_virtual, root_id, component_id) "
            "VALUES (%s, true, 0, 0) RETURNING node_id",
            hashlib.sha256(str(start + number).encode()).digest(),
        )[0][0]
        for number in range(count)
    ]


def add_batch(connection, nodes: list[int], *, seal: bool = False) -> int:
    ((batch,),) = rows(
        connection, "INSERT INTO action_batch DEFAULT VALUES RETURNING action_batch_id"
    )
    for node in nodes:
        connection.execute(
            "INSERT INTO action_batch_node (action_batch_id, node_id) VALUES (%s, %s)",
            [batch, node],
        )
    if seal:
        connection.execute(
            "UPDATE action_batch SET seal_date = now() WHERE action_batch_id = %s", [batch]
        )
    return batch


def test_a_sealed_batch_stays_as_it_is(connection):
    inside, outside = add_nodes(connection, 2)
    batch = add_batch(connection, [inside], seal=True)
    empty = add_batch(connection, [], seal=True)
    open_batch = add_batch(connection, [outside])
    insert = "INSERT INTO action_batch_node (action_batch_id, node_id) VALUES (%s, %s)"
    move = "UPDATE action_batch_node SET action_batch_id = %s WHERE action_batch_id = %s"
    alter = "UPDATE action_batch SET {} WHERE action_batch_id = %s"
    for statement, values in (
        (insert, (batch, outside)),
        ("UPDATE action_batch_node SET node_id = %s WHERE action_batch_id = %s", (outside, batch)),
        ("DELETE FROM action_batch_node WHERE action_batch_id = %s", (batch,)),
        (move, (open_batch, batch)),
        (move, (batch, open_batch)),
        (alter.format("seal_date = NULL"), (batch,)),
        (alter.format("seal_date = now() + interval '1 day'"), (batch,)),
        (alter.format("create_date = create_date - interval '1 day'"), (batch,)),
        ("DELETE FROM action_batch WHERE action_batch_id = %s", (empty,)),
        ("TRUNCATE action_batch_node", ()),
        ("TRUNCATE action_batch CASCADE", ()),
    ):
        with pytest.raises(psycopg.errors.IntegrityError, match="sealed"):
            connection.execute(statement, values)
    members = "SELECT node_id FROM action_batch_node WHERE action_batch_id = %s"
    assert rows(connection, members, batch) == [(inside,)]
    assert rows(connection, members, open_batch) == [(outside,)]


def test_an_open_batch_changes(connection):
    first, second = add_nodes(connection, 2)
    batch = add_batch(connection, [first])
    connection.execute("UPDATE action_batch_node SET node_id = %s", [second])
    assert rows(connection, "SELECT node_id FROM action_batch_node") == [(second,)]
    connection.execute("DELETE FROM action_batch_node")
    assert rows(connection, "SELECT action_batch_id FROM action_batch") == [(batch,)]


def test_a_seal_and_an_insert_at_the_same_moment(connection, database_url):
    node, late = add_nodes(connection, 2)
    batch = add_batch(connection, [node])
    with psycopg.connect(database_url) as inserting:
        inserting.execute(
            "INSERT INTO action_batch_node (action_batch_id, node_id) VALUES (%s, %s)",
            [batch, late],
        )
        # The seal has to wait for it: otherwise the insert would commit after the seal.
        connection.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute("UPDATE action_batch SET seal_date = clock_timestamp()")
    connection.execute("UPDATE action_batch SET seal_date = clock_timestamp()")
    assert rows(connection, "SELECT count(*) FROM action_batch_node") == [(2,)]


# ---- pipeline_batch --------------------------------------------------------------------------


def add_pipeline(connection, name: str, actions: list[int]) -> int:
    for action in actions:
        connection.execute(
            "INSERT INTO action VALUES (%s, %s, 'AC2') ON CONFLICT DO NOTHING",
            [action, f"a{action}"],
        )
    ((pipeline,),) = rows(connection, "INSERT INTO pipeline (name) VALUES (%s) RETURNING id", name)
    for stage, action in enumerate(actions, 1):
        connection.execute(
            "INSERT INTO pipeline_stage VALUES (%s, %s, %s)", [pipeline, stage, action]
        )
    return pipeline


def add_event(connection, action: int, batch: int, status: Any = "done") -> None:
    record_action_history(connection, action, batch, status)


def enrol(connection, pipeline: int, batch: int) -> None:
    connection.execute(
        "INSERT INTO pipeline_enrolment (pipeline_id, action_batch_id) VALUES (%s, %s)",
        [pipeline, batch],
    )


def stages(connection) -> dict[tuple[int, int], int | None]:
    query = "SELECT action_batch_id, pipeline_id, current_stage FROM pipeline_batch"
    return {(batch, pipeline): stage for batch, pipeline, stage in rows(connection, query)}


def test_a_batch_moves_from_stage_to_stage(connection):
    pipeline = add_pipeline(connection, "photos", [1, 2])
    batch = add_batch(connection, add_nodes(connection, 3), seal=True)
    add_event(connection, 1, batch, "waiting")
    # That it shares an action with a pipeline means nothing.
    assert stages(connection) == {}
    enrol(connection, pipeline, batch)
    assert stages(connection) == {(batch, pipeline): 1}
    for status in ("running", "failed", "cancelled"):
        add_event(connection, 1, batch, status)
        assert stages(connection) == {(batch, pipeline): 1}
    add_event(connection, 1, batch)
    assert stages(connection) == {(batch, pipeline): 2}
    add_event(connection, 2, batch)
    assert stages(connection) == {(batch, pipeline): None}


def test_a_shared_action_runs_once(connection):
    photos = add_pipeline(connection, "photos", [1, 2])
    faces = add_pipeline(connection, "faces", [1, 3])
    batch = add_batch(connection, add_nodes(connection, 2), seal=True)
    add_event(connection, 1, batch)
    enrol(connection, photos, batch)
    enrol(connection, faces, batch)
    assert stages(connection) == {(batch, photos): 2, (batch, faces): 2}
    add_event(connection, 3, batch)
    assert stages(connection) == {(batch, photos): 2, (batch, faces): None}


def test_a_stage_is_done_only_when_every_node_is(connection):
    pipeline = add_pipeline(connection, "photos", [1, 2])
    first, second, third = add_nodes(connection, 3)
    whole = add_batch(connection, [first, second, third], seal=True)
    add_event(connection, 2, whole, "waiting")
    part = add_batch(connection, [first, second], seal=True)
    enrol(connection, pipeline, whole)
    enrol(connection, pipeline, part)
    add_event(connection, 1, part)
    # The third node is missing.
    assert stages(connection) == {(whole, pipeline): 1, (part, pipeline): 2}
    rest = add_batch(connection, [third], seal=True)
    add_event(connection, 1, rest, "running")
    assert stages(connection)[whole, pipeline] == 1
    add_event(connection, 1, rest)
    # Every node has been through action 1, in two other batches.
    assert stages(connection)[whole, pipeline] == 2


def test_a_later_stage_alone_does_not_skip_the_first(connection):
    pipeline = add_pipeline(connection, "photos", [1, 2])
    batch = add_batch(connection, add_nodes(connection, 1), seal=True)
    enrol(connection, pipeline, batch)
    add_event(connection, 2, batch)
    assert stages(connection) == {(batch, pipeline): 1}


def test_nobody_writes_the_view(connection):
    with pytest.raises(psycopg.Error):
        connection.execute("INSERT INTO pipeline_batch VALUES (1, 1, 1)")
    with pytest.raises(psycopg.Error):
        connection.execute(
            "INSERT INTO pipeline_batch (action_batch_id, pipeline_id) VALUES (1, 1)"
        )
    with pytest.raises(psycopg.Error):
        connection.execute("INSERT INTO node_action_done VALUES (1, 1, 1)")
